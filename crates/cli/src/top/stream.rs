//! The stream of the server, event by event.
//!
//! ```text
//! event: snapshot | change       then one line `data: {...}`, then an empty line
//! ```
//!
//! An event has at most [`EVENT_BYTES_MAX`] bytes; kinds that nobody knows are passed over.

use std::io::{self, BufRead, BufReader, Read};

use super::known::{Columns, Told};

/// Most bytes of an event: some 300,000 tenants.
const EVENT_BYTES_MAX: u64 = 64 << 20;

/// What comes over one connection.
pub struct Stream<R> {
    reader: BufReader<R>,
    columns: Option<Columns>,
}

fn unsound(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl<R: Read> Stream<R> {
    /// From its beginning.
    pub fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), columns: None }
    }

    /// The next event that says something; waits for it.
    ///
    /// # Errors
    ///
    /// That the connection has ended, that it is not such a stream, or that an event is too long.
    pub fn next(&mut self) -> io::Result<Told> {
        loop {
            let (kind, data) = self.event()?;
            let told = match (&*kind, &self.columns) {
                ("snapshot", _) => Told::snapshot(&data).map(|(columns, told)| {
                    self.columns = Some(columns);
                    told
                }),
                ("change", Some(columns)) => Told::change(&data, columns),
                _ => continue,
            };
            return told.map_err(|error| unsound(format!("it speaks another language: {error}")));
        }
    }

    /// What stands after `event:`, and after `data:`.
    fn event(&mut self) -> io::Result<(String, Vec<u8>)> {
        let (mut kind, mut data) = (String::new(), Vec::new());
        let mut left_bytes = EVENT_BYTES_MAX;
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(left_bytes).read_until(b'\n', &mut line)?;
            left_bytes -= read as u64;
            if line.pop() != Some(b'\n') {
                return Err(if left_bytes == 0 {
                    unsound(format!("an event of more than {EVENT_BYTES_MAX} bytes"))
                } else {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the stream has ended")
                });
            }
            if line.is_empty() {
                return Ok((kind, data));
            }
            if let Some(name) = line.strip_prefix(b"event: ") {
                kind = String::from_utf8_lossy(name).into_owned();
            } else if let Some(text) = line.strip_prefix(b"data: ") {
                data.extend_from_slice(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::{CHANGE, SNAPSHOT};
    use super::*;

    fn frame(kind: &str, data: &str) -> String {
        format!("event: {kind}\ndata: {data}\n\n")
    }

    #[test]
    fn events_come_in_order_and_unknown_ones_are_passed_over() {
        let text = [
            ": a comment\n\n".to_string(),
            frame("weather", "{}"),
            // A change before a snapshot changes nothing.
            frame("change", CHANGE),
            frame("snapshot", SNAPSHOT),
            frame("change", CHANGE),
        ];
        let text = text.concat();
        let mut stream = Stream::new(text.as_bytes());
        assert!(matches!(stream.next().unwrap(), Told::Snapshot(_)));
        assert!(matches!(stream.next().unwrap(), Told::Change(_)));
        let end = stream.next().err().unwrap();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_such_stream_is_an_error() {
        for data in ["{", "[]", "{\"boot\": 7}", ""] {
            let text = frame("snapshot", data);
            let error = Stream::new(text.as_bytes()).next().err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{data}: {error}");
        }
        let without = SNAPSHOT.replace("\"fair_bytes\"", "\"fairness\"");
        let text = frame("snapshot", &without);
        let error = Stream::new(text.as_bytes()).next().err().unwrap();
        assert!(error.to_string().contains("fair_bytes"), "{error}");
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let endless = io::repeat(b'x');
        let error = Stream::new(endless).next().err().unwrap();
        assert!(error.to_string().contains("more than"), "{error}");
        // Many short lines are one event, too.
        struct Lines;
        impl Read for Lines {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                for (place, byte) in into.iter_mut().enumerate() {
                    *byte = if place % 2 == 0 { b'x' } else { b'\n' };
                }
                Ok(into.len() & !1)
            }
        }
        let error = Stream::new(Lines).next().err().unwrap();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
