//! What holds for every sequence of events.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod support;

use coherence::{
    Carrier, Complex, Entry, Kernel, Merged, Mesh, MeshLimits, Outcome, Params, Reading, Rule,
    Source, Sync,
};
use proptest::prelude::*;
use support::Chance;

/// A source over a carrier of a second, every event counting.
fn params(tau_periods: f64, slots: u8) -> Params {
    let carrier = Carrier::new(1_000_000, 0).expect("carrier");
    let tau = (tau_periods * 1e6) as i64;
    Params::lenient(carrier, tau, tau, slots, Rule::default()).expect("params")
}

fn fed(params: &Params, events: impl IntoIterator<Item = i64>) -> Source {
    let mut source = Source::default();
    for at in events {
        source.observe(params, at, 1.0);
    }
    source
}

fn sorted(mut events: Vec<i64>) -> Vec<i64> {
    events.sort_unstable();
    events
}

/// Everything kept, in events.
fn sums(kernel: &Kernel) -> [f64; 5] {
    let reading = kernel.read(1.0);
    [
        reading.vector.re,
        reading.vector.im,
        reading.mass,
        reading.power,
        reading.squares,
    ]
}

fn near(got: f64, expected: f64, relative: f64) -> bool {
    (got - expected).abs() <= relative * expected.abs().max(1.0)
}

/// The definitions, summed up one by one.
fn direct(params: &Params, events: &[i64], at: i64) -> [f64; 5] {
    let tau = params.master_tau_us as f64;
    let (mut a, mut b) = (Complex::ZERO, 0.0);
    let mut cycles: Vec<(i64, Complex, f64)> = Vec::new();
    for event in events {
        let weight = (-((at - event) as f64) / tau).exp();
        let angle = std::f64::consts::TAU * event.rem_euclid(1_000_000) as f64 / 1e6;
        let unit = Complex {
            re: angle.cos(),
            im: angle.sin(),
        } * weight;
        let cycle = event.div_euclid(1_000_000);
        a += unit;
        b += weight;
        match cycles.iter_mut().find(|(known, ..)| *known == cycle) {
            Some((_, sum, mass)) => {
                *sum += unit;
                *mass += weight;
            }
            None => cycles.push((cycle, unit, weight)),
        }
    }
    let power = cycles.iter().map(|(_, sum, _)| sum.norm()).sum();
    [
        a.re,
        a.im,
        b,
        power,
        cycles.iter().map(|(.., mass)| mass * mass).sum(),
    ]
}

fn within_bounds(reading: &Reading, cycles: f64) {
    let Reading {
        t,
        debiased,
        evidence,
        power,
        squares,
        mass,
        ..
    } = *reading;
    assert!(t.abs() <= 1.0 + 4.0 * f64::EPSILON, "|T| = {}", t.abs());
    assert!((0.0..=1.0).contains(&debiased));
    assert!(
        (1.0..=cycles + 1e-9).contains(&reading.cycles),
        "{} of {cycles}",
        reading.cycles
    );
    assert!(
        (0.0..=cycles + 1e-9).contains(&evidence),
        "{evidence} of {cycles}"
    );
    let slack = 1.0 + 1e-12;
    assert!(power <= squares * slack && squares <= mass * mass * slack);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn everything_read_is_within_its_range(
        events in prop::collection::vec(-20_000_000_i64..20_000_000, 1..200),
        tau in 0.1_f64..64.0,
    ) {
        let params = params(tau, 0);
        let mut source = Source::default();
        let mut cycles = std::collections::BTreeSet::new();
        for at in sorted(events) {
            source.observe(&params, at, 1.0);
            cycles.insert(at.div_euclid(1_000_000));
            within_bounds(&source.master(&params, at), cycles.len() as f64);
            prop_assert!(source.kernels().0.check("it").is_ok());
        }
    }

    #[test]
    fn a_stream_gives_what_the_whole_list_gives(
        seed in any::<u64>(),
        count in 1_usize..400,
        tau in 0.1_f64..64.0,
    ) {
        let params = params(tau, 0);
        let mut chance = Chance(seed);
        let events = sorted((0..count).map(|_| (chance.unit() * 4e7) as i64).collect());
        let source = fed(&params, events.iter().copied());
        let expected = direct(&params, &events, source.at_us());
        for (got, expected) in sums(source.kernels().0).into_iter().zip(expected) {
            prop_assert!(near(got, expected, 1e-10), "{got} for {expected}");
        }
    }

    #[test]
    fn late_events_give_the_same_sums_in_any_order(
        seed in any::<u64>(),
        count in 2_usize..60,
        tau in 0.1_f64..64.0,
    ) {
        let params = params(tau, 0);
        let mut chance = Chance(seed);
        let events = sorted((0..count).map(|_| (chance.unit() * 2e7) as i64).collect());
        // Shuffled so that nobody is overtaken by more than the start of the cycle before.
        let mut delayed: Vec<(i64, i64)> = events.iter().map(|at| (at + (chance.unit() * 1e6) as i64, *at)).collect();
        delayed.sort_unstable();
        let in_order = fed(&params, events.iter().copied());
        let mut shuffled = Source::default();
        for (_, at) in delayed {
            prop_assert!(shuffled.observe(&params, at, 1.0).counts());
        }
        let (a, b) = (sums(in_order.kernels().0), sums(shuffled.kernels().0));
        for (a, b) in a.into_iter().zip(b) {
            prop_assert!(near(a, b, 1e-10), "{a} for {b}");
        }
    }

    #[test]
    fn time_has_no_beginning(
        events in prop::collection::vec(0_i64..20_000_000, 1..100),
        periods in -1_000_000_000_i64..1_000_000_000,
        shift in 0_i64..1_000_000,
    ) {
        let params = params(8.0, 0);
        let events = sorted(events);
        let t = |by: i64| fed(&params, events.iter().map(|at| at + by)).kernels().0.read(1.0).t;
        let same = t(0) - t(periods * 1_000_000);
        prop_assert!(same.abs() <= 1e-12);
        let turned = t(0) * Complex::unit(std::f64::consts::TAU * shift as f64 / 1e6) - t(shift);
        prop_assert!(turned.abs() <= 1e-9);
    }

    #[test]
    fn only_ratios_of_times_matter(
        events in prop::collection::vec(0_i64..20_000_000, 1..100),
        factor in 2_i64..5_000,
    ) {
        let events = sorted(events);
        let carrier = Carrier::new(1_000_000 * factor, 0).expect("carrier");
        let tau = 8_000_000 * factor;
        let slow = Params::lenient(carrier, tau, tau, 0, Rule::default()).expect("params");
        let a = sums(fed(&params(8.0, 0), events.iter().copied()).kernels().0);
        let b = sums(fed(&slow, events.iter().map(|at| at * factor)).kernels().0);
        for (a, b) in a.into_iter().zip(b) {
            prop_assert!(near(a, b, 1e-9), "{a} for {b}");
        }
    }

    #[test]
    fn silence_changes_nothing_but_the_mass(
        events in prop::collection::vec(0_i64..20_000_000, 1..100),
        silences in prop::collection::vec(0_i64..1_000_000_000_000, 1..10),
    ) {
        let params = params(8.0, 0);
        let source = fed(&params, sorted(events));
        let before = source.master(&params, source.at_us());
        let mut mass = before.mass;
        for silence in sorted(silences) {
            let after = source.master(&params, source.at_us() + silence);
            prop_assert_eq!((after.t, after.evidence), (before.t, before.evidence));
            prop_assert_eq!((after.cycles, after.debiased), (before.cycles, before.debiased));
            prop_assert!(after.mass <= mass);
            mass = after.mass;
        }
    }

    #[test]
    fn weights_have_no_unit(
        events in prop::collection::vec(0_i64..20_000_000, 1..100),
        scale in 1e-6_f64..1e6,
    ) {
        let params = params(8.0, 0);
        let events = sorted(events);
        let (mut plain, mut scaled) = (Source::default(), Source::default());
        for (place, at) in events.into_iter().enumerate() {
            let weight = 1.0 + (place % 3) as f64;
            plain.observe(&params, at, weight);
            scaled.observe(&params, at, weight * scale);
        }
        let (a, b) = (plain.kernels().0.read(1.0), scaled.kernels().0.read(1.0));
        prop_assert!((a.t - b.t).abs() <= 1e-12);
        for (a, b) in [(a.evidence, b.evidence), (a.cycles, b.cycles), (a.debiased, b.debiased)] {
            prop_assert!(near(a, b, 1e-9), "{a} for {b}");
        }
    }

    #[test]
    fn no_cycle_counts_more_events_than_it_has_slots(
        events in prop::collection::vec(0_i64..3_000_000, 1..500),
        slots in 1_u8..=64,
    ) {
        let params = params(16.0, slots);
        let mut source = Source::default();
        let mut counted = std::collections::BTreeMap::new();
        for at in events {
            if source.observe(&params, at, 1.0).counts() {
                *counted.entry(at.div_euclid(1_000_000)).or_insert(0) += 1;
            }
        }
        prop_assert!(counted.values().all(|count| *count <= i32::from(slots)));
        // Of two in one slot, one counts.
        let at = source.at_us();
        prop_assert_eq!(source.observe(&params, at, 1.0), Outcome::Slot);
    }

    #[test]
    fn the_kernels_compared_keep_their_identity(
        [a, b, c, d] in prop::array::uniform4(-0.7_f64..0.7),
    ) {
        let sync = Sync::of(Complex { re: a, im: b }, Complex { re: c, im: d });
        let residual = sync.power - sync.delta_vector.powi(2) / 4.0 - sync.coherence;
        prop_assert!(residual.abs() <= 4e-15, "{residual}");
        prop_assert!(sync.delta_magnitude <= sync.delta_vector + 1e-15 && sync.delta_vector <= 2.0);
    }

    #[test]
    fn a_snapshot_and_what_came_after_give_what_is_live(
        events in prop::collection::vec(0_i64..20_000_000, 2..200),
        cut in 0.0_f64..1.0,
    ) {
        let params = params(8.0, 64);
        let events = sorted(events);
        let cut = (cut * events.len() as f64) as usize;
        let live = fed(&params, events.iter().copied());
        let snapshot = fed(&params, events[..cut].iter().copied()).to_bytes();
        let mut again = Source::from_bytes(&snapshot).expect("a snapshot");
        prop_assert_eq!(again.to_bytes(), snapshot);
        for at in &events[cut..] {
            again.observe(&params, *at, 1.0);
        }
        prop_assert_eq!(again, live);
        prop_assert_eq!(again.to_bytes(), live.to_bytes());
    }

    #[test]
    fn any_cut_into_nodes_joins_to_the_whole(
        seed in any::<u64>(),
        count in 1_usize..200,
        nodes in 1_usize..=8,
    ) {
        let params = params(8.0, 0);
        let mut chance = Chance(seed);
        let events = sorted((0..count).map(|_| (chance.unit() * 2e7) as i64).collect());
        let whole = fed(&params, events.iter().copied());
        let mut sources = vec![Source::default(); nodes];
        let mut entries = Vec::new();
        for (seq, at) in events.iter().enumerate() {
            let node = chance.word() as usize % nodes;
            sources[node].observe(&params, *at, 1.0);
            entries.push(entry(&params, node, seq as u64, &sources[node]));
        }
        // All states that ever were, in any order, some of them twice.
        for place in 0..entries.len() {
            let other = chance.word() as usize % entries.len();
            entries.swap(place, other);
            entries.push(entries[other].clone());
        }
        let mut mesh = Mesh::new(params, MeshLimits { nodes: 8, max_age_us: i64::MAX });
        for entry in entries {
            prop_assert_ne!(mesh.merge(entry).expect("equal kernels"), Merged::Full);
        }
        let now = whole.at_us() + 1_234_567;
        let (global, expected) = (mesh.read(now, |_| 1.0), whole.master(&params, now));
        prop_assert!((global.t - expected.t).abs() <= 1e-12, "{:?} for {:?}", global.t, expected.t);
        prop_assert!(near(global.mass, expected.mass, 1e-12));
        prop_assert!(global.evidence_at_least <= expected.evidence * (1.0 + 1e-9));
        prop_assert!(global.cycles_at_least <= expected.cycles * (1.0 + 1e-9));
    }

    #[test]
    fn no_time_makes_it_panic_or_lose_its_numbers(
        events in prop::collection::vec(
            prop_oneof![
                any::<i64>(),
                Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1),
                0_i64..10_000_000,
                Just(8_000_000_000_000_000_i64),
            ],
            1..50,
        ),
        epoch in any::<i64>(),
        now in any::<i64>(),
    ) {
        let carrier = Carrier::new(1_000_000, epoch).expect("carrier");
        let params = Params::new(carrier, 16_000_000, 4_000_000, 64, Rule::default()).expect("params");
        let source = fed(&params, events);
        for at in [source.at_us(), now, i64::MIN, i64::MAX] {
            let reading = source.master(&params, at);
            let numbers = [
                reading.mass, reading.coherence, reading.evidence, reading.cycles, reading.debiased,
                source.burst(at), source.phi(at, true).unwrap_or(0.0), source.clock_error(),
            ];
            prop_assert!(numbers.iter().all(|number| !number.is_nan()), "{numbers:?}");
        }
        prop_assert!(Source::from_bytes(&source.to_bytes()).is_ok());
    }
}

fn entry(params: &Params, node: usize, seq: u64, source: &Source) -> Entry {
    let reading = source.kernels().0.read(1.0);
    Entry {
        node: format!("node{node}").into(),
        incarnation: 1,
        seq,
        tau_us: params.master_tau_us,
        period_us: params.carrier.period_us(),
        epoch_us: params.carrier.epoch_us(),
        t_ref_us: source.at_us(),
        whole: source.kernels().0.whole,
        power: reading.power,
        squares: reading.squares,
        events: source.counts().0,
    }
}

#[test]
fn entries_of_other_kernels_are_refused_by_name() {
    let params = params(8.0, 0);
    let mut mesh = Mesh::new(
        params,
        MeshLimits {
            nodes: 1,
            max_age_us: 10,
        },
    );
    let good = entry(&params, 0, 1, &fed(&params, [1]));
    for (field, change) in [
        (
            "tau",
            Entry {
                tau_us: 1,
                ..good.clone()
            },
        ),
        (
            "period",
            Entry {
                period_us: 2_000_000,
                ..good.clone()
            },
        ),
        (
            "epoch",
            Entry {
                epoch_us: 5,
                ..good.clone()
            },
        ),
    ] {
        let err = mesh.merge(change).expect_err("another kernel");
        assert_eq!((err.code(), err.field()), ("kernels_differ", Some(field)));
    }
    let impossible = Entry {
        power: 1e9,
        ..good.clone()
    };
    assert_eq!(
        mesh.merge(impossible).expect_err("impossible").code(),
        "impossible_state"
    );
    assert_eq!(mesh.merge(good.clone()), Ok(Merged::Taken));
    let other = Entry {
        node: "another".into(),
        ..good.clone()
    };
    assert_eq!(mesh.merge(other), Ok(Merged::Full));
    let restarted = Entry {
        incarnation: 2,
        seq: 0,
        ..good
    };
    assert_eq!(mesh.merge(restarted), Ok(Merged::Taken));
    assert_eq!(mesh.expire(100), 1);
}

#[test]
fn a_distrusted_peer_weighs_nothing() {
    let params = params(8.0, 0);
    let mut mesh = Mesh::new(
        params,
        MeshLimits {
            nodes: 8,
            max_age_us: i64::MAX,
        },
    );
    let (here, there) = (fed(&params, [100_000]), fed(&params, [600_000]));
    mesh.merge(entry(&params, 0, 1, &here)).expect("here");
    mesh.merge(entry(&params, 1, 1, &there)).expect("there");
    let global = mesh.read(600_000, |node| if node == "node1" { 0.0 } else { 1.0 });
    assert!((global.t - here.kernels().0.read(1.0).t).abs() < 1e-12);
    assert_eq!(global.nodes.len(), 1);
    let both = mesh.read(600_000, |_| 1.0);
    assert!(
        (both.spread - 1.0).abs() < 1e-9,
        "opposite phases are as far apart as can be"
    );
}

#[test]
fn a_weight_that_is_no_number_changes_nothing() {
    let params = params(8.0, 0);
    let mut source = fed(&params, [5]);
    let before = source;
    for weight in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        assert_eq!(source.observe(&params, 6, weight), Outcome::Refused);
    }
    assert_eq!(source, before);
}

#[test]
fn what_is_too_late_is_counted_and_not_used() {
    let params = params(8.0, 0);
    let mut source = fed(&params, [100, 5_000_100]);
    let before = sums(source.kernels().0);
    assert_eq!(source.observe(&params, 3_999_999, 1.0), Outcome::TooLate);
    assert_eq!(sums(source.kernels().0), before);
    assert_eq!(
        source.observe(&params, 4_000_000, 1.0),
        Outcome::CountedLate
    );
    assert_eq!(source.counts(), (4, 0, 1));
}

#[test]
fn a_cycle_boundary_belongs_to_the_cycle_that_begins() {
    let params = params(8.0, 0);
    // Two in one cycle, and two in two: evidence counts cycles.
    let one = fed(&params, [0, 999_999]);
    let two = fed(&params, [0, 1_000_000]);
    assert_eq!(one.kernels().0.read(1.0).cycles, 1.0);
    assert!(two.kernels().0.read(1.0).cycles > 1.9);
}
