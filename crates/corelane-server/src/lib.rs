//! Sessions: where people and tools come in.
//!
//! A [`Session`] takes statements and gives answers; every way in (the command line today) is a
//! thin door in front of it. Only here and in the binary are clocks, environment and files of
//! settings read; what lies below is handed them.

pub mod clock;
pub mod collect;
pub mod config;
pub mod doctor;
pub mod files;
mod idle_options;
mod job;
mod memory;
pub mod options;
pub mod result;
pub mod session;
pub mod text;
mod world;

pub use clock::SystemClock;
pub use collect::Collected;
pub use config::{Settings, Sources};
pub use corelane_connectors::filesystem::is_reading_guarded;
pub use corelane_stream::limits::SQL_BYTES_MAX;
pub use corelane_stream::wording;
pub use corelane_stream::{ChangelogBatch, ChangelogMode, Error, ErrorKind, Result, RowKind};
pub use job::{DurationSummary, JobProgress, JobReport, RunningJob, WorkerReport};
pub use memory::RowsInMemory;
pub use result::ResultFold;
pub use session::{Answer, Effect, Failure, Script, Session, SessionOptions, Statement};
