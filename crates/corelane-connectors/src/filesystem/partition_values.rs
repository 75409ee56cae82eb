//! Columns that stand in the names of directories rather than in files: `dt=2024-03-01/hm=23%3A59`.

use arrow::array::{ArrayRef, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::Field;
use corelane_stream::{Error, Result, TableDefinition, sql_type};

use crate::options::Options;

/// The columns of `PARTITIONED BY`, as a reader sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionNames {
    names: Vec<String>,
    default_name: String,
}

impl PartitionNames {
    pub fn new(table: &TableDefinition, options: &Options<'_>) -> Self {
        let default_name = options.text("partition.default-name").unwrap_or(DEFAULT_PARTITION).to_owned();
        PartitionNames { names: table.partitioned_by.clone(), default_name }
    }

    pub fn contains(&self, field: &Field) -> bool {
        self.names.contains(field.name())
    }

    /// The column's value in all rows of a file.
    ///
    /// # Errors
    /// If no directory above the file names the column, or its value is not of the column's type.
    pub fn column(&self, field: &Field, path: &str, rows: usize) -> Result<ArrayRef> {
        let Some(text) = value_in(path, field.name()) else {
            return Err(Error::data(format!(
                "no directory of '{path}' names the partition column '{0}'",
                field.name()
            ))
            .with_hint(format!(
                "such a file lies below '{}=..'; leave the column out of PARTITIONED BY if it stands in the files",
                field.name()
            )));
        };
        if text == self.default_name {
            return Ok(new_null_array(field.data_type(), rows));
        }
        let cannot_read = || {
            let (name, data_type) = (field.name(), sql_type(field.data_type()));
            Error::data(format!("cannot read the partition '{name}={text}' of '{path}' as {data_type}"))
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let value = cast_with_options(&StringArray::from(vec![text.as_str()]), field.data_type(), &strict)
            .map_err(|_| cannot_read())?;
        take(&value, &UInt32Array::from_value(0, rows), None).map_err(|_| cannot_read())
    }
}

/// What stands for NULL and the empty string in the name of a directory.
pub(crate) const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

/// The value of a column in the directories of a path; the innermost one counts.
fn value_in(path: &str, name: &str) -> Option<String> {
    let (directories, _) = path.rsplit_once('/')?;
    directories.rsplit('/').find_map(|level| {
        let (column, value) = level.split_once('=')?;
        (unescaped(column) == name).then(|| unescaped(value))
    })
}

/// Undoes the `%3A` of the names that Hive, Flink and our sink write.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = if *first == b'%' { after.get(..2).and_then(hexadecimal) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    // Only names that no sink escaped so decode to something else than UTF-8.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_name_columns() {
        let path = "out/dt=2024-03-01/hm=23%3A59/part-0-0.csv";
        assert_eq!(value_in(path, "hm").as_deref(), Some("23:59"));
        assert_eq!(value_in(path, "dt").as_deref(), Some("2024-03-01"));
        assert_eq!(value_in(path, "x"), None);
        assert_eq!(value_in("hm=1.csv", "hm"), None);
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%2"), "%zz%2");
        assert_eq!(unescaped("%+1"), "%+1");
        assert_eq!(unescaped("%FF"), "%FF");
    }
}
