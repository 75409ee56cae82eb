//! What a person at a terminal sees while a job runs, and the line at its end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use corelane_server::{JobProgress, JobReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::quantity;

/// Redraws a second: enough to look alive, too few to cost anything.
const REDRAWS_HZ: u8 = 8;

/// A bar shows up after this long: shorter jobs need none.
const BAR_DELAY: Duration = Duration::from_millis(300);

/// Steps of the whole bar: fine enough for the time that is left.
const BAR_STEPS: u64 = 1_000_000;

/// Numbers are asked for no more often than this, however many batches come.
const UPDATE_INTERVAL: Duration = Duration::from_millis(100);

/// The bar of one job.
#[derive(Debug)]
pub struct Progress {
    /// `None` if nobody is looking.
    bar: Option<ProgressBar>,
    start: Instant,
    /// When it was last brought up to date; `None` before the first time.
    shown: Option<Instant>,
}

impl Progress {
    pub fn hidden() -> Progress {
        Progress { bar: None, start: Instant::now(), shown: None }
    }

    pub fn drawn() -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_HZ));
        Progress { bar: Some(bar), start: Instant::now(), shown: None }
    }

    /// Asks for numbers and shows them, if it is time to.
    pub fn update(&mut self, numbers: impl FnOnce() -> JobProgress) {
        let elapsed = self.start.elapsed();
        let Some(bar) = &self.bar else { return };
        if elapsed < BAR_DELAY || self.shown.is_some_and(|shown| shown.elapsed() < UPDATE_INTERVAL) {
            return;
        }
        let now = numbers();
        if self.shown.replace(Instant::now()).is_none() {
            bar.reset_elapsed();
            bar.set_style(style(now.done.is_some()));
            bar.set_length(BAR_STEPS);
        }
        bar.set_position(position(&now));
        bar.set_message(line(&now, elapsed));
    }

    /// Takes the bar away while something else is written to the terminal.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.shown.is_some() => bar.suspend(write),
            Some(_) | None => write(),
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(with_total: bool) -> ProgressStyle {
    let template = match with_total {
        true => "{bar:24} {percent:>3} %  {msg}  {eta} left",
        false => "{spinner} {msg}",
    };
    ProgressStyle::with_template(template).expect("the template is valid").progress_chars("━╸ ")
}

fn position(now: &JobProgress) -> u64 {
    (now.done.unwrap_or(0.0) * BAR_STEPS as f64) as u64
}

fn line(now: &JobProgress, elapsed: Duration) -> String {
    let mut line = format!("{}  {}", quantity::rows(now.rows_in), quantity::row_rate(now.rows_in, elapsed));
    if now.bytes_in != 0 {
        line.push_str(&format!("  {}", quantity::bytes(now.bytes_in)));
    }
    if let Some(watermark) = now.watermark_ms {
        line.push_str(&format!("  watermark {}", quantity::timestamp(watermark)));
    }
    line
}

/// What the summary leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    Whole,
    /// Only rows that were lost, if any: those are never passed over in silence.
    Losses,
}

/// Whether a person reads standard error.
pub fn watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Prints the line at the end of a job.
pub fn summarize(report: &JobReport, summary: Summary) {
    if let Some(text) = summary_line(report, summary) {
        // Where standard error is closed nobody reads it.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Says that a signal ended the input before its end.
pub fn tell_cut(what: &str, report: &JobReport) {
    let rows = quantity::rows(report.rows_in);
    // As above.
    let _ = writeln!(std::io::stderr(), "interrupted: {what} is of the {rows} read so far");
}

fn summary_line(report: &JobReport, summary: Summary) -> Option<String> {
    let mut parts = Vec::new();
    if summary == Summary::Whole {
        parts.push(format!("{} in", quantity::rows(report.rows_in)));
        parts.push(format!("{} out", quantity::thousands(report.rows_out)));
        parts.push(quantity::duration(report.elapsed));
        parts.push(quantity::row_rate(report.rows_in, report.elapsed));
    }
    if report.late_rows != 0 {
        parts.push(format!("{} late", quantity::rows(report.late_rows)));
    }
    if report.bad_rows != 0 {
        parts.push(format!("{} bad", quantity::rows(report.bad_rows)));
    }
    if let Some(place) = &report.unfinished_at {
        let count = report.unfinished_records;
        let (records, among) = if count == 1 { ("record", "") } else { ("records", "one of them: ") };
        parts.push(format!("{} unfinished {records} left out ({among}{place})", quantity::thousands(count)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_never_hides_losses() {
        let mut report =
            JobReport { elapsed: Duration::from_secs(2), rows_in: 2_000_000, rows_out: 200, ..JobReport::default() };
        assert_eq!(summary_line(&report, Summary::Losses), None);
        report.late_rows = 1;
        report.bad_rows = 1_200;
        assert_eq!(summary_line(&report, Summary::Losses).as_deref(), Some("1 row late, 1,200 rows bad"));
        assert_eq!(
            summary_line(&report, Summary::Whole).as_deref(),
            Some("2,000,000 rows in, 200 out, 2.00 s, 1.0 M rows/s, 1 row late, 1,200 rows bad")
        );
        let unfinished = |count| JobReport {
            unfinished_records: count,
            unfinished_at: Some("in.csv, line 3".into()),
            ..JobReport::default()
        };
        let told = |count| summary_line(&unfinished(count), Summary::Losses);
        assert_eq!(told(1).as_deref(), Some("1 unfinished record left out (in.csv, line 3)"));
        assert_eq!(told(1_200).as_deref(), Some("1,200 unfinished records left out (one of them: in.csv, line 3)"));
    }

    #[test]
    fn the_bar_shows_what_is_done() {
        let at = |done| position(&JobProgress { done, ..JobProgress::default() });
        assert_eq!([at(Some(0.25)), at(Some(1.0)), at(None)], [BAR_STEPS / 4, BAR_STEPS, 0]);
    }

    #[test]
    fn the_line_beside_the_bar() {
        let now = JobProgress {
            rows_in: 5_000,
            bytes_in: 1 << 20,
            watermark_ms: Some(1_700_000_000_123),
            ..JobProgress::default()
        };
        assert_eq!(
            line(&now, Duration::from_secs(1)),
            "5,000 rows  5.0 k rows/s  1.0 MiB  watermark 2023-11-14 22:13:20"
        );
    }
}
