//! An adapter's products against their portable twins bit for bit, alone and beside others; the twins against plain sums.

use super::*;
use half::f16;
use proptest::prelude::*;

fn rows(count: usize, len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-4.0f32..4.0, count * len)
}

fn halves(x: &[f32]) -> Vec<u16> {
    x.iter().map(|v| f16::from_f32(*v).to_bits()).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shrinking_is_that_of_the_twin_and_of_each_row_alone(
        (rank, cols, count, a, x) in (1usize..10, 1usize..70, 1usize..=4).prop_flat_map(|(rank, cols, count)| {
            (Just(rank), Just(cols), Just(count), rows(rank, cols), rows(count, cols))
        })
    ) {
        let a = halves(&a);
        let x: Vec<&[f32]> = x.chunks_exact(cols).collect();
        let (mut fast, mut slow) = (vec![0.0; count * rank], vec![0.0; count * rank]);
        Isa::detect().shrink(&a, rank, &x, &mut fast);
        Isa::portable().shrink(&a, rank, &x, &mut slow);
        prop_assert_eq!(bits(&fast), bits(&slow));
        for (x, h) in x.iter().zip(fast.chunks_exact(rank)) {
            let mut alone = vec![0.0; rank];
            Isa::detect().shrink(&a, rank, &[x], &mut alone);
            prop_assert_eq!(bits(&alone), bits(h));
            for (a, h) in a.chunks_exact(cols).zip(h) {
                let plain: f64 = a.iter().zip(*x).map(|(a, x)| f16::from_bits(*a).to_f64() * f64::from(*x)).sum();
                prop_assert!((plain - f64::from(*h)).abs() < 1e-3, "{} for {}", h, plain);
            }
        }
    }

    #[test]
    fn expanding_is_that_of_the_twin_and_of_each_row_alone(
        (rank, blocks, count, b, h) in (1usize..10, 1usize..4, 1usize..=4).prop_flat_map(|(rank, blocks, count)| {
            (Just(rank), Just(blocks), Just(count), rows(rank, blocks * WIDTH), rows(count, rank))
        })
    ) {
        let (b, cols) = (halves(&b), blocks * WIDTH);
        let (mut fast, mut slow) = (vec![1.0; count * cols], vec![2.0; count * cols]);
        Isa::detect().expand(&b, rank, &h, &mut fast);
        Isa::portable().expand(&b, rank, &h, &mut slow);
        prop_assert_eq!(bits(&fast), bits(&slow));
        for (h, out) in h.chunks_exact(rank).zip(fast.chunks_exact(cols)) {
            let mut alone = vec![0.0; cols];
            Isa::detect().expand(&b, rank, h, &mut alone);
            prop_assert_eq!(bits(&alone), bits(out));
            for (c, out) in out.iter().enumerate() {
                let weight = |r: usize| f16::from_bits(b[(c / WIDTH * rank + r) * WIDTH + c % WIDTH]).to_f64();
                let plain: f64 = h.iter().enumerate().map(|(r, h)| weight(r) * f64::from(*h)).sum();
                prop_assert!((plain - f64::from(*out)).abs() < 1e-3, "{} for {}", out, plain);
            }
        }
    }
}
