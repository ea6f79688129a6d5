//! Kolmogorov's tail against scipy's, in each region and where regions meet.

use super::*;

/// `scipy.stats.kstwo.sf(d, n)`, scipy 1.17.
const KNOWN: [(f64, f64, f64); 21] = [
    (3.0, 0.2, 0.998_222_222_222_222_2),
    (5.0, 0.12, 0.999_987_712),
    (7.0, 0.9, 1.999_999_999_999_997e-7),
    (10.0, 0.3, 0.270_535_574_799_999_46),
    (10.0, 0.55, 0.002_280_510_321_484_372_5),
    (50.0, 0.1, 0.662_311_270_465_818_6),
    (100.0, 0.05, 0.953_215_971_063_572_5),
    (100.0, 0.15, 0.019_839_242_125_641_813),
    (140.0, 0.02, 0.999_999_977_482_233_1),
    (140.0, 0.165, 0.000_845_807_108_506_338_3),
    (140.0, 0.2, 2.198_156_330_220_022_2e-5),
    (141.0, 0.05, 0.854_845_693_009_663),
    (142.0, 0.153_076_352_853_965_9, 0.002_267_886_011_859_157),
    (300.0, 0.9, 2.222_656_366_975_554_7e-300),
    (500.0, 0.05, 0.158_662_602_238_153_87),
    (500.0, 0.0667, 0.022_310_713_171_541_263),
    (857.0, 0.0528, 0.016_209_454_154_112_672),
    (1_000.0, 0.01, 0.999_949_674_537_061_1),
    (2_000.0, 0.03, 0.053_546_947_939_325_57),
    (100_000.0, 0.004, 0.081_301_489_202_224_69),
    (1_000_000.0, 0.001, 0.269_821_074_425_893_76),
];

#[test]
fn tails_are_those_of_scipy() {
    for (n, d, expected) in KNOWN {
        let got = above(n, d);
        assert!((got / expected - 1.0).abs() < 1e-9, "n = {n}, d = {d}: {got} instead of {expected}");
    }
}

#[test]
fn the_exact_distribution_and_its_approximations_meet() {
    for (n, d) in [(1_000.0, 0.03), (5_000.0, 0.012), (20_000.0, 0.007)] {
        let apart = (within(n, d) - expansion(n, d)).abs();
        assert!(apart < 0.2 / (n * n), "n = {n}, d = {d}: {apart}");
    }
    // Twice one side forgets that both may be far, which is rarer than e^(−6 n d²) of it.
    for (n, d) in [(100.0, 0.19f64), (140.0, 0.16)] {
        let (exact, twice) = (1.0 - within(n, d), 2.0 * smirnov(n, d));
        assert!((exact / twice - 1.0).abs() < 1e-8, "n = {n}, d = {d}: {exact} {twice}");
    }
}

#[test]
fn it_falls_with_the_distance_and_has_ends() {
    for n in [1.0, 2.0, 9.0, 140.0, 141.0, 5_000.0] {
        let tails: Vec<f64> = (0..=100).map(|at| above(n, f64::from(at) / 100.0)).collect();
        assert_eq!((tails[0], tails[100]), (1.0, 0.0), "{n}");
        assert!(tails.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{n}: {tails:?}");
    }
    assert!(above(10.0, f64::NAN).is_nan() && above(0.0, 0.5).is_nan());
}
