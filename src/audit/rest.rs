//! What one log of a governor leaves to the next: where it has read to, its books, and what it has
//! read and could not write.
//!
//! ```text
//! L1  written by the logs so far + items = events before `next`, each once
//! L2  books = what is written;  room = events among the items
//! ```
//!
//! So the next log begins like a segment does, with who is there and what they hold, and goes on
//! with the first event that is in no log, and no event gives its room back twice.

use super::body::Body;
use super::books::Books;
use super::record::RECORD_WORDS;
use crate::core::events::Event;
use std::collections::VecDeque;

/// What waits to be appended, in order.
pub(super) enum Item {
    Words([u64; RECORD_WORDS]),
    Text(u8, u64, String),
}

impl Item {
    /// The event it is, if it is one.
    fn event(&self) -> Option<Event> {
        let Self::Words(words) = self else { return None };
        if let Body::Event(event) = Body::decode(0, words) { Some(event) } else { None }
    }
}

/// See the top of this file.
pub(crate) struct Rest {
    pub(super) books: Books,
    /// Events that have room and are not written.
    pub(super) room: u64,
    pub(super) items: VecDeque<Item>,
    /// The event that is read next.
    pub(super) next: u64,
}

impl Rest {
    /// Of a log that has read up to an event, with the books as of then. `unwritten` are the last
    /// records that it appended, `texts` the texts among them, and `items` those that followed.
    pub(super) fn new(
        mut books: Books,
        unwritten: Vec<[u64; RECORD_WORDS]>,
        texts: VecDeque<(u8, u64, String)>,
        items: VecDeque<Item>,
        next: u64,
    ) -> Self {
        let mut left = VecDeque::new();
        let mut last = None;
        for words in unwritten {
            match Body::decode(0, &words) {
                // Whole, even if a part of it is written.
                Body::Text(part) if last != Some((part.topic, part.id)) => {
                    last = Some((part.topic, part.id));
                    let same = |text: &&(u8, u64, String)| Some((text.0, text.1)) == last;
                    let text = texts.iter().find(same).cloned();
                    left.extend(text.map(|(topic, id, text)| Item::Text(topic, id, text)));
                }
                Body::Event(_) | Body::Gap { .. } | Body::Refused { .. } => {
                    left.push_back(Item::Words(words));
                }
                // The log's own, of which the next one has others.
                _ => {}
            }
        }
        left.extend(items);
        let events: Vec<Event> = left.iter().filter_map(Item::event).collect();
        events.iter().rev().for_each(|event| books.take_back(event));
        Self { books, room: events.len() as u64, items: left, next }
    }

    /// The books once the items are written.
    pub(super) fn books_after(&mut self) {
        self.items.iter().filter_map(Item::event).for_each(|event| self.books.add(&event));
    }
}
