//! Which worker runs on which CPU, and under which driver.

use corelane_stream::limits::WORKERS_MAX;
use corelane_stream::{Error, Result};

use crate::config::{DriverChoice, RuntimeConfig, SPIN_US_DEFAULT, WorkerConfig, ranges};
use crate::probe::{BINDING_REFUSED, MachineFacts};

/// What runs the workers' steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    Glommio,
    Threads,
}

impl DriverKind {
    pub fn name(self) -> &'static str {
        match self {
            DriverKind::Glommio => "glommio",
            DriverKind::Threads => "threads",
        }
    }
}

/// A configuration that fits the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub workers: Vec<WorkerConfig>,
    pub pin: bool,
    pub driver: DriverKind,
    /// What the user should know of the choice, a line each.
    pub notices: Vec<String>,
}

impl RuntimeConfig {
    /// Fits the configuration to the machine.
    ///
    /// # Errors
    /// If a bound is broken, a CPU may not be used, or glommio was asked for and cannot run.
    pub fn resolve(&self, facts: &MachineFacts) -> Result<Placement> {
        self.check()?;
        let mut notices = Vec::new();
        let cpus = self.cpus(facts)?;
        let workers = self.workers.unwrap_or(cpus.len().min(WORKERS_MAX));
        let shared = workers > cpus.len();
        let spin_us = if shared || self.overprovisioned { 0 } else { SPIN_US_DEFAULT };
        if shared {
            let given = match cpus.as_slice() {
                [cpu] => format!("CPU {cpu}"),
                several => format!("{} CPUs ({})", several.len(), ranges(several)),
            };
            notices.push(format!("{workers} workers share {given}; they do not spin"));
        }
        let memory_bytes = self.memory_share(facts, workers)?;
        let configs = (0..workers)
            .map(|worker| WorkerConfig { memory_bytes, ..self.worker(cpus[worker % cpus.len()], spin_us) })
            .collect();
        let driver = self.driver(facts, &mut notices)?;
        let pin = self.pin && !self.overprovisioned;
        if pin && !facts.may_bind && !notices.iter().any(|notice| notice.ends_with(BINDING_REFUSED)) {
            notices.push(format!("workers are not pinned: {BINDING_REFUSED}"));
        }
        Ok(Placement { workers: configs, pin: pin && facts.may_bind, driver, notices })
    }

    /// What one worker may hold: keys are spread evenly, so shares are equal.
    fn memory_share(&self, facts: &MachineFacts, workers: usize) -> Result<u64> {
        // A machine that does not say what it has is not limited.
        let known = Some(facts.memory_bytes).filter(|bytes| *bytes > 0);
        let Some(memory) = self.memory.or(known) else { return Ok(u64::MAX) };
        match memory.checked_sub(self.reserve_memory) {
            Some(left) if left > 0 => Ok(left / workers as u64),
            Some(_) | None => {
                let reserve = self.reserve_memory;
                Err(Error::invalid(format!("--reserve-memory {reserve} leaves nothing of the machine's {memory}"))
                    .with_hint("reserve less"))
            }
        }
    }

    fn cpus(&self, facts: &MachineFacts) -> Result<Vec<usize>> {
        let allowed = facts.allowed();
        let cpus = match &self.cores {
            Some(cores) => cores.cpus().to_vec(),
            None => self.default_cpus(facts),
        };
        let known = |cpu: &usize| allowed.contains(cpu);
        let named = cpus.iter().map(|cpu| ("--cores", cpu)).chain(self.per_core.keys().map(|cpu| ("[core.N]", cpu)));
        for (flag, cpu) in named {
            if !known(cpu) {
                return Err(Error::invalid(format!("{flag} names CPU {cpu}, which this process may not use"))
                    .with_hint(format!("it may use {}", ranges(&allowed))));
            }
        }
        if cpus.is_empty() {
            return Err(Error::internal("the machine shows no CPU that this process may use"));
        }
        Ok(cpus)
    }

    /// One CPU of each core; where more workers are asked for, also the cores' other hardware
    /// threads, for two workers on one CPU wait for each other while its sibling idles.
    fn default_cpus(&self, facts: &MachineFacts) -> Vec<usize> {
        let mut cpus = facts.physical();
        if self.workers.is_some_and(|workers| workers > cpus.len()) {
            let others: Vec<usize> = facts.allowed().into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
            cpus.extend(others);
        }
        cpus
    }

    fn driver(&self, facts: &MachineFacts, notices: &mut Vec<String>) -> Result<DriverKind> {
        match (self.driver, facts.glommio_refused()) {
            (DriverChoice::Threads, _) => Ok(DriverKind::Threads),
            (DriverChoice::Auto | DriverChoice::Glommio, None) => Ok(DriverKind::Glommio),
            (DriverChoice::Auto, Some(reason)) => {
                notices.push(format!("running on plain threads: {reason}"));
                Ok(DriverKind::Threads)
            }
            (DriverChoice::Glommio, Some(reason)) => {
                Err(Error::io(format!("cannot start the glommio driver: {reason}"))
                    .with_hint("use --driver threads, or leave --driver out"))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::{Cpu, IoUring};

    /// A machine without faults: this many cores, one hardware thread each.
    pub(crate) fn machine(cpus: usize) -> MachineFacts {
        MachineFacts {
            kernel: "6.18.0".to_owned(),
            cpus: (0..cpus).map(|id| Cpu { id, siblings: vec![id], numa_node: 0 }).collect(),
            io_uring: IoUring::Allowed,
            may_bind: true,
            memlock_bytes: None,
            governor: None,
            cpu_quota: None,
            memory_bytes: 1 << 34,
        }
    }

    fn placed(config: &RuntimeConfig, facts: &MachineFacts) -> Vec<usize> {
        config.resolve(facts).unwrap().workers.iter().map(|worker| worker.cpu).collect()
    }

    #[test]
    fn one_worker_per_physical_core_by_default() {
        let mut facts = machine(4);
        assert_eq!(placed(&RuntimeConfig::default(), &facts), [0, 1, 2, 3]);
        for cpu in &mut facts.cpus {
            cpu.siblings = vec![cpu.id / 2 * 2, cpu.id / 2 * 2 + 1];
        }
        assert_eq!(placed(&RuntimeConfig::default(), &facts), [0, 2]);
        let with =
            |workers: usize| placed(&RuntimeConfig { workers: Some(workers), ..RuntimeConfig::default() }, &facts);
        assert_eq!((with(1), with(2)), (vec![0], vec![0, 2]));
        assert_eq!(with(3), [0, 2, 1], "hardware threads come before sharing one");
        assert_eq!(with(5), [0, 2, 1, 3, 0]);
    }

    #[test]
    fn cores_must_be_allowed() {
        let config = RuntimeConfig { cores: Some("1,99".parse().unwrap()), ..RuntimeConfig::default() };
        let error = config.resolve(&machine(4)).unwrap_err();
        assert_eq!(error.to_string(), "--cores names CPU 99, which this process may not use");
        assert_eq!(error.hint(), Some("it may use 0-3"));
    }

    #[test]
    fn more_workers_than_cpus_share_and_do_not_spin() {
        let config =
            RuntimeConfig { workers: Some(5), cores: Some("1-2".parse().unwrap()), ..RuntimeConfig::default() };
        let placement = config.resolve(&machine(4)).unwrap();
        assert!(placement.workers.iter().all(|worker| worker.spin_us == 0));
        assert_eq!(placed(&config, &machine(4)), [1, 2, 1, 2, 1]);
        assert_eq!(placement.notices, ["5 workers share 2 CPUs (1-2); they do not spin"]);
    }

    #[test]
    fn workers_that_may_not_be_bound_run_anywhere() {
        let facts = MachineFacts { may_bind: false, ..machine(2) };
        let placement = RuntimeConfig::default().resolve(&facts).unwrap();
        assert_eq!((placement.driver, placement.pin), (DriverKind::Threads, false));
        let refused = "threads may not be bound to CPUs (sched_setaffinity is refused)";
        assert_eq!(placement.notices, [format!("running on plain threads: {refused}")]);
        let threads = RuntimeConfig { driver: DriverChoice::Threads, ..RuntimeConfig::default() };
        assert_eq!(threads.resolve(&facts).unwrap().notices, [format!("workers are not pinned: {refused}")]);
        let unpinned = RuntimeConfig { pin: false, ..threads };
        assert_eq!(unpinned.resolve(&facts).unwrap().notices, [""; 0]);
        let facts = MachineFacts { io_uring: IoUring::Refused("it is not permitted".to_owned()), ..facts };
        let notices = RuntimeConfig::default().resolve(&facts).unwrap().notices;
        let expected =
            ["running on plain threads: it is not permitted".to_owned(), format!("workers are not pinned: {refused}")];
        assert_eq!(notices, expected);
    }

    #[test]
    fn glommio_gives_way_with_a_reason() {
        let mut facts = machine(1);
        facts.io_uring = IoUring::Refused("io_uring is not permitted".to_owned());
        let placement = RuntimeConfig::default().resolve(&facts).unwrap();
        assert_eq!(placement.driver, DriverKind::Threads);
        assert_eq!(placement.notices, ["running on plain threads: io_uring is not permitted"]);
        facts.io_uring = IoUring::Allowed;
        facts.memlock_bytes = Some(64 << 10);
        let config = RuntimeConfig { driver: DriverChoice::Glommio, ..RuntimeConfig::default() };
        let error = config.resolve(&facts).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot start the glommio driver: only 64 KiB of memory may be locked and io_uring needs 512 (ulimit -l)"
        );
    }
}
