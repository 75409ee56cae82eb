//! What the machine is and allows, before anything relies on it.
//!
//! glommio panics where io_uring is refused (most containers) and fails where little memory may
//! be locked, so both are asked of the kernel first, by hand.

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use crate::config::ranges;

/// Locked memory that glommio insists on.
pub const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Why workers are not pinned where the kernel refuses it.
pub const BINDING_REFUSED: &str = "threads may not be bound to CPUs (sched_setaffinity is refused)";

/// Whether the kernel lets us use io_uring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoUring {
    Allowed,
    /// Why not, as a clause: `the kernel has no io_uring`.
    Refused(String),
}

/// One CPU that the process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    pub id: usize,
    /// The CPUs of the same physical core, itself included, in order.
    pub siblings: Vec<usize>,
    pub numa_node: usize,
}

/// What `probe` found. Plain data, so that tests can make machines up.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineFacts {
    /// `6.18.0`.
    pub kernel: String,
    /// The CPUs the process may use, in order.
    pub cpus: Vec<Cpu>,
    pub io_uring: IoUring,
    /// Whether threads may be bound to CPUs.
    pub may_bind: bool,
    /// Bytes that may be locked, after raising the soft limit to the hard one; `None`: any.
    pub memlock_bytes: Option<u64>,
    /// The frequency governor of the first CPU, if there is one.
    pub governor: Option<String>,
    /// CPUs that the control group may use at once, if it is limited.
    pub cpu_quota: Option<f64>,
    pub memory_bytes: u64,
}

impl MachineFacts {
    /// The numbers of the CPUs the process may use.
    pub fn allowed(&self) -> Vec<usize> {
        self.cpus.iter().map(|cpu| cpu.id).collect()
    }

    /// One CPU of each physical core.
    pub fn physical(&self) -> Vec<usize> {
        let allowed = self.allowed();
        let first = |cpu: &&Cpu| cpu.siblings.iter().find(|id| allowed.contains(id)).is_none_or(|id| *id == cpu.id);
        self.cpus.iter().filter(first).map(|cpu| cpu.id).collect()
    }

    pub fn numa_nodes(&self) -> usize {
        let mut nodes: Vec<usize> = self.cpus.iter().map(|cpu| cpu.numa_node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    }

    /// Why glommio cannot run here, if it cannot.
    pub fn glommio_refused(&self) -> Option<String> {
        match (&self.io_uring, self.memlock_bytes) {
            (IoUring::Refused(reason), _) => Some(reason.clone()),
            // It binds also the threads that may run on every CPU.
            (IoUring::Allowed, _) if !self.may_bind => Some(BINDING_REFUSED.to_owned()),
            (IoUring::Allowed, Some(bytes)) if bytes < MEMLOCK_BYTES_MIN => Some(format!(
                "only {} KiB of memory may be locked and io_uring needs {} (ulimit -l)",
                bytes >> 10,
                MEMLOCK_BYTES_MIN >> 10
            )),
            (IoUring::Allowed, _) => None,
        }
    }
}

/// Looks at the machine. Raises the soft limit of locked memory to the hard one.
pub fn probe() -> MachineFacts {
    MachineFacts {
        kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        cpus: allowed_cpus().into_iter().map(cpu).collect(),
        io_uring: probe_io_uring(),
        may_bind: may_bind(),
        memlock_bytes: raise_memlock(),
        governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        cpu_quota: cpu_quota(Path::new("/")),
        memory_bytes: memory_bytes(Path::new("/")),
    }
}

/// What would make this machine a better one, a sentence each.
pub fn advice(facts: &MachineFacts) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(reason) = facts.glommio_refused() {
        advice.push(format!(
            "glommio cannot run: {reason}; plain threads are used, which is as fast while there is work"
        ));
    }
    if !facts.may_bind {
        advice.push(format!("workers run unpinned: {BINDING_REFUSED}; a container's seccomp profile can allow it"));
    }
    if let Some(governor) = facts.governor.as_deref().filter(|governor| *governor != "performance") {
        advice.push(format!("the CPU governor is {governor:?}; \"performance\" avoids slow starts after idling"));
    }
    if let Some(quota) = facts.cpu_quota.filter(|quota| *quota < facts.physical().len() as f64) {
        advice.push(format!(
            "the control group allows {quota:.1} CPUs but {} cores are visible; use --workers {} so that no worker is throttled",
            facts.physical().len(),
            (quota.floor() as usize).max(1)
        ));
    }
    if facts.numa_nodes() > 1 {
        advice.push(format!(
            "there are {} NUMA nodes; one process per node, each with its own --cores, avoids remote memory",
            facts.numa_nodes()
        ));
    }
    let (allowed, physical) = (facts.allowed(), facts.physical());
    if allowed.len() > physical.len() {
        advice.push(format!(
            "CPUs {} are hardware threads of {} cores; workers take one of each core ({}) unless --cores says otherwise",
            ranges(&allowed),
            physical.len(),
            ranges(&physical)
        ));
    }
    advice
}

/// CPU time of the calling thread.
pub fn thread_cpu_ns() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the kernel writes one timespec; zeroed is a valid one should it refuse.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    if line.is_empty() { None } else { Some(line.to_owned()) }
}

fn allowed_cpus() -> Vec<usize> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the set is plain bits, valid when zeroed, and the kernel writes at most its size.
    let (refused, set) = unsafe {
        let refused = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr());
        (refused != 0, set.assume_init())
    };
    if refused {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        return (0..count).collect();
    }
    // SAFETY: the index is below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

fn cpu(id: usize) -> Cpu {
    let topology = format!("/sys/devices/system/cpu/cpu{id}/topology/thread_siblings_list");
    let siblings = line(topology).and_then(|list| list.parse::<crate::config::CoreSet>().ok());
    let siblings = siblings.map_or_else(|| vec![id], |set| set.cpus().to_vec());
    Cpu { id, siblings, numa_node: numa_node(id) }
}

/// A CPU's folder has a link to its node's, named after it.
fn numa_node(id: usize) -> usize {
    let Ok(entries) = fs::read_dir(format!("/sys/devices/system/cpu/cpu{id}")) else {
        return 0;
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next().unwrap_or(0)
}

fn probe_io_uring() -> IoUring {
    // The kernel's io_uring_params: 120 bytes, zero for the defaults.
    let mut params = [0u64; 15];
    // SAFETY: the parameters are as large as the kernel's structure, and it keeps no pointer to them.
    let descriptor = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if descriptor < 0 {
        return IoUring::Refused(refusal(&std::io::Error::last_os_error()));
    }
    // Some profiles let a ring be set up and nothing be done with it.
    let used = use_ring(descriptor);
    // SAFETY: the descriptor was just opened and is not used elsewhere.
    unsafe { libc::close(descriptor as libc::c_int) };
    match used {
        Err(error) => IoUring::Refused(refusal(&error)),
        Ok(()) => IoUring::Allowed,
    }
}

/// Asks the ring what it can do, and enters it without anything to do.
fn use_ring(descriptor: libc::c_long) -> std::io::Result<()> {
    const REGISTER_PROBE: libc::c_uint = 8;
    const OPERATIONS: usize = 256;
    // The kernel's io_uring_probe: 16 bytes, then 8 for each operation.
    let mut probe = [0u64; 2 + OPERATIONS];
    // SAFETY: the structure is as large as the number of operations says, and the kernel keeps no pointer to it.
    let registered = unsafe {
        libc::syscall(libc::SYS_io_uring_register, descriptor, REGISTER_PROBE, probe.as_mut_ptr(), OPERATIONS)
    };
    if registered < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: nothing is submitted or waited for, so the kernel reads no memory of ours.
    let entered = unsafe { libc::syscall(libc::SYS_io_uring_enter, descriptor, 0, 0, 0, std::ptr::null::<u8>(), 0) };
    if entered < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether a thread may be bound to CPUs: this one is, to those that it may use already.
fn may_bind() -> bool {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the set is plain bits, valid when zeroed; the kernel writes and reads at most its size.
    unsafe {
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) == 0
            && libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set.as_ptr()) == 0
    }
}

fn refusal(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel has no io_uring, or hides it".to_owned(),
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is not permitted (a container's seccomp profile, or kernel.io_uring_disabled)".to_owned()
        }
        _ => format!("io_uring cannot be set up: {error}"),
    }
}

fn raise_memlock() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads and writes one rlimit.
    let soft = unsafe {
        if libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) != 0 {
            return None;
        }
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_MEMLOCK, &raised) == 0 { raised.rlim_cur } else { limit.rlim_cur }
    };
    (soft != libc::RLIM_INFINITY).then_some(soft)
}

/// CPUs that the control group allows: the tightest limit up to the root. `system` is where the
/// kernel's file systems lie, `/` but in tests.
fn cpu_quota(system: &Path) -> Option<f64> {
    let old = |folder: &Path| {
        let number = |name| line(folder.join(name))?.parse::<f64>().ok();
        let (quota, period) = (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?);
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    };
    let new = |folder: &Path| line(folder.join("cpu.max")).as_deref().and_then(parse_cpu_max);
    let quotas = group_folders(system, "").into_iter().filter_map(|folder| new(&folder));
    let quotas = quotas.chain(group_folders(system, "cpu").into_iter().filter_map(|folder| old(&folder)));
    quotas.reduce(f64::min)
}

/// The folders of the process's control group and of those above it: of the one hierarchy for
/// all, or, where there is an older one for a controller, of that.
fn group_folders(system: &Path, controller: &str) -> Vec<PathBuf> {
    let groups = fs::read_to_string(system.join("proc/self/cgroup")).unwrap_or_default();
    let path = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then(|| path.trim_start_matches('/'))
    });
    let root = system.join("sys/fs/cgroup").join(controller);
    let Some(path) = path else { return Vec::new() };
    let folder = root.join(path);
    folder.ancestors().take_while(|folder| folder.starts_with(&root)).map(Path::to_path_buf).collect()
}

/// `200000 100000` is two CPUs, `max 100000` no limit.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0).then(|| quota / period)
}

/// The memory of the machine, or what the control group allows of it.
fn memory_bytes(system: &Path) -> u64 {
    let limit = |folder: &Path, name| line(folder.join(name))?.parse::<u64>().ok();
    let new = group_folders(system, "").into_iter().filter_map(|folder| limit(&folder, "memory.max"));
    let old = group_folders(system, "memory").into_iter().filter_map(|folder| limit(&folder, "memory.limit_in_bytes"));
    let all = all_memory_bytes(system);
    new.chain(old).fold(all, |least, limit| if all == 0 { limit } else { least.min(limit) })
}

fn all_memory_bytes(system: &Path) -> u64 {
    let text = fs::read_to_string(system.join("proc/meminfo")).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::tests::machine;

    #[test]
    fn this_machine_has_facts() {
        let facts = probe();
        assert!(!facts.cpus.is_empty() && !facts.physical().is_empty());
        assert!(!facts.kernel.is_empty() && facts.memory_bytes > 0);
    }

    /// CPUs and bytes that a system of these files allows.
    fn limits(files: &[(&str, &str)]) -> (Option<f64>, u64) {
        let system = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = system.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (cpu_quota(system.path()), memory_bytes(system.path()))
    }

    const MEMORY: (&str, &str) = ("proc/meminfo", "MemTotal:       1048576 kB\nMemFree:        1024 kB\n");
    const GROUPS: (&str, &str) =
        ("proc/self/cgroup", "5:memory:/docker/one\n4:cpu,cpuacct:/docker/one\n1:name=systemd:/docker/one\n");

    #[test]
    fn control_groups_of_the_first_version() {
        assert_eq!(limits(&[]), (None, 0));
        assert_eq!(limits(&[GROUPS, MEMORY]), (None, 1 << 30));
        let unlimited = [
            GROUPS,
            MEMORY,
            ("sys/fs/cgroup/cpu/docker/one/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/docker/one/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(limits(&unlimited), (None, 1 << 30));
        let limited = [
            GROUPS,
            MEMORY,
            ("sys/fs/cgroup/cpu/docker/one/cpu.cfs_quota_us", "400000\n"),
            ("sys/fs/cgroup/cpu/docker/one/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu/docker/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(limits(&limited), (Some(1.5), 512 << 20));
    }

    /// A container sees the path that its group has outside, and its own group at the root.
    #[test]
    fn a_control_group_seen_from_within() {
        let files = [
            GROUPS,
            MEMORY,
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        ];
        assert_eq!(limits(&files), (Some(0.5), 256 << 20));
    }

    #[test]
    fn control_groups_of_the_second_version_and_of_both() {
        let second = [
            ("proc/self/cgroup", "0::/system.slice/lane.service\n"),
            MEMORY,
            ("sys/fs/cgroup/system.slice/lane.service/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/system.slice/cpu.max", "200000 100000\n"),
            ("sys/fs/cgroup/system.slice/lane.service/memory.max", "134217728\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
        ];
        assert_eq!(limits(&second), (Some(2.0), 128 << 20));
        let both = [
            ("proc/self/cgroup", "4:cpu,cpuacct:/lane\n0::/lane\n"),
            MEMORY,
            ("sys/fs/cgroup/lane/cpu.max", "300000 100000\n"),
            ("sys/fs/cgroup/cpu/lane/cpu.cfs_quota_us", "250000\n"),
            ("sys/fs/cgroup/cpu/lane/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limits(&both), (Some(2.5), 1 << 30));
    }

    #[test]
    fn control_group_quotas() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max(""), None);
    }

    #[test]
    fn advice_is_given_where_it_helps() {
        assert_eq!(advice(&machine(4)), Vec::<String>::new());
        let mut facts = machine(4);
        facts.io_uring = IoUring::Refused("io_uring is not permitted".to_owned());
        facts.governor = Some("powersave".to_owned());
        facts.cpu_quota = Some(1.5);
        for cpu in &mut facts.cpus {
            cpu.siblings = vec![cpu.id % 2, cpu.id % 2 + 2];
            cpu.numa_node = cpu.id % 2;
        }
        expect_test::expect![[r#"
            glommio cannot run: io_uring is not permitted; plain threads are used, which is as fast while there is work
            the CPU governor is "powersave"; "performance" avoids slow starts after idling
            the control group allows 1.5 CPUs but 2 cores are visible; use --workers 1 so that no worker is throttled
            there are 2 NUMA nodes; one process per node, each with its own --cores, avoids remote memory
            CPUs 0-3 are hardware threads of 2 cores; workers take one of each core (0-1) unless --cores says otherwise"#]]
        .assert_eq(&advice(&facts).join("\n"));
    }
}
