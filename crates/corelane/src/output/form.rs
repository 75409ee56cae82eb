//! What the name of an output says of its content, by the endings that files are read by.

use std::path::Path;

use corelane_server::files::{FileCompression, table_options_for_path};

use crate::arguments::Format;
use crate::exit::Failed;

/// How rows are written to where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// `None` if neither the user nor the name says one.
    pub format: Option<Format>,
    /// What stands between two fields of CSV.
    pub delimiter: char,
    pub compression: FileCompression,
}

impl Form {
    /// On standard output nothing has a name.
    pub fn nameless(format: Option<Format>) -> Form {
        Form { format, delimiter: ',', compression: FileCompression::None }
    }

    /// A name without an ending, or with `.txt`, says nothing.
    ///
    /// # Errors
    /// If the name says another format than the one given, or one that is not written.
    pub fn of(path: &Path, given: Option<Format>) -> Result<Form, Failed> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let compressed = name.rsplit_once('.').and_then(|(rest, last)| Some((rest, FileCompression::of_ending(last)?)));
        let (name, compression) = compressed.unwrap_or((name.as_str(), FileCompression::None));
        let options = table_options_for_path(name).unwrap_or_default();
        let delimiter = if options.contains_key("csv.field-delimiter") { '\t' } else { ',' };
        let named = options.get("format").map(|format| match format.as_str() {
            "csv" => Format::Csv,
            "json" => Format::Json,
            _ => Format::Parquet,
        });
        let says_nothing = Path::new(name).extension().is_none_or(|ending| ending == "txt");
        let format = match (given, named) {
            (Some(given), Some(named)) if given != named => return Err(contradiction(path, given, named)),
            (None, None) if !says_nothing => {
                return Err(Failed::usage(format!("cannot tell the format of {} by its name", path.display()))
                    .with_hint(
                        "names end in .csv, .tsv, .json, .jsonl, .ndjson (perhaps with .gz or .zst) or .parquet; \
                         --format says what another name holds",
                    ));
            }
            (given, named) => given.or(named),
        };
        if format == Some(Format::Parquet) && compression != FileCompression::None {
            return Err(Failed::usage(format!("cannot write {}: Parquet is compressed by itself", path.display()))
                .with_hint("let the name end in .parquet"));
        }
        Ok(Form { format, delimiter, compression })
    }
}

fn contradiction(path: &Path, given: Format, named: Format) -> Failed {
    let (given, ending) = words(given);
    let message = format!("--format {given} does not go with {}, which is to be {}", path.display(), words(named).0);
    Failed::usage(message).with_hint(format!("leave --format out, or let the name end in {ending}"))
}

/// A format's name, and an ending that it goes with.
fn words(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Changelog => ("changelog", ".txt"),
        Format::Table => ("table", ".txt"),
        Format::Csv => ("csv", ".csv"),
        Format::Json => ("json", ".json"),
        Format::Parquet => ("parquet", ".parquet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn form(name: &str, given: Option<Format>) -> (Option<Format>, char, FileCompression) {
        let form = Form::of(Path::new(name), given).unwrap();
        (form.format, form.delimiter, form.compression)
    }

    fn refused(name: &str, given: Option<Format>, expected: Expect) {
        let failed = Form::of(Path::new(name), given).unwrap_err();
        assert_eq!(failed.exit().code(), 2);
        expected.assert_eq(&failed.rendered(false));
    }

    #[test]
    fn endings_say_format_and_compression() {
        use FileCompression::{Gzip, None as Plain, Zstd};
        assert_eq!(form("a/o.csv", None), (Some(Format::Csv), ',', Plain));
        assert_eq!(form("o.TSV.gz", None), (Some(Format::Csv), '\t', Gzip));
        for name in ["o.json", "o.jsonl", "o.ndjson"] {
            assert_eq!(form(name, None), (Some(Format::Json), ',', Plain));
        }
        assert_eq!(form("o.json.zst", Some(Format::Json)), (Some(Format::Json), ',', Zstd));
        assert_eq!(form("o.parquet", None), (Some(Format::Parquet), ',', Plain));
        for name in ["o", "o.txt", "/dev/stdout", "a.b/o", "/"] {
            assert_eq!(form(name, None), (None, ',', Plain), "{name}");
        }
        assert_eq!(form("o.txt.gz", Some(Format::Changelog)), (Some(Format::Changelog), ',', Gzip));
        assert_eq!(form("o.log", Some(Format::Json)), (Some(Format::Json), ',', Plain));
    }

    #[test]
    fn names_that_say_something_else() {
        refused(
            "o.parquet",
            Some(Format::Json),
            expect![[r#"
                error: --format json does not go with o.parquet, which is to be parquet
                hint: leave --format out, or let the name end in .json
            "#]],
        );
        refused(
            "o.csv",
            Some(Format::Changelog),
            expect![[r#"
                error: --format changelog does not go with o.csv, which is to be csv
                hint: leave --format out, or let the name end in .txt
            "#]],
        );
        refused(
            "o.avro",
            None,
            expect![[r#"
                error: cannot tell the format of o.avro by its name
                hint: names end in .csv, .tsv, .json, .jsonl, .ndjson (perhaps with .gz or .zst) or .parquet; --format says what another name holds
            "#]],
        );
        refused(
            "o.parquet.gz",
            None,
            expect![[r#"
                error: cannot write o.parquet.gz: Parquet is compressed by itself
                hint: let the name end in .parquet
            "#]],
        );
    }
}
