//! Json lines as Flink writes them: one object a line, columns in the table's order.

use std::sync::Arc;

use arrow::array::RecordBatch;
use corelane_stream::{OptionDef, Result, TableOptions};

use crate::format::display::{self, DecimalNotation, JsonText, NullFields, Reader};
use crate::format::json_options;
use crate::options::Options;

pub(super) const OPTIONS: &[OptionDef] = &[
    OptionDef {
        name: "json.encode.decimal-as-plain-number",
        default: Some("false"),
        required: false,
        help: "Whether a small DECIMAL is written as 0.00000001 rather than as 1E-8.",
    },
    OptionDef {
        name: "json.encode.ignore-null-fields",
        default: Some("false"),
        required: false,
        help: "Whether fields that are NULL are left out.",
    },
];

/// Json lines and their options.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct JsonEncoding {
    text: JsonText,
}

impl JsonEncoding {
    /// # Errors
    /// If an option's value is wrong.
    pub fn new(options: &TableOptions) -> Result<Self> {
        let options = Options::new(options);
        let plain = options.boolean("json.encode.decimal-as-plain-number")?.unwrap_or(false);
        let omit = options.boolean("json.encode.ignore-null-fields")?.unwrap_or(false);
        Ok(JsonEncoding {
            text: JsonText {
                timestamps: json_options(&options)?.timestamps,
                decimals: if plain { DecimalNotation::Plain } else { DecimalNotation::Scientific },
                null_fields: if omit { NullFields::Omit } else { NullFields::Write },
            },
        })
    }

    pub(super) fn encode(&self, rows: &RecordBatch, out: &mut String) -> Result<()> {
        let columns = display::columns(rows, Reader::Json(self.text), &Arc::from("null"))?;
        let names: Vec<String> = rows.schema_ref().fields().iter().map(|field| display::json_key(field)).collect();
        for row in 0..rows.num_rows() {
            display::write_object(&names, &columns, row, self.text, out);
            out.push('\n');
        }
        Ok(())
    }
}
