//! `corelane doctor`: what this machine offers, what was chosen, and what to change.

use corelane_server::doctor;

use crate::arguments::RuntimeArguments;
use crate::exit::{Exit, Failed};
use crate::{output, settings};

/// # Errors
/// If the settings are wrong or do not fit this machine.
pub fn doctor(arguments: &RuntimeArguments) -> Result<Exit, Failed> {
    let settings = settings::load(arguments)?;
    let report = doctor::report(&settings).map_err(|error| Failed::in_settings(&error))?;
    output::print(report.as_bytes())
}
