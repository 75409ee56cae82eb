//! What the machine offers, what the runtime makes of it, and what to change.

use std::fmt::Write as _;

use corelane_runtime::{IoUring, MachineFacts, Placement, advice, probe};
use corelane_stream::Result;

use crate::config::Settings;

/// Looks at this machine and reports.
///
/// # Errors
/// If the settings do not fit the machine.
pub fn report(settings: &Settings) -> Result<String> {
    report_on(settings, &probe())
}

/// Reports on a machine with these facts.
///
/// # Errors
/// As for `report`.
pub fn report_on(settings: &Settings, facts: &MachineFacts) -> Result<String> {
    let placement = settings.runtime()?.resolve(facts)?;
    let mut text = String::new();
    section(&mut text, "found", &found(facts));
    section(&mut text, "chosen", &chosen(&placement));
    let mut advice = advice(facts);
    if advice.is_empty() {
        advice.push("nothing: this machine is fit".to_string());
    }
    text.push_str("\nto change\n");
    for line in advice {
        let _ = writeln!(text, "  - {line}");
    }
    Ok(text)
}

fn section(text: &mut String, title: &str, lines: &[(&str, String)]) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{title}");
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<17} {value}");
    }
}

fn found(facts: &MachineFacts) -> Vec<(&'static str, String)> {
    let numbers = |cpus: &[usize]| cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let shared: Vec<String> = facts
        .cpus
        .iter()
        .filter(|cpu| 1 < cpu.siblings.len() && cpu.siblings.first() == Some(&cpu.id))
        .map(|cpu| cpu.siblings.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"))
        .collect();
    vec![
        ("kernel", facts.kernel.clone()),
        (
            "io_uring",
            match &facts.io_uring {
                IoUring::Allowed => "allowed".into(),
                IoUring::Refused(reason) => format!("refused: {reason}"),
            },
        ),
        (
            "locked memory",
            facts.memlock_bytes.map_or_else(|| "unlimited".into(), |bytes| format!("{} KiB", bytes >> 10)),
        ),
        ("allowed CPUs", numbers(&facts.allowed())),
        ("binding to CPUs", if facts.may_bind { "allowed".into() } else { "refused".into() }),
        ("physical cores", numbers(&facts.physical())),
        ("SMT siblings", if shared.is_empty() { "none".into() } else { shared.join(" ") }),
        ("NUMA nodes", facts.numa_nodes().to_string()),
        ("CPU governor", facts.governor.clone().unwrap_or_else(|| "unknown".into())),
        ("CPU quota", facts.cpu_quota.map_or_else(|| "none".into(), |quota| format!("{quota:.1} CPUs"))),
        ("memory", format!("{:.1} GiB", facts.memory_bytes as f64 / f64::from(1 << 30))),
    ]
}

fn chosen(placement: &Placement) -> Vec<(&'static str, String)> {
    let mut lines = vec![("driver", placement.driver.name().to_string())];
    for (index, worker) in placement.workers.iter().enumerate() {
        let place = if placement.pin { format!("pinned to CPU {}", worker.cpu) } else { "not pinned".into() };
        let name = if index == 0 { "workers" } else { "" };
        lines.push((
            name,
            format!(
                "{index}: {place}, idle {}, spin {} us, batches of {} rows, rings of {} slots",
                worker.idle, worker.spin_us, worker.batch_rows, worker.ring_slots
            ),
        ));
    }
    lines.extend(placement.notices.iter().map(|notice| ("note", notice.clone())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use corelane_runtime::Cpu;
    use expect_test::expect;

    fn machine() -> MachineFacts {
        MachineFacts {
            kernel: "6.18.0".into(),
            cpus: (0..4).map(|id| Cpu { id, siblings: vec![id % 2, id % 2 + 2], numa_node: 0 }).collect(),
            io_uring: IoUring::Refused("the kernel has no io_uring, or hides it".into()),
            may_bind: true,
            memlock_bytes: Some(8 << 20),
            governor: Some("performance".into()),
            cpu_quota: None,
            memory_bytes: 24 << 30,
        }
    }

    #[test]
    fn a_container_on_hyperthreads() {
        let settings = Settings::resolve(&Sources::default()).unwrap();
        expect![[r#"
            found
              kernel            6.18.0
              io_uring          refused: the kernel has no io_uring, or hides it
              locked memory     8192 KiB
              allowed CPUs      0 1 2 3
              binding to CPUs   allowed
              physical cores    0 1
              SMT siblings      0+2 1+3
              NUMA nodes        1
              CPU governor      performance
              CPU quota         none
              memory            24.0 GiB

            chosen
              driver            threads
              workers           0: pinned to CPU 0, idle adaptive, spin 50 us, batches of 8192 rows, rings of 4 slots
                                1: pinned to CPU 1, idle adaptive, spin 50 us, batches of 8192 rows, rings of 4 slots
              note              running on plain threads: the kernel has no io_uring, or hides it

            to change
              - glommio cannot run: the kernel has no io_uring, or hides it; plain threads are used, which is as fast while there is work
              - CPUs 0-3 are hardware threads of 2 cores; workers take one of each core (0-1) unless --cores says otherwise
        "#]].assert_eq(&report_on(&settings, &machine()).unwrap());
    }

    #[test]
    fn a_cpu_that_is_not_there() {
        let sources = Sources { flags: vec![("cores".into(), "99".into())], ..Sources::default() };
        let error = report_on(&Settings::resolve(&sources).unwrap(), &machine()).unwrap_err();
        assert_eq!(error.to_string(), "--cores names CPU 99, which this process may not use");
    }
}
