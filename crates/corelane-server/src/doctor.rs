//! What the machine offers, what the runtime makes of it, and what to change.

use corelane_stream::Result;

use crate::config::Settings;

/// The whole report, as text.
///
/// # Errors
/// If the settings do not fit the machine.
pub fn report(settings: &Settings) -> Result<String> {
    let _ = settings;
    Ok(String::new())
}
