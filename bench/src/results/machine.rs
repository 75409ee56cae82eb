//! What a benchmark ran on.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::scaling::counters::allowed_cpus;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model, as the kernel tells it.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Physical cores among them; with fewer than CPUs, some CPUs are hardware threads of one core.
    #[serde(default)]
    pub cores: usize,
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
            cores: cores(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            memory_bytes: memory.unwrap_or(0),
        }
    }
}

/// The CPUs that this process may use: one of each core, then the cores' other hardware threads,
/// as workers are placed.
pub fn cpus_in_order() -> Vec<usize> {
    let (first, others): (Vec<_>, Vec<_>) = ranked_cpus().into_iter().partition(|(rank, _)| *rank == 0);
    first.into_iter().chain(others).map(|(_, cpu)| cpu).collect()
}

fn cores() -> usize {
    ranked_cpus().iter().filter(|(rank, _)| *rank == 0).count()
}

/// Each CPU and how many of its core come before it; 0 where the kernel does not tell of cores.
fn ranked_cpus() -> Vec<(usize, usize)> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let rank = |cpu: usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let core = std::fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string());
        let count = seen.entry(core).or_default();
        *count += 1;
        (*count - 1, cpu)
    };
    allowed_cpus().into_iter().map(rank).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cpu_is_in_the_order_once() {
        let mut cpus = cpus_in_order();
        cpus.sort_unstable();
        assert_eq!(cpus, allowed_cpus());
        assert!((1..=cpus.len()).contains(&Machine::this().cores));
    }
}
