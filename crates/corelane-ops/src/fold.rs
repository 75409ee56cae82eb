//! A changelog folded into the rows that are left.
//!
//! Rows come out in a fixed order: of arrival, and where rows were taken away or replaced, of the
//! last arrival of each. Inserts alone keep their batches as they are; the first retraction moves
//! all rows into an index, in arrow's row encoding, which is one-to-one.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use corelane_stream::key::hash_bytes;
use corelane_stream::limits::BATCH_ROWS_DEFAULT;
use corelane_stream::{ChangelogBatch, Error, Result, RowKinds};

use crate::aggregate::key_index::KeyIndex;
use crate::aggregate::paged::Paged;

/// Folds batches of changes; its memory is linear in the rows that are left.
pub struct ChangelogFold {
    schema: SchemaRef,
    /// What makes a row the same as another: a key's columns, or `None` for all columns.
    key: Option<Vec<usize>>,
    state: State,
}

enum State {
    /// Only inserts so far.
    Appended(Vec<RecordBatch>),
    Indexed(Box<Index>),
}

impl ChangelogFold {
    /// For changes that retract whole rows.
    pub fn new(schema: SchemaRef) -> Self {
        ChangelogFold { schema, key: None, state: State::Appended(Vec::new()) }
    }

    /// For changes that replace and delete rows by their key in these columns.
    ///
    /// # Errors
    /// If a column's type cannot be compared.
    pub fn upsert(schema: SchemaRef, key: Vec<usize>) -> Result<Self> {
        let state = State::Indexed(Box::new(Index::new(&schema, Some(&key))?));
        Ok(ChangelogFold { schema, key: Some(key), state })
    }

    /// True until something was taken away: the batches so far are the result.
    pub fn is_append(&self) -> bool {
        matches!(self.state, State::Appended(_))
    }

    /// # Errors
    /// If a row is taken away that is not there: a bug of the operator before.
    pub fn push(&mut self, batch: ChangelogBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let appends = batch.kinds().is_none_or(|kinds| kinds.iter().all(|kind| kind.is_addition()));
        if let State::Appended(batches) = &mut self.state {
            if appends {
                batches.push(batch.into_parts().0);
                return Ok(());
            }
            let mut index = Box::new(Index::new(&self.schema, self.key.as_deref())?);
            for rows in batches.drain(..) {
                index.push(&rows, None)?;
            }
            self.state = State::Indexed(index);
        }
        if let State::Indexed(index) = &mut self.state {
            index.push(batch.rows(), batch.kinds())?;
        }
        Ok(())
    }

    /// The rows that are left.
    ///
    /// # Errors
    /// If rows cannot be decoded: a bug.
    pub fn finish(self) -> Result<Vec<RecordBatch>> {
        match self.state {
            State::Appended(batches) => Ok(batches),
            State::Indexed(index) => index.rows(&self.schema),
        }
    }

    /// The rows that are left, sorted by their columns from left to right, nulls first; as they
    /// came if their types cannot be compared.
    ///
    /// # Errors
    /// If rows cannot be encoded: a bug.
    pub fn finish_sorted(self) -> Result<SortedRows> {
        let schema = self.schema;
        let (converter, rows, mut places) = match self.state {
            State::Appended(batches) => {
                let converter = row_converter(&schema, &mut (0..schema.fields().len()));
                let Some(converter) = converter.ok().filter(|_| !schema.fields().is_empty()) else {
                    return Ok(SortedRows { schema, rows: Sorted::AsTheyCame(batches.into_iter()) });
                };
                let mut places = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
                let mut encoded = Vec::with_capacity(batches.len());
                for (number, batch) in batches.into_iter().enumerate() {
                    encoded.push(converter.convert_columns(batch.columns())?);
                    let place = |row| Place { prefix: 0, batch: number as u32, row };
                    places.extend((0..batch.num_rows() as u32).map(place));
                }
                (converter, EncodedRows::Batches(encoded), places)
            }
            State::Indexed(index) => {
                let mut places = Vec::with_capacity(index.live);
                for (at, slot) in index.occupied() {
                    let place = Place { prefix: 0, batch: 0, row: at as u32 };
                    places.extend(slot.arrivals().map(|_| place));
                }
                (index.rows, EncodedRows::Slots(index.slots), places)
            }
        };
        rows.sort(&mut places);
        Ok(SortedRows { schema, rows: Sorted::Encoded { converter, rows, order: places.into_iter() } })
    }

    /// The rows that are left so far.
    ///
    /// # Errors
    /// As for `finish`.
    pub fn rows(&self) -> Result<Vec<RecordBatch>> {
        match &self.state {
            State::Appended(batches) => Ok(batches.clone()),
            State::Indexed(index) => index.rows(&self.schema),
        }
    }

    /// How many rows are left so far.
    pub fn len(&self) -> usize {
        match &self.state {
            State::Appended(batches) => batches.iter().map(RecordBatch::num_rows).sum(),
            State::Indexed(index) => index.live,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        match &self.state {
            State::Appended(batches) => batches.iter().map(RecordBatch::get_array_memory_size).sum(),
            State::Indexed(index) => index.bytes + index.found.bytes(),
        }
    }
}

/// Equal rows, or the row of a key.
#[derive(Default)]
struct Slot {
    hash: u32,
    /// How many of the bytes are the encoded key; the encoded row follows them.
    key: u32,
    bytes: Box<[u8]>,
    /// When the oldest of the rows arrived; 0 if the slot is free.
    arrived: u64,
    /// When the others did, oldest first.
    #[expect(clippy::box_collection, reason = "few rows have equals, and a queue in place takes 32 bytes of each")]
    later: Option<Box<VecDeque<u64>>>,
}

impl Slot {
    fn row(&self) -> &[u8] {
        &self.bytes[self.key as usize..]
    }

    fn bytes(&self) -> usize {
        size_of::<Slot>() + self.bytes.len() + self.later.as_ref().map_or(0, |later| later.len() * size_of::<u64>())
    }

    fn arrivals(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.arrived).chain(self.later.iter().flat_map(|later| later.iter().copied()))
    }
}

struct Index {
    rows: RowConverter,
    key: Option<(RowConverter, Vec<usize>)>,
    found: KeyIndex,
    slots: Paged<Slot>,
    free: Vec<u32>,
    arrived: u64,
    /// Rows left.
    live: usize,
    /// Bytes of the slots in use, roughly.
    bytes: usize,
}

fn row_converter(schema: &SchemaRef, columns: &mut dyn Iterator<Item = usize>) -> Result<RowConverter> {
    let fields = columns.map(|column| SortField::new(schema.field(column).data_type().clone())).collect();
    RowConverter::new(fields).map_err(|error| Error::invalid(format!("cannot compare rows: {error}")))
}

impl Index {
    fn new(schema: &SchemaRef, key: Option<&[usize]>) -> Result<Self> {
        let rows = row_converter(schema, &mut (0..schema.fields().len()))?;
        let key = key
            .map(|key| Ok::<_, Error>((row_converter(schema, &mut key.iter().copied())?, key.to_vec())))
            .transpose()?;
        let (found, slots) = (KeyIndex::new(), Paged::default());
        Ok(Index { rows, key, found, slots, free: Vec::new(), arrived: 0, live: 0, bytes: 0 })
    }

    fn push(&mut self, rows: &RecordBatch, kinds: Option<&RowKinds>) -> Result<()> {
        let encoded = self.rows.convert_columns(rows.columns())?;
        let keys = match &self.key {
            Some((converter, columns)) => {
                let columns: Vec<ArrayRef> = columns.iter().map(|column| Arc::clone(rows.column(*column))).collect();
                Some(converter.convert_columns(&columns)?)
            }
            None => None,
        };
        for row in 0..rows.num_rows() {
            let adds = kinds.is_none_or(|kinds| kinds.get(row).is_addition());
            match (&keys, adds) {
                (None, true) => self.add(encoded.row(row).as_ref()),
                (None, false) => self.remove(encoded.row(row).as_ref())?,
                (Some(keys), true) => self.replace(keys.row(row).as_ref(), encoded.row(row).as_ref()),
                (Some(keys), false) => self.delete(keys.row(row).as_ref()),
            }
        }
        Ok(())
    }

    /// The slot whose bytes up to its key, or all of them, are these.
    fn find(&self, hash: u32, identity: &[u8]) -> Option<u32> {
        let keyed = self.key.is_some();
        self.found.find(hash, |slot| {
            let slot = &self.slots[slot as usize];
            let end = if keyed { slot.key as usize } else { slot.bytes.len() };
            slot.bytes[..end] == *identity
        })
    }

    fn insert(&mut self, slot: Slot) {
        self.live += 1;
        self.bytes += slot.bytes();
        let hash = slot.hash;
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("a result has fewer than 2^32 different rows")
            }
        };
        self.found.insert(hash, at);
    }

    fn vacate(&mut self, at: u32) {
        let slot = std::mem::take(&mut self.slots[at as usize]);
        self.live -= 1;
        self.bytes -= slot.bytes();
        self.found.remove(slot.hash, at);
        self.free.push(at);
    }

    fn tick(&mut self) -> u64 {
        self.arrived += 1;
        self.arrived
    }

    fn add(&mut self, row: &[u8]) {
        let (hash, arrived) = (hash_bytes(row) as u32, self.tick());
        match self.find(hash, row) {
            Some(at) => {
                self.slots[at as usize].later.get_or_insert_default().push_back(arrived);
                self.live += 1;
                self.bytes += size_of::<u64>();
            }
            None => self.insert(Slot { hash, key: 0, bytes: row.into(), arrived, later: None }),
        }
    }

    /// Takes one row away. Of equal rows the oldest goes: it cannot be told which was meant.
    fn remove(&mut self, row: &[u8]) -> Result<()> {
        let Some(at) = self.find(hash_bytes(row) as u32, row) else {
            return Err(Error::internal("a row was retracted that is not there"));
        };
        let slot = &mut self.slots[at as usize];
        match slot.later.as_mut().and_then(|later| later.pop_front()) {
            Some(next) => {
                slot.arrived = next;
                self.live -= 1;
                self.bytes -= size_of::<u64>();
            }
            None => self.vacate(at),
        }
        Ok(())
    }

    fn replace(&mut self, key: &[u8], row: &[u8]) {
        let (hash, arrived) = (hash_bytes(key) as u32, self.tick());
        let bytes = [key, row].concat().into_boxed_slice();
        match self.find(hash, key) {
            Some(at) => {
                let slot = &mut self.slots[at as usize];
                self.bytes -= slot.bytes();
                slot.bytes = bytes;
                slot.arrived = arrived;
                self.bytes += slot.bytes();
            }
            None => self.insert(Slot { hash, key: key.len() as u32, bytes, arrived, later: None }),
        }
    }

    /// Deletes by key; an upserting stream may delete what never came.
    fn delete(&mut self, key: &[u8]) {
        if let Some(at) = self.find(hash_bytes(key) as u32, key) {
            self.vacate(at);
        }
    }

    fn occupied(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.arrived != 0)
    }

    fn rows(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let mut left: Vec<(u64, u32)> = Vec::with_capacity(self.live);
        for (at, slot) in self.occupied() {
            left.extend(slot.arrivals().map(|arrived| (arrived, at as u32)));
        }
        left.sort_unstable();
        let chunks = left.chunks(BATCH_ROWS_DEFAULT);
        chunks
            .map(|chunk| decoded(&self.rows, schema, chunk.iter().map(|(_, at)| self.slots[*at as usize].row())))
            .collect()
    }
}

/// The batch of these encoded rows.
fn decoded<'a>(
    converter: &RowConverter,
    schema: &SchemaRef,
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<RecordBatch> {
    let parser = converter.parser();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = converter.convert_rows(rows.map(|row| parser.parse(row)))?;
    // The encoding knows no dictionaries; any other type comes back as it went in.
    let columns = columns.iter().zip(schema.fields()).map(|(column, field)| compute::cast(column, field.data_type()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &options)?)
}

/// Rows by their columns from left to right, nulls first, made as they are asked for.
pub struct SortedRows {
    schema: SchemaRef,
    rows: Sorted,
}

enum Sorted {
    /// Types that cannot be compared: as they came.
    AsTheyCame(std::vec::IntoIter<RecordBatch>),
    Encoded {
        converter: RowConverter,
        rows: EncodedRows,
        order: std::vec::IntoIter<Place>,
    },
}

/// Encoded rows; what comes first in the order of bytes comes first in that of columns.
enum EncodedRows {
    Batches(Vec<Rows>),
    Slots(Paged<Slot>),
}

/// Where an encoded row lies, and its bytes behind those that all rows have in common: most
/// comparisons need no look at the row.
#[derive(Clone, Copy)]
struct Place {
    prefix: u64,
    batch: u32,
    row: u32,
}

impl EncodedRows {
    fn get(&self, place: Place) -> &[u8] {
        match self {
            EncodedRows::Batches(batches) => batches[place.batch as usize].row(place.row as usize).data(),
            EncodedRows::Slots(slots) => slots[place.row as usize].row(),
        }
    }

    fn sort(&self, places: &mut [Place]) {
        let Some(first) = places.first().map(|place| self.get(*place)) else { return };
        let mut common = first.len();
        for place in places.iter() {
            let same = self.get(*place).iter().zip(&first[..common]).take_while(|(left, right)| left == right);
            common = same.count();
        }
        for place in places.iter_mut() {
            let rest = &self.get(*place)[common..];
            let mut prefix = [0; 8];
            prefix[..rest.len().min(8)].copy_from_slice(&rest[..rest.len().min(8)]);
            place.prefix = u64::from_be_bytes(prefix);
        }
        places.sort_unstable_by(|left, right| {
            left.prefix.cmp(&right.prefix).then_with(|| self.get(*left).cmp(self.get(*right)))
        });
    }
}

impl Iterator for SortedRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        match &mut self.rows {
            Sorted::AsTheyCame(batches) => batches.next().map(Ok),
            Sorted::Encoded { converter, rows, order } => {
                let chunk: Vec<Place> = order.by_ref().take(BATCH_ROWS_DEFAULT).collect();
                let chunk = chunk.iter().map(|place| rows.get(*place));
                (chunk.len() > 0).then(|| decoded(converter, &self.schema, chunk))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch, folded, schema, text};

    fn check(mut fold: ChangelogFold, batches: &[&str], expected: Expect) {
        let schema = schema("k STRING, v BIGINT");
        let pushed: Result<()> = batches.iter().try_for_each(|rows| fold.push(batch(&schema, rows)));
        let count = fold.len();
        let found = pushed.and_then(|()| fold.finish());
        expected.assert_eq(&match found {
            Ok(batches) => {
                assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), count);
                text(&batches.into_iter().map(ChangelogBatch::append).collect::<Vec<_>>())
            }
            Err(error) => error.message().to_owned(),
        });
    }

    fn retracting() -> ChangelogFold {
        ChangelogFold::new(schema("k STRING, v BIGINT"))
    }

    #[test]
    fn inserts_keep_their_order() {
        check(retracting(), &["+I[b, 1] +I[a, 2]", "+I[b, 1]"], expect!["+I[b, 1] +I[a, 2] +I[b, 1]"]);
    }

    #[test]
    fn what_is_left_is_in_the_order_of_its_last_arrival() {
        check(
            retracting(),
            &["+I[b, 1] +I[a, 2] +I[b, 1] +I[null, null]", "-D[b, 1] -U[a, 2] +U[a, 3]"],
            expect!["+I[b, 1] +I[null, null] +I[a, 3]"],
        );
    }

    #[test]
    fn a_row_that_is_not_there_cannot_be_retracted() {
        check(retracting(), &["+I[a, 1]", "-D[a, 2]"], expect!["a row was retracted that is not there"]);
    }

    #[test]
    fn upserts_replace_by_key() {
        let fold = ChangelogFold::upsert(schema("k STRING, v BIGINT"), vec![0]).unwrap();
        check(fold, &["+I[a, 1] +I[b, 1] +U[a, 2]", "+U[c, 1] -D[b, null] -D[z, 1]"], expect!["+I[a, 2] +I[c, 1]"]);
    }

    proptest! {
        #[test]
        fn folding_is_the_multiset_of_rows(steps in prop::collection::vec((any::<bool>(), 0u8..4), 0..60), cut in 1usize..9) {
            let schema = schema("k STRING, v BIGINT");
            let mut live = [0usize; 4];
            let mut lines = Vec::new();
            for (adds, value) in steps {
                let count = &mut live[usize::from(value)];
                if !adds && *count == 0 {
                    continue;
                }
                *count = if adds { *count + 1 } else { *count - 1 };
                lines.push(format!("{}[k, {value}]", if adds { "+I" } else { "-D" }));
            }
            let mut fold = retracting();
            let mut batches = Vec::new();
            for chunk in lines.chunks(cut) {
                batches.push(batch(&schema, &chunk.join(" ")));
            }
            for batch in &batches {
                fold.push(batch.clone()).unwrap();
            }
            let left: Vec<ChangelogBatch> = fold.finish().unwrap().into_iter().map(ChangelogBatch::append).collect();
            prop_assert_eq!(folded(&left), folded(&batches));
        }
    }
}
