//! The source of random and sequential rows, with Flink's options.
//!
//! Unlike Flink's, it makes the same rows for the same `seed` on every run, on any number of
//! workers: a value depends on the seed, its column and its row's number.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_stream::{Connector, Error, OptionDef, Result, SinkSpec, SourceSpec, TableDefinition, TableOptions};

use crate::generated::{GeneratedSpec, Volume};
use crate::options::Options;

mod generator;
mod plan;

use generator::DatagenGenerator;

const fn optional(name: &'static str, default: Option<&'static str>, help: &'static str) -> OptionDef {
    OptionDef { name, default, required: false, help }
}

const OPTIONS: &[OptionDef] = &[
    optional("rows-per-second", Some("10000"), "Rows a second by the clock on the wall; 0 is as fast as possible."),
    optional("number-of-rows", None, "How many rows there are; without it, and without a sequence, there is no end."),
    optional("seed", Some("0"), "The same seed makes the same rows."),
    optional(
        "start-time",
        None,
        "The time of the first row, in UTC; later rows follow at 'rows-per-second' (or 1,000 a second). \
         Without it a row's time is the clock's as it is made.",
    ),
    optional("fields.#.kind", Some("random"), "How the column's values are made: 'random' or 'sequence'."),
    optional("fields.#.min", None, "The smallest random number; by default the smallest of the type."),
    optional("fields.#.max", None, "The largest random number; by default the largest of the type."),
    optional(
        "fields.#.length",
        Some("100"),
        "Characters, bytes or elements of a random value; by default that of the type, as in VARCHAR(20), and 3 for collections.",
    ),
    optional("fields.#.var-len", Some("false"), "Whether strings are of any length up to 'length'."),
    optional("fields.#.null-rate", Some("0"), "The share of values that are NULL, from 0 to 1."),
    optional("fields.#.start", None, "The first value of a sequence."),
    optional("fields.#.end", None, "The last value of a sequence; the rows end with the shortest sequence."),
    optional("fields.#.max-past", Some("0 s"), "Random times lie this far before the row's time at most."),
];

#[derive(Debug)]
pub struct DatagenConnector;

impl Connector for DatagenConnector {
    fn name(&self) -> &'static str {
        "datagen"
    }

    fn help(&self) -> &'static str {
        "Generates rows of random values and sequences, the same for every seed."
    }

    fn options(&self) -> Vec<OptionDef> {
        OPTIONS.to_vec()
    }

    fn metadata(&self) -> &'static [&'static str] {
        &[corelane_stream::source::METADATA_POSITION]
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>> {
        let options = Options::new(&table.options);
        let rate = options.integer("rows-per-second", 0, 1_000_000_000_000_u64)?.unwrap_or(10_000);
        let rows = options.integer("number-of-rows", 0, u64::MAX - 1)?;
        let generator = DatagenGenerator::new(&table.schema, &table.options)?;
        let rows = rows.into_iter().chain(generator.shortest_sequence()).min();
        let volume = Volume { rows, rows_per_second: (rate > 0).then_some(rate) };
        Ok(Arc::new(GeneratedSpec::new(self.name(), volume, Arc::new(generator))))
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkSpec>> {
        Err(Error::invalid(format!("table '{}' cannot be written: 'datagen' is only a source", table.name)))
    }

    fn infer_schema(&self, _: &TableOptions) -> Result<SchemaRef> {
        Err(Error::invalid("'datagen' has no columns of its own")
            .with_hint("declare the columns: CREATE TABLE t (a INT, ..) WITH ('connector' = 'datagen')"))
    }
}

#[cfg(test)]
mod tests;
