//! Rows to the directories of their partitions: `dt=2015-07-14/hm=23%3A59`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use corelane_stream::{Error, Result, TableDefinition};
use hashbrown::HashMap;

use crate::filesystem::partition_values::DEFAULT_PARTITION;
use crate::format::display::{ColumnText, Reader};
use crate::options::{Options, did_you_mean};

/// The columns of `PARTITIONED BY`, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PartitionColumns {
    names: Vec<String>,
    columns: Vec<usize>,
    default_name: String,
}

impl PartitionColumns {
    pub(super) fn new(table: &TableDefinition, options: &Options<'_>) -> Result<Self> {
        let mut columns = Vec::new();
        for name in &table.partitioned_by {
            let Some((index, field)) = table.schema.column_with_name(name) else {
                let error =
                    Error::invalid(format!("table '{}' has no column '{name}' to be partitioned by", table.name));
                let like = did_you_mean(name, table.schema.fields().iter().map(|field| field.name().as_str()));
                return Err(match like {
                    Some(like) => error.with_hint(format!("did you mean '{like}'?")),
                    None => error,
                });
            };
            if field.data_type().is_nested() {
                return Err(Error::invalid(format!("column '{name}' of type {} cannot partition", field.data_type()))
                    .with_hint("partition by columns of simple types"));
            }
            columns.push(index);
        }
        let default_name = options.text("partition.default-name").unwrap_or(DEFAULT_PARTITION).to_owned();
        Ok(PartitionColumns { names: table.partitioned_by.clone(), columns, default_name })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn contains(&self, column: usize) -> bool {
        self.columns.contains(&column)
    }

    /// Splits a batch: each partition's directory, and its rows in their order. The partitions
    /// stand in the order of their first rows.
    pub(super) fn split(&self, rows: &RecordBatch) -> Result<Vec<(PathBuf, Vec<u32>)>> {
        let null = Arc::from("");
        let texts: Vec<ColumnText> = self
            .columns
            .iter()
            .map(|column| ColumnText::new(rows.column(*column), Reader::Csv { element_delimiter: ';' }, &null))
            .collect::<Result<_>>()?;
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut partitions: Vec<(PathBuf, Vec<u32>)> = Vec::new();
        let mut directory = String::new();
        let mut value = String::new();
        let mut previous = (String::new(), 0);
        for row in 0..rows.num_rows() {
            directory.clear();
            for (name, text) in self.names.iter().zip(&texts) {
                value.clear();
                text.write(row, &mut value);
                self.write_level(name, &value, &mut directory);
            }
            // Rows of one partition come in runs more often than not.
            if partitions.is_empty() || directory != previous.0 {
                let partition = *seen.entry_ref(directory.as_str()).or_insert_with(|| {
                    partitions.push((PathBuf::from(&directory), Vec::new()));
                    partitions.len() - 1
                });
                previous.0.clone_from(&directory);
                previous.1 = partition;
            }
            partitions[previous.1].1.push(u32::try_from(row).expect("batches are small"));
        }
        Ok(partitions)
    }

    fn write_level(&self, name: &str, value: &str, out: &mut String) {
        if !out.is_empty() {
            out.push('/');
        }
        escape(name, out);
        out.push('=');
        escape(if value.is_empty() { &self.default_name } else { value }, out);
    }
}

/// Escapes what Hive and Flink escape in names of partitions: whatever means something to a
/// shell, a path or a URL.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{}[]^".contains(character) {
            write!(out, "%{:02X}", u32::from(character)).expect("strings grow");
        } else {
            out.push(character);
        }
    }
}
