//! Frames: which rows each result is over, worked out once for all calls that share a frame.

use std::collections::VecDeque;

use crate::aggregate::{At, Step};

/// `ROWS | RANGE BETWEEN .. PRECEDING AND CURRENT ROW`; `None` is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverFrame {
    /// This many rows before the current one, and itself.
    Rows { preceding: Option<u64> },
    /// The rows of this many milliseconds before the current one, and all rows of its own time.
    Range { preceding_ms: Option<i64> },
}

impl OverFrame {
    /// How far marks may lie behind the current row's.
    pub fn preceding(self) -> Option<i64> {
        match self {
            OverFrame::Rows { preceding } => preceding.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)),
            OverFrame::Range { preceding_ms } => preceding_ms,
        }
    }
}

/// New rows, in order, as frames see them.
pub struct NewRows<'a> {
    /// Their keys.
    pub ids: &'a [u32],
    /// How many rows of its key came before each.
    pub numbers: &'a [i64],
    pub times: &'a [i64],
    /// The place of the first; the others follow.
    pub first: At,
}

/// One frame of an operator: the rows it holds for each key, and the steps of the newest rows.
pub struct Frame {
    kind: OverFrame,
    /// Rows of one time are seen together. Not in processing time, where time is but arrival.
    peers: bool,
    held: Vec<VecDeque<(i64, At)>>,
    pub steps: Vec<Step>,
}

impl Frame {
    pub fn new(kind: OverFrame, event_time: bool) -> Self {
        let peers = event_time && matches!(kind, OverFrame::Range { .. });
        Frame { kind, peers, held: Vec::new(), steps: Vec::new() }
    }

    pub fn kind(&self) -> OverFrame {
        self.kind
    }

    pub fn is_bounded(&self) -> bool {
        self.kind.preceding().is_some()
    }

    pub fn marks_are_times(&self) -> bool {
        matches!(self.kind, OverFrame::Range { .. })
    }

    pub fn has_peers(&self) -> bool {
        self.peers
    }

    pub fn resize(&mut self, keys: usize) {
        if self.held.len() < keys {
            self.held.resize_with(keys, VecDeque::new);
        }
    }

    pub fn clear(&mut self, key: u32) {
        self.held[key as usize] = VecDeque::new();
    }

    pub fn held(&self, key: u32) -> &VecDeque<(i64, At)> {
        &self.held[key as usize]
    }

    pub fn visit(&mut self, each: &mut dyn FnMut(&mut At)) {
        self.held.iter_mut().flatten().for_each(|(_, at)| each(at));
    }

    /// Works out the steps of new rows.
    pub fn advance(&mut self, rows: &NewRows<'_>) {
        self.steps.clear();
        self.steps.reserve(3 * rows.ids.len());
        let marks = match self.kind {
            OverFrame::Rows { .. } => rows.numbers,
            OverFrame::Range { .. } => rows.times,
        };
        if !self.peers {
            for (row, mark) in marks.iter().enumerate() {
                self.take_in(rows, row, *mark);
                self.steps.push(Step::Result { group: rows.ids[row] });
            }
            return;
        }
        let mut start = 0;
        for run in marks.chunk_by(|one, next| one == next) {
            for (offset, mark) in run.iter().enumerate() {
                self.take_in(rows, start + offset, *mark);
            }
            let ids = &rows.ids[start..start + run.len()];
            self.steps.extend(ids.iter().map(|id| Step::Result { group: *id }));
            start += run.len();
        }
    }

    #[inline]
    fn take_in(&mut self, rows: &NewRows<'_>, row: usize, mark: i64) {
        let group = rows.ids[row];
        let at = At { row: rows.first.row + row as u32, ..rows.first };
        if let Some(preceding) = self.kind.preceding() {
            let held = &mut self.held[group as usize];
            let bound = mark.saturating_sub(preceding);
            while let Some((_, at)) = held.pop_front_if(|(mark, _)| *mark < bound) {
                self.steps.push(Step::Remove { group, at });
            }
            held.push_back((mark, at));
        }
        self.steps.push(Step::Add { group, at });
    }
}
