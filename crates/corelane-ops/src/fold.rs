//! A changelog folded into the rows that are left.
//!
//! Rows come out in a fixed order: of arrival, and where rows were taken away or replaced, of the
//! last arrival of each. Inserts alone keep their batches as they are; the first retraction moves
//! all rows into an index, in arrow's row encoding, which is one-to-one.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use corelane_stream::key::hash_bytes;
use corelane_stream::limits::BATCH_ROWS_DEFAULT;
use corelane_stream::{ChangelogBatch, Error, Result, RowKinds};
use hashbrown::HashTable;

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
            State::Indexed(index) => index.bytes,
        }
    }
}

/// Rows of one identity.
struct Entry {
    hash: u64,
    /// The encoded identity: the key, or the row.
    identity: Box<[u8]>,
    /// The encoded row, if it is more than its identity.
    row: Option<Box<[u8]>>,
    /// When each of the equal rows arrived, oldest first; never empty.
    arrivals: VecDeque<u64>,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Entry>() + size_of::<u64>() + self.identity.len() + self.row.as_ref().map_or(0, |row| row.len())
    }
}

struct Index {
    rows: RowConverter,
    key: Option<(RowConverter, Vec<usize>)>,
    entries: HashTable<Entry>,
    arrived: u64,
    /// Rows left.
    live: usize,
    /// Bytes of the entries, roughly.
    bytes: usize,
}

impl Index {
    fn new(schema: &SchemaRef, key: Option<&[usize]>) -> Result<Self> {
        let converter = |columns: &mut dyn Iterator<Item = usize>| {
            let fields = columns.map(|column| SortField::new(schema.field(column).data_type().clone())).collect();
            RowConverter::new(fields).map_err(|error| Error::invalid(format!("cannot compare rows: {error}")))
        };
        let rows = converter(&mut (0..schema.fields().len()))?;
        let key = key.map(|key| Ok::<_, Error>((converter(&mut key.iter().copied())?, key.to_vec()))).transpose()?;
        Ok(Index { rows, key, entries: HashTable::new(), arrived: 0, live: 0, bytes: 0 })
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
                (None, true) => self.add(encoded.row(row).as_ref(), None),
                (None, false) => self.remove(encoded.row(row).as_ref())?,
                (Some(keys), true) => self.add(keys.row(row).as_ref(), Some(encoded.row(row).as_ref())),
                (Some(keys), false) => self.delete(keys, row),
            }
        }
        Ok(())
    }

    fn add(&mut self, identity: &[u8], row: Option<&[u8]>) {
        let hash = hash_bytes(identity);
        let arrived = self.arrived;
        self.arrived += 1;
        let found = self.entries.find_mut(hash, |entry| entry.hash == hash && *entry.identity == *identity);
        match (found, row) {
            (Some(entry), None) => {
                entry.arrivals.push_back(arrived);
                self.live += 1;
            }
            (Some(entry), Some(row)) => {
                self.bytes -= entry.bytes();
                entry.row = Some(row.into());
                entry.arrivals[0] = arrived;
                self.bytes += entry.bytes();
            }
            (None, row) => {
                let arrivals = VecDeque::from([arrived]);
                let entry = Entry { hash, identity: identity.into(), row: row.map(Into::into), arrivals };
                self.live += 1;
                self.bytes += entry.bytes();
                self.entries.insert_unique(hash, entry, |entry| entry.hash);
            }
        }
    }

    /// Takes one row away. Of equal rows the oldest goes: it cannot be told which was meant.
    fn remove(&mut self, identity: &[u8]) -> Result<()> {
        let hash = hash_bytes(identity);
        let found = self.entries.find_entry(hash, |entry| entry.hash == hash && *entry.identity == *identity);
        let Ok(mut found) = found else {
            return Err(Error::internal("a row was retracted that is not there"));
        };
        self.live -= 1;
        if found.get().arrivals.len() == 1 {
            self.bytes -= found.get().bytes();
            found.remove();
        } else {
            found.get_mut().arrivals.pop_front();
        }
        Ok(())
    }

    /// Deletes by key; an upserting stream may delete what never came.
    fn delete(&mut self, keys: &Rows, row: usize) {
        let key = keys.row(row);
        let hash = hash_bytes(key.as_ref());
        if let Ok(found) = self.entries.find_entry(hash, |entry| entry.hash == hash && *entry.identity == *key.as_ref())
        {
            self.live -= 1;
            self.bytes -= found.get().bytes();
            found.remove();
        }
    }

    fn rows(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let mut left: Vec<(u64, &[u8])> = Vec::new();
        for entry in &self.entries {
            let row = entry.row.as_deref().unwrap_or(&entry.identity);
            left.extend(entry.arrivals.iter().map(|arrived| (*arrived, row)));
        }
        left.sort_unstable_by_key(|(arrived, _)| *arrived);
        let parser = self.rows.parser();
        let batches = left.chunks(BATCH_ROWS_DEFAULT).map(|chunk| {
            let columns = self.rows.convert_rows(chunk.iter().map(|(_, row)| parser.parse(row)))?;
            let columns = columns.iter().zip(schema.fields());
            // The encoding knows no dictionaries; any other type comes back as it went in.
            let columns = columns.map(|(column, field)| compute::cast(column, field.data_type()));
            Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
        });
        batches.collect()
    }
}
