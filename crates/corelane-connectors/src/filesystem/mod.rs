//! Files and directories as tables.

pub mod sink;
