//! Alignment of a task's channels, in time and at barriers.
//!
//! A task's event time is the minimum over its channels: those of all its ports, from all
//! workers. An idle channel does not count until its next watermark, and one whose producer has
//! nothing to read never does. A snapshot is consistent
//! only if it cuts every channel at the same barrier, so a channel that has delivered a barrier
//! is held until all have. Holding costs latency, never memory: the held ring fills, and a full
//! ring stops its producer.

use corelane_stream::{Barrier, Watermark};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Active,
    Idle,
    /// Nothing but the end is to come by it.
    Empty,
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: Watermark,
    status: Status,
    held: bool,
}

/// The channels of one task.
#[derive(Debug)]
pub struct Alignment {
    channels: Vec<Channel>,
    /// What was last passed on: a watermark, `IDLE` or `END`.
    passed: Watermark,
    /// The largest true watermark passed on; event time never goes back.
    time: Watermark,
    barrier: Option<Barrier>,
}

impl Alignment {
    pub fn new(channels: usize) -> Alignment {
        let channel = Channel { watermark: Watermark::START, status: Status::Active, held: false };
        Alignment { channels: vec![channel; channels], passed: Watermark::START, time: Watermark::START, barrier: None }
    }

    /// Does not count a channel: nothing but the end is to come by it.
    pub fn ignore(&mut self, channel: usize) {
        self.channels[channel].status = Status::Empty;
    }

    /// The last true watermark passed on, if it is still the word.
    pub fn time(&self) -> Option<Watermark> {
        (self.passed == self.time && self.time != Watermark::START && self.time != Watermark::END).then_some(self.time)
    }

    /// True if nothing may be read from this channel for now.
    pub fn is_held(&self, channel: usize) -> bool {
        self.channels[channel].held
    }

    /// Takes a watermark of one channel; gives what is to be passed on, if that changed.
    pub fn watermark(&mut self, channel: usize, watermark: Watermark) -> Option<Watermark> {
        let state = &mut self.channels[channel];
        assert!(state.status != Status::Ended, "nothing follows the end of a channel");
        match watermark {
            Watermark::END => state.status = Status::Ended,
            Watermark::IDLE => state.status = Status::Idle,
            _ => {
                state.status = Status::Active;
                state.watermark = state.watermark.max(watermark);
            }
        }
        let merged = self.merged();
        if merged == self.passed {
            return None;
        }
        self.passed = merged;
        if merged != Watermark::IDLE {
            self.time = merged;
        }
        Some(merged)
    }

    fn merged(&self) -> Watermark {
        let active = self.channels.iter().filter(|channel| channel.status == Status::Active);
        match active.map(|channel| channel.watermark).min() {
            Some(minimum) => minimum.max(self.time),
            None if self.channels.iter().all(|channel| channel.status == Status::Ended) => Watermark::END,
            None if self.channels.iter().any(|channel| channel.status == Status::Idle) => Watermark::IDLE,
            // The end is all that is waited for, and results may come with it: time must not pass them by.
            None => self.passed,
        }
    }

    /// Takes a barrier of one channel and holds the channel.
    pub fn barrier(&mut self, channel: usize, barrier: Barrier) {
        let expected = *self.barrier.get_or_insert(barrier);
        assert!(expected == barrier, "barriers come in the same order on every channel");
        self.channels[channel].held = true;
    }

    /// The barrier that every channel has delivered (or ended before), and lets the channels go on.
    pub fn aligned(&mut self) -> Option<Barrier> {
        let complete = self.channels.iter().all(|channel| channel.held || channel.status == Status::Ended);
        let aligned = if complete { self.barrier.take() } else { None };
        if aligned.is_some() {
            for channel in &mut self.channels {
                channel.held = false;
            }
        }
        aligned
    }
}

#[cfg(test)]
mod tests {
    use corelane_stream::{BarrierKind, CheckpointId};
    use proptest::prelude::*;

    use super::*;

    const IDLE: i64 = Watermark::IDLE.0;
    const END: i64 = Watermark::END.0;

    fn check(channels: usize, steps: &[(usize, i64, Option<i64>)]) {
        let mut alignment = Alignment::new(channels);
        for (channel, watermark, expected) in steps {
            let passed = alignment.watermark(*channel, Watermark(*watermark));
            assert_eq!(passed, expected.map(Watermark), "channel {channel}, watermark {watermark}");
        }
    }

    #[test]
    fn time_is_the_minimum_over_channels() {
        check(2, &[(0, 5, None), (1, 3, Some(3)), (1, 9, Some(5)), (0, 7, Some(7)), (0, 7, None)]);
    }

    #[test]
    fn an_idle_channel_does_not_count() {
        check(2, &[(0, 5, None), (1, IDLE, Some(5)), (0, 8, Some(8)), (1, 6, None), (0, 9, None), (1, 20, Some(9))]);
    }

    #[test]
    fn all_idle_is_passed_on_and_so_is_coming_back() {
        check(2, &[(0, 5, None), (1, 5, Some(5)), (0, IDLE, None), (1, IDLE, Some(IDLE)), (0, 5, Some(5))]);
    }

    #[test]
    fn a_channel_by_which_nothing_comes_holds_no_time_back() {
        let mut alignment = Alignment::new(3);
        alignment.ignore(0);
        alignment.ignore(2);
        assert_eq!(alignment.time(), None);
        let mut passed = |channel, watermark| alignment.watermark(channel, Watermark(watermark));
        assert_eq!(passed(1, 7), Some(Watermark(7)));
        assert_eq!(passed(2, END), None);
        assert_eq!(passed(1, END), None);
        assert_eq!(passed(0, END), Some(Watermark::END));
    }

    #[test]
    fn the_end_needs_every_channel() {
        check(3, &[(0, END, None), (1, 4, None), (2, 6, Some(4)), (1, END, Some(6)), (2, END, Some(END))]);
        check(2, &[(0, END, None), (1, IDLE, Some(IDLE)), (1, END, Some(END))]);
    }

    #[test]
    fn a_channel_is_held_until_all_have_the_barrier() {
        let barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };
        let mut alignment = Alignment::new(3);
        alignment.barrier(0, barrier);
        assert!(alignment.is_held(0) && !alignment.is_held(1));
        assert_eq!(alignment.aligned(), None);
        alignment.barrier(2, barrier);
        assert_eq!(alignment.aligned(), None);
        // The last channel ends instead of delivering the barrier.
        alignment.watermark(1, Watermark::END);
        assert_eq!(alignment.aligned(), Some(barrier));
        assert!(!alignment.is_held(0) && !alignment.is_held(2));
        assert_eq!(alignment.aligned(), None);
    }

    proptest! {
        #[test]
        fn time_never_goes_back_nor_runs_ahead(steps in prop::collection::vec((0usize..3, -1i64..40), 1..200)) {
            let mut alignment = Alignment::new(3);
            let (mut latest, mut counted) = ([i64::MIN; 3], [true; 3]);
            let mut time = i64::MIN;
            for (channel, value) in steps {
                let watermark = if value < 0 { Watermark::IDLE } else { Watermark(value) };
                counted[channel] = value >= 0;
                latest[channel] = latest[channel].max(if value >= 0 { value } else { i64::MIN });
                if let Some(passed) = alignment.watermark(channel, watermark) && passed != Watermark::IDLE {
                    prop_assert!(passed.0 >= time);
                    let bound = latest.iter().zip(counted).filter(|(_, counted)| *counted).map(|(time, _)| *time).min();
                    prop_assert!(bound.is_none_or(|bound| passed.0 <= bound.max(time)));
                    time = passed.0;
                }
            }
        }
    }
}
