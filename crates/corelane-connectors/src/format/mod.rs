//! Formats: how rows stand in bytes.

pub mod display;
