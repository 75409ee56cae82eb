//! Formats: their options, and bytes to Arrow and back.

pub mod decode;
pub mod display;
pub mod encode;
pub mod infer;

use arrow::datatypes::{DataType, Field};
use corelane_stream::{Error, OptionDef, Result, TableOptions};

use crate::options::{Options, meant, wrong_value};
use decode::value::TimestampStyle;

/// Options of the formats as sources read them, for checking, `SHOW CONNECTORS` and the docs.
pub const DECODE_OPTIONS: &[OptionDef] = &[
    option(
        "json.fail-on-missing-field",
        "false",
        "Whether a record without a field is a bad row; else the field is NULL.",
    ),
    option(
        "json.ignore-parse-errors",
        "false",
        "Whether a value that cannot be read becomes NULL, and a record that cannot be read is skipped.",
    ),
    option(
        "json.timestamp-format.standard",
        "SQL",
        "How timestamps are written: 'SQL' (`yyyy-MM-dd HH:mm:ss.fff`) or 'ISO-8601' (`yyyy-MM-ddTHH:mm:ss.fff`); either where no columns are declared.",
    ),
    option("csv.field-delimiter", ",", "The character between two fields; detected where no columns are declared."),
    option(
        "csv.disable-quote-character",
        "false",
        "Whether quotes have no meaning; large files are then cut up faster.",
    ),
    option(
        "csv.quote-character",
        "\"",
        "The character around a field that holds delimiters, newlines or (doubled) quotes.",
    ),
    option("csv.allow-comments", "false", "Whether lines that start with '#' are skipped."),
    option(
        "csv.ignore-parse-errors",
        "false",
        "Whether a field that cannot be read becomes NULL, and a record that cannot be read is skipped.",
    ),
    option(
        "csv.array-element-delimiter",
        ";",
        "The character between two elements of an ARRAY or two fields of a ROW.",
    ),
    OptionDef {
        name: "csv.escape-character",
        default: None,
        required: false,
        help: "The character that takes its meaning from the next one.",
    },
    OptionDef { name: "csv.null-literal", default: None, required: false, help: "The text that stands for NULL." },
    option(
        "csv.header",
        "false",
        "Whether the first line of each file names its columns, in any order; detected where no columns are declared.",
    ),
];

const fn option(name: &'static str, default: &'static str, help: &'static str) -> OptionDef {
    OptionDef { name, default: Some(default), required: false, help }
}

/// A format as a source reads it, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatOptions {
    Json(JsonOptions),
    Csv(CsvOptions),
    Parquet,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    pub fail_on_missing_field: bool,
    pub ignore_parse_errors: bool,
    pub timestamps: TimestampStyle,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    pub comments: bool,
    pub ignore_parse_errors: bool,
    pub element_delimiter: u8,
    pub null_literal: Option<String>,
    pub header: bool,
    /// The columns were found in the files: they have the names that were given to them there, and a file may lack
    /// what another one has.
    pub inferred: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comments: false,
            ignore_parse_errors: false,
            element_delimiter: b';',
            null_literal: None,
            header: false,
            inferred: false,
        }
    }
}

impl FormatOptions {
    /// Reads `format` and the options of that format.
    ///
    /// # Errors
    /// If the format is not known or an option's value is wrong.
    pub fn read(options: &TableOptions) -> Result<FormatOptions> {
        let options = Options::new(options);
        match options.required("format")? {
            "json" => json_options(&options).map(FormatOptions::Json),
            "csv" => csv_options(&options).map(FormatOptions::Csv),
            "parquet" => Ok(FormatOptions::Parquet),
            other => {
                let error = wrong_value("format", other, "'json', 'csv' or 'parquet'");
                Err(meant(error, Some(other), ["json", "csv", "parquet"]))
            }
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            FormatOptions::Json(_) => "json",
            FormatOptions::Csv(_) => "csv",
            FormatOptions::Parquet => "parquet",
        }
    }

    /// Whether the user asked for bad rows to be skipped the way Flink has it.
    pub fn ignores_parse_errors(&self) -> bool {
        match self {
            FormatOptions::Json(json) => json.ignore_parse_errors,
            FormatOptions::Csv(csv) => csv.ignore_parse_errors,
            FormatOptions::Parquet => false,
        }
    }
}

/// Whether csv has text for a type. A list in a field has elements, and a row in one has fields; there is no more
/// that could be told apart.
fn is_csv_type(data_type: &DataType) -> bool {
    let is_plain =
        |inner: &Field| !matches!(inner.data_type(), DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    match data_type {
        DataType::Map(..) => false,
        DataType::List(element) => is_plain(element),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field)),
        _ => true,
    }
}

fn json_options(options: &Options<'_>) -> Result<JsonOptions> {
    let standards = [("SQL", TimestampStyle::Sql), ("ISO-8601", TimestampStyle::Iso8601)];
    let json = JsonOptions {
        fail_on_missing_field: options.boolean("json.fail-on-missing-field")?.unwrap_or(false),
        ignore_parse_errors: options.boolean("json.ignore-parse-errors")?.unwrap_or(false),
        timestamps: options.choice("json.timestamp-format.standard", &standards)?.unwrap_or_default(),
    };
    if json.fail_on_missing_field && json.ignore_parse_errors {
        return Err(Error::invalid(
            "options 'json.fail-on-missing-field' and 'json.ignore-parse-errors' exclude each other",
        ));
    }
    Ok(json)
}

fn csv_options(options: &Options<'_>) -> Result<CsvOptions> {
    let standard = CsvOptions::default();
    let quote = if options.boolean("csv.disable-quote-character")?.unwrap_or(false) {
        if options.text("csv.quote-character").is_some() {
            return Err(Error::invalid(
                "options 'csv.quote-character' and 'csv.disable-quote-character' exclude each other",
            ));
        }
        None
    } else {
        options.character("csv.quote-character")?.or(standard.quote)
    };
    Ok(CsvOptions {
        delimiter: options.character("csv.field-delimiter")?.unwrap_or(standard.delimiter),
        quote,
        escape: options.character("csv.escape-character")?,
        comments: options.boolean("csv.allow-comments")?.unwrap_or(false),
        ignore_parse_errors: options.boolean("csv.ignore-parse-errors")?.unwrap_or(false),
        element_delimiter: options.character("csv.array-element-delimiter")?.unwrap_or(standard.element_delimiter),
        null_literal: options.text("csv.null-literal").map(str::to_owned),
        header: options.boolean("csv.header")?.unwrap_or(false),
        inferred: false,
    })
}
