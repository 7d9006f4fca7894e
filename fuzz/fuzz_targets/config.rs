//! The configuration file: any text is read, or refused with a message that names the file and a
//! line within it. What was read is written and read again as the same, and a governor is made of
//! it with everyone registered, or refuses with a message; nothing is held in it.

#![no_main]

use allotment::os::{Clock, ManualClock};
use allotment_config::{Setup, parse, write};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

/// What complaints call the file.
const NAME: &str = "allot.toml";
/// Tables of a governor that is made here, unless the file asks for larger ones.
const GRANTS_MAX: u32 = 1 << 12;

fuzz_target!(|text: &str| {
    match parse(text, Path::new(NAME)) {
        Ok(setup) => {
            is_written_and_read_again(&setup);
            becomes_a_governor(&setup);
        }
        Err(error) => names_a_line(&error.to_string(), text),
    }
});

fn is_written_and_read_again(setup: &Setup) {
    let text = write(setup);
    let again = parse(&text, Path::new(NAME)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again, *setup, "{text}");
    assert_eq!(write(&again), text);
}

fn becomes_a_governor(setup: &Setup) {
    let built = setup.build(Clock::Manual(ManualClock::new()), |config| {
        allotment::GovernorConfig { grants_max: config.grants_max.min(GRANTS_MAX), ..config }
    });
    let built = match built {
        Ok(built) => built,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let snapshot = built.governor.snapshot();
    assert_eq!(snapshot.capacity_bytes, setup.capacity_bytes);
    assert_eq!((snapshot.live_bytes, snapshot.tenants.len()), (0, setup.tenants.len()));
    assert!(snapshot.claimed_bytes <= setup.capacity_bytes);
    for (tenant, &handle) in setup.tenants.iter().zip(&built.tenants) {
        assert_eq!(built.governor.find(tenant.id), Some(handle), "{}", tenant.name);
        let usage = built.governor.usage(handle).unwrap();
        assert_eq!((&usage.name, usage.guarantee_bytes), (&tenant.name, tenant.guarantee_bytes));
    }
}

/// `allot.toml:LINE: what`, where the text has such a line; without one for what is missing.
fn names_a_line(message: &str, text: &str) {
    let rest = message.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(':'));
    let rest = rest.unwrap_or_else(|| panic!("names no file: {message}"));
    let line = rest.split_once(':').and_then(|(line, _)| line.parse::<usize>().ok());
    if let Some(line) = line {
        let lines = 1 + text.bytes().filter(|&byte| byte == b'\n').count();
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {message}");
    }
    assert!(rest.trim().len() > "1:".len(), "says nothing: {message}");
}
