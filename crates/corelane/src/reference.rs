//! The reference pages and the manual page, made from the program's own tables.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::CommandFactory;
use corelane_server::config::{CONFIG_ENVIRONMENT, SETTINGS};
use corelane_server::text::ColumnText;
use corelane_server::{Answer, Effect, Session, SessionOptions, Settings, Sources, SystemClock};

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
///
/// # Errors
/// If a statement that lists a table fails.
pub fn page(page: Page) -> Result<String, Failed> {
    Ok(match page {
        Page::Cli => command_line(),
        Page::Settings => settings(),
        Page::Options => options(&shown("SET")?),
        Page::Connectors => connectors(&shown("SHOW CONNECTORS")?),
        Page::Functions => functions(&shown("SHOW FUNCTIONS")?),
    })
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

/// The rows of a statement that lists one of the program's tables: the pages show what it shows.
fn shown(sql: &str) -> Result<Vec<Vec<String>>, Failed> {
    let settings = Settings::resolve(&Sources::default())?;
    let options = SessionOptions {
        settings,
        clock: Arc::new(SystemClock::new()),
        final_results: false,
        sets: vec![],
        effect: Effect::Run,
    };
    let mut session = Session::new(options)?;
    let script = session.script("reference", sql)?;
    let mut rows = Vec::new();
    for statement in script.statements() {
        let Answer::Rows { batches, .. } = session.execute(statement)? else { continue };
        for batch in &batches {
            let columns = batch.columns().iter().map(|column| ColumnText::for_person(column));
            let columns = columns.collect::<corelane_server::Result<Vec<_>>>()?;
            let cell = |column: &ColumnText, row| {
                let mut text = String::new();
                column.write(row, &mut text);
                text
            };
            rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()));
        }
    }
    Ok(rows)
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) }
}

/// From connector, option, default, required and help; a connector's own line has no option.
fn connectors(rows: &[Vec<String>]) -> String {
    let mut text = format!("# Connectors\n\n{GENERATED}\n\n`SHOW CONNECTORS` prints the same.\n");
    for row in rows {
        let [connector, option, default, required, help] = row.as_slice() else { continue };
        if option.is_empty() {
            let _ = write!(text, "\n## {connector}\n\n{help}\n");
            let has_options = rows.iter().any(|other| other[0] == *connector && !other[1].is_empty());
            if has_options {
                text.push_str("\n| option | default | |\n|---|---|---|\n");
            }
        } else {
            let default = if required == "true" { "required".into() } else { code(default) };
            let _ = writeln!(text, "| {} | {default} | {} |", code(option), cell(help));
        }
    }
    text
}

/// From function, category, usage and help.
fn functions(rows: &[Vec<String>]) -> String {
    let mut text = format!("# Functions\n\n{GENERATED}\n\n`SHOW FUNCTIONS` prints the same.\n");
    let mut categories: Vec<&str> = Vec::new();
    for row in rows {
        if let Some(category) = row.get(1).filter(|category| !categories.contains(&category.as_str())) {
            categories.push(category);
        }
    }
    for category in categories {
        let _ = write!(text, "\n## {category}\n\n| function | |\n|---|---|\n");
        for row in rows.iter().filter(|row| row.get(1).is_some_and(|of| of == category)) {
            let [_, _, usage, help] = row.as_slice() else { continue };
            let _ = writeln!(text, "| {} | {} |", code(usage), cell(help));
        }
    }
    text
}

/// From option, value and help.
fn options(rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "# Options of a session\n\n{GENERATED}\n\nSet by `SET 'key' = 'value'` in a script or by `--set key=value`; `SET` alone lists them.\n\n\
         | option | default | |\n|---|---|---|\n"
    );
    for row in rows {
        let [option, value, help] = row.as_slice() else { continue };
        let _ = writeln!(text, "| {} | {} | {} |", code(option), code(value), cell(help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn rows<const N: usize>(rows: &[[&str; N]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.map(str::to_string).to_vec()).collect()
    }

    #[test]
    fn the_manual_has_every_command() {
        let page = String::from_utf8(man().unwrap()).unwrap();
        for command in ["RUN", "EXPLAIN", "DOCTOR", "CONFIG", "COMPLETIONS", "MAN"] {
            assert!(page.contains(&format!("COMMAND {command}")), "{command}");
        }
        assert!(!page.contains("COMMAND DOCS"));
    }

    #[test]
    fn the_settings_page_has_every_setting() {
        let page = settings();
        for setting in SETTINGS {
            assert!(page.contains(&format!("\n## {}\n", setting.key)) && page.contains(&setting.environment_name()));
        }
    }

    #[test]
    fn pages_from_tables() {
        let connectors = connectors(&rows(&[
            ["print", "", "", "", "Prints rows."],
            ["datagen", "", "", "", "Makes rows up."],
            ["datagen", "number-of-rows", "", "false", "Rows | none: for ever."],
            ["datagen", "path", "", "true", "A path."],
        ]));
        expect![[r#"

            ## print

            Prints rows.

            ## datagen

            Makes rows up.

            | option | default | |
            |---|---|---|
            | `number-of-rows` |  | Rows \| none: for ever. |
            | `path` | required | A path. |
        "#]]
        .assert_eq(&connectors[connectors.find("\n## print").unwrap()..]);
        let functions = functions(&rows(&[
            ["UPPER", "string", "UPPER(s)", "In capitals."],
            ["ABS", "math", "ABS(x)", "Without its sign."],
            ["LOWER", "string", "LOWER(s)", "In small letters."],
        ]));
        expect![[r#"

            ## string

            | function | |
            |---|---|
            | `UPPER(s)` | In capitals. |
            | `LOWER(s)` | In small letters. |

            ## math

            | function | |
            |---|---|
            | `ABS(x)` | Without its sign. |
        "#]]
        .assert_eq(&functions[functions.find("\n## ").unwrap()..]);
    }
}
