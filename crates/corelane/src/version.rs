//! What this program was built from.

use std::sync::LazyLock;

pub const SHORT: &str = env!("CARGO_PKG_VERSION");

/// Facts that a bug report needs; `build.rs` finds them.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let features = env!("CORELANE_TARGET_FEATURES");
    format!(
        "{SHORT}\ncommit:          {}\nrustc:           {}\nprofile:         {}\ntarget:          {}\n\
         target features: {}\narrow:           {}\ndatafusion:      {}",
        env!("CORELANE_COMMIT"),
        env!("CORELANE_RUSTC"),
        env!("CORELANE_PROFILE"),
        env!("CORELANE_TARGET"),
        if features.is_empty() { "none" } else { features },
        env!("CORELANE_ARROW"),
        env!("CORELANE_DATAFUSION"),
    )
});

/// The same facts by name, for reports in JSON.
pub fn facts() -> [(&'static str, &'static str); 4] {
    [
        ("version", SHORT),
        ("commit", env!("CORELANE_COMMIT")),
        ("profile", env!("CORELANE_PROFILE")),
        ("target", env!("CORELANE_TARGET")),
    ]
}
