//! A sink for one reply of bounded length.

use crate::command::{Mark, ReplySink};
use crate::conn::Recorder;
use crate::store::Item;
use crate::watch::Event;

/// The reply to one request. It is full when it exceeds its bound. The caller then drops it.
pub(super) struct BoundedReply<'r> {
    text: &'r mut Vec<u8>,
    end_max: usize,
    /// Whether a value was left out, because it did not fit.
    lacks_value: bool,
    /// Where events go, while a client watches.
    watch: Option<&'r Recorder>,
}

impl<'r> BoundedReply<'r> {
    /// An empty reply at the end of `text`, of at most `len_max` bytes.
    pub(super) const fn new(text: &'r mut Vec<u8>, len_max: usize, watch: Option<&'r Recorder>) -> Self {
        let end_max = text.len().saturating_add(len_max);
        Self { text, end_max, lacks_value: false, watch }
    }

    /// Whether it is longer than it may be.
    pub(super) const fn is_too_long(&self) -> bool {
        self.lacks_value || self.text.len() > self.end_max
    }
}

impl<I: Item> ReplySink<I> for BoundedReply<'_> {
    fn text(&mut self) -> &mut Vec<u8> {
        self.text
    }

    fn value(&mut self, item: I) {
        if self.text.len() + item.value_len() as usize > self.end_max {
            self.lacks_value = true;
        } else {
            ReplySink::<I>::value(self.text, item);
        }
    }

    fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    fn note(&mut self, event: Event, subject: &[u8]) {
        if let Some(recorder) = self.watch {
            recorder.hub.note(&recorder.ring, event, subject);
        }
    }

    fn is_full(&self) -> bool {
        self.is_too_long()
    }

    fn mark(&mut self) -> Mark {
        Mark { text: self.text.len(), values: 0 }
    }

    fn rollback(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
    }
}
