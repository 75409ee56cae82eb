//! The reference pages and the manual page, made from the program's own tables.

use std::fmt::Write as _;

use clap::CommandFactory;
use corelane_server::config::{CONFIG_ENVIRONMENT, SETTINGS};

use crate::arguments::{Arguments, Page};
use crate::exit::{Exit, Failed, reason};

/// The manual page of the program and all its commands, as troff.
///
/// # Errors
/// If it cannot be rendered.
pub fn man() -> Result<Vec<u8>, Failed> {
    let failed =
        |error: std::io::Error| Failed::new(Exit::Failed, format!("cannot render the manual: {}", reason(&error)));
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let _ = writeln_bytes(&mut page, &format!(".SH \"COMMAND {}\"", sub.get_name().to_uppercase()));
        let man = clap_mangen::Man::new(sub.clone());
        man.render_description_section(&mut page).map_err(failed)?;
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
    }
    Ok(page)
}

fn writeln_bytes(page: &mut Vec<u8>, line: &str) -> std::io::Result<()> {
    std::io::Write::write_all(page, format!("{line}\n").as_bytes())
}

/// One page of `docs/book`, as Markdown.
pub fn page(page: Page) -> String {
    match page {
        Page::Cli => command_line(),
        Page::Settings => settings(),
        Page::Connectors => corelane_server::reference::connectors(),
        Page::Functions => corelane_server::reference::functions(),
    }
}

const GENERATED: &str = "<!-- Made by `cargo xtask docs` from the program's tables: change those. -->";

fn command_line() -> String {
    let mut text = format!("# Command line\n\n{GENERATED}\n");
    let mut command = Arguments::command().term_width(100);
    command.build();
    let _ = write!(text, "\n```text\n{}\n```\n", command.render_long_help().to_string().trim_end());
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let help = sub.clone().term_width(100).render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## corelane {}\n\n```text\n{}\n```\n", sub.get_name(), lines.join("\n").trim_end());
    }
    text
}

fn settings() -> String {
    let mut text = format!(
        "# Settings\n\n{GENERATED}\n\n\
         Each setting can be a flag, an environment variable or a line of a TOML file, named by `--config` or\n\
         `{CONFIG_ENVIRONMENT}`. A flag wins over the environment, the environment over the file. `corelane config show`\n\
         prints the values and where they come from.\n\n\
         ```toml\n[runtime]\nbatch-rows = 4096\nidle = \"adaptive\"\n\n# Only for the worker on CPU 3.\n[core.3]\nidle = \"spin\"\n```\n"
    );
    for setting in SETTINGS {
        let _ = write!(
            text,
            "\n## {key}\n\n{help}.\n\n- flag `--{key}`, variable `{variable}`, TOML `{key}`{per_core}\n- takes {accepts}\n- default: {default}\n",
            key = setting.key,
            help = setting.help,
            variable = setting.environment_name(),
            per_core = if setting.per_core { ", also under `[core.N]`" } else { "" },
            accepts = setting.kind.accepts(),
            default = setting.default.map_or_else(|| "follows from the machine".into(), |text| format!("`{text}`")),
        );
    }
    text
}
