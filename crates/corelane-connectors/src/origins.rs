//! The hidden column that tells where each row of a source came from.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, StringViewArray, UInt32Array};
use arrow::compute::take;
use corelane_stream::Result;
use corelane_stream::origin::origin_column;

/// Makes the column. All rows of a batch have one source, so its name is written once and then
/// pointed to.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    source: String,
    /// The name, as often as it was ever needed in one batch.
    names: Option<ArrayRef>,
}

impl Origins {
    /// The column of rows at these places (words of positions) of one source.
    ///
    /// # Errors
    /// If there are not as many places as raw records.
    pub fn column(&mut self, source: &str, places: Vec<u64>, raw: Option<BinaryViewArray>) -> Result<ArrayRef> {
        let rows = places.len();
        let names = match self.names.take() {
            Some(names) if self.source == source && rows <= names.len() => names,
            Some(_) | None => {
                self.source.clear();
                self.source.push_str(source);
                let name = StringViewArray::from_iter_values([source]);
                take(&name, &UInt32Array::from(vec![0; rows]), None)?
            }
        };
        let column = origin_column(names.slice(0, rows), places, raw)?;
        self.names = Some(Arc::clone(&names));
        Ok(column)
    }
}
