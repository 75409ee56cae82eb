//! When a part file is large or old enough.

use corelane_stream::Result;

use crate::options::Options;

const FILE_SIZE: &str = "sink.rolling-policy.file-size";
const ROLLOVER_INTERVAL: &str = "sink.rolling-policy.rollover-interval";

pub(super) const OPTION_NAMES: [&str; 2] = [FILE_SIZE, ROLLOVER_INTERVAL];

/// `sink.rolling-policy.*`, with Flink's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RollingPolicy {
    bytes_max: u64,
    open_ms_max: i64,
}

impl RollingPolicy {
    pub(super) fn new(options: &Options<'_>) -> Result<Self> {
        let bytes_max = options.memory(FILE_SIZE)?.unwrap_or(128 << 20);
        let interval = options.duration(ROLLOVER_INTERVAL)?;
        let open_ms_max =
            interval.map_or(30 * 60_000, |interval| i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
        Ok(RollingPolicy { bytes_max, open_ms_max })
    }

    pub(super) fn is_full(&self, bytes: u64) -> bool {
        bytes >= self.bytes_max
    }

    /// When a part that was opened then is old.
    pub(super) fn due_ms(&self, opened_ms: i64) -> i64 {
        opened_ms.saturating_add(self.open_ms_max)
    }

    pub(super) fn is_old(&self, opened_ms: i64, now_ms: i64) -> bool {
        self.due_ms(opened_ms) <= now_ms
    }
}
