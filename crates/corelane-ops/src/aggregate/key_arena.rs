//! The bytes of long keys.
//!
//! They lie in blocks, so that the arena grows without moving what it holds, and a block whose
//! keys have all gone is freed: the keys of a closed window, which came together, go together.

use super::key_column::long_word;

/// Bytes of a block; a longer string has a block to itself.
const BLOCK_BYTES: usize = 1 << 18;

#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    dead: usize,
}

/// Strings by words: the length in the low 32 bits, the block in the top 32 and the offset below.
#[derive(Default)]
pub struct KeyArena {
    blocks: Vec<Block>,
    /// The block that is being filled, if there is any.
    last: usize,
    /// Blocks without bytes.
    free: Vec<usize>,
    bytes: usize,
    dead: usize,
}

impl KeyArena {
    /// Keeps a string; gives its word.
    pub fn push(&mut self, word: u128, bytes: &[u8]) -> u128 {
        let room = |block: &Block| block.bytes.len() + bytes.len() <= BLOCK_BYTES;
        if !self.blocks.get(self.last).is_some_and(room) {
            self.last = self.free.pop().unwrap_or(self.blocks.len());
            if self.last == self.blocks.len() {
                self.blocks.push(Block::default());
            }
            self.blocks[self.last].bytes = Vec::with_capacity(bytes.len().max(BLOCK_BYTES));
        }
        let number = self.last;
        let block = &mut self.blocks[number];
        let offset = block.bytes.len() as u64;
        block.bytes.extend_from_slice(bytes);
        self.bytes += bytes.len();
        long_word(word, (number as u64) << 32 | offset)
    }

    pub fn bytes(&self, word: u128) -> &[u8] {
        let block = &self.blocks[(word >> 96) as usize];
        &block.bytes[(word >> 64) as u32 as usize..][..word as u32 as usize]
    }

    /// A string is needed no more.
    pub fn remove(&mut self, word: u128) {
        let (number, length) = ((word >> 96) as usize, word as u32 as usize);
        let block = &mut self.blocks[number];
        block.dead += length;
        self.dead += length;
        if block.dead == block.bytes.len() && number != self.last {
            self.bytes -= block.dead;
            self.dead -= block.dead;
            *block = Block::default();
            self.free.push(number);
        }
    }

    /// True if most of it is dead, so that moving the rest pays.
    pub fn wants_packing(&self) -> bool {
        self.dead > (4 * BLOCK_BYTES).max(self.bytes / 2)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_freed_with_their_last_string() {
        let mut arena = KeyArena::default();
        let text = vec![b'x'; BLOCK_BYTES / 2];
        let words: Vec<u128> = (0..5).map(|_| arena.push(text.len() as u128, &text)).collect();
        let held = arena.held();
        arena.remove(words[0]);
        assert_eq!(arena.held(), held);
        arena.remove(words[1]);
        assert_eq!(arena.held(), held - BLOCK_BYTES);
        assert_eq!(arena.bytes(words[4]), text);
    }
}
