//! An adapter's products against their portable twins bit for bit, alone and beside others; the twins against plain sums.

use super::*;
use half::f16;
use proptest::prelude::*;

fn rows(count: usize, len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-4.0f32..4.0, count * len)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// A number as it is kept, and what is kept of it.
fn kept(v: f32, as_what: Precision) -> (Vec<u8>, f64) {
    match as_what {
        Precision::Half => (f16::from_f32(v).to_le_bytes().to_vec(), f16::from_f32(v).to_f64()),
        Precision::Eight => {
            let whole = (v * 31.0).round() as i8;
            (vec![whole.cast_unsigned()], f64::from(whole))
        }
    }
}

/// A matrix of so many rows at its places, and its numbers.
fn placed(a: &[f32], rank: usize, as_what: Precision) -> (Vec<u8>, Vec<f64>) {
    let inputs = a.len() / rank;
    let cols = inputs.next_multiple_of(DEPTH);
    let mut to = vec![0; rank * cols * as_what.bytes()];
    let mut plain = Vec::new();
    for (at, v) in a.iter().enumerate() {
        let (bytes, v) = kept(*v, as_what);
        to[place(rank, cols, (at / inputs, at % inputs)) * bytes.len()..][..bytes.len()].copy_from_slice(&bytes);
        plain.push(v);
    }
    (to, plain)
}

fn any_precision() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::Half), Just(Precision::Eight)]
}

#[test]
fn each_number_has_a_place_of_its_own() {
    for (rank, cols) in [(1, 16), (3, 32), (4, 16), (7, 48), (16, 64)] {
        let mut places: Vec<_> = (0..rank * cols).map(|at| place(rank, cols, (at / cols, at % cols))).collect();
        places.sort_unstable();
        assert_eq!(places, (0..rank * cols).collect::<Vec<_>>());
    }
    // Side by side in a group, and group after group.
    assert_eq!([(0, 0), (1, 0), (0, 16), (4, 0), (5, 16)].map(|at| place(6, 32, at)), [0, 16, 64, 128, 176]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shrinking_is_that_of_the_twin_and_of_each_row_alone(
        as_what in any_precision(),
        (rank, cols, count, a, x) in (1usize..10, 1usize..70, 1usize..=4).prop_flat_map(|(rank, cols, count)| {
            (Just(rank), Just(cols), Just(count), rows(rank, cols), rows(count, cols))
        })
    ) {
        let (packed, plain) = placed(&a, rank, as_what);
        let x: Vec<&[f32]> = x.chunks_exact(cols).collect();
        let mut slow = vec![0.0; count * rank];
        Isa::portable().shrink((&packed, as_what), rank, &x, &mut slow);
        for isa in Isa::all() {
            let mut fast = vec![0.0; count * rank];
            isa.shrink((&packed, as_what), rank, &x, &mut fast);
            prop_assert_eq!(bits(&fast), bits(&slow), "{}", isa.name());
            for (x, h) in x.iter().zip(fast.chunks_exact(rank)) {
                let mut alone = vec![0.0; rank];
                isa.shrink((&packed, as_what), rank, &[x], &mut alone);
                prop_assert_eq!(bits(&alone), bits(h));
            }
        }
        for (x, h) in x.iter().zip(slow.chunks_exact(rank)) {
            for (a, h) in plain.chunks_exact(cols).zip(h) {
                let plain: f64 = a.iter().zip(*x).map(|(a, x)| a * f64::from(*x)).sum();
                prop_assert!((plain - f64::from(*h)).abs() < 2e-2, "{} for {}", h, plain);
            }
        }
    }

    #[test]
    fn expanding_is_that_of_the_twin_and_of_each_row_alone(
        as_what in any_precision(),
        (rank, len, count, b, h) in (1usize..10, 1usize..110, 1usize..=4).prop_flat_map(|(rank, len, count)| {
            (Just(rank), Just(len), Just(count), rows(rank, len.next_multiple_of(WIDTH)), rows(count, rank))
        })
    ) {
        let (bytes, numbers): (Vec<_>, Vec<_>) = b.iter().map(|v| kept(*v, as_what)).unzip();
        let bytes = bytes.concat();
        // Rows from back to front, with a gap between each two, which stays as it was.
        let begin: Vec<usize> = (0..count).rev().map(|row| row * (len + 3)).collect();
        let before: Vec<f32> = (0..count * (len + 3)).map(|at| at as f32 * 0.25).collect();
        let added = |isa: Isa, h: &[f32], begin: &[usize]| {
            let mut out = before.clone();
            isa.expand((&bytes, as_what), rank, h, &mut Rows { all: &mut out, begin, len });
            out
        };
        let slow = added(Isa::portable(), &h, &begin);
        for isa in Isa::all() {
            prop_assert_eq!(bits(&added(isa, &h, &begin)), bits(&slow), "{}", isa.name());
            for (h, begin) in h.chunks_exact(rank).zip(&begin) {
                let alone = added(isa, h, &[*begin]);
                prop_assert_eq!(bits(&alone[*begin..][..len]), bits(&slow[*begin..][..len]));
            }
        }
        for (at, (now, before)) in slow.iter().zip(&before).enumerate() {
            let (row, c) = (at / (len + 3), at % (len + 3));
            let weight = |r: usize| numbers[(c / WIDTH * rank + r) * WIDTH + c % WIDTH];
            let h = &h[(count - 1 - row) * rank..][..rank];
            let plain: f64 = h.iter().enumerate().map(|(r, h)| if c < len { weight(r) * f64::from(*h) } else { 0.0 }).sum();
            prop_assert!((plain + f64::from(*before) - f64::from(*now)).abs() < 3e-2, "{} for {}", now, plain);
        }
    }
}
