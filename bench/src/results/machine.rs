//! What a benchmark ran on.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model, as the kernel tells it.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    pub kernel: String,
    pub memory_bytes: u64,
}

impl Machine {
    pub fn this() -> Machine {
        let memory = value_in("/proc/meminfo", "MemTotal").and_then(|text| {
            let kib: u64 = text.trim_end_matches("kB").trim().parse().ok()?;
            Some(kib * 1024)
        });
        Machine {
            cpu: value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            memory_bytes: memory.unwrap_or(0),
        }
    }
}

/// The value of the first `name : value` in a file of the kernel's.
pub fn value_in(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
