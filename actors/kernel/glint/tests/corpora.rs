//! Real glints, recorded at a real installation. They are not ours to keep here: `GLINTCAST_FIXTURES` names a directory
//! that has them under `corpora/`. What is in them was counted with other tools.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

use glint::Draft;
use glint::json;
use uuid::Uuid;

const MAX_BYTES: usize = 64 * 1024;

/// Returns the lines of a corpus that are not blank, or says loudly that there are none.
fn lines(name: &str) -> Option<Vec<String>> {
    let Some(fixtures) = std::env::var_os("GLINTCAST_FIXTURES") else {
        // Not `eprintln!`: the test harness would keep that to itself.
        let skipped =
            format!("SKIPPED: GLINTCAST_FIXTURES is not set, so no glint of {name} was read\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return None;
    };
    let path = PathBuf::from(fixtures).join("corpora").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{path:?}: {err}"));
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    Some(lines.map(str::to_owned).collect())
}

/// What became of a corpus.
#[derive(Default)]
struct Census {
    drafts: Vec<Draft>,
    malformed: usize,
}

impl Census {
    fn with_id(&self) -> usize {
        self.drafts.iter().filter(|draft| !draft.minted).count()
    }

    fn with_phase(&self, phase: &str) -> usize {
        let phases = self.drafts.iter().map(|draft| draft.phase.as_deref());
        phases.filter(|have| *have == Some(phase)).count()
    }

    /// How often each id occurs that was there.
    fn ids(&self) -> HashMap<&str, usize> {
        let mut ids = HashMap::new();
        for draft in self.drafts.iter().filter(|draft| !draft.minted) {
            *ids.entry(&*draft.id).or_default() += 1;
        }
        ids
    }
}

/// Reads every line as a glint, and again by a reader that is not ours: both must take the same lines for the same
/// values.
fn read(name: &str) -> Option<Census> {
    let mut census = Census::default();
    for (nth, line) in lines(name)?.iter().enumerate() {
        let fresh = Uuid::from_u128(nth as u128);
        let draft = Draft::read(line.as_bytes(), MAX_BYTES, fresh);
        let Ok(other) = serde_json::from_str::<serde_json::Value>(line) else {
            assert!(draft.is_err(), "{name}, record {nth}: {draft:?}");
            census.malformed += 1;
            continue;
        };
        let draft = draft.unwrap_or_else(|err| panic!("{name}, record {nth}: {err}"));
        let stored: serde_json::Value = serde_json::from_str(&draft.text).unwrap();
        // As text, because equal objects of that reader may differ in the order of their members.
        assert_eq!(
            stored.to_string(),
            other.to_string(),
            "{name}, record {nth}"
        );
        assert_eq!(json::parse(&draft.text), json::parse(line));
        assert!(draft.text.is_ascii() && !draft.text.contains(['\n', '\r']));
        assert_eq!(draft.minted, *draft.id == fresh.to_string());
        census.drafts.push(draft);
    }
    Some(census)
}

#[test]
fn takes_the_main_corpus_with_its_storm() {
    let Some(census) = read("patternweb.jsonl") else {
        return;
    };
    assert_eq!((census.drafts.len(), census.malformed), (12_350, 0));
    assert_eq!(census.with_id(), 975 + 3);
    // Three records are one and the same, byte for byte.
    assert_eq!(census.ids().len(), 975 + 3 - 2);
    assert_eq!(census.with_phase("error"), 6_108);
    assert_eq!(census.with_phase("silence"), 5_256);
    let stormy = |draft: &Draft| matches!(draft.phase.as_deref(), Some("error" | "silence"));
    let storm = &census.drafts[37..11_409];
    assert_eq!(storm.iter().filter(|draft| stormy(draft)).count(), 11_364);
    assert!(census.drafts.iter().all(|draft| draft.text.len() < 2_000));
}

#[test]
fn takes_dotted_glints_whose_ids_collide() {
    let Some(census) = read("spiral_glints.jsonl") else {
        return;
    };
    assert_eq!((census.drafts.len(), census.malformed), (306, 0));
    assert_eq!(census.with_id(), 306);
    let ids = census.ids();
    assert_eq!(306 - ids.len(), 25);
    assert_eq!(ids.values().filter(|count| **count == 3).count(), 2);
    assert!(census.drafts.iter().all(|draft| draft.source.is_some()));
    assert!(census.with_phase("hold.recognition") > 0);
}

#[test]
fn takes_glints_without_ids_and_keeps_the_case_of_phases() {
    let Some(census) = read("breath_glints.jsonl") else {
        return;
    };
    assert_eq!((census.drafts.len(), census.malformed), (172, 0));
    assert_eq!(census.with_id(), 0);
    assert_eq!(
        (census.with_phase("Hold"), census.with_phase("Inhale")),
        (102, 58)
    );
}

#[test]
fn takes_ids_that_count_from_one() {
    let Some(census) = read("colliding_ids.jsonl") else {
        return;
    };
    assert_eq!((census.drafts.len(), census.malformed), (50, 0));
    let ids = census.ids();
    assert!((1..=50).all(|number| ids.contains_key(format!("glint-{number}").as_str())));
}
