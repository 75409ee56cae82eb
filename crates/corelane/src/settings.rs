//! Gathers settings from flags, environment and file, and shows where each came from.

use std::io::ErrorKind;
use std::path::Path;

use comfy_table::ContentArrangement;
use corelane_server::config::CONFIG_ENVIRONMENT;
use corelane_server::{Settings, Sources};

use crate::arguments::RuntimeArguments;
use crate::exit::{Exit, Failed, reason};
use crate::output;

/// # Errors
/// If a name or a value is wrong, or the settings file cannot be read.
pub fn load(arguments: &RuntimeArguments) -> Result<Settings, Failed> {
    let named = arguments
        .config
        .clone()
        .or_else(|| std::env::var_os(CONFIG_ENVIRONMENT).filter(|path| !path.is_empty()).map(std::path::PathBuf::from));
    let file = named.map(|path| read(&path)).transpose()?;
    // A name that is not UTF-8 is not one of ours; a value that is not becomes one no setting takes.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    let sources = Sources { flags: arguments.settings.0.clone(), environment, file };
    Settings::resolve(&sources).map_err(|error| Failed::in_settings(&error))
}

fn read(path: &Path) -> Result<(String, String), Failed> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(Failed::usage(format!("cannot read the settings in {name}: they are not UTF-8")))
        }
        Err(error) => Err(Failed::new(Exit::Io, format!("cannot read the settings in {name}: {}", reason(&error)))),
    }
}

/// `corelane config show`.
///
/// # Errors
/// As for `load`.
pub fn show(arguments: &RuntimeArguments) -> Result<Exit, Failed> {
    let settings = load(arguments)?;
    let all = settings
        .iter()
        .map(|(setting, chosen)| vec![setting.key.to_string(), chosen.value.to_string(), chosen.origin.to_string()]);
    let overrides = settings.core_overrides().map(|(cpu, key, chosen)| {
        vec![format!("core.{cpu}.{key}"), chosen.value.to_string(), chosen.origin.to_string()]
    });
    let rows = all.chain(overrides).collect();
    let mut text = output::boxed(&["setting", "value", "from"], &[false; 3], rows, ContentArrangement::Disabled);
    text.push('\n');
    output::print(text.as_bytes())
}
