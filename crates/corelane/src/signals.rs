//! SIGINT and SIGTERM: the first asks the job to finish what it has and commit, the second to stop.
//!
//! The loop that runs a job looks at the count a few times a second. If it cannot, because it hangs
//! in a write to a terminal or a network disk, the program ends by itself shortly after the second,
//! and undoes what is not finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

use crate::exit::{Exit, Failed};
use crate::unfinished;

/// How long a job may take to throw away what it has not committed, and after that the program to do it.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A signal that the same sender repeats within this time is the same request: `timeout` signals a
/// program and then its group, which is the program again.
const ECHO: Duration = Duration::from_millis(100);

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    GoOn,
    Drain,
    Stop,
}

/// Counts the signals.
#[derive(Clone, Debug)]
pub struct Interrupts {
    count: Arc<AtomicUsize>,
}

impl Interrupts {
    /// Takes over SIGINT and SIGTERM for the rest of the program.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn install() -> Result<Interrupts, Failed> {
        let refused = |error: std::io::Error| Failed::new(Exit::Failed, format!("cannot listen for signals: {error}"));
        // Each is queued by itself: without that, two before the thread below wakes would count as one.
        let mut signals = SignalsInfo::<WithRawSiginfo>::new([SIGINT, SIGTERM]).map_err(refused)?;
        let interrupts = Interrupts { count: Arc::new(AtomicUsize::new(0)) };
        let count = Arc::clone(&interrupts.count);
        let listen = move || {
            let mut last: Option<(i32, i32, Instant)> = None;
            for signal in signals.forever() {
                // SAFETY: both signals come with the sender's number, 0 for the kernel's own.
                let sender = unsafe { signal.si_pid() };
                let echo = last.is_some_and(|(number, from, at)| {
                    number == signal.si_signo && from == sender && at.elapsed() < ECHO
                });
                if echo {
                    continue;
                }
                last = Some((signal.si_signo, sender, Instant::now()));
                // A third says nothing new: the program ends soon.
                if count.fetch_add(1, Ordering::SeqCst) == 1 {
                    exit_after_grace();
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(refused)?;
        Ok(interrupts)
    }

    pub fn request(&self) -> Request {
        match self.count.load(Ordering::SeqCst) {
            0 => Request::GoOn,
            1 => Request::Drain,
            _ => Request::Stop,
        }
    }
}

fn exit_after_grace() {
    let exit = || {
        std::thread::sleep(STOP_GRACE);
        // On a disk that hangs this hangs too.
        let (done, undone) = mpsc::channel::<()>();
        let undo = move || {
            unfinished::undo();
            drop(done);
        };
        if std::thread::Builder::new().name("undo".into()).spawn(undo).is_ok() {
            let _ = undone.recv_timeout(STOP_GRACE);
        }
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    if std::thread::Builder::new().name("stop".into()).spawn(exit).is_err() {
        std::process::exit(i32::from(Exit::Interrupted.code()));
    }
}
