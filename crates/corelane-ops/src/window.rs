//! Time windows and their panes. All times are milliseconds since the epoch, on the wall clock of
//! a zone where rows have instants.

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};
use corelane_stream::{Error, Result};

use crate::zone::Zone;

/// How windows read the times of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowClock {
    /// They are TIMESTAMPs, and stand for themselves.
    AsWritten,
    /// They are instants, TIMESTAMP_LTZ, and windows follow the wall clock of a zone; `None` is UTC.
    Wall(Option<Zone>),
}

impl WindowClock {
    /// The zone whose wall clock the bounds of windows are times of, if it is not UTC.
    pub fn zone(self) -> Option<Zone> {
        match self {
            WindowClock::AsWritten => None,
            WindowClock::Wall(zone) => zone,
        }
    }

    /// The type of `window_time`: that of the rows' times.
    pub fn time_type(self) -> DataType {
        let instant = match self {
            WindowClock::AsWritten => None,
            WindowClock::Wall(_) => Some("UTC".into()),
        };
        DataType::Timestamp(TimeUnit::Millisecond, instant)
    }

    /// The last millisecond of a window that ends at `end`, as a time of rows.
    pub fn window_time(self, end: i64) -> i64 {
        self.zone().map_or(end, |zone| zone.passes_ms(end)) - 1
    }
}

impl fmt::Display for WindowClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone() {
            Some(zone) => write!(out, ", zone={zone}"),
            None => Ok(()),
        }
    }
}

/// How a row's time maps to windows `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    Tumble {
        size_ms: i64,
        offset_ms: i64,
    },
    /// `size_ms` is a multiple of `slide_ms`.
    Hop {
        size_ms: i64,
        slide_ms: i64,
        offset_ms: i64,
    },
    /// Windows that begin together and grow by `step_ms` up to `size_ms`, a multiple of it.
    Cumulate {
        size_ms: i64,
        step_ms: i64,
        offset_ms: i64,
    },
}

/// The first and last millisecond of a window; the last is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBounds {
    pub start: i64,
    pub end: i64,
}

impl Window {
    /// Checks the sizes.
    ///
    /// # Errors
    /// If a size is not positive, or one that must divide another does not.
    pub fn check(&self) -> Result<()> {
        let (size, part, name) = match *self {
            Window::Tumble { size_ms, .. } => (size_ms, size_ms, "size"),
            Window::Hop { size_ms, slide_ms, .. } => (size_ms, slide_ms, "slide"),
            Window::Cumulate { size_ms, step_ms, .. } => (size_ms, step_ms, "step"),
        };
        if size <= 0 || part <= 0 {
            return Err(Error::invalid("the sizes of a window must be at least one millisecond"));
        }
        if size % part != 0 {
            return Err(Error::invalid(format!(
                "the window's size of {size} ms is not a multiple of its {name} of {part} ms"
            ))
            .with_hint(format!("choose a size that is a multiple of the {name}")));
        }
        Ok(())
    }

    /// The length of a pane: the largest span of time that lies in one set of windows.
    pub fn pane_ms(&self) -> i64 {
        match *self {
            Window::Tumble { size_ms, .. } => size_ms,
            Window::Hop { slide_ms, .. } => slide_ms,
            Window::Cumulate { step_ms, .. } => step_ms,
        }
    }

    pub(crate) fn offset_ms(&self) -> i64 {
        match *self {
            Window::Tumble { offset_ms, .. } | Window::Hop { offset_ms, .. } | Window::Cumulate { offset_ms, .. } => {
                offset_ms
            }
        }
    }

    /// The start of the pane that holds `time`.
    pub fn pane_start(&self, time: i64) -> i64 {
        let shifted = time - self.offset_ms();
        shifted - shifted.rem_euclid(self.pane_ms()) + self.offset_ms()
    }

    /// The windows that hold the pane starting at `pane_start`, earliest end first.
    pub fn windows_of_pane(&self, pane_start: i64) -> impl Iterator<Item = WindowBounds> + use<> {
        let pane_ms = self.pane_ms();
        let (first_end, count, window) = match *self {
            Window::Tumble { size_ms, .. } => (pane_start + size_ms, 1, *self),
            Window::Hop { size_ms, .. } => (pane_start + pane_ms, size_ms / pane_ms, *self),
            Window::Cumulate { size_ms, offset_ms, .. } => {
                let into = (pane_start - offset_ms).rem_euclid(size_ms);
                (pane_start + pane_ms, (size_ms - into) / pane_ms, *self)
            }
        };
        (0..count).map(move |index| window.bounds_ending_at(first_end + index * pane_ms))
    }

    /// The window that ends (exclusively) at `end`, which must be the end of one.
    pub fn bounds_ending_at(&self, end: i64) -> WindowBounds {
        let start = match *self {
            Window::Tumble { size_ms, .. } | Window::Hop { size_ms, .. } => end - size_ms,
            Window::Cumulate { size_ms, offset_ms, .. } => {
                let last = end - 1 - offset_ms;
                last - last.rem_euclid(size_ms) + offset_ms
            }
        };
        WindowBounds { start, end }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Tumble { size_ms, .. } => write!(out, "TUMBLE(size={size_ms} ms)"),
            Window::Hop { size_ms, slide_ms, .. } => write!(out, "HOP(size={size_ms} ms, slide={slide_ms} ms)"),
            Window::Cumulate { size_ms, step_ms, .. } => write!(out, "CUMULATE(size={size_ms} ms, step={step_ms} ms)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(window: Window, time: i64) -> Vec<(i64, i64)> {
        window.windows_of_pane(window.pane_start(time)).map(|bounds| (bounds.start, bounds.end)).collect()
    }

    #[test]
    fn a_row_falls_into_its_windows() {
        assert_eq!(ends(Window::Tumble { size_ms: 10, offset_ms: 0 }, -1), [(-10, 0)]);
        assert_eq!(ends(Window::Tumble { size_ms: 10, offset_ms: 3 }, 12), [(3, 13)]);
        assert_eq!(ends(Window::Hop { size_ms: 10, slide_ms: 5, offset_ms: 0 }, 12), [(5, 15), (10, 20)]);
        assert_eq!(
            ends(Window::Cumulate { size_ms: 15, step_ms: 5, offset_ms: 0 }, 7),
            [(0, 10), (0, 15)],
            "cumulating windows begin together"
        );
    }
}
