//! Literal rows as a source: `VALUES (1, 'a'), (2, 'b')`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::SchemaRef;
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{
    Error, Result, Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec, Split,
};

/// Rows written in the statement itself; one split, so one worker reads them all.
#[derive(Clone, Debug)]
pub struct ValuesSource {
    rows: RecordBatch,
    schema: SchemaRef,
}

impl ValuesSource {
    pub fn new(rows: RecordBatch) -> Self {
        ValuesSource { schema: rows.schema(), rows }
    }

    /// The rows under the wanted schema.
    fn output(&self) -> Result<RecordBatch> {
        let columns = self.schema.fields().iter().map(|field| -> Result<ArrayRef> {
            match field.metadata().get(METADATA_KEY).map(String::as_str) {
                Some(METADATA_POSITION) => {
                    Ok(Arc::new(UInt64Array::from_iter_values(0..self.rows.num_rows() as u64)) as ArrayRef)
                }
                Some(other) => Err(Error::invalid(format!("literal rows have no metadata column {other:?}"))),
                None => {
                    let column = self.rows.column_by_name(field.name());
                    let column = column.filter(|column| column.data_type() == field.data_type());
                    column.cloned().ok_or_else(|| {
                        Error::internal(format!("literal rows have no column `{}` {}", field.name(), field.data_type()))
                    })
                }
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.num_rows()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl SourceSpec for ValuesSource {
    fn name(&self) -> &'static str {
        "values"
    }

    fn detail(&self) -> String {
        format!("rows={}", self.rows.num_rows())
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        true
    }

    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        let source = ValuesSource { rows: self.rows.clone(), schema };
        source.output()?;
        Ok(Arc::new(source))
    }

    fn splits(&self, _workers: usize) -> Result<Vec<Split>> {
        Ok(vec![split(0)])
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        let offsets = splits.iter().map(|split| {
            let bytes = <[u8; 8]>::try_from(split.state.as_slice());
            let bytes = bytes.map_err(|_| Error::internal("a split of literal rows holds a row number"))?;
            Ok(u64::from_le_bytes(bytes) as usize)
        });
        Ok(Box::new(Values {
            rows: self.output()?,
            offsets: offsets.collect::<Result<Vec<_>>>()?.into_iter().map(Some).collect(),
            batch_rows: context.batch_rows.max(1),
            read: 0,
        }))
    }
}

fn split(offset: usize) -> Split {
    Split { id: "values".to_owned(), weight: 0, state: (offset as u64).to_le_bytes().to_vec() }
}

struct Values {
    rows: RecordBatch,
    /// The next row of each split; `None` once its end was told.
    offsets: Vec<Option<usize>>,
    batch_rows: usize,
    read: u64,
}

impl Source for Values {
    fn poll(&mut self) -> Result<SourcePoll> {
        let open = self.offsets.iter_mut().enumerate().find(|(_, offset)| offset.is_some());
        let Some((split, slot)) = open else { return Ok(SourcePoll::End) };
        let offset = slot.unwrap_or_default();
        let length = self.batch_rows.min(self.rows.num_rows().saturating_sub(offset));
        if length == 0 {
            *slot = None;
            return Ok(SourcePoll::SplitEnd(split));
        }
        *slot = Some(offset + length);
        self.read += length as u64;
        Ok(SourcePoll::Batch(SourceBatch { split, rows: self.rows.slice(offset, length) }))
    }

    fn snapshot(&self) -> Vec<Split> {
        self.offsets.iter().flatten().map(|offset| split(*offset)).collect()
    }

    fn counters(&self) -> SourceCounters {
        SourceCounters { rows: self.read, ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::task::Waker;

    use arrow::datatypes::{DataType, Field, Schema};
    use corelane_stream::ChangelogBatch;

    use super::*;
    use crate::testing::{batch, context, schema, text};

    fn opened(spec: &dyn SourceSpec, splits: Vec<Split>) -> Box<dyn Source> {
        let (context, rejected) = context(2);
        let context = SourceContext {
            worker: 0,
            workers: 1,
            batch_rows: 2,
            clock: context.clock,
            row_errors: Arc::new(rejected),
            waker: Waker::noop().clone(),
        };
        spec.open(splits, &context).unwrap()
    }

    fn poll(source: &mut dyn Source) -> String {
        match source.poll().unwrap() {
            SourcePoll::Batch(batch) => text(&[ChangelogBatch::append(batch.rows)]),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn rows_come_once_with_their_positions() {
        let rows = batch(&schema("k STRING, v INT"), "+I[a, 1] +I[b, 2] +I[c, 3]").into_parts().0;
        let position = HashMap::from([(METADATA_KEY.to_owned(), METADATA_POSITION.to_owned())]);
        let wanted = Schema::new(vec![
            Field::new("v", DataType::Int32, true),
            Field::new("position", DataType::UInt64, false).with_metadata(position),
        ]);
        let spec = ValuesSource::new(rows).with_schema(Arc::new(wanted)).unwrap();
        let mut source = opened(spec.as_ref(), spec.splits(4).unwrap());
        assert_eq!(poll(source.as_mut()), "+I[1, 0] +I[2, 1]");
        // From here on another source goes on.
        let mut source = opened(spec.as_ref(), source.snapshot());
        assert_eq!(poll(source.as_mut()), "+I[3, 2]");
        assert_eq!(poll(source.as_mut()), "SplitEnd(0)");
        assert_eq!(poll(source.as_mut()), "End");
        assert!(source.snapshot().is_empty());
        assert_eq!(poll(opened(spec.as_ref(), Vec::new()).as_mut()), "End");
    }
}
