//! Whole jobs with toy sources, operators and sinks, under both drivers.

mod single_thread;
mod toys;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use corelane_stream::{Dataflow, ErrorKind, Exchange};

use self::toys::{Collect, NoRowErrors, Numbers, TickingClock, Toy, operator, sink, source};
use crate::{
    DriverChoice, DriverKind, IoUring, JobHandle, JobReport, JobSetup, MachineFacts, Outcome, RuntimeConfig, probe,
    start_on,
};

const KEYS: i64 = 37;

fn config(workers: usize, driver: DriverChoice) -> RuntimeConfig {
    RuntimeConfig { workers: Some(workers), driver, pin: false, ..RuntimeConfig::default() }
}

/// Both drivers, or the one that this machine allows.
fn drivers() -> Vec<DriverChoice> {
    if probe().glommio_refused().is_some() {
        vec![DriverChoice::Threads]
    } else {
        vec![DriverChoice::Threads, DriverChoice::Glommio]
    }
}

fn launch_on(dataflow: Dataflow, config: RuntimeConfig, facts: &MachineFacts) -> JobHandle {
    let clock = Arc::new(TickingClock::default());
    start_on(JobSetup { dataflow, config, clock, row_errors: Arc::new(NoRowErrors) }, facts).unwrap()
}

fn launch(dataflow: Dataflow, config: RuntimeConfig) -> JobHandle {
    launch_on(dataflow, config, &probe())
}

fn run(dataflow: Dataflow, config: RuntimeConfig) -> JobReport {
    launch(dataflow, config).wait()
}

fn sorted(collect: &Collect) -> Vec<(i64, i64)> {
    let mut written = collect.collected.written.lock().unwrap().clone();
    written.sort_unstable();
    written
}

fn sums(rows: i64) -> Vec<(i64, i64)> {
    (0..KEYS.min(rows)).map(|key| (key, (key..rows).step_by(KEYS as usize).sum())).collect()
}

/// source -> hash -> sum -> hash -> pass -> sink, and source -> sink beside it.
fn two_exchanges(rows: i64, end: Exchange) -> (Dataflow, Collect, Collect) {
    let mut dataflow = Dataflow::default();
    let (summed, all) = (Collect::new(end), Collect::new(Exchange::Forward));
    let numbers = source(&mut dataflow, Numbers::new(rows, KEYS, 5));
    let sum = operator(&mut dataflow, Toy::Sum, &[(numbers, Exchange::Hash(vec![0]))]);
    let pass = operator(&mut dataflow, Toy::Pass, &[(sum, Exchange::Hash(vec![1]))]);
    sink(&mut dataflow, &summed, pass);
    let held = operator(&mut dataflow, Toy::HoldBack, &[(numbers, Exchange::Rebalance)]);
    sink(&mut dataflow, &all, held);
    (dataflow, summed, all)
}

#[test]
fn the_answer_does_not_depend_on_workers_rings_batches_or_drivers() {
    for driver in drivers() {
        for workers in [1, 2, 4, 8] {
            for ring_slots in [1, 4] {
                for (batch_rows, rows) in [(1, 300), (7, 3_000), (8_192, 100_000)] {
                    let (dataflow, summed, all) = two_exchanges(rows, Exchange::Forward);
                    let config = RuntimeConfig { ring_slots, batch_rows, ..config(workers, driver) };
                    let report = run(dataflow, config);
                    assert!(matches!(report.outcome, Outcome::Finished), "{:?}", report.outcome);
                    assert_eq!(sorted(&summed), sums(rows));
                    assert_eq!(sorted(&all).len(), rows as usize);
                    assert_eq!(report.rows(), rows as u64);
                    assert_eq!(summed.collected.commits.lock().unwrap()[0].len(), workers);
                }
            }
        }
    }
}

#[test]
fn a_gathered_sink_is_open_on_one_worker() {
    let (dataflow, summed, _) = two_exchanges(3_000, Exchange::Gather);
    let report = run(dataflow, config(4, DriverChoice::Threads));
    assert!(matches!(report.outcome, Outcome::Finished));
    assert_eq!(sorted(&summed), sums(3_000));
    assert_eq!(summed.collected.open.load(Ordering::Relaxed), 1);
    assert_eq!(summed.collected.commits.lock().unwrap()[0].len(), 1);
}

#[test]
fn two_ports_and_a_broadcast() {
    for driver in drivers() {
        let mut dataflow = Dataflow::default();
        let collect = Collect::new(Exchange::Forward);
        let left = source(&mut dataflow, Numbers::new(1_000, KEYS, 2));
        let right = source(&mut dataflow, Numbers::new(10, KEYS, 1));
        let inputs = [(left, Exchange::Hash(vec![0])), (right, Exchange::Broadcast)];
        let union = operator(&mut dataflow, Toy::Pass, &inputs);
        sink(&mut dataflow, &collect, union);
        let report = run(dataflow, RuntimeConfig { batch_rows: 7, ..config(3, driver) });
        assert!(matches!(report.outcome, Outcome::Finished));
        assert_eq!(sorted(&collect).len(), 1_000 + 3 * 10);
    }
}

#[test]
fn a_slow_sink_stops_the_source() {
    for driver in drivers() {
        let numbers = Numbers::new(4_000, KEYS, 4);
        let polled = numbers.polled.clone();
        let mut collect = Collect::new(Exchange::Forward);
        collect.slow = 5;
        let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = most.clone();
        collect.watch = Arc::new(move |written| {
            let read = polled.load(Ordering::Relaxed) * 10;
            seen.fetch_max(read.saturating_sub(written), Ordering::Relaxed);
        });
        let mut dataflow = Dataflow::default();
        let from = source(&mut dataflow, numbers);
        let pass = operator(&mut dataflow, Toy::Pass, &[(from, Exchange::Rebalance)]);
        sink(&mut dataflow, &collect, pass);
        let report = run(dataflow, RuntimeConfig { batch_rows: 10, ring_slots: 1, linger_us: 0, ..config(2, driver) });
        assert!(matches!(report.outcome, Outcome::Finished));
        assert_eq!(sorted(&collect).len(), 4_000);
        // Queues of 4 and rings of 1, and 1,024 rows gathered for each of two destinations, on two workers.
        assert!(most.load(Ordering::Relaxed) < 4 * 1_024 + 40 * 10, "{most:?}");
    }
}

#[test]
fn an_error_stops_every_worker_and_names_its_place() {
    for driver in drivers() {
        let mut dataflow = Dataflow::default();
        let collect = Collect::new(Exchange::Forward);
        let endless = Numbers { endless: true, ..Numbers::new(1_000, KEYS, 4) };
        let from = source(&mut dataflow, endless);
        let fail = operator(&mut dataflow, Toy::FailOn(777), &[(from, Exchange::Hash(vec![0]))]);
        sink(&mut dataflow, &collect, fail);
        let report = run(dataflow, config(4, driver));
        let Outcome::Failed(failure) = report.outcome else { panic!("{:?}", report.outcome) };
        assert_eq!(failure.error.to_string(), "value 777 is bad");
        assert_eq!(failure.error.kind(), ErrorKind::Data);
        assert_eq!(failure.node.as_deref(), Some("Toy"));
        assert!(failure.worker.is_some());
        assert_eq!(collect.collected.aborted.load(Ordering::Relaxed), 1);
        assert!(collect.collected.commits.lock().unwrap().is_empty());
    }
}

#[test]
fn a_panic_is_reported_as_our_bug() {
    for driver in drivers() {
        let mut dataflow = Dataflow::default();
        let collect = Collect::new(Exchange::Forward);
        let from = source(&mut dataflow, Numbers::new(1_000, KEYS, 4));
        let panic = operator(&mut dataflow, Toy::PanicOn(500), &[(from, Exchange::Hash(vec![0]))]);
        sink(&mut dataflow, &collect, panic);
        let report = run(dataflow, config(3, driver));
        let Outcome::Failed(failure) = report.outcome else { panic!("{:?}", report.outcome) };
        assert_eq!(failure.error.kind(), ErrorKind::Internal);
        assert!(failure.error.message().ends_with(": toy panic"), "{}", failure.error);
        assert_eq!(failure.node.as_deref(), Some("Toy"));
    }
}

/// An endless job that calls `stop` once its sink has all rows; the second sink has what is given at the
/// end of time.
fn stopped(driver: DriverChoice, workers: usize, stop: fn(&JobHandle)) -> (JobReport, Collect, Collect) {
    let mut dataflow = Dataflow::default();
    let handle: Arc<OnceLock<std::thread::Thread>> = Arc::default();
    let waiting = handle.clone();
    let mut collect = Collect::new(Exchange::Forward);
    collect.watch = Arc::new(move |written| {
        if written == 1_000 {
            waiting.get().unwrap().unpark();
        }
    });
    handle.set(std::thread::current()).unwrap();
    let from = source(&mut dataflow, Numbers { endless: true, ..Numbers::new(1_000, KEYS, workers) });
    let held = operator(&mut dataflow, Toy::HoldBack, &[(from, Exchange::Hash(vec![0]))]);
    let sum = operator(&mut dataflow, Toy::Sum, &[(from, Exchange::Hash(vec![0]))]);
    sink(&mut dataflow, &collect, held);
    let last = Collect::new(Exchange::Forward);
    sink(&mut dataflow, &last, sum);
    let job = launch(dataflow, config(workers, driver));
    while sorted(&collect).len() < 1_000 {
        std::thread::park();
    }
    assert!(sorted(&last).is_empty());
    stop(&job);
    (job.wait(), collect, last)
}

#[test]
fn a_drained_job_commits_what_it_read() {
    for driver in drivers() {
        for workers in [1, 2, 4] {
            let (report, collect, last) = stopped(driver, workers, JobHandle::drain);
            assert!(matches!(report.outcome, Outcome::Drained), "{:?}", report.outcome);
            assert_eq!(sorted(&last).len(), KEYS as usize);
            assert_eq!(collect.collected.commits.lock().unwrap().len(), 1);
            assert_eq!(collect.collected.aborted.load(Ordering::Relaxed), 0);
        }
    }
}

#[test]
fn a_cancelled_job_commits_nothing() {
    for driver in drivers() {
        let (report, collect, last) = stopped(driver, 2, JobHandle::cancel);
        assert!(sorted(&last).is_empty());
        assert!(matches!(report.outcome, Outcome::Cancelled), "{:?}", report.outcome);
        assert!(collect.collected.commits.lock().unwrap().is_empty());
        assert_eq!(collect.collected.aborted.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_failed_commit_aborts() {
    let mut dataflow = Dataflow::default();
    let collect = Collect { fail_commit: true, ..Collect::new(Exchange::Forward) };
    let from = source(&mut dataflow, Numbers::new(10, KEYS, 1));
    sink(&mut dataflow, &collect, from);
    let report = run(dataflow, config(2, DriverChoice::Threads));
    let Outcome::Failed(failure) = report.outcome else { panic!("{:?}", report.outcome) };
    assert_eq!(failure.error.to_string(), "the disk is full");
    assert_eq!(failure.node.as_deref(), Some("sink out (collect)"));
    assert_eq!(collect.collected.aborted.load(Ordering::Relaxed), 1);
}

#[test]
fn a_machine_without_io_uring_runs_on_threads_and_says_so() {
    let facts =
        MachineFacts { io_uring: IoUring::Refused("the kernel has no io_uring, or hides it".into()), ..probe() };
    let (dataflow, summed, _) = two_exchanges(1_000, Exchange::Forward);
    let job = launch_on(dataflow, config(1, DriverChoice::Auto), &facts);
    assert_eq!(job.notices(), ["running on plain threads: the kernel has no io_uring, or hides it"]);
    let report = job.wait();
    assert_eq!(report.driver, DriverKind::Threads);
    assert_eq!(sorted(&summed), sums(1_000));
}

#[test]
fn a_dropped_handle_cancels_its_job() {
    let mut dataflow = Dataflow::default();
    let collect = Collect::new(Exchange::Forward);
    let from = source(&mut dataflow, Numbers { endless: true, ..Numbers::new(10, KEYS, 1) });
    sink(&mut dataflow, &collect, from);
    drop(launch(dataflow, config(2, DriverChoice::Threads)));
    assert_eq!(collect.collected.aborted.load(Ordering::Relaxed), 1);
}
