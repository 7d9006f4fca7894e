//! What a record says survives encoding, and what is not understood is kept.

use super::*;
use allotment::{Event, EventKind};
use proptest::prelude::*;

fn any_body() -> impl Strategy<Value = Body> {
    let numbers = any::<[u64; 5]>();
    (0..10u8, numbers, any::<[u8; 32]>(), any::<u32>(), any::<u8>()).prop_map(
        |(kind, [clock_ns, a, b, c, d], mac, account, byte)| match kind {
            0 => Body::Opened { clock_ns, unix_ns: a },
            1 => Body::Checkpoint { clock_ns, unix_ns: a, mac },
            2 => Body::Seal { clock_ns, unix_ns: a, mac },
            3 => Body::Gap { clock_ns, first: a, count: b },
            4 => Body::Refused { from_ns: a, to_ns: clock_ns, requests: b, bytes: c },
            5 => Body::Balance { clock_ns, account, allocation_type: byte, bytes: a, grants: b },
            6 => TextPart::cut(byte, a, &"é".repeat(usize::from(mac[0]))).next().unwrap().into(),
            7 => Body::Retired { clock_ns, sequence: a, segment: b },
            8 => {
                let digest = u128::from(c) << 64 | u128::from(d);
                Body::Recovered { clock_ns, segment: a, file_bytes: b, whole_bytes: c, digest }
            }
            _ => {
                let kind = EventKind::ALL[usize::from(byte) % EventKind::ALL.len()];
                let event = Event { sequence: 9, account, bytes: a, ..Event::new(kind, clock_ns) };
                Body::Event(event)
            }
        },
    )
}

proptest! {
    #[test]
    fn bodies_come_back(body in any_body()) {
        prop_assert_eq!(Body::decode(9, &body.encode()), body);
    }

    #[test]
    fn words_come_back(mut words in any::<[u64; RECORD_WORDS]>(), kind: u8, is_plain: bool) {
        let above = if is_plain { 0 } else { words[1] & !0xff };
        words[1] = above | u64::from(kind);
        prop_assert_eq!(Body::decode(9, &words).encode(), words);
    }
}

#[test]
fn kinds_of_later_versions_are_unknown_and_proved() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    let later = [[1, 120, 2, 3, 4, 5, 6], [1, 255, 2, 3, 4, 5, 6], [1, 131, 0, 0, 0, 0, 1]];
    for words in &later {
        journal.append(words).unwrap();
    }
    journal.flush().unwrap();
    for (record, words) in records(&scratch.log())[1..].iter().zip(later) {
        assert_eq!(record.body(), Body::Unknown(words));
        assert_eq!(u64::from(record.kind()), words[1]);
    }
    assert!(verify(&scratch.log(), &key(), None).unwrap().is_intact());
}

#[test]
fn only_the_journal_signs() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    for kind in [129, 130, 135, 136] {
        let refused = journal.append(&[0, kind, 0, 0, 0, 0, 0]);
        assert_eq!(refused, Err(NotAppended::Reserved { kind: kind as u8 }));
    }
    assert_eq!(journal.sequence(), 1);
}
