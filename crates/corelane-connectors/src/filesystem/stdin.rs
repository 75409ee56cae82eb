//! Standard input: read by a thread of its own, since a pipe may be silent for as long as it likes
//! and a worker never waits.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Waker;
use std::thread;

use corelane_stream::{Error, Result};

use super::text::{Compression, decompress};

/// Chunks read ahead of the worker; then the pipe's writer has to wait.
const CHUNKS_AHEAD_MAX: usize = 4;
const CHUNK_BYTES: usize = 64 << 10;

/// The worker's end.
pub(crate) struct StdinReader {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    begin: usize,
}

impl StdinReader {
    /// Starts the reading thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(waker: Waker) -> Result<Self> {
        StdinReader::start_from(io::stdin(), waker)
    }

    fn start_from(input: impl Read + Send + 'static, waker: Waker) -> Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD_MAX);
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                read_all(input, &sender, &waker);
                drop(sender);
                waker.wake();
            })
            .map_err(|error| Error::io(format!("cannot start the thread that reads standard input: {error}")))?;
        Ok(StdinReader { chunks, chunk: vec![], begin: 0 })
    }

    /// Reads what has come: 0 at the end, `None` if nothing has come since.
    ///
    /// # Errors
    /// If standard input cannot be read or decompressed.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        if self.begin == self.chunk.len() {
            self.chunk = match self.chunks.try_recv() {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => return Err(Error::io(format!("cannot read standard input: {error}"))),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Ok(Some(0)),
            };
            self.begin = 0;
        }
        let len = buffer.len().min(self.chunk.len() - self.begin);
        buffer[..len].copy_from_slice(&self.chunk[self.begin..self.begin + len]);
        self.begin += len;
        Ok(Some(len))
    }
}

fn read_all(input: impl Read + 'static, sender: &SyncSender<io::Result<Vec<u8>>>, waker: &Waker) {
    let send = |chunk| {
        let sent = sender.send(chunk).is_ok();
        waker.wake_by_ref();
        sent
    };
    let mut input = BufReader::with_capacity(CHUNK_BYTES, input);
    let opened = input.fill_buf().map(Compression::of_magic).and_then(|compression| decompress(input, compression));
    let mut input = match opened {
        Ok(input) => input,
        Err(error) => {
            send(Err(error));
            return;
        }
    };
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => {
                chunk.truncate(len);
                if !send(Ok(chunk)) {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                send(Err(error));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read_everything(mut reader: StdinReader) -> Result<Vec<u8>> {
        let mut text = vec![];
        let mut buffer = [0; 1000];
        loop {
            match reader.read(&mut buffer)? {
                Some(0) => return Ok(text),
                Some(len) => text.extend_from_slice(&buffer[..len]),
                None => thread::yield_now(),
            }
        }
    }

    #[test]
    fn compressed_input_is_read_like_plain_input() {
        let plain: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let zipped = zstd::encode_all(plain.as_slice(), 1).expect("compresses");
        for input in [plain.clone(), zipped] {
            let reader = StdinReader::start_from(Cursor::new(input), Waker::noop().clone()).expect("starts");
            assert_eq!(read_everything(reader).expect("reads"), plain);
        }
    }
}
