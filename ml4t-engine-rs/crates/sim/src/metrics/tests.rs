use super::*;

const YEAR: f64 = 252.0;
const S10: [f64; 10] = [0.01, -0.02, 0.015, 0.005, -0.01, 0.02, -0.005, 0.0, 0.012, -0.003];
const S10_BENCHMARK: [f64; 10] = [0.008, -0.015, 0.01, 0.002, -0.012, 0.018, -0.001, 0.001, 0.006, -0.004];

/// Sums of twelve uniforms less 6, from the minimal standard generator of Park and Miller 1988.
fn gaussians(seed: u64, n: usize) -> Vec<f64> {
    const MODULUS: u64 = (1 << 31) - 1;
    let mut z = seed;
    let mut uniform = || {
        z = 16_807 * z % MODULUS;
        count(z) / count(MODULUS)
    };
    (0..n).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
}

/// 504 daily returns and a benchmark correlated with them.
fn p504() -> (Vec<f64>, Vec<f64>) {
    let round = |x: f64| (x * 1e8).round_ties_even() / 1e8;
    let (g, h) = (gaussians(42, 504), gaussians(7, 504));
    let returns = g.iter().map(|g| round(0.0011 + 0.01 * g)).collect();
    let benchmark = g.iter().zip(&h).map(|(g, h)| round(0.0003 + 0.008 * (0.6 * g + 0.8 * h))).collect();
    (returns, benchmark)
}

fn value(of: &Performance, name: &str) -> f64 {
    of.entries().iter().find(|(known, _)| *known == name).map(|(_, x)| *x).unwrap()
}

fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: found {found}, expected {expected}");
}

fn assert_table(of: &Performance, table: &[(&str, f64)]) {
    for &(name, expected) in table {
        assert_close(name, value(of, name), expected);
    }
}

#[test]
fn the_generated_series_is_the_published_one() {
    let (r, b) = p504();
    assert_eq!(r[..3], [-0.005_955_28, -0.004_279_84, -0.000_072_78]);
    assert_eq!(b[..3], [-0.000_639_1, 0.000_343_83, 0.006_011_97]);
    assert_eq!((r[503], b[503]), (-0.014_651_79, -0.013_207_72));
    assert_close("sum", r.iter().sum(), 0.319_396_6);
}

/// empyrical-reloaded 0.7.1 (quantstats 0.0.86 for the win rate, pandas 3.1.1 for skew and kurtosis).
#[test]
fn ten_returns_give_the_values_of_the_reference_libraries() {
    let found = performance(&S10, Some(&S10_BENCHMARK), 0.0, YEAR).unwrap();
    assert_table(
        &found,
        &[
            ("periods", 10.0),
            ("total_return", 0.023_560_862_072_644_63),
            ("annual_return", 0.798_309_834_436_084_8),
            ("annual_volatility", 0.195_885_680_946_821_66),
            ("sharpe", 3.087_515_111_245_875_4),
            ("downside_risk", 0.116_003_448_224_610_98),
            ("sortino", 5.213_638_122_454_425),
            ("max_drawdown", -0.02),
            ("max_drawdown_length", 5.0),
            ("longest_drawdown_length", 5.0),
            ("calmar", 39.915_491_721_804_315),
            ("omega", 1.631_578_947_368_421),
            ("tail_ratio", 1.145_161_290_322_580_3),
            ("var_5", -0.0155),
            ("cvar_5", -0.02),
            ("stability", 0.577_460_565_558_797_5),
            ("skew", -0.364_359_111_214_484_5),
            ("kurtosis", -0.457_911_159_946_143_1),
            ("alpha", 0.235_606_554_848_418_75),
            ("beta", 1.200_089_076_940_207),
            ("tracking_error", 0.056_224_549_798_108_66),
            ("information_ratio", 0.310_575_339_699_984_7),
            ("information_ratio_annual", 0.310_575_339_699_984_7 * YEAR.sqrt()),
            ("best", 0.02),
            ("worst", -0.02),
            ("hit_rate", 0.555_555_555_555_555_6),
        ],
    );
}

/// As above, over two years of generated returns.
#[test]
fn two_years_of_returns_give_the_values_of_the_reference_libraries() {
    let (returns, benchmark) = p504();
    let found = performance(&returns, Some(&benchmark), 0.0, YEAR).unwrap();
    assert_table(
        &found,
        &[
            ("periods", 504.0),
            ("total_return", 0.342_339_920_155_595),
            ("annual_return", 0.158_593_941_014_536_28),
            ("annual_volatility", 0.157_909_532_259_322_5),
            ("sharpe", 1.011_327_800_893_868_6),
            ("downside_risk", 0.107_735_912_359_107_08),
            ("sortino", 1.482_312_596_636_217_8),
            ("max_drawdown", -0.194_029_914_397_385_76),
            ("max_drawdown_length", 112.0),
            ("longest_drawdown_length", 136.0),
            ("calmar", 0.817_368_504_784_915_2),
            ("omega", 1.171_309_430_496_814_6),
            ("tail_ratio", 1.072_888_651_509_372),
            ("var_5", -0.015_605_577_5),
            ("cvar_5", -0.020_817_195_384_615_385),
            ("stability", 0.787_440_553_456_866_1),
            ("skew", -0.141_900_480_152_816_64),
            ("kurtosis", -0.208_935_787_820_383_72),
            ("alpha", 0.093_878_517_966_379_92),
            ("beta", 0.778_413_315_409_445_8),
            ("tracking_error", 0.118_723_742_496_226_44),
            ("information_ratio", 0.037_052_734_964_724_19),
            ("best", 0.026_259_7),
            ("worst", -0.028_167_62),
            ("hit_rate", 0.533_730_158_730_158_7),
        ],
    );
}

/// empyrical-reloaded 0.7.1 with `risk_free`, or `required_return` where that is its name, of 0.0001 per day.
#[test]
fn a_risk_free_rate_is_subtracted_per_period() {
    let (returns, benchmark) = p504();
    let long = performance(&returns, Some(&benchmark), 1e-4, YEAR).unwrap();
    let short = performance(&S10, Some(&S10_BENCHMARK), 1e-4, YEAR).unwrap();
    assert_table(
        &short,
        &[
            ("sharpe", 2.958_868_648_277_297_5),
            ("downside_risk", 0.116_831_417_007_584_07),
            ("sortino", 4.960_994_352_763_654),
            ("omega", 1.597_402_597_402_597_6),
            ("alpha", 0.241_847_201_868_129_7),
            ("beta", 1.200_089_076_940_207),
        ],
    );
    assert_table(
        &long,
        &[
            ("sharpe", 0.851_742_754_700_355_6),
            ("downside_risk", 0.108_603_166_929_956_53),
            ("sortino", 1.238_438_102_700_491_6),
            ("omega", 1.142_475_657_381_987_4),
            ("alpha", 0.087_789_434_882_089_35),
            ("total_return", 0.342_339_920_155_595),
        ],
    );
}

#[test]
fn an_empty_series_has_no_statistics() {
    let found = performance(&[], None, 0.0, YEAR).unwrap();
    for (name, x) in found.entries() {
        let is_count = name == "periods" || name.ends_with("_length");
        assert!(if is_count { x == 0.0 } else { x.is_nan() }, "{name} = {x}");
    }
}

#[test]
fn one_return_has_a_size_and_no_dispersion() {
    let found = performance(&[-0.25], Some(&[0.1]), 0.0, 1.0).unwrap();
    for (name, expected) in
        [("total_return", -0.25), ("annual_return", -0.25), ("max_drawdown", -0.25), ("calmar", -1.0)]
    {
        assert_close(name, value(&found, name), expected);
    }
    assert_table(&found, &[("var_5", -0.25), ("cvar_5", -0.25), ("max_drawdown_length", 1.0), ("hit_rate", 0.0)]);
    for name in ["annual_volatility", "sharpe", "sortino", "omega", "stability", "skew", "kurtosis", "alpha", "beta"] {
        assert!(value(&found, name).is_nan(), "{name}");
    }
}

#[test]
fn constant_returns_have_no_ratios_rather_than_infinite_ones() {
    // The second series is constant up to the rounding of NAVs that grow by a percent.
    let rounded: Vec<f64> = (0..50)
        .scan(100.0_f64, |nav, _| {
            let before = *nav;
            *nav += 0.01 * *nav;
            Some(*nav / before - 1.0)
        })
        .collect();
    assert!(rounded.iter().any(|r| r.to_bits() != rounded[0].to_bits()));
    for series in [vec![0.01; 50], rounded, vec![0.0; 50]] {
        let found = performance(&series, Some(&series), 0.0, YEAR).unwrap();
        for name in ["sharpe", "sortino", "calmar", "omega", "skew", "kurtosis", "beta", "alpha", "information_ratio"] {
            assert!(value(&found, name).is_nan(), "{name} = {}", value(&found, name));
        }
        assert!(found.annual_volatility < 1e-13 && found.tracking_error == 0.0 && found.max_drawdown == 0.0);
    }
}

#[test]
fn without_a_benchmark_only_the_comparisons_are_missing() {
    let with = performance(&S10, Some(&S10_BENCHMARK), 0.0, YEAR).unwrap();
    let without = performance(&S10, None, 0.0, YEAR).unwrap();
    for ((name, a), (_, b)) in with.entries().into_iter().zip(without.entries()) {
        let compares = ["alpha", "beta", "tracking_error"].contains(&name) || name.starts_with("information_ratio");
        assert!(if compares { b.is_nan() } else { a.to_bits() == b.to_bits() }, "{name}: {a} and {b}");
    }
}

#[test]
fn a_drawdown_lasts_from_its_peak_to_the_recovery_or_the_end() {
    let lengths = |returns: &[f64]| {
        let found = performance(returns, None, 0.0, YEAR).unwrap();
        (found.max_drawdown_length, found.longest_drawdown_length)
    };
    assert_eq!(lengths(&[0.1, 0.1]), (0, 0));
    assert_eq!(lengths(&[-0.5, 1.0]), (2, 2));
    assert_eq!(lengths(&[0.1, -0.1, 0.01, 0.01]), (3, 3));
    // A deep short fall, then a shallow one that lasts.
    assert_eq!(lengths(&[-0.5, 1.5, -0.01, 0.001, 0.001, 0.001]), (2, 4));
    // A shallow one that lasts, then a deep one that has not ended.
    assert_eq!(lengths(&[-0.01, 0.001, 0.001, 0.001, 0.1, -0.5]), (1, 5));
    // Equal depths: the first counts.
    assert_eq!(lengths(&[-0.5, 1.0, -0.5, 0.25, 0.25]), (2, 3));
}

#[test]
fn wealth_that_is_lost_entirely_ends_at_minus_one() {
    let found = performance(&[0.1, -1.0, 0.0], None, 0.0, YEAR).unwrap();
    assert_table(&found, &[("total_return", -1.0), ("annual_return", -1.0), ("max_drawdown", -1.0)]);
    assert!(found.stability.is_nan());
}

#[test]
fn an_undefined_return_of_the_run_makes_the_statistics_undefined() {
    let mut statistics = ReturnStatistics::new(0.0, YEAR).unwrap();
    for r in [0.01, f64::NAN, 0.02, -0.01] {
        statistics.push(r, None);
    }
    for (name, x) in statistics.summary().entries() {
        let is_count = name == "periods" || name.ends_with("_length") || name == "hit_rate";
        assert!(is_count || x.is_nan(), "{name} = {x}");
    }
}

#[test]
fn a_copy_goes_on_as_the_original_does() {
    let mut original = ReturnStatistics::new(0.0, YEAR).unwrap();
    for &r in &S10[..6] {
        original.push(r, None);
    }
    let mut copy = original.clone();
    for &r in &S10[6..] {
        original.push(r, None);
        copy.push(r, None);
    }
    let bits = |s: &ReturnStatistics| s.summary().entries().map(|(_, x)| x.to_bits());
    assert_eq!(bits(&original), bits(&copy));
    assert_close("current drawdown", original.current_drawdown(), -0.003);
}

#[test]
fn input_that_cannot_be_summarised_is_refused() {
    let refused = |r: Result<Performance>| r.unwrap_err().message;
    let message = refused(performance(&[0.01, f64::NAN], None, 0.0, YEAR));
    assert!(message.contains("return 1 is NaN"), "{message}");
    let message = refused(performance(&[0.01], Some(&[f64::INFINITY]), 0.0, YEAR));
    assert!(message.contains("benchmark return 0 is inf"), "{message}");
    let message = refused(performance(&[0.01], Some(&[]), 0.0, YEAR));
    assert!(message.contains("benchmark has 0 returns and the series has 1"), "{message}");
    let message = refused(performance(&[0.01], None, f64::NAN, YEAR));
    assert!(message.contains("risk_free is NaN"), "{message}");
    let message = refused(performance(&[0.01], None, 0.0, 0.0));
    assert!(message.contains("periods_per_year is 0"), "{message}");
}
