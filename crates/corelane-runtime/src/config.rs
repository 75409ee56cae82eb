//! How a job is to run: what the flags and the configuration file say, with their bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use corelane_stream::limits::{BATCH_ROWS_DEFAULT, BATCH_ROWS_MAX, RING_SLOTS_DEFAULT, RING_SLOTS_MAX, WORKERS_MAX};
use corelane_stream::{Error, Result};

/// Spinning pays up to about the cost of a sleep and a wake: 20 to 50 us.
pub const SPIN_US_DEFAULT: u64 = 50;

/// How long a part-filled exchange buffer waits under load.
pub const LINGER_US_DEFAULT: u64 = 1_000;

/// How long a step goes on finding work before it looks around.
pub const TASK_QUOTA_US_DEFAULT: u64 = 500;

/// A step longer than this is worth a line to the user.
pub const STALL_NOTIFY_MS_DEFAULT: u64 = 500;

const WORKERS: RangeInclusive<u64> = 1..=WORKERS_MAX as u64;
const BATCH_ROWS: RangeInclusive<u64> = 1..=BATCH_ROWS_MAX as u64;
const RING_SLOTS: RangeInclusive<u64> = 1..=RING_SLOTS_MAX as u64;
const SPIN_US: RangeInclusive<u64> = 0..=1_000_000;
const LINGER_US: RangeInclusive<u64> = 0..=60_000_000;
const TASK_QUOTA_US: RangeInclusive<u64> = 1..=1_000_000;
const STALL_NOTIFY_MS: RangeInclusive<u64> = 1..=3_600_000;

/// The smallest accepted `--memory`: less does not hold a worker's buffers.
const MEMORY_BYTES_MIN: u64 = 64 << 20;

/// What an idle worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Looks for work all the time: the lowest latency, and a whole CPU.
    Spin,
    /// Spins for a while, less if that does not pay, then sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once.
    Park,
}

/// Which driver runs the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// glommio where the machine allows it, else threads.
    #[default]
    Auto,
    Glommio,
    Threads,
}

macro_rules! named {
    ($type:ty, $flag:literal, $($name:literal => $value:expr),+) => {
        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($name => Ok($value),)+
                    _ => {
                        let names = [$($name),+].join(", ");
                        Err(Error::invalid(format!("{} cannot be {text:?}", $flag)).with_hint(format!("use one of: {names}")))
                    }
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = match self {
                    $(value if *value == $value => $name,)+
                    _ => unreachable!("every value has a name"),
                };
                out.write_str(name)
            }
        }
    };
}

named!(IdlePolicy, "--idle", "spin" => IdlePolicy::Spin, "adaptive" => IdlePolicy::Adaptive, "park" => IdlePolicy::Park);
named!(DriverChoice, "--driver", "auto" => DriverChoice::Auto, "glommio" => DriverChoice::Glommio, "threads" => DriverChoice::Threads);

/// A set of CPUs as it is written: `0-3,6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSet(Vec<usize>);

impl CoreSet {
    /// The CPUs in the order of their numbers.
    pub fn cpus(&self) -> &[usize] {
        &self.0
    }
}

/// CPU numbers above this are a slip of the hand.
const CPU_MAX: usize = 65_535;

impl FromStr for CoreSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: String| {
            Error::invalid(format!("--cores {text:?} {why}")).with_hint("write CPU numbers and ranges, like 0-3,6")
        };
        let number = |part: &str| -> Result<usize> {
            let parsed = part.trim().parse::<usize>();
            let cpu = parsed.map_err(|_| refused(format!("has {:?} where a CPU number should be", part.trim())))?;
            if cpu > CPU_MAX { Err(refused(format!("has CPU {cpu}, more than {CPU_MAX}"))) } else { Ok(cpu) }
        };
        if text.trim().is_empty() {
            return Err(refused("names no CPU".to_owned()));
        }
        let mut cpus = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                Some((first, last)) => {
                    let (first, last) = (number(first)?, number(last)?);
                    if first > last {
                        return Err(refused(format!("has the range {first}-{last}, which runs backwards")));
                    }
                    cpus.extend(first..=last);
                }
                None => cpus.push(number(part)?),
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(CoreSet(cpus))
    }
}

impl fmt::Display for CoreSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&ranges(&self.0))
    }
}

/// Writes sorted numbers as `0-3,6`.
pub fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let length = rest.iter().enumerate().take_while(|(offset, number)| **number == first + offset).count();
        let last = first + length - 1;
        parts.push(if length == 1 { first.to_string() } else { format!("{first}-{last}") });
        rest = &rest[length..];
    }
    parts.join(",")
}

/// What may differ on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreOverrides {
    pub idle: Option<IdlePolicy>,
    pub spin_us: Option<u64>,
    pub batch_rows: Option<usize>,
    pub ring_slots: Option<usize>,
    pub linger_us: Option<u64>,
    pub task_quota_us: Option<u64>,
}

/// How a job is to run.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// `None`: one for each CPU.
    pub workers: Option<usize>,
    /// `None`: the physical cores that the process may use.
    pub cores: Option<CoreSet>,
    pub pin: bool,
    /// The CPUs are shared with others: neither pin nor spin.
    pub overprovisioned: bool,
    pub idle: IdlePolicy,
    /// `None`: 50, or 0 where workers share CPUs.
    pub spin_us: Option<u64>,
    pub batch_rows: usize,
    pub ring_slots: usize,
    pub linger_us: u64,
    /// Bytes for all of the job; `None`: what the machine has.
    pub memory: Option<u64>,
    /// Bytes left to others.
    pub reserve_memory: u64,
    pub task_quota_us: u64,
    pub stall_notify_ms: u64,
    pub driver: DriverChoice,
    /// By CPU number.
    pub per_core: BTreeMap<usize, CoreOverrides>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            workers: None,
            cores: None,
            pin: true,
            overprovisioned: false,
            idle: IdlePolicy::default(),
            spin_us: None,
            batch_rows: BATCH_ROWS_DEFAULT,
            ring_slots: RING_SLOTS_DEFAULT,
            linger_us: LINGER_US_DEFAULT,
            memory: None,
            reserve_memory: 0,
            task_quota_us: TASK_QUOTA_US_DEFAULT,
            stall_notify_ms: STALL_NOTIFY_MS_DEFAULT,
            driver: DriverChoice::default(),
            per_core: BTreeMap::new(),
        }
    }
}

/// How one worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The CPU it belongs to; it is bound to it only if the job pins.
    pub cpu: usize,
    pub idle: IdlePolicy,
    pub spin_us: u64,
    pub batch_rows: usize,
    pub ring_slots: usize,
    pub linger_us: u64,
    pub task_quota_us: u64,
    pub stall_notify_ms: u64,
    /// Its share of the job's memory, for state.
    pub memory_bytes: u64,
}

impl RuntimeConfig {
    /// Checks every bound.
    ///
    /// # Errors
    /// Names the flag, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        if let Some(workers) = self.workers {
            within("--workers", workers as u64, &WORKERS)?;
        }
        within("--stall-notify-ms", self.stall_notify_ms, &STALL_NOTIFY_MS)?;
        if let Some(memory) = self.memory {
            within("--memory", memory, &(MEMORY_BYTES_MIN..=u64::MAX))?;
            if self.reserve_memory >= memory {
                let (reserve, what) = (self.reserve_memory, "leaves nothing of --memory");
                return Err(Error::invalid(format!("--reserve-memory {reserve} {what} {memory}"))
                    .with_hint("reserve less, or give the job more"));
            }
        }
        self.check_worker("", &self.worker(0, SPIN_US_DEFAULT))?;
        for cpu in self.per_core.keys() {
            self.check_worker(&format!("[core.{cpu}] "), &self.worker(*cpu, SPIN_US_DEFAULT))?;
        }
        Ok(())
    }

    /// What holds for a worker on this CPU.
    pub fn worker(&self, cpu: usize, spin_us_default: u64) -> WorkerConfig {
        let overrides = self.per_core.get(&cpu).copied().unwrap_or_default();
        WorkerConfig {
            cpu,
            idle: overrides.idle.unwrap_or(self.idle),
            spin_us: overrides.spin_us.or(self.spin_us).unwrap_or(spin_us_default),
            batch_rows: overrides.batch_rows.unwrap_or(self.batch_rows),
            ring_slots: overrides.ring_slots.unwrap_or(self.ring_slots),
            linger_us: overrides.linger_us.unwrap_or(self.linger_us),
            task_quota_us: overrides.task_quota_us.unwrap_or(self.task_quota_us),
            stall_notify_ms: self.stall_notify_ms,
            memory_bytes: u64::MAX,
        }
    }

    fn check_worker(&self, place: &str, worker: &WorkerConfig) -> Result<()> {
        let bounds = [
            ("--batch-rows", worker.batch_rows as u64, &BATCH_ROWS),
            ("--ring-slots", worker.ring_slots as u64, &RING_SLOTS),
            ("--spin-us", worker.spin_us, &SPIN_US),
            ("--linger-us", worker.linger_us, &LINGER_US),
            ("--task-quota-us", worker.task_quota_us, &TASK_QUOTA_US),
        ];
        bounds.into_iter().try_for_each(|(flag, value, range)| within(&format!("{place}{flag}"), value, range))
    }
}

fn within(flag: &str, value: u64, range: &RangeInclusive<u64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    let hint = if *most == u64::MAX { format!("use at least {least}") } else { format!("use {least} to {most}") };
    Err(Error::invalid(format!("{flag} {value} is out of range")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(cores: &str) -> String {
        cores.parse::<CoreSet>().unwrap_err().to_string()
    }

    #[test]
    fn core_sets() {
        let cores: CoreSet = "6, 0-3,2".parse().unwrap();
        assert_eq!(cores.cpus(), [0, 1, 2, 3, 6]);
        assert_eq!(cores.to_string(), "0-3,6");
        expect_test::expect![[r#"
            --cores "" names no CPU
            --cores "0,,1" has "" where a CPU number should be
            --cores "3-1" has the range 3-1, which runs backwards
            --cores "0-x" has "x" where a CPU number should be
            --cores "-1" has "" where a CPU number should be
            --cores "0-99999999" has CPU 99999999, more than 65535
        "#]]
        .assert_eq(&["", "0,,1", "3-1", "0-x", "-1", "0-99999999"].map(|cores| refused(cores) + "\n").concat());
    }

    #[test]
    fn bounds_name_the_flag_and_the_range() {
        let check = |change: fn(&mut RuntimeConfig)| {
            let mut config = RuntimeConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err();
            format!("{error}; {}\n", error.hint().unwrap())
        };
        expect_test::expect![[r#"
            --batch-rows 0 is out of range; use 1 to 65536
            --ring-slots 1025 is out of range; use 1 to 1024
            --workers 0 is out of range; use 1 to 256
            --memory 5 is out of range; use at least 67108864
            --reserve-memory 134217728 leaves nothing of --memory 67108864; reserve less, or give the job more
            [core.3] --task-quota-us 0 is out of range; use 1 to 1000000
        "#]]
        .assert_eq(
            &[
                check(|config| config.batch_rows = 0),
                check(|config| config.ring_slots = 1_025),
                check(|config| config.workers = Some(0)),
                check(|config| config.memory = Some(5)),
                check(|config| (config.memory, config.reserve_memory) = (Some(64 << 20), 128 << 20)),
                check(|config| {
                    config.per_core.insert(3, CoreOverrides { task_quota_us: Some(0), ..CoreOverrides::default() });
                }),
            ]
            .concat(),
        );
    }

    #[test]
    fn choices_have_names() {
        assert_eq!("park".parse::<IdlePolicy>().unwrap().to_string(), "park");
        let error = "tokio".parse::<DriverChoice>().unwrap_err();
        assert_eq!(error.to_string(), "--driver cannot be \"tokio\"");
        assert_eq!(error.hint(), Some("use one of: auto, glommio, threads"));
    }
}
