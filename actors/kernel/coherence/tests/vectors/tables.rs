//! Tables of the smaller formulas.

use coherence::{
    Complex, Intervals, Reading, Rule, bound, burst, by_chance, phi, tolerance, variance_factor,
    wilkie,
};

use crate::cases::close;

#[test]
fn the_tolerance_is_that_of_a_healthy_source_and_no_less_than_the_floor() {
    for (slow, expected) in [
        (2.0, 0.165_334_921_127_876_12),
        (3.0, 0.091_299_233_167_597_37),
        (4.0, 0.055_722_762_474_225_71),
        (6.0, 0.023_550_524_764_065_384),
    ] {
        close("S", variance_factor(slow, 16.0), expected);
    }
    for (coherence, expected) in [
        (1.0, 0.1),
        (0.996, 0.1),
        (0.906, 0.217_120_835_143_002_68),
        (0.8, 0.316_703_287_721_498_47),
    ] {
        close(
            "δ*",
            tolerance(coherence, variance_factor(4.0, 16.0), 0.1),
            expected,
        );
    }
}

#[test]
fn chance_is_what_the_tables_say() {
    for (n, mean, nominal, approximate) in [
        (8.0, 0.5, 0.135_335_283_236_612_7, 0.135_335_283_236_612_7),
        (
            8.0,
            0.8,
            0.005_976_022_895_005_944,
            0.002_989_924_976_869_274_4,
        ),
        (
            10.0,
            0.9,
            0.000_303_539_138_078_866_8,
            3.779_453_004_523_123e-5,
        ),
        (
            12.0,
            0.75,
            0.001_170_879_620_791_174_4,
            0.000_475_735_549_163_596_1,
        ),
        (
            20.0,
            0.6,
            0.000_746_585_808_376_679_9,
            0.000_427_113_948_163_221_24,
        ),
        (
            32.0,
            0.5,
            0.000_335_462_627_902_511_85,
            0.000_219_838_062_820_847_38,
        ),
    ] {
        close("nominal", by_chance(n * mean * mean), nominal);
        close("Wilkie", wilkie(n, mean), approximate);
    }
    for (z, expected) in [
        (2.0, 0.653_787_570_841_784_4),
        (3.0, 0.298_738_961_588_738_6),
        (6.0, 0.021_290_325_760_226_658),
        (6.907_755_278_982_137, 0.009_229_743_366_601_07),
        (11.512_925_464_970_229, 0.000_119_615_221_233_774_1),
        (13.815_510_557_964_274, 1.311_555_646_903_548_5e-5),
    ] {
        let (got, off) = (bound(z), (bound(z) - expected).abs());
        assert!(off <= 1e-9, "bound of {z}: {got} for {expected}");
    }
    // Worked example in the documentation of a library for circular statistics.
    let angles = [785.0_f64, 1_570.0, 3_141.0, 839.0, 5_934.0];
    let sum = angles.into_iter().fold(Complex::ZERO, |sum, angle| {
        sum + Complex::unit(angle / 1_000.0)
    });
    let mean = sum.abs() / 5.0;
    assert!((5.0 * mean * mean - 1.236).abs() < 5e-4);
    assert!((wilkie(5.0, mean) - 0.304_844).abs() < 5e-7);
}

#[test]
fn silence_bursts_and_intervals_are_what_the_tables_say() {
    for (mean, deviation, elapsed, expected) in [
        (10.0, 1.0, 5.0, 1.244_912_137_388_289e-7),
        (10.0, 1.0, 10.0, 0.301_029_995_663_981_14),
        (10.0, 1.0, 13.0, 2.869_699_035_929_369),
        (10.0, 1.0, 15.0, 6.542_645_672_390_654_5),
        (60.0, 3.0, 66.0, 1.643_016_080_140_936_8),
        (60.0, 3.0, 78.0, 9.005_864_327_476_706),
    ] {
        close("phi", phi(elapsed, mean, deviation), expected);
    }
    close("phi at the end of doubles", phi(1e9, 1.0, 1.0), 300.0);
    for (fast, expected_mass, expected) in [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 1.857_462_130_092_899),
        (7.0, 0.0, 6.358_130_572_659_961),
        (10.0, 0.0, 7.802_990_171_242_305),
        (2.0, 1.0, 1.101_093_131_185_889_8),
        (20.0, 10.0, 3.680_529_984_504_939_7),
        (150.0, 100.0, 6.351_884_691_089_896_5),
        (1000.0, 1000.0, 0.0),
        (2000.0, 1000.0, 37.045_931_576_501_985),
    ] {
        close("burst", burst(fast, expected_mass), expected);
    }
    let mut intervals = Intervals::default();
    for (place, (x, expected)) in [
        (10.0, Some([10.0, 0.0, 0.0])),
        (10.5, Some([10.05, 0.022_5, 0.014_925_373_134_328_36])),
        (9.5, None),
        (
            10.0,
            Some([9.995_5, 0.042_729_75, 0.020_680_481_800_216_102]),
        ),
        (
            12.0,
            Some([10.195_95, 0.400_078_597_5, 0.062_036_167_866_770_81]),
        ),
        (10.0, None),
        (
            30.0,
            Some([12.158_719_5, 35.695_094_870_319_76, 0.491_378_817_458_47]),
        ),
        (
            10.0,
            Some([
                11.942_847_55,
                32.544_991_672_459_005,
                0.477_676_849_477_364_1,
            ]),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        intervals.note(x, place == 0);
        let got = [intervals.mean, intervals.variance, intervals.variation()];
        for (got, expected) in got.into_iter().zip(expected.into_iter().flatten()) {
            close("intervals", got, expected);
        }
    }
}

#[test]
fn a_source_stays_collapsed_until_the_release_level_and_not_longer() {
    let rule = Rule::default();
    let mut collapsed = false;
    for (coherence, evidence, expected) in [
        (0.99, 3.0, false),
        (0.99, 9.2, false),
        (0.8, 9.210_340_371_976_182, true),
        (0.79, 20.0, true),
        (0.71, 20.0, true),
        (0.7, 20.0, true),
        (0.699_999, 20.0, false),
        (0.79, 20.0, false),
        (0.95, 4.7, false),
        (0.95, 10.0, true),
        (0.95, 4.7, true),
        (0.95, 4.6, false),
    ] {
        let reading = Reading {
            coherence,
            evidence,
            mass: 1.0,
            ..Reading::default()
        };
        collapsed = rule.decide(collapsed, &reading);
        assert_eq!(collapsed, expected, "{coherence} {evidence}");
    }
    assert_eq!(Rule::new(0.8, 1.0).expect("rule").release, 0.7);
}
