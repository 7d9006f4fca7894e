//! Keys: made once, read back, never shown.

use super::*;

#[test]
fn a_key_is_made_once() {
    let scratch = Scratch::new();
    let file = scratch.0.join("key");
    let made = Key::generate(&file).unwrap();
    assert_eq!(Key::load(&file).unwrap().id(), made.id());
    assert_ne!(Key::generate(&scratch.0.join("other")).unwrap().id(), made.id());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!((text.len(), made.file()), (65, Some(&*file)));
    let error = Key::generate(&file).unwrap_err();
    assert!(error.to_string().contains("nothing is overwritten"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert!(!format!("{made:?}").contains(&text[..8]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn only_64_hex_digits_are_a_key() {
    let scratch = Scratch::new();
    let file = scratch.0.join("key");
    let digits = "0123456789abcdefABCDEF9876543210".repeat(2);
    for (text, is_key) in [
        (digits.clone(), true),
        (format!(" {digits}\r\n"), true),
        (digits[1..].to_string(), false),
        (format!("{digits}0"), false),
        (digits.replace('a', "g"), false),
        (digits.replace("ab", "é"), false),
        (format!("+{}", &digits[1..]), false),
        (String::new(), false),
    ] {
        std::fs::write(&file, &text).unwrap();
        assert_eq!(Key::load(&file).is_ok(), is_key, "{text:?}");
    }
    assert!(matches!(Key::load(&file), Err(AuditError::Key { .. })));
    let error = Key::load(&scratch.0.join("none")).unwrap_err();
    assert!(error.to_string().contains("check the path"), "{error}");
}

#[test]
fn another_key_is_told_from_tampering() {
    let scratch = Scratch::new();
    drop(scratch.open(small()));
    let other = Key::from_bytes(&[1; 32]);
    let text = verify(&scratch.log(), &other, None).unwrap_err().to_string();
    let says = |text: &str| {
        text.contains(&key().id().to_string()) && text.contains(&other.id().to_string())
    };
    assert!(says(&text), "{text}");
    let text = Journal::open(&scratch.log(), &other, small(), at(2)).unwrap_err().to_string();
    assert!(says(&text), "{text}");
    let error = Reader::open(&scratch.log(), Some(&other)).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, AuditError::WrongKey { .. }), "{error}");
}
