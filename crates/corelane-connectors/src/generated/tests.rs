//! Stripes cover every row once, whoever reads them, and however often they are interrupted.

use arrow::array::Int64Array;
use corelane_stream::SourceSpec;
use proptest::prelude::*;

use super::*;
use crate::testing::{ManualClock, positions, source_context, splits_of, with_position};

/// Makes the row's number.
#[derive(Debug)]
struct Numbers;

impl RowGenerator for Numbers {
    fn columns(&self, rows: Range<u64>, _: i64) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64)))])
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
    }

    fn pruned(&self, _: SchemaRef) -> Result<Arc<dyn RowGenerator>> {
        Ok(Arc::new(Numbers))
    }
}

fn numbers(volume: Volume) -> Arc<dyn SourceSpec> {
    with_position(&GeneratedSpec::new("numbers", volume, Arc::new(Numbers)))
}

/// Reads so many batches of each worker, and gives back what is left.
fn read(
    spec: &dyn SourceSpec,
    splits: &[Split],
    workers: usize,
    batch_rows: usize,
    batches: usize,
    seen: &mut Vec<u64>,
) -> Vec<Split> {
    let mut left = Vec::new();
    for worker in 0..workers {
        let context = source_context(worker, workers, batch_rows);
        let mut source = spec.open(splits_of(splits, worker, workers), &context).expect("splits open");
        for _ in 0..batches {
            match source.poll().expect("rows can be made") {
                SourcePoll::Batch(batch) => seen.extend(positions(&batch.rows).values()),
                SourcePoll::SplitEnd(_) => {}
                SourcePoll::Pending { .. } => panic!("this source is not held to a rate"),
                SourcePoll::End => break,
            }
        }
        left.extend(source.snapshot());
    }
    left
}

proptest! {
    #[test]
    fn every_row_once(
        rows in prop_oneof![0_u64..100, 8_000_u64..40_000],
        runs in proptest::collection::vec((1_usize..9, 500_usize..10_000, 1_usize..4), 1..5),
    ) {
        let spec = numbers(Volume { rows: Some(rows), rows_per_second: None });
        let mut seen = Vec::new();
        let mut splits = spec.splits(runs[0].0).expect("splits");
        for (workers, batch_rows, batches) in runs {
            splits = read(spec.as_ref(), &splits, workers, batch_rows, batches, &mut seen);
        }
        let splits = read(spec.as_ref(), &splits, 1, 8_192, usize::MAX, &mut seen);
        prop_assert!(splits.is_empty());
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
    }
}

#[test]
fn rows_become_due_by_the_clock() {
    let spec = numbers(Volume { rows: Some(1_000), rows_per_second: Some(200) });
    let splits = spec.splits(1).expect("splits");
    let clock = Arc::new(ManualClock::default());
    let context = SourceContext { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..source_context(0, 1, 64) };
    let mut source = spec.open(splits, &context).expect("splits open");
    let mut made = 0;
    let mut poll = || match source.poll().expect("rows can be made") {
        SourcePoll::Batch(batch) => {
            made += batch.rows.num_rows();
            format!("{made} rows")
        }
        SourcePoll::Pending { retry_ms } => format!("again in {} ms", retry_ms.expect("a time is known")),
        other => format!("{other:?}"),
    };
    assert_eq!([poll(), poll()], ["1 rows", "again in 5 ms"]);
    clock.set_ms(100);
    assert_eq!([poll(), poll()], ["21 rows", "again in 5 ms"]);
    clock.set_ms(10_000);
    assert_eq!([poll(), poll()], ["85 rows", "149 rows"]);
}

#[test]
fn unknown_metadata_is_refused() {
    let spec = numbers(Volume::default());
    let ask = |name: &str, data_type| {
        let field =
            Field::new("m", data_type, false).with_metadata([(METADATA_KEY.to_owned(), name.to_owned())].into());
        spec.with_schema(Arc::new(Schema::new(vec![field]))).map(|_| ()).map_err(|error| error.message().to_owned())
    };
    assert_eq!(ask("position", DataType::UInt64), Ok(()));
    assert_eq!(ask("offset", DataType::Int64), Err("connector 'numbers' has no metadata 'offset'".to_owned()));
    assert_eq!(
        ask("position", DataType::Int64),
        Err("the metadata column 'm' is of type Int64, but 'position' is UInt64".to_owned())
    );
}
