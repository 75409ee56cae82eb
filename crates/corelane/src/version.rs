//! What this program was built from.

use std::sync::LazyLock;

pub const SHORT: &str = env!("CARGO_PKG_VERSION");

/// Facts that a bug report needs; `build.rs` finds them.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let features = env!("BUILD_TARGET_FEATURES");
    format!(
        "{SHORT}\ncommit:          {}\nrustc:           {}\nprofile:         {}\ntarget:          {}\n\
         target features: {}\narrow:           {}\ndatafusion:      {}",
        env!("BUILD_COMMIT"),
        env!("BUILD_RUSTC"),
        env!("BUILD_PROFILE"),
        env!("BUILD_TARGET"),
        if features.is_empty() { "none" } else { features },
        env!("BUILD_ARROW"),
        env!("BUILD_DATAFUSION"),
    )
});

/// The same facts by name, for reports in JSON.
pub fn facts() -> [(&'static str, &'static str); 4] {
    [
        ("version", SHORT),
        ("commit", env!("BUILD_COMMIT")),
        ("profile", env!("BUILD_PROFILE")),
        ("target", env!("BUILD_TARGET")),
    ]
}
