//! The ring between two workers: bounded, in order, one producer and one consumer.
//!
//! One ring for each edge and ordered pair of workers, so that an input held for barrier
//! alignment blocks no other edge. A full ring stops its producer: this is all our back-pressure.
//! The producer leaves a note that it wants room; the consumer reads the note after each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use corelane_stream::{StreamElement, Watermark};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use crossbeam_utils::CachePadded;

use crate::doorbell::Doorbell;

/// An element on its way, with the times that latency is measured by.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub element: StreamElement,
    /// When the oldest of its rows left its source.
    pub origin_ns: u64,
    /// When it entered the ring; 0 if it never left its worker.
    pub sent_ns: u64,
    /// A watermark that has already passed rows behind it: those must not come before it.
    pub firm: bool,
}

impl Envelope {
    pub fn new(element: StreamElement, origin_ns: u64) -> Envelope {
        Envelope { element, origin_ns, sent_ns: 0, firm: false }
    }

    pub fn watermark(watermark: Watermark, origin_ns: u64, firm: bool) -> Envelope {
        Envelope { firm, ..Envelope::new(StreamElement::Watermark(watermark), origin_ns) }
    }
}

#[derive(Debug)]
pub struct RingSender {
    channel: Sender<Envelope>,
    wants_room: Arc<CachePadded<AtomicBool>>,
    consumer: Arc<Doorbell>,
}

#[derive(Debug)]
pub struct RingReceiver {
    channel: Receiver<Envelope>,
    wants_room: Arc<CachePadded<AtomicBool>>,
    producer: Arc<Doorbell>,
}

/// Makes a ring of `slots` elements between two workers.
pub fn ring(slots: usize, producer: &Arc<Doorbell>, consumer: &Arc<Doorbell>) -> (RingSender, RingReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(slots);
    let wants_room = Arc::new(CachePadded::new(AtomicBool::new(false)));
    (
        RingSender { channel: sender, wants_room: wants_room.clone(), consumer: consumer.clone() },
        RingReceiver { channel: receiver, wants_room, producer: producer.clone() },
    )
}

impl RingSender {
    /// Sends, and says how many elements the ring now holds; gives the envelope back if it is full.
    pub fn send(&self, envelope: Envelope) -> Result<usize, Box<Envelope>> {
        match self.channel.try_send(envelope) {
            Ok(()) => {
                self.consumer.ring();
                Ok(self.channel.len())
            }
            Err(TrySendError::Full(envelope)) => {
                self.wants_room.store(true, Ordering::Relaxed);
                Err(Box::new(envelope))
            }
            // The consumer is gone: the job is stopping, and nobody wants the element.
            Err(TrySendError::Disconnected(_)) => Ok(0),
        }
    }
}

impl RingReceiver {
    pub fn is_ready(&self) -> bool {
        !self.channel.is_empty()
    }

    pub fn receive(&self) -> Option<Envelope> {
        let envelope = self.channel.try_recv().ok()?;
        fence(Ordering::SeqCst);
        if self.wants_room.load(Ordering::Relaxed) && self.wants_room.swap(false, Ordering::AcqRel) {
            self.producer.ring();
        }
        Some(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_wakes_its_producer_when_it_has_room() {
        let (producer, consumer) = (Arc::new(Doorbell::default()), Arc::new(Doorbell::default()));
        let (sender, receiver) = ring(1, &producer, &consumer);
        let envelope = Envelope::new(StreamElement::Watermark(Watermark(1)), 0);
        assert!(sender.send(envelope.clone()).is_ok());
        assert!(sender.send(envelope.clone()).is_err());
        producer.begin_sleep();
        assert!(receiver.receive().is_some());
        assert!(!producer.is_sleeping());
        assert!(sender.send(envelope).is_ok());
    }
}
