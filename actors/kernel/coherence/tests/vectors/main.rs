//! The estimator gives what an independent implementation of the same formulas gave.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod cases;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use coherence::{
    Alignment, Arcs, Carrier, Complex, Entry, Kernel, Merged, Mesh, MeshLimits, Pair, Params,
    Question, Rule, Sync, evaluate,
};

use crate::cases::{CASES, Case, close};

fn question(case: &Case) -> Question {
    let carrier = Carrier::new(case.period, 0).expect("carrier");
    let runs = case.runs.iter();
    let runs = runs.flat_map(|(start, step, count)| (0..*count).map(move |n| start + n * step));
    Question {
        carrier: carrier.at_harmonic(case.harmonic).expect("harmonic"),
        tau_us: case.tau,
        slots: case.slots,
        rule: Rule::default(),
        query_us: Some(case.query),
        events_us: runs.chain(case.events.iter().copied()).collect(),
        weights: (!case.weights.is_empty()).then(|| case.weights.to_vec()),
    }
}

#[test]
fn a_list_of_events_gives_the_sums_of_another_implementation() {
    for case in CASES {
        let said = evaluate(&question(case)).expect(case.id);
        assert_eq!(said.counted, case.counted, "{}", case.id);
        let reading = said.reading;
        let sums = [
            reading.vector.re,
            reading.vector.im,
            reading.mass,
            reading.power,
            reading.squares,
        ];
        let t = reading.t;
        let ratios = [
            t.re,
            t.im,
            reading.coherence,
            reading.cycles,
            reading.evidence,
            reading.debiased,
        ];
        let others = [said.events, said.lag.re, said.lag.im];
        let got = sums.iter().chain(&ratios).chain(&others);
        let expected = case.sums.iter().chain(&case.ratios).chain(&case.others);
        for (place, (got, expected)) in got.zip(expected).enumerate() {
            close(&format!("{} number {place}", case.id), *got, *expected);
        }
        assert_eq!(
            [said.dormant, said.amplitude_only, said.collapse],
            case.said,
            "{}",
            case.id
        );
    }
}

#[test]
fn a_wall_clock_time_has_exactly_the_phase_of_the_same_time_at_the_epoch() {
    let by_id = |id| CASES.iter().find(|case| case.id == id).expect(id);
    let t = |id| evaluate(&question(by_id(id))).expect(id).reading.t;
    let off = t("R17") - t("R13");
    assert!(off.abs() <= 1e-12, "{off:?}");
}

#[test]
fn the_two_kernels_are_compared_by_the_vector_and_not_by_the_length() {
    use Alignment::{Aligned, Dissipate, Realign};
    // Master, Emissary; |T_sync|², power, by length, by vector, angle; by length, by vector.
    let cases = [
        (
            [1.0, 0.0],
            [1.0, 0.0],
            [1.0, 1.0, 0.0, 0.0, 0.0],
            Aligned,
            Aligned,
        ),
        (
            [0.95, 0.0],
            [0.92, 0.0],
            [0.874_225, 0.874_45, 0.03, 0.03, 0.0],
            Aligned,
            Aligned,
        ),
        (
            [0.9, 0.0],
            [0.69, 0.0],
            [0.632_025, 0.643_05, 0.21, 0.21, 0.0],
            Dissipate,
            Dissipate,
        ),
        (
            [0.9, 0.0],
            [-0.9, 0.0],
            [0.0, 0.81, 0.0, 1.8, std::f64::consts::PI],
            Aligned,
            Dissipate,
        ),
        (
            [0.6, 0.6],
            [0.7, 0.5],
            [
                0.725,
                0.73,
                0.011_704_389_280_405_625,
                0.141_421_356_237_309_48,
                -0.165_148_677_414_626_83,
            ],
            Aligned,
            Realign,
        ),
        (
            [1.0, 0.0],
            [0.1, 0.0],
            [0.3025, 0.505, 0.9, 0.9, 0.0],
            Dissipate,
            Dissipate,
        ),
        ([0.0, 0.0], [0.0, 0.0], [0.0; 5], Aligned, Aligned),
    ];
    for (master, emissary, expected, by_length, by_vector) in cases {
        let [master, emissary] = [master, emissary].map(|[re, im]| Complex { re, im });
        let sync = Sync::of(master, emissary);
        let got = [
            sync.coherence,
            sync.power,
            sync.delta_magnitude,
            sync.delta_vector,
            sync.delta_angle,
        ];
        for (got, expected) in got.into_iter().zip(expected) {
            close("sync", got, expected);
        }
        assert_eq!(Alignment::of(sync.delta_magnitude, 0.1), by_length);
        assert_eq!(Alignment::of(sync.delta_vector, 0.1), by_vector);
    }
}

fn node(name: &str, seq: u64, at: i64, [re, im]: [f64; 2], mass: f64) -> Entry {
    let vector = Complex { re, im };
    Entry {
        node: name.into(),
        incarnation: 1,
        seq,
        tau_us: 3_000_000,
        period_us: 1_000_000,
        epoch_us: 0,
        t_ref_us: at,
        whole: Pair { vector, mass },
        power: vector.norm(),
        squares: mass * mass,
        events: 4,
    }
}

#[test]
fn several_nodes_give_what_one_node_would_have_seen() {
    let carrier = Carrier::new(1_000_000, 0).expect("carrier");
    let params =
        Params::lenient(carrier, 3_000_000, 3_000_000, 0, Rule::default()).expect("params");
    let limits = MeshLimits {
        nodes: 8,
        max_age_us: i64::MAX,
    };
    let nodes = [
        node(
            "a",
            4,
            8_000_000,
            [1.572_698_298_250_095_7, 2.311_455_470_051_663e-6],
            1.572_698_298_257_357_4,
        ),
        node(
            "b",
            4,
            8_123_456,
            [1.129_342_298_002_008, 0.499_024_710_496_425_94],
            1.689_621_462_405_222_8,
        ),
        node(
            "c",
            4,
            9_999_999,
            [0.998_076_939_094_696_4, -0.609_800_529_739_623_4],
            1.642_242_323_062_437_7,
        ),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut mesh = Mesh::new(params, limits);
        for place in order {
            assert_eq!(mesh.merge(nodes[place].clone()), Ok(Merged::Taken));
            let old = node(&nodes[place].node, 3, 1, [0.1, 0.0], 0.1);
            assert_eq!(mesh.merge(old), Ok(Merged::Stale));
            assert_eq!(mesh.merge(nodes[place].clone()), Ok(Merged::Stale));
        }
        let global = mesh.read(12_000_000, |_| 1.0);
        close("T", global.t.re, 0.718_540_606_045_464);
        close("T", global.t.im, -0.102_226_346_381_815_08);
        close("B", global.mass, 1.721_803_794_956_752_4);
        close("|T|²", global.coherence, 0.526_750_828_430_757_6);
        let shares = [
            0.240_770_041_136_148_06,
            0.269_537_089_282_530_84,
            0.489_692_869_581_321_13,
        ];
        for ((_, _, share), expected) in global.nodes.iter().zip(shares) {
            close("share", *share, expected);
        }
    }
}

#[test]
fn accumulators_go_on_from_a_snapshot() {
    let vector = Complex {
        re: 1.692_695_318_261_140_6,
        im: -0.972_359_737_685_573_9,
    };
    let mass = 3.249_401_924_493_644;
    let expected = (
        1.237_185_942_319_604_8,
        -0.176_013_711_144_772_66,
        1.721_803_794_956_752_4,
    );
    // By hand, from the snapshot and the four events after it.
    let (query, tau) = (12_000_000_i64, 3e6);
    let fade = |at: i64| (-((query - at) as f64) / tau).exp();
    let later = [7_777_777_i64, 8_000_000, 8_123_456, 9_999_999];
    let carrier = Carrier::new(1_000_000, 0).expect("carrier");
    let sum = later.iter().fold(vector * fade(5_900_000), |sum, at| {
        sum + carrier.unit(carrier.split(*at).1) * fade(*at)
    });
    close("A", sum.re, expected.0);
    close("A", sum.im, expected.1);
    let all = mass * fade(5_900_000) + later.iter().map(|at| fade(*at)).sum::<f64>();
    close("B", all, expected.2);
    // And by the estimator, from the seven events before it.
    let whole = evaluate(&Question {
        carrier,
        tau_us: 3_000_000,
        slots: 0,
        rule: Rule::default(),
        query_us: Some(query),
        events_us: vec![
            0, 500_000, 700_000, 2_000_000, 2_100_000, 3_650_000, 5_000_001, 5_900_000, 7_777_777,
            8_000_000, 8_123_456, 9_999_999,
        ],
        weights: None,
    })
    .expect("events");
    close("A", whole.reading.vector.re, expected.0);
    close("A", whole.reading.vector.im, expected.1);
    close("B", whole.reading.mass, expected.2);
}

#[test]
fn an_angle_has_the_name_of_its_part_of_the_breath() {
    let names = ["inhale", "hold", "exhale", "return", "night_hold"];
    let arcs = |lengths: [f64; 5]| {
        let parts: Vec<_> = names.into_iter().zip(lengths).collect();
        Arcs::new(&parts)
    };
    let (breath, even) = (arcs([2.0, 4.0, 4.0, 4.0, 10.0]), arcs([1.0; 5]));
    for (turns, in_breath, in_even) in [
        (0.0, "inhale", "inhale"),
        (0.05, "inhale", "inhale"),
        (0.083_333_334_333_333_33, "hold", "inhale"),
        (0.200_000_001, "hold", "hold"),
        (0.250_000_001, "exhale", "hold"),
        (0.400_000_001, "exhale", "exhale"),
        (0.5, "return", "exhale"),
        (0.583_333_334_333_333_3, "night_hold", "exhale"),
        (0.800_000_001, "night_hold", "night_hold"),
        (0.999_999, "night_hold", "night_hold"),
    ] {
        assert_eq!(breath.at(turns), in_breath, "{turns}");
        assert_eq!(even.at(turns), in_even, "{turns}");
    }
}

#[test]
fn what_theory_says_in_closed_form_holds() {
    let carrier = support::minute();
    for (periods, amplitude) in [
        (0.1, 0.846_733_015_964_830_4),
        (1.0, 0.157_176_725_477_589_85),
        (4.0, 0.039_757_277_481_197_46),
        (16.0, 0.009_946_691_860_399_695),
    ] {
        close(
            "leakage",
            carrier.leakage((periods * 6e7) as i64),
            amplitude,
        );
    }
    // A locked source, one event a cycle: Z = coth(P/2τ) tanh(nP/2τ).
    for (n, periods) in [
        (1, 16),
        (2, 16),
        (5, 16),
        (9, 16),
        (10, 16),
        (64, 16),
        (400, 4),
        (400, 8),
    ] {
        let said = evaluate(&Question {
            carrier,
            tau_us: periods * support::MINUTE,
            slots: 64,
            rule: Rule::default(),
            query_us: None,
            events_us: (0..n)
                .map(|cycle| cycle * support::MINUTE + 6_000_000)
                .collect(),
            weights: None,
        });
        let half = 1.0 / (2.0 * periods as f64);
        let expected = (n as f64 * half).tanh() / half.tanh();
        close("Z", said.expect("events").reading.evidence, expected);
    }
    // A clock that is slow by ε: |T|² in the limit.
    for (slow, coherence) in [
        (0.001, 0.990_017_681_575_752_9),
        (0.005, 0.799_967_181_732_837_1),
        (0.02, 0.204_952_188_013_589),
    ] {
        let step = (6e7 * (1.0 + slow)) as i64;
        let said = evaluate(&Question {
            carrier,
            tau_us: 16 * support::MINUTE,
            slots: 0,
            rule: Rule::default(),
            query_us: None,
            events_us: (0..600).map(|n| n * step).collect(),
            weights: None,
        });
        let got = said.expect("events").reading.coherence;
        assert!(
            (got - coherence).abs() < 1e-4,
            "{slow}: {got} for {coherence}"
        );
    }
}

#[test]
fn accumulators_that_nothing_can_lead_to_are_refused() {
    let one = Pair {
        vector: Complex { re: 1.0, im: 0.0 },
        mass: 1.0,
    };
    let good = Kernel {
        whole: one,
        open: one,
        ..Kernel::default()
    };
    assert_eq!(good.check("it"), Ok(()));
    let long = Pair { mass: 0.5, ..one };
    let bad = [
        Kernel {
            whole: long,
            ..good
        },
        Kernel {
            closed_power: f64::NAN,
            ..good
        },
        Kernel {
            closed_mass: -1.0,
            ..good
        },
        Kernel {
            closed_power: 5.0,
            ..good
        },
        Kernel {
            closed_mass: 5.0,
            closed_power: 1.0,
            ..good
        },
        Kernel {
            whole: Pair {
                vector: Complex {
                    re: f64::INFINITY,
                    im: 0.0,
                },
                mass: 1.0,
            },
            ..good
        },
    ];
    for kernel in bad {
        assert_eq!(
            kernel.check("it").expect_err("impossible").code(),
            "impossible_state"
        );
    }
}
