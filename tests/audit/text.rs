//! Texts: cut and put together again.

use super::*;

#[test]
fn texts_of_every_length_come_back() {
    let mut texts = Texts::default();
    let long = "äöü: ".repeat(TEXT_BYTES_MAX);
    let lengths = (0..200).chain([TEXT_BYTES_MAX - 1, TEXT_BYTES_MAX]);
    for length in lengths {
        let text = &long[..long.floor_char_boundary(length)];
        let parts: Vec<_> = TextPart::cut(3, length as u64, text).collect();
        assert_eq!(parts.len(), text.len().div_ceil(TEXT_PART_BYTES).max(1));
        let whole: Vec<_> = parts.iter().filter_map(|part| texts.push(part)).collect();
        assert_eq!(whole, [(3, length as u64, text.to_string())]);
    }
    let cut: Vec<_> = TextPart::cut(3, 1, &long).filter_map(|part| texts.push(&part)).collect();
    assert_eq!(cut[0].2, long[..long.floor_char_boundary(TEXT_BYTES_MAX)]);
}

#[test]
fn parts_without_their_beginning_are_dropped() {
    let mut texts = Texts::default();
    let parts = |id| TextPart::cut(1, id, "more than forty bytes, so that there are two of it");
    assert!(parts(1).skip(1).all(|part| texts.push(&part).is_none()));
    // Of two texts that are mixed none is whole.
    let [first, second] = [1, 2].map(|id| parts(id).next().unwrap());
    let rest = parts(1).nth(1).unwrap();
    assert!([first, second, rest].iter().all(|part| texts.push(part).is_none()));
    assert_eq!(parts(3).filter_map(|part| texts.push(&part)).count(), 1);
}

#[test]
fn a_text_goes_in_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(JournalOptions { buffer_records_max: 2_048, ..small() });
    let text = "x".repeat(TEXT_BYTES_MAX);
    let error = journal.append_text(1, 1, &format!("{text}y")).unwrap_err();
    assert!(error.to_string().contains("65537 bytes; the log takes up to 65536"), "{error}");
    let last = journal.append_text(1, 1, &text).unwrap();
    let error = journal.append_text(1, 2, &text).unwrap_err();
    assert!(matches!(error, AuditError::NotAppended(NotAppended::Full { .. })), "{error}");
    assert_eq!(journal.sequence(), last);
    journal.flush().unwrap();
    journal.append_text(1, 2, &text).unwrap();
    journal.flush().unwrap();
    let mut texts = Texts::default();
    let bodies = records(&scratch.log()).into_iter().map(|record| record.body());
    let whole = bodies.filter_map(|body| match body {
        Body::Text(part) => texts.push(&part),
        _ => None,
    });
    assert_eq!(whole.collect::<Vec<_>>(), [(1, 1, text.clone()), (1, 2, text)]);
}
