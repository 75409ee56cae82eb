//! Every bound of the data plane, with its reason.

/// Rows a source emits in one batch by default: large enough that the fixed cost per batch
/// (about 500 ns) vanishes, small enough that a batch of a few columns stays in L2.
pub const BATCH_ROWS_DEFAULT: usize = 8_192;

/// The largest accepted `--batch-rows`.
pub const BATCH_ROWS_MAX: usize = 65_536;

/// Batches one ring holds by default. What is in flight must stay in the caches; a full ring
/// stops its producer, and this is all our back-pressure.
pub const RING_SLOTS_DEFAULT: usize = 4;

/// The largest accepted `--ring-slots`.
pub const RING_SLOTS_MAX: usize = 1_024;

/// Elements a queue between two operators of one worker holds before the producer must stop.
pub const LOCAL_QUEUE_ELEMENTS: usize = 4;

/// Rows that an operator takes in before it is told of event time that has passed, while there are
/// more to read. A batch's worth: then what a watermark costs is shared by as many rows as with
/// one producer.
pub const ADVANCE_ROWS: usize = BATCH_ROWS_DEFAULT;

/// Rows an exchange gathers for one destination before it sends a batch.
pub const EXCHANGE_ROWS_MIN: usize = 1_024;

/// Workers of one job.
pub const WORKERS_MAX: usize = 256;

/// Bytes of one record (a JSON line, a CSV row) that a decoder accepts by default.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Nesting of JSON values that a decoder accepts.
pub const JSON_DEPTH_MAX: usize = 128;

/// Raw bytes of a bad row that are kept in an error message or a dead letter.
pub const BAD_ROW_BYTES_MAX: usize = 64 << 10;

/// Bytes of SQL text of one script.
pub const SQL_BYTES_MAX: usize = 1 << 20;

/// Nesting of SQL expressions.
pub const SQL_DEPTH_MAX: usize = 128;

const _: () = assert!(BATCH_ROWS_DEFAULT <= BATCH_ROWS_MAX);
const _: () = assert!(EXCHANGE_ROWS_MIN <= BATCH_ROWS_DEFAULT);
const _: () = assert!(BAD_ROW_BYTES_MAX <= RECORD_BYTES_MAX);
