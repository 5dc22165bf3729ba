//! What a source is said to be, and what the gate does with it.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod support;

use coherence::{
    Carrier, Change, Condition, Contract, Engine, Expect, Limits, Mode, Overlay, Reason, Verdict,
};
use support::{Chance, MINUTE, params};

/// An engine, and the time it has come to.
struct House {
    engine: Engine,
    said: Vec<(String, Change)>,
    now: i64,
}

impl House {
    fn new(sources: usize) -> House {
        let limits = Limits {
            sources,
            contracts: 4,
        };
        House {
            engine: Engine::new(params(64), limits),
            said: Vec::new(),
            now: 0,
        }
    }

    /// Lets seconds pass up to `at`.
    fn until(&mut self, at: i64) {
        while self.now + 1_000_000 <= at {
            self.now += 1_000_000;
            let changes = self.engine.tick(self.now);
            self.said.extend(
                changes
                    .into_iter()
                    .map(|(name, change)| (name.into(), change)),
            );
        }
    }

    fn hear(&mut self, name: &str, at: i64) {
        self.until(at);
        let noted = self.engine.note(name, at);
        self.said.extend(
            noted
                .changes
                .into_iter()
                .map(|change| (name.to_owned(), change)),
        );
    }

    /// One event in each of `cycles` from `from` on, `second` seconds into it.
    fn beat(&mut self, name: &str, from: i64, cycles: i64, second: i64) {
        for cycle in from..from + cycles {
            self.hear(name, cycle * MINUTE + second * 1_000_000);
        }
    }

    /// What was said of a source since the last time, in short.
    fn words(&mut self, name: &str) -> Vec<(&'static str, &'static str, Reason)> {
        let said = std::mem::take(&mut self.said).into_iter();
        let mine = said.filter(|(whom, _)| whom == name);
        mine.map(|(_, change)| (change.what, change.to, change.reason))
            .collect()
    }

    fn condition(&self, name: &str) -> Condition {
        self.engine.get(name).expect(name).standing.condition()
    }

    fn verdict(&self, name: &str) -> Verdict {
        self.engine.get(name).expect(name).standing.verdict()
    }

    fn contract(&mut self, name: &str, expect: Expect, mode: Mode) {
        self.engine
            .set_contract(name, Contract { expect, mode })
            .expect("contract");
    }
}

#[test]
fn a_source_that_keeps_time_is_said_to_once() {
    let mut house = House::new(10);
    house.beat("cron", 0, 9, 6);
    assert_eq!(house.condition("cron"), Condition::Nascent);
    house.beat("cron", 9, 30, 6);
    assert_eq!(house.condition("cron"), Condition::Coherent);
    assert_eq!(
        house.words("cron"),
        [("collapse", "collapsed", Reason::Evidence)]
    );
    let (order, count) = house.engine.order();
    assert!(order.is_some_and(|order| order > 1.0 - 1e-12) && count == 1);
}

#[test]
fn a_source_that_moves_is_said_to_drift_with_how_far() {
    let mut house = House::new(10);
    house.beat("cron", 0, 64, 6);
    house.words("cron");
    house.beat("cron", 64, 1, 21);
    let drift = house
        .said
        .iter()
        .find(|(_, change)| change.what == "drift")
        .expect("drift")
        .1;
    let numbers = drift.numbers;
    assert!(
        numbers.sync.delta_vector > 0.2 && numbers.tolerance == 0.1,
        "{numbers:?}"
    );
    // The Emissary is ahead: part of the 15 seconds that it moved.
    assert!(
        (1_000_000..15_000_000).contains(&numbers.moved_us),
        "{}",
        numbers.moved_us
    );
    // A drift does not widen its own tolerance.
    house.beat("cron", 65, 3, 21);
    let row = house.engine.get("cron").expect("cron");
    assert_eq!(row.standing.tolerance(row.params), 0.1);
    assert_eq!(house.condition("cron"), Condition::Incoherent);
}

#[test]
fn a_drift_that_ends_is_over_with_the_cycle() {
    let mut house = House::new(10);
    house.beat("cron", 0, 64, 6);
    house.beat("cron", 64, 1, 9);
    assert_eq!(
        house.condition("cron"),
        Condition::Coherent,
        "three seconds are within the tolerance"
    );
    house.beat("cron", 65, 2, 14);
    assert_ne!(house.condition("cron"), Condition::Coherent);
    house.beat("cron", 67, 30, 6);
    assert_eq!(house.condition("cron"), Condition::Coherent);
    assert!(
        house
            .words("cron")
            .contains(&("recover", "coherent", Reason::Aligned))
    );
}

#[test]
fn silence_ends_a_collapse_by_time_alone_and_is_said_before() {
    let mut house = House::new(10);
    house.beat("cron", 0, 40, 10);
    house.words("cron");
    house.until(42 * MINUTE);
    assert_eq!(
        house.words("cron"),
        [("silence", "silent", Reason::Overdue)]
    );
    house.until(85 * MINUTE);
    assert_eq!(house.words("cron"), [("release", "open", Reason::Dormant)]);
    let standing = house.engine.get("cron").expect("cron").standing;
    assert!(standing.has(Overlay::Dormant) && !standing.is_collapsed());
    house.hear("cron", 85 * MINUTE + 10_000_000);
    assert_eq!(house.words("cron"), [("recover", "heard", Reason::Heard)]);
    assert_eq!(
        house.condition("cron"),
        Condition::Nascent,
        "whoever comes back is not held guilty"
    );
}

#[test]
fn a_source_without_a_rhythm_is_never_called_silent() {
    let (mut house, mut chance, mut at) = (House::new(10), Chance(7), 0.0);
    for _ in 0..500 {
        at += chance.exponential() * 20e6;
        house.hear("person", at as i64);
    }
    house.until(at as i64 + 20 * MINUTE);
    assert!(
        !house
            .words("person")
            .iter()
            .any(|(what, ..)| *what == "silence")
    );
}

#[test]
fn a_flood_does_not_make_or_move_a_collapse() {
    let mut house = House::new(10);
    for n in 0..10_000 {
        house.hear("flood", 1_000_000_000 + n * 5);
    }
    assert_eq!(house.condition("flood"), Condition::Nascent);
    house.beat("cron", 0, 64, 6);
    house.words("cron");
    for n in 0..10_000 {
        house.hear("cron", 63 * MINUTE + 36_000_000 + n * 5);
    }
    let row = house.engine.get("cron").expect("cron");
    assert!(row.standing.is_collapsed());
    assert!(
        (row.source.master(row.params, row.source.at_us()).t.arg() - 0.628_318_530_717_958_6).abs()
            < 1e-9
    );
    let words = house.words("cron");
    assert!(
        words.contains(&("burst", "bursting", Reason::Excess)),
        "{words:?}"
    );
    house.until(65 * MINUTE);
    assert!(
        house
            .words("cron")
            .contains(&("recover", "calm", Reason::Calm))
    );
}

#[test]
fn a_broken_promise_is_answered_as_its_mode_says_and_forgiven_after_three_good_cycles() {
    for (mode, verdict) in [
        (Mode::Observe, Verdict::Pass),
        (Mode::Flag, Verdict::Flag),
        (Mode::Quarantine, Verdict::Quarantine),
        (Mode::Dissipate, Verdict::Dissipate),
    ] {
        let mut house = House::new(10);
        house.contract(
            "cron",
            Expect::Locked {
                carrier: None,
                arc: None,
            },
            mode,
        );
        house.beat("cron", 0, 64, 6);
        assert_eq!(house.verdict("cron"), Verdict::Pass);
        house.words("cron");
        house.beat("cron", 64, 4, 36);
        assert_eq!(house.verdict("cron"), verdict, "{mode:?}");
        let broken = house
            .words("cron")
            .iter()
            .filter(|(.., why)| *why == Reason::Breach)
            .count();
        assert_eq!(broken, usize::from(mode != Mode::Observe), "said once");
        house.beat("cron", 68, 40, 6);
        assert_eq!(house.verdict("cron"), Verdict::Pass);
        let lifted = house
            .words("cron")
            .iter()
            .filter(|(.., why)| *why == Reason::GoodCycles)
            .count();
        assert_eq!(lifted, usize::from(mode != Mode::Observe), "said once");
    }
}

#[test]
fn whoever_is_new_is_never_punished() {
    let (mut house, mut chance) = (House::new(10), Chance(3));
    house.contract(
        "noise",
        Expect::Locked {
            carrier: None,
            arc: None,
        },
        Mode::Dissipate,
    );
    for cycle in 0..300 {
        house.hear("noise", cycle * MINUTE + (chance.unit() * 6e7) as i64);
        assert_eq!(house.verdict("noise"), Verdict::Pass);
    }
}

#[test]
fn a_promised_part_of_the_cycle_is_kept_to() {
    let mut house = House::new(10);
    let early = Expect::Locked {
        carrier: None,
        arc: Some((0.9, 0.2)),
    };
    house.contract("early", early, Mode::Flag);
    house.contract("late", early, Mode::Flag);
    house.beat("early", 0, 20, 6);
    assert_eq!(house.verdict("early"), Verdict::Pass);
    let mut house_of_late = House::new(10);
    house_of_late.contract("late", early, Mode::Flag);
    house_of_late.beat("late", 0, 20, 30);
    assert_eq!(house_of_late.verdict("late"), Verdict::Flag);
}

#[test]
fn a_promised_period_has_a_carrier_and_a_tolerance_of_its_own() {
    let expect = Expect::Periodic {
        period_us: 10_000_000,
        tolerance: 0.02,
    };
    for (step, verdict) in [(10_100_000, Verdict::Pass), (10_500_000, Verdict::Flag)] {
        let mut house = House::new(10);
        house.contract("timer", expect, Mode::Flag);
        for n in 0..40 {
            house.hear("timer", n * step);
        }
        assert_eq!(house.verdict("timer"), verdict, "{step}");
        let row = house.engine.get("timer").expect("timer");
        let error = (step - 10_000_000) as f64 / 1e7;
        assert!((row.source.clock_error() - error).abs() < 1e-6);
    }
}

#[test]
fn a_person_decides_over_the_gate() {
    let mut house = House::new(10);
    house.contract(
        "cron",
        Expect::Locked {
            carrier: None,
            arc: None,
        },
        Mode::Quarantine,
    );
    house.beat("cron", 0, 64, 6);
    house.beat("cron", 64, 4, 36);
    assert_eq!(house.verdict("cron"), Verdict::Quarantine);
    let change = house
        .engine
        .decide("cron", false, house.now)
        .expect("let out");
    assert_eq!((change.what, change.reason), ("recover", Reason::Operator));
    // What it is let out of is not held against it at once again.
    house.beat("cron", 68, 2, 36);
    assert_eq!(house.verdict("cron"), Verdict::Pass);
    assert!(house.engine.decide("cron", true, house.now).is_some());
    house.beat("cron", 70, 50, 36);
    assert_eq!(
        house.verdict("cron"),
        Verdict::Quarantine,
        "time does not let out whom a person put in"
    );
    assert!(house.engine.decide("nobody", true, 0).is_none());
}

#[test]
fn the_table_is_bounded_and_whoever_goes_is_handed_out() {
    let mut house = House::new(3);
    house.contract(
        "a",
        Expect::Locked {
            carrier: None,
            arc: None,
        },
        Mode::Flag,
    );
    for (place, name) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
        let noted = house.engine.note(name, place as i64);
        let left = noted.left.map(|left| left.name);
        assert_eq!(
            left.as_deref(),
            (name == "d").then_some("b"),
            "the one heard longest ago"
        );
    }
    assert_eq!(house.engine.len(), 3);
    house.engine.note("e", 10);
    house.engine.note("f", 11);
    assert!(house.engine.get("a").is_none());
    house.engine.note("a", 12);
    assert_eq!(
        house.engine.get("a").expect("a").contract.mode,
        Mode::Flag,
        "a contract outlives it"
    );
    for n in 0..3 {
        house.contract(&format!("more{n}"), Expect::Any, Mode::Flag);
    }
    let err = house
        .engine
        .set_contract("one too many", Contract::default())
        .expect_err("full");
    assert_eq!(err.code(), "too_many");
    assert!(house.engine.drop_contract("more0") && !house.engine.drop_contract("more0"));
}

#[test]
fn what_is_handed_out_can_be_put_back() {
    let mut house = House::new(10);
    house.beat("cron", 0, 40, 6);
    let mut rows = Vec::new();
    let left = house.engine.changed(10, |row| {
        rows.push((row.name.to_owned(), *row.source, *row.standing))
    });
    assert_eq!((left, rows.len()), (0, 1));
    assert_eq!(house.engine.changed(10, |_| panic!("nothing changed")), 0);
    let (name, source, standing) = rows.remove(0);
    assert_eq!(
        coherence::Standing::from_bytes(standing.to_bytes()),
        standing
    );
    let mut again = House::new(10);
    again.engine.restore(&name, source, standing);
    assert_eq!(again.condition("cron"), Condition::Coherent);
    assert!(again.engine.reset("cron"));
    assert_eq!(again.condition("cron"), Condition::Nascent);
}

#[test]
fn a_source_takes_no_more_than_320_bytes() {
    let bytes = size_of::<coherence::Source>() + size_of::<coherence::Standing>();
    assert!(bytes <= 320, "{bytes}");
}

#[test]
fn contracts_that_cannot_be_kept_are_refused() {
    let mut house = House::new(1);
    for expect in [
        Expect::Periodic {
            period_us: 10,
            tolerance: 0.1,
        },
        Expect::Periodic {
            period_us: 1_000_000,
            tolerance: 0.3,
        },
        Expect::Locked {
            carrier: None,
            arc: Some((0.0, 1.5)),
        },
    ] {
        let contract = Contract {
            expect,
            mode: Mode::Flag,
        };
        let err = house
            .engine
            .set_contract("x", contract)
            .expect_err("refused");
        assert_eq!(err.code(), "out_of_range");
    }
    let carrier = Some(Carrier::new(1_000_000, 0).expect("carrier"));
    house.contract("x", Expect::Locked { carrier, arc: None }, Mode::Flag);
}
