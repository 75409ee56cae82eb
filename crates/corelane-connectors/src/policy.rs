//! The options that every table takes, whatever its connector: what becomes of bad and late rows.

use std::path::PathBuf;

use corelane_stream::{Error, LateRows, OnError, OptionDef, Result, RowPolicy, TableOptions};

use crate::options::Options;

/// Options of every table that is read, for checking, `SHOW CONNECTORS` and the docs.
pub const POLICY_OPTIONS: &[OptionDef] = &[
    OptionDef {
        name: "on-error",
        default: Some("fail"),
        required: false,
        help: "What becomes of a row that cannot be decoded or computed: 'fail', 'skip' or 'dead-letter'.",
    },
    OptionDef {
        name: "late-rows",
        default: Some("drop"),
        required: false,
        help: "What becomes of a row whose window has closed: 'drop' or 'dead-letter'; it is counted in any case.",
    },
    OptionDef {
        name: "dead-letter.path",
        default: None,
        required: false,
        help: "The file that bad and late rows are appended to, as JSON lines.",
    },
];

/// Reads the policy of one table.
///
/// # Errors
/// If a value is wrong, a dead letter is asked for without a path, or a path is given for none.
pub fn row_policy(table: &str, options: &TableOptions) -> Result<RowPolicy> {
    let options = Options::new(options);
    let on_error = options
        .choice("on-error", &[("fail", OnError::Fail), ("skip", OnError::Skip), ("dead-letter", OnError::DeadLetter)])?
        .unwrap_or_default();
    let late_rows = options
        .choice("late-rows", &[("drop", LateRows::Drop), ("dead-letter", LateRows::DeadLetter)])?
        .unwrap_or_default();
    let dead_letter_path = options.text("dead-letter.path").filter(|path| !path.is_empty()).map(PathBuf::from);
    if dead_letter_path.is_none() {
        for (name, wanted) in
            [("on-error", on_error == OnError::DeadLetter), ("late-rows", late_rows == LateRows::DeadLetter)]
        {
            if wanted {
                return Err(Error::invalid(format!("option '{name}' is 'dead-letter' but there is no path for it"))
                    .with_hint("add 'dead-letter.path' = 'file.jsonl'"));
            }
        }
    }
    let keeps_rows = on_error == OnError::DeadLetter || late_rows == LateRows::DeadLetter;
    if dead_letter_path.is_some() && !keeps_rows {
        return Err(Error::invalid("option 'dead-letter.path' has no use: no row goes there")
            .with_hint("add 'on-error' = 'dead-letter' or 'late-rows' = 'dead-letter', or leave it out"));
    }
    Ok(RowPolicy { table: table.to_owned(), on_error, late_rows, dead_letter_path })
}
