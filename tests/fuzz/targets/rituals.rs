//! Expressions and rules of strangers end, whatever they are, and what they cost is bounded.

#![no_main]

use glint::{Event, Name, Offset, Stamp};
use libfuzzer_sys::fuzz_target;
use sieve::filter::{Facts, Filter, Scope};

fuzz_target!(|input: &str| {
    if input.starts_with('[') {
        // Either rules or a list of problems, each with its line.
        if let Err(problems) = rites::read(input) {
            let lines = input.split('\n').count();
            assert!(!problems.0.is_empty());
            assert!(problems.0.iter().all(|problem| (1..=lines).contains(&problem.line)));
        }
        return;
    }
    let (expression, text) = input.split_once('\n').unwrap_or((input, "{}"));
    let Ok(filter) = Filter::compile(expression, Scope::Rule) else {
        return;
    };
    let event = Event {
        name: Name::GlintEmission,
        offset: Offset { epoch: 1, seq: 1 },
        topic_seq: 1,
        stamp: Stamp(0),
        id: Some("a".into()),
        repeats_id: false,
        source: Some("memory.scroll".into()),
        phase: None,
        text: text.into(),
    };
    let facts = Facts::new(&event, None);
    assert_eq!(filter.test(&facts), filter.test(&facts));
});
