//! The last things that happened, as text that all listeners share.
//!
//! ```text
//! B1  what happens is numbered 0, 1, 2 ... in the order in which it was told; a frame that tells
//!     of a loss has the numbers of all that is lost, and goes by the last of them
//! B2  every batch has at least one frame and at most BATCH_BYTES_MAX bytes, or one frame
//! B3  bytes of all batches <= BOARD_BYTES_MAX: the oldest go first
//! B4  of each listener: what was given, passed over by its filter, and told to be lost = what has
//!     numbers between where it began and where it stands
//! ```
//!
//! One reader adds batches, and each listener takes them from where it stands: who is slow loses
//! what was dropped meanwhile, and holds up nobody. A batch is written once; listeners share its
//! bytes.

use allotment::TenantId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a batch that is given out at once.
pub const BATCH_BYTES_MAX: usize = 16 * 1024;
/// Bytes of text that are kept.
pub const BOARD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// When something was, as far as whoever comes later has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// An event of the governor: its number. Of a loss: that of the event after it.
    Position(u64),
    /// An alert: ns of the governor's clock.
    Time(u64),
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its number.
    pub number: u64,
    /// Where its text ends in that of its batch.
    pub end: u32,
    /// Its place in [`super::filter::Kinds`].
    pub kind: u8,
    /// The tenant it is about.
    pub tenant: Option<TenantId>,
    /// When it was.
    pub at: At,
}

/// Some frames, written once.
#[derive(Debug)]
pub struct Batch {
    /// The first number of the first frame.
    pub first: u64,
    /// The number after that of the last frame.
    pub end: u64,
    /// Their kinds, a bit each.
    pub kinds: u64,
    /// In their order.
    pub frames: Vec<Frame>,
    /// Their text.
    pub bytes: Bytes,
}

impl Batch {
    /// The index of the first frame that has this number or a later one.
    pub fn place_of(&self, number: u64) -> usize {
        self.frames.partition_point(|frame| frame.number < number)
    }

    /// The text of the frame at an index.
    pub fn text(&self, index: usize) -> Bytes {
        let begin = index.checked_sub(1).map_or(0, |before| self.frames[before].end as usize);
        self.bytes.slice(begin..self.frames[index].end as usize)
    }
}

/// What stands next for a listener.
#[derive(Debug)]
pub enum Next {
    /// So much is gone.
    Lost(u64),
    /// The batch that has the frame.
    Batch(Arc<Batch>),
    /// Nothing yet.
    Nothing,
}

/// The batches that are kept.
#[derive(Debug, Default)]
pub struct Board {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    next: u64,
}

impl Board {
    /// The number of what is told next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest that is kept.
    pub fn oldest(&self) -> u64 {
        self.batches.front().map_or(self.next, |batch| batch.first)
    }

    /// Adds a batch of at least one frame, which begins with the next number.
    pub fn add(&mut self, batch: Batch) {
        debug_assert_eq!((batch.first, batch.frames.is_empty()), (self.next, false));
        self.next = batch.end;
        self.bytes += batch.bytes.len();
        self.batches.push_back(Arc::new(batch));
        while self.bytes > BOARD_BYTES_MAX && self.batches.len() > 1 {
            let oldest = self.batches.pop_front().expect("there are two or more");
            self.bytes -= oldest.bytes.len();
        }
    }

    /// What a listener gets that stands at `cursor`, and moves it. Who has lost something goes on
    /// with the newest: who is too slow for all of it would only lose the same again.
    pub fn take(&self, cursor: &mut u64) -> Next {
        if *cursor >= self.next {
            return Next::Nothing;
        }
        if *cursor < self.oldest() {
            let goes_on = self.batches.back().map_or(self.next, |newest| newest.first);
            let lost = goes_on - *cursor;
            *cursor = goes_on;
            return Next::Lost(lost);
        }
        let after = self.batches.partition_point(|batch| batch.end <= *cursor);
        let batch = self.batches[after].clone();
        *cursor = batch.end;
        Next::Batch(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, frames: usize, bytes_each: usize) -> Batch {
        let frame = |n: usize| {
            let at = At::Position(first + n as u64);
            let (number, end) = (first + n as u64, ((n + 1) * bytes_each) as u32);
            Frame { number, end, kind: 0, tenant: None, at }
        };
        let (text, end) = (vec![b'x'; frames * bytes_each], first + frames as u64);
        let frames = (0..frames).map(frame).collect();
        Batch { first, end, kinds: 1, frames, bytes: text.into() }
    }

    #[test]
    fn frames_are_given_in_order_and_once() {
        let mut board = Board::default();
        let mut cursor = 0;
        assert!(matches!(board.take(&mut cursor), Next::Nothing));
        board.add(batch(0, 3, 10));
        board.add(batch(3, 1, 10));
        let mut given = Vec::new();
        while let Next::Batch(batch) = board.take(&mut cursor) {
            given.push((batch.first, batch.end));
        }
        assert_eq!((given, cursor), (vec![(0, 3), (3, 4)], 4));
        // Whoever stands within a batch gets it whole, and passes over what it has.
        let mut within = 1;
        assert!(matches!(board.take(&mut within), Next::Batch(batch) if batch.first == 0));
        assert_eq!(within, 3);
    }

    #[test]
    fn what_was_dropped_is_lost_to_whoever_has_not_taken_it() {
        let mut board = Board::default();
        let each = BATCH_BYTES_MAX / 4;
        let kept = (BOARD_BYTES_MAX / BATCH_BYTES_MAX) as u64;
        for n in 0..2 * kept {
            board.add(batch(4 * n, 4, each));
            assert!(board.bytes <= BOARD_BYTES_MAX);
        }
        assert_eq!((board.oldest(), board.next()), (4 * kept, 8 * kept));
        let mut slow = 7;
        let newest = 4 * (2 * kept - 1);
        assert!(matches!(board.take(&mut slow), Next::Lost(lost) if lost == newest - 7));
        assert!(matches!(board.take(&mut slow), Next::Batch(batch) if batch.first == newest));
        assert!(matches!(board.take(&mut slow), Next::Nothing));
        let mut in_time = 4 * kept;
        assert!(matches!(board.take(&mut in_time), Next::Batch(_)));
    }

    /// A loss that is dropped itself is as many as it told of.
    #[test]
    fn a_loss_has_the_numbers_of_what_was_lost() {
        let mut board = Board::default();
        let mut loss = batch(0, 2, BATCH_BYTES_MAX / 2);
        (loss.frames[0].number, loss.frames[1].number, loss.end) = (99, 100, 101);
        assert_eq!([0, 99, 100, 101].map(|number| loss.place_of(number)), [0, 0, 1, 2]);
        board.add(loss);
        let mut cursor = 0;
        while board.oldest() == 0 {
            board.add(batch(board.next(), 1, BATCH_BYTES_MAX));
        }
        let newest = board.next() - 1;
        assert!(matches!(board.take(&mut cursor), Next::Lost(lost) if lost == newest));
        assert!(newest > 100);
    }

    #[test]
    fn the_text_of_a_frame_is_its_own() {
        let text = Bytes::from_static(b"aabbbc");
        let ends = [2, 5, 6];
        let frame = |end| Frame { number: 0, end, kind: 0, tenant: None, at: At::Time(0) };
        let frames = ends.map(frame).to_vec();
        let batch = Batch { first: 0, end: 3, kinds: 1, frames, bytes: text };
        assert_eq!([0, 1, 2].map(|n| batch.text(n)), ["aa", "bbb", "c"]);
    }
}
