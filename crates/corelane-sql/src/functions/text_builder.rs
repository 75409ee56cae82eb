//! Builds a `Utf8View` column: copies new text into one block, shares the bytes of old text.
//!
//! Arrow's own builder cannot repeat the last view or point into an input's buffers without
//! looking each value up again; both are what makes `DATE_FORMAT` and `SPLIT_INDEX` cheap.

use std::sync::Arc;

use arrow::array::{ArrayRef, ByteView, NullBufferBuilder, StringViewArray, make_view};
use arrow::buffer::{Buffer, ScalarBuffer};

/// Bytes after which a new block starts: a view's offset is 31 bits wide.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// The longest text that a view holds itself.
const INLINE_BYTES_MAX: usize = 12;

pub(super) struct TextBuilder {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    blocks: Vec<Buffer>,
    open: Vec<u8>,
    shares: bool,
}

impl TextBuilder {
    pub fn new(rows: usize) -> Self {
        TextBuilder {
            views: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
            blocks: Vec::new(),
            open: Vec::new(),
            shares: false,
        }
    }

    /// A builder whose texts may be parts of those in `source`.
    pub fn over(rows: usize, source: &StringViewArray) -> Self {
        let mut builder = TextBuilder::new(rows);
        builder.blocks = source.data_buffers().to_vec();
        builder
    }

    pub fn append_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    pub fn append(&mut self, text: &str) {
        let view = self.store(text);
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// Appends the text of a view that this builder's blocks hold.
    pub fn append_view(&mut self, view: u128) {
        self.shares |= INLINE_BYTES_MAX < view as u32 as usize;
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// Appends the text that was appended last; it must not have been null.
    pub fn append_again(&mut self) {
        let view = *self.views.last().expect("a text came before");
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// Appends `part`, a slice of `whole`, whose view in the source is `view`. A slice of another
    /// text, such as a literal, is copied.
    pub fn append_part(&mut self, view: u128, whole: &str, part: &str) {
        let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let within = offset <= whole.len() && part.len() <= whole.len() - offset;
        if part.len() <= INLINE_BYTES_MAX || !within {
            return self.append(part);
        }
        let view = ByteView::from(view);
        let part_offset = view.offset + offset as u32;
        self.append_view(make_view(part.as_bytes(), view.buffer_index, part_offset));
    }

    fn store(&mut self, text: &str) -> u128 {
        if text.len() <= INLINE_BYTES_MAX {
            return make_view(text.as_bytes(), 0, 0);
        }
        if BLOCK_BYTES_MAX < self.open.len() + text.len() && !self.open.is_empty() {
            self.blocks.push(std::mem::take(&mut self.open).into());
        }
        let offset = self.open.len();
        self.open.extend_from_slice(text.as_bytes());
        make_view(text.as_bytes(), self.blocks.len() as u32, offset as u32)
    }

    pub fn finish(mut self) -> ArrayRef {
        if !self.open.is_empty() {
            self.blocks.push(self.open.into());
        } else if !self.shares {
            // Every text is inline: the source's buffers can go.
            self.blocks.clear();
        }
        let (views, nulls) = (ScalarBuffer::from(self.views), self.nulls.finish());
        // SAFETY: every view came from `make_view` over a `str`, with the block and offset where
        // those very bytes lie, and blocks keep their index until here.
        let array = unsafe { StringViewArray::new_unchecked(views, Arc::from(self.blocks), nulls) };
        Arc::new(array)
    }
}
