//! The built program, run as a user would: in a folder, with files, flags and signals.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use expect_test::Expect;
use tempfile::TempDir;

/// How long anything is waited for before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at what is waited for; the machine has others to serve.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A folder that a program runs in.
pub struct Place {
    folder: TempDir,
}

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A folder with these files.
    pub fn with(files: &[(&str, &str)]) -> Place {
        let place = Place::new();
        for (name, text) in files {
            place.write(name, text.as_bytes());
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("the folder can be written");
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).expect("the file is there")).into_owned()
    }

    pub fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).expect("the file is there");
        file.write_all(text.as_bytes()).expect("written");
    }

    /// What is in the folder or one below it, hidden names too, sorted.
    pub fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(below)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The program in this folder, undisturbed by the settings of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CORELANE_") {
                command.env_remove(name);
            }
        }
        // A test machine may be busy: what it holds up is not what is tested.
        command.env("CORELANE_STALL_NOTIFY_MS", "60000");
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// `corelane run -c`, on one worker of the thread driver so that there is nothing else to say.
    pub fn sql(&self, sql: &str, flags: &[&str]) -> Command {
        let mut command = self.command(&["run", "-c", sql]);
        command.args(["--workers", "1", "--driver", "threads"]).args(flags);
        command
    }

    pub fn run(&self, mut command: Command) -> Ran {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        self.finish(spawned.expect("the program was built"))
    }

    /// Reads what is left of its output and waits for its end.
    pub fn finish(&self, mut child: Child) -> Ran {
        let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    stream.read_to_end(&mut bytes).expect("a pipe");
                }
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as Box<_>));
        let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as Box<_>));
        drop(child.stdin.take());
        let status = child.wait().expect("it was started here");
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
        let named = |text: String| text.replace(&self.folder.path().display().to_string(), "$DIR");
        Ran { code, stdout: named(stdout.join().expect("read")), stderr: named(stderr.join().expect("read")) }
    }

    /// The most memory that a program had, in bytes.
    ///
    /// The kernel counts to a program what the process that started it ever had. The tests all run in
    /// one process, so another one starts it: this same binary, with nothing to do but that.
    pub fn peak_bytes(&self, command: &Command) -> u64 {
        let mut measuring = Command::new(std::env::current_exe().expect("a path"));
        measuring.args(["--exact", MEASURING]).current_dir(self.folder.path());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => measuring.env(name, value),
                None => measuring.env_remove(name),
            };
        }
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().expect("text")).collect();
        measuring.env(MEASURED, serde_json::to_string(&words).expect("text"));
        let ran = self.run(measuring);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        self.read(PEAK).parse().expect("a number")
    }

    /// Checks the exit code and standard error of a statement.
    pub fn refused(&self, sql: &str, code: i32, expected: Expect) {
        self.refused_with(sql, &[], code, expected);
    }

    pub fn refused_with(&self, sql: &str, flags: &[&str], code: i32, expected: Expect) {
        let ran = self.run(self.sql(sql, flags));
        expected.assert_eq(&ran.stderr);
        assert_eq!(ran.code, code, "{sql}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("hit a bug"), "{}", ran.stderr);
    }

    /// What is said of SQL that is wrong, which is told as it is planned.
    pub fn refusal(&self, sql: &str) -> String {
        let ran = self.run(self.sql(sql, &[]));
        assert_eq!(ran.code, 3, "{sql}: {}{}", ran.stdout, ran.stderr);
        ran.stderr
    }

    /// Checks standard output, then standard error, of a statement that ends well.
    pub fn answers(&self, sql: &str, expected: Expect) {
        self.answers_with(sql, &[], expected);
    }

    pub fn answers_with(&self, sql: &str, flags: &[&str], expected: Expect) {
        let ran = self.run(self.sql(sql, flags));
        expected.assert_eq(&format!("{}{}", ran.stdout, ran.stderr));
        assert_eq!(ran.code, 0, "{sql}: {}", ran.stderr);
    }
}

/// The program to measure, as a list in JSON.
const MEASURED: &str = "TEST_MEASURED_COMMAND";

const MEASURING: &str = "program::measures_for_another_test";

/// The file that is told how much memory it had.
const PEAK: &str = "peak";

#[test]
fn measures_for_another_test() {
    let Ok(words) = std::env::var(MEASURED) else { return };
    let words: Vec<String> = serde_json::from_str(&words).expect("a list");
    let status = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).status().expect("it was built");
    assert!(status.success(), "{status}");
    // SAFETY: plain data that the kernel fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let told = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(told, 0, "{}", std::io::Error::last_os_error());
    fs::write(PEAK, (usage.ru_maxrss as u64 * 1024).to_string()).expect("the folder can be written");
}

/// A program that runs while the test does things to it.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout: ChildStdout = child.stdout.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Running { child, stdin, lines }
    }

    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line within the deadline")
    }

    /// A line that is there already.
    pub fn line_now(&mut self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for yet.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits for its end while its input stays open; what it prints must fit into its pipes.
    pub fn wait(&mut self) {
        until("it has ended", || self.child.try_wait().expect("ours").is_some());
    }

    pub fn finish(self, place: &Place) -> Ran {
        let Running { child, stdin, lines } = self;
        drop(stdin);
        let mut ran = place.finish(child);
        ran.stdout = lines.iter().map(|line| line + "\n").collect();
        ran
    }
}

/// Waits for something to become true.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// Runs the closure in the child, between fork and exec.
pub fn in_child(command: &mut Command, change: impl Fn() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the closures of these tests only make system calls.
    unsafe {
        command.pre_exec(change);
    }
}
