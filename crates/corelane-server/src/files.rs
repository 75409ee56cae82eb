//! What files are written with, for the programs that write rows to one.

pub use corelane_connectors::filesystem::sink::{CompressedFile, FileCompression};
pub use corelane_connectors::filesystem::table_options_for_path;
pub use corelane_connectors::format::encode::{Encoder, Encoding, check_csv};
