//! What the kernel counts of this process: futex calls, CPU time, resident memory.

use std::fs;

use crate::results::kernel_value;

/// Counts calls of `futex` by this process and the threads that it starts from now on.
///
/// Through the kernel's tracepoint, so that nothing of the process is slowed or changed. Not
/// every machine allows that: a container often does not. `scripts/contention.sh` counts with
/// strace instead.
pub struct FutexCalls(libc::c_int);

/// `struct perf_event_attr` in its first version, which all kernels take.
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

const TRACEPOINT: u32 = 2;
/// Also of threads that are started later.
const FLAG_INHERIT: u64 = 1 << 1;
const THIS_PROCESS: libc::c_int = 0;
const EVERY_CPU: libc::c_int = -1;
const NO_GROUP: libc::c_int = -1;
const NO_FLAGS: libc::c_ulong = 0;

impl FutexCalls {
    /// Starts to count; `None` where the kernel does not allow it.
    pub fn start() -> Option<FutexCalls> {
        let folders = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        let ids = folders.iter().map(|folder| format!("{folder}/events/syscalls/sys_enter_futex/id"));
        let id = ids.filter_map(|path| fs::read_to_string(path).ok()).find_map(|text| text.trim().parse().ok())?;
        let attributes = EventAttributes {
            kind: TRACEPOINT,
            size: size_of::<EventAttributes>() as u32,
            config: id,
            flags: FLAG_INHERIT,
            ..EventAttributes::default()
        };
        // SAFETY: the kernel reads `size` bytes of a structure that lives through the call.
        let file = unsafe {
            libc::syscall(libc::SYS_perf_event_open, &attributes, THIS_PROCESS, EVERY_CPU, NO_GROUP, NO_FLAGS)
        };
        (file >= 0).then_some(FutexCalls(file as libc::c_int))
    }

    /// The calls so far.
    pub fn count(&self) -> Option<u64> {
        let mut count = 0u64;
        // SAFETY: the kernel writes at most as many bytes as `count` has.
        let read = unsafe { libc::read(self.0, (&raw mut count).cast(), size_of::<u64>()) };
        (read == size_of::<u64>() as isize).then_some(count)
    }
}

impl Drop for FutexCalls {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        unsafe { libc::close(self.0) };
    }
}

/// CPU time of all threads of this process so far.
pub fn process_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The CPUs that this process may use.
pub fn allowed_cpus() -> Vec<usize> {
    let mut set = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes at most the size of the set, and all zeros is a set.
    let set = unsafe {
        libc::sched_getaffinity(THIS_PROCESS, size_of::<libc::cpu_set_t>(), set.as_mut_ptr());
        set.assume_init()
    };
    // SAFETY: the numbers are within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Binds the calling thread to a CPU, as a worker is; where that is refused it runs anywhere.
pub fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu else { return };
    let mut set = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all zeros is a set, the number came from one, and the kernel only reads it.
    unsafe {
        libc::CPU_SET(cpu, set.assume_init_mut());
        libc::sched_setaffinity(THIS_PROCESS, size_of::<libc::cpu_set_t>(), set.as_ptr());
    }
}

/// CPU time that all processes of the machine used so far, ours too, with what a hypervisor took.
pub fn machine_cpu_ns() -> Option<u64> {
    // A tick of the kernel's accounting, the same on every Linux of today.
    const TICK_NS: u64 = 10_000_000;
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are within user.
    let busy = ticks.iter().take(8).enumerate().filter(|(index, _)| ![3, 4].contains(index));
    Some(busy.map(|(_, ticks)| ticks * TICK_NS).sum())
}

/// The most memory that was resident since the last `reset_peak_memory`.
pub fn peak_memory_bytes() -> Option<u64> {
    memory("VmHWM")
}

pub fn memory_bytes() -> Option<u64> {
    memory("VmRSS")
}

fn memory(name: &str) -> Option<u64> {
    let kib: u64 = kernel_value("/proc/self/status", name)?.trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Forgets the peak so far; false where the kernel does not allow it.
pub fn reset_peak_memory() -> bool {
    const PEAK: &str = "5";
    fs::write("/proc/self/clear_refs", PEAK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        assert!(process_cpu_ns() > 0);
        assert!(machine_cpu_ns().unwrap() > 0);
        let (now, peak) = (memory_bytes().unwrap(), peak_memory_bytes().unwrap());
        assert!(0 < now && now <= peak);
    }

    #[test]
    fn futex_calls_are_counted_where_that_is_allowed() {
        let Some(calls) = FutexCalls::start() else { return };
        let before = calls.count().unwrap();
        let word = 0u32;
        const WAKE_PRIVATE: libc::c_int = 1 | 128;
        // SAFETY: waking waiters of a word of our own that nobody waits for.
        unsafe { libc::syscall(libc::SYS_futex, &raw const word, WAKE_PRIVATE, 1) };
        assert!(before < calls.count().unwrap());
    }
}
