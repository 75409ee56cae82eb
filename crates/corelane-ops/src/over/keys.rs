//! The keys of `PARTITION BY`, as dense ids that are used again once a key is forgotten.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Schema};
use arrow::row::{RowConverter, SortField};
use corelane_stream::{Error, Result, hash_columns};
use hashbrown::HashTable;

pub struct Keys {
    columns: Vec<usize>,
    encoding: Encoding,
    table: HashTable<(u64, u32)>,
    /// The encoded key of each id; `None` where the id is free.
    keys: Vec<Option<Box<[u8]>>>,
    free: Vec<u32>,
    hashes: Vec<u64>,
}

/// How a key becomes bytes.
enum Encoding {
    /// One string: a byte that says whether it is null, then itself. No detour by a row encoding.
    Text,
    Rows(RowConverter),
}

impl Keys {
    pub fn new(schema: &Schema, columns: Vec<usize>) -> Result<Self> {
        let types = columns.iter().map(|column| schema.field(*column).data_type().clone());
        let types: Vec<DataType> = types.collect();
        let encoding = if types == [DataType::Utf8View] {
            Encoding::Text
        } else {
            let fields = types.into_iter().map(SortField::new).collect();
            let converter = RowConverter::new(fields);
            Encoding::Rows(converter.map_err(|error| Error::invalid(format!("cannot partition by this: {error}")))?)
        };
        Ok(Keys { columns, encoding, table: HashTable::new(), keys: Vec::new(), free: Vec::new(), hashes: Vec::new() })
    }

    /// Ids are below this.
    pub fn bound(&self) -> usize {
        self.keys.len()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Finds the ids of all rows' keys; new keys get new ids.
    pub fn ids(&mut self, rows: &RecordBatch, ids: &mut Vec<u32>) -> Result<()> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|column| Arc::clone(rows.column(*column))).collect();
        self.ids_of(&columns, rows.num_rows(), ids)
    }

    /// Finds the ids of keys given as columns.
    pub fn ids_of(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        ids.clear();
        if columns.is_empty() {
            // One key for all rows, whose hash is that of nothing.
            if self.keys.is_empty() {
                self.insert(0, Box::default());
            }
            ids.resize(rows, 0);
            return Ok(());
        }
        let mut hashes = std::mem::take(&mut self.hashes);
        hash_columns(columns, rows, &mut hashes)?;
        match &self.encoding {
            Encoding::Text => {
                let texts = columns[0].as_string_view();
                for (row, hash) in hashes.iter().enumerate() {
                    let text = texts.is_valid(row).then(|| texts.value(row).as_bytes());
                    let found = self.table.find(*hash, |(known, id)| {
                        known == hash
                            && self.keys[*id as usize]
                                .as_deref()
                                .and_then(<[u8]>::split_first)
                                .is_some_and(|(valid, key)| text.map_or(*valid == 0, |text| *valid == 1 && key == text))
                    });
                    let id = match found {
                        Some((_, id)) => *id,
                        None => self.insert(*hash, text_key(text)),
                    };
                    ids.push(id);
                }
            }
            Encoding::Rows(converter) => {
                let encoded = converter.convert_columns(columns)?;
                for (row, hash) in hashes.iter().enumerate() {
                    let key = encoded.row(row);
                    let found = self.table.find(*hash, |(known, id)| {
                        known == hash && self.keys[*id as usize].as_deref() == Some(key.as_ref())
                    });
                    let id = match found {
                        Some((_, id)) => *id,
                        None => self.insert(*hash, key.as_ref().into()),
                    };
                    ids.push(id);
                }
            }
        }
        self.hashes = hashes;
        Ok(())
    }

    fn insert(&mut self, hash: u64, key: Box<[u8]>) -> u32 {
        let id = match self.free.pop() {
            Some(id) => {
                self.keys[id as usize] = Some(key);
                id
            }
            None => {
                self.keys.push(Some(key));
                self.keys.len() as u32 - 1
            }
        };
        self.table.insert_unique(hash, (hash, id), |(hash, _)| *hash);
        id
    }

    /// Forgets the keys of these ids.
    pub fn forget(&mut self, dead: impl Fn(u32) -> bool) -> Vec<u32> {
        let forgotten: Vec<u32> = self.table.extract_if(|(_, id)| dead(*id)).map(|(_, id)| id).collect();
        for id in &forgotten {
            self.keys[*id as usize] = None;
            self.free.push(*id);
        }
        forgotten
    }

    /// The ids in use, in order.
    pub fn live(&self) -> Vec<u32> {
        (0..self.keys.len() as u32).filter(|id| self.keys[*id as usize].is_some()).collect()
    }

    /// The key columns of these ids.
    pub fn columns_of(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ids.iter().map(|id| self.keys[*id as usize].as_deref().unwrap_or_default());
        match &self.encoding {
            Encoding::Text => {
                let texts: Result<Vec<Option<&str>>> = keys.map(text_of).collect();
                Ok(vec![Arc::new(StringViewArray::from(texts?))])
            }
            Encoding::Rows(converter) => {
                let parser = converter.parser();
                Ok(converter.convert_rows(keys.map(|key| parser.parse(key)))?)
            }
        }
    }
}

fn text_key(text: Option<&[u8]>) -> Box<[u8]> {
    match text {
        None => [0].into(),
        Some(text) => [&[1], text].concat().into(),
    }
}

fn text_of(key: &[u8]) -> Result<Option<&str>> {
    match key.split_first() {
        Some((1, text)) => {
            let text = str::from_utf8(text);
            Ok(Some(text.map_err(|_| Error::internal("the key of a partition is no text"))?))
        }
        _ => Ok(None),
    }
}
