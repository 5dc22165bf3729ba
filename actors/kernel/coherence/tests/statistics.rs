//! Noise is not taken for rhythm, and rhythm is found when theory says. Seeds are fixed; thresholds are such that a correct
//! build fails less than once in a million seeds.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod support;

use coherence::{Complex, Params, Source, bound};
use support::{Chance, MINUTE, params};

/// Runs of a memoryless source of `rate` events a cycle over 1,000 cycles: how many ever collapse by the whole rule, and
/// how many show enough coherence at the close of a cycle.
fn collapses(rate: f64, runs: u64, params: &Params) -> (u32, u32) {
    let (mut whole, mut bare) = (0, 0);
    for run in 0..runs {
        let mut chance = Chance(run ^ 0x05ee_d000);
        let (mut source, mut at) = (Source::default(), 0.0);
        let (mut collapsed, mut coherent) = (false, false);
        while at <= 1_000.0 {
            at += chance.exponential() / rate;
            let now = (at * MINUTE as f64) as i64;
            if !source.is_blank() && params.carrier.split(now).0 > source.cycle() {
                let close = source.master(params, source.at_us());
                coherent |= close.coherence >= params.rule.coherence;
            }
            source.observe(params, now, 1.0);
            collapsed |= params.rule.decide(false, &source.master(params, now));
        }
        whole += u32::from(collapsed);
        bare += u32::from(coherent);
    }
    (whole, bare)
}

#[test]
fn a_memoryless_source_never_collapses() {
    let params = params(0);
    for rate in [0.3, 1.0, 2.0, 5.0] {
        let (whole, _) = collapses(rate, 2_000, &params);
        assert_eq!(whole, 0, "at {rate} events a cycle");
    }
}

#[test]
fn without_evidence_it_mostly_would() {
    // So that the test above is known to be able to fail.
    let (_, bare) = collapses(1.0, 2_000, &params(0));
    assert!(bare > 1_200, "{bare} of 2000");
}

#[test]
fn a_locked_source_collapses_with_its_tenth_cycle() {
    let params = params(64);
    let mut source = Source::default();
    for cycle in 1..=10 {
        source.observe(&params, cycle * MINUTE + 6_000_000, 1.0);
        let reading = source.master(&params, source.at_us());
        assert!((reading.coherence - 1.0).abs() < 1e-12);
        assert_eq!(
            params.rule.decide(false, &reading),
            cycle == 10,
            "cycle {cycle}"
        );
    }
}

/// The cycle with which a source collapses that misses a beat with probability `missed`, and is off by `jitter` periods.
fn cycles_to_collapse(jitter: f64, missed: f64) -> Vec<i64> {
    let params = params(64);
    let mut cycles: Vec<i64> = (0..400)
        .map(|seed| {
            let (mut chance, mut source) = (Chance(seed ^ 0xbea7), Source::default());
            (1..1_000)
                .find(|cycle| {
                    if chance.unit() < missed {
                        return false;
                    }
                    let off = 0.5 + jitter * chance.normal();
                    source.observe(&params, cycle * MINUTE + (off * MINUTE as f64) as i64, 1.0);
                    params
                        .rule
                        .decide(false, &source.master(&params, source.at_us()))
                })
                .expect("it collapses")
        })
        .collect();
    cycles.sort_unstable();
    cycles
}

#[test]
fn jitter_and_missed_beats_delay_it_as_predicted() {
    for (jitter, missed, median, late) in
        [(0.05, 0.0, 11, 12), (0.0, 0.3, 14, 21), (0.0, 0.5, 22, 33)]
    {
        let cycles = cycles_to_collapse(jitter, missed);
        let got = (cycles[200], cycles[380]);
        assert!((got.0 - median).abs() <= 1, "median {} for {median}", got.0);
        assert!((got.1 - late).abs() <= 3, "95 % {} for {late}", got.1);
    }
}

#[test]
fn jitter_costs_the_coherence_that_theory_says() {
    let params = params(0);
    let mut sum = 0.0;
    for seed in 0..200 {
        let (mut chance, mut source) = (Chance(seed ^ 0x0011_77e5), Source::default());
        for cycle in 1..=64 {
            let off = 0.5 + 0.05 * chance.normal();
            source.observe(&params, cycle * MINUTE + (off * MINUTE as f64) as i64, 1.0);
        }
        sum += source.master(&params, source.at_us()).coherence;
    }
    let mean = sum / 200.0;
    assert!((mean - 0.909).abs() <= 0.006, "{mean}");
}

#[test]
fn a_memoryless_source_shows_its_sample_and_the_leakage_and_no_more() {
    let params = params(0);
    for (rate, expected) in [(1.0, 0.0316), (5.0, 0.0064)] {
        let (mut chance, mut source, mut at) = (Chance(0xfeed), Source::default(), 0.0);
        let (mut squares, mut vectors, mut cycles) = (0.0, Complex::ZERO, 0_u32);
        let mut closing = 200.0;
        while cycles < 300_000 {
            at += chance.exponential() / rate;
            while closing < at {
                let t = source.master(&params, (closing * MINUTE as f64) as i64).t;
                squares += t.norm();
                vectors += t;
                cycles += 1;
                closing += 1.0;
            }
            source.observe(&params, (at * MINUTE as f64) as i64, 1.0);
        }
        let mean = squares / f64::from(cycles);
        assert!(
            (mean / expected - 1.0).abs() < 0.05,
            "{mean} for {expected}"
        );
        let leak = vectors * (1.0 / f64::from(cycles));
        assert!(
            leak.re.abs() < 0.004 && (leak.im + 0.0099).abs() < 0.004,
            "{leak:?}"
        );
    }
}

#[test]
fn evidence_is_as_rare_by_chance_as_the_bound_says() {
    let (mut chance, runs, cycles) = (Chance(0xb0bd), 200_000, 12_usize);
    // Equal, fading, and with one that is half of everything.
    let kinds: [fn(usize) -> f64; 3] = [
        |_| 1.0,
        |place| 0.8_f64.powi(place as i32),
        |place| if place == 0 { 11.0 } else { 1.0 },
    ];
    for weight in kinds {
        let thresholds = [2.0, 3.0, 4.6, 6.9];
        let mut above = [0_u32; 4];
        for _ in 0..runs {
            let (mut a, mut v) = (Complex::ZERO, 0.0);
            for place in 0..cycles {
                let weight = weight(place);
                a += Complex::unit(std::f64::consts::TAU * chance.unit()) * weight;
                v += weight * weight;
            }
            for (count, z) in above.iter_mut().zip(thresholds) {
                *count += u32::from(a.norm() / v >= z);
            }
        }
        for (count, z) in above.into_iter().zip(thresholds) {
            let (share, bound) = (f64::from(count) / f64::from(runs), bound(z));
            assert!(share <= bound, "Z ≥ {z}: {share} above {bound}");
        }
    }
}

#[test]
fn the_debiased_coherence_is_that_of_many_cycles() {
    let params = params(0);
    // Uniform phases over an arc: the resultant is known.
    for (arc, expected) in [
        (1.0, 0.0),
        (0.5, 0.405_284_734_569_351_16),
        (0.2, 0.875_140_200_083_380_9),
    ] {
        let (mut chance, runs) = (Chance(0xdeb1), 20_000);
        let (mut sum, mut squares, mut raw) = (0.0, 0.0, 0.0);
        for _ in 0..runs {
            let mut source = Source::default();
            for cycle in 0..12 {
                let at = cycle as f64 + arc * chance.unit();
                source.observe(&params, (at * MINUTE as f64) as i64, 1.0);
            }
            let reading = source.master(&params, source.at_us());
            // Without the clamp at 0, which the mean must not see.
            let pairs = reading.mass * reading.mass - reading.squares;
            let debiased = (reading.vector.norm() - reading.power) / pairs;
            sum += debiased;
            squares += debiased * debiased;
            raw += reading.coherence;
        }
        let (mean, runs) = (sum / f64::from(runs), f64::from(runs));
        let error = ((squares / runs - mean * mean) / runs).sqrt();
        assert!(
            (mean - expected).abs() <= 5.0 * error,
            "{mean} ± {error} for {expected}"
        );
        assert!(
            raw / runs > expected + (1.0 - expected) / 15.0,
            "few cycles look better than they are"
        );
    }
}

/// The highest score of a memoryless source with `rate` events a second, and whether it ever counts as a burst.
fn highest_score(rate: f64, events: u32, seed: u64) -> (f64, bool) {
    let (params, mut chance, mut source, mut at) =
        (params(64), Chance(seed), Source::default(), 0.0);
    let limits = params.companions;
    let (mut highest, mut alarm) = (f64::MIN, false);
    for _ in 0..events {
        at += chance.exponential() / rate;
        let now = (at * 1e6) as i64;
        source.observe(&params, now, 1.0);
        let score = source.burst(now);
        highest = highest.max(score);
        alarm |= score > limits.burst_score && source.masses(now).0 >= limits.burst_mass;
    }
    (highest, alarm)
}

#[test]
fn a_steady_source_never_bursts_however_fast_from_its_first_event_on() {
    for rate in [0.01, 1.0, 10.0, 100.0] {
        for seed in 0..10 {
            let (highest, alarm) = highest_score(rate, 100_000, seed);
            assert!(!alarm, "{rate}/s: {highest}");
        }
    }
}

/// After `quiet` seconds at `before` events a second it sends `after`: seconds and events until that is a burst.
fn until_burst(before: f64, quiet: f64, after: f64, seed: u64) -> (f64, u32) {
    let (params, mut chance, mut source, mut at) =
        (params(64), Chance(seed), Source::default(), 0.0);
    while at < quiet {
        at += chance.exponential() / before;
        source.observe(&params, (at * 1e6) as i64, 1.0);
    }
    let began = at;
    for count in 1..10_000 {
        at += chance.exponential() / after;
        let now = (at * 1e6) as i64;
        source.observe(&params, now, 1.0);
        let limits = params.companions;
        if source.burst(now) > limits.burst_score && source.masses(now).0 >= limits.burst_mass {
            return (at - began, count);
        }
    }
    panic!("never");
}

#[test]
fn a_burst_is_found_within_the_events_it_takes() {
    for seed in 0..50 {
        let (seconds, events) = until_burst(1.0, 3_600.0, 10.0, seed);
        assert!(seconds < 5.0 && events < 60, "{seconds} s, {events} events");
        let (seconds, events) = until_burst(1.0, 3_600.0, 100.0, seed);
        assert!(
            seconds < 0.5 && events <= 25,
            "{seconds} s, {events} events"
        );
    }
}

#[test]
fn a_newcomer_that_floods_is_found_though_there_is_nothing_to_compare_it_with() {
    let params = params(64);
    let mut source = Source::default();
    let found = (0..10_000_i64).position(|n| {
        source.observe(&params, n * 5, 1.0);
        source.burst(n * 5) > params.companions.burst_score
    });
    assert!(found.is_some_and(|events| events < 400), "{found:?}");
}
