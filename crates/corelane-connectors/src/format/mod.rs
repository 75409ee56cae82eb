//! Formats: bytes to Arrow and back.

pub mod display;
pub mod encode;
