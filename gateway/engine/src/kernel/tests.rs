//! The fast functions against their portable twins, bit for bit, and the twins against plain arithmetic.

use super::*;
use proptest::prelude::*;

fn row(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-8.0f32..8.0, len)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Packed weights: scales as real half-precision numbers, the rest any bytes.
fn packed(blocks: usize, block: usize, halves: usize) -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), blocks * block), prop::collection::vec(-2.0f32..2.0, blocks * halves)).prop_map(
        move |(mut bytes, scales)| {
            for (b, w) in bytes.chunks_exact_mut(block).enumerate() {
                for h in 0..halves {
                    let half = half::f16::from_f32(scales[b * halves + h]).to_le_bytes();
                    w[h * 2..h * 2 + 2].copy_from_slice(&half);
                }
            }
            bytes
        },
    )
}

struct Quantized {
    q: Vec<i8>,
    d: Vec<f32>,
    s: Vec<f32>,
}

fn quantized(isa: Isa, x: &[f32]) -> Quantized {
    let blocks = x.len() / BLOCK;
    let mut out = Quantized { q: vec![0; x.len()], d: vec![0.0; blocks], s: vec![0.0; blocks] };
    isa.quantize(x, &mut out.q, &mut out.d, &mut out.s);
    out
}

/// Rows first..first+rows of a quantised 4 × cols matrix.
fn tile(x: &Quantized, cols: usize, first: usize, rows: usize) -> QuantTile<'_> {
    let blocks = cols / BLOCK;
    QuantTile {
        q: &x.q[first * cols..][..rows * cols],
        d: &x.d[first * blocks..][..rows * blocks],
        s: &x.s[first * blocks..][..rows * blocks],
        cols,
        rows,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quantised_rows_are_equal(x in row(96)) {
        let (a, b) = (quantized(Isa::portable(), &x), quantized(Isa::detect(), &x));
        prop_assert_eq!(&a.q, &b.q);
        prop_assert_eq!(bits(&a.d), bits(&b.d));
        prop_assert_eq!(bits(&a.s), bits(&b.s));
        for (i, x) in x.iter().enumerate() {
            prop_assert!((f32::from(a.q[i]) * a.d[i / BLOCK] - x).abs() <= a.d[i / BLOCK] * 0.51);
        }
    }

    #[test]
    fn q4_tiles_are_equal_alone_and_together(w in packed(3, Q4_BYTES, 16), x in row(96 * TILE)) {
        let x = quantized(Isa::detect(), &x);
        let (mut a, mut b) = (Tile::default(), Tile::default());
        Isa::portable().q4_tile(&w, tile(&x, 96, 0, TILE), &mut a);
        Isa::detect().q4_tile(&w, tile(&x, 96, 0, TILE), &mut b);
        prop_assert_eq!(bits(a.as_flattened()), bits(b.as_flattened()));
        for (t, together) in b.iter().enumerate() {
            let mut alone = Tile::default();
            Isa::detect().q4_tile(&w, tile(&x, 96, t, 1), &mut alone);
            prop_assert_eq!(bits(&alone[0]), bits(together));
        }
    }

    #[test]
    fn q8_tiles_are_equal_alone_and_together(w in packed(3, Q8_BYTES, 8), x in row(96 * TILE)) {
        let x = quantized(Isa::detect(), &x);
        let (mut a, mut b) = (Tile::default(), Tile::default());
        Isa::portable().q8_tile(&w, tile(&x, 96, 0, TILE), &mut a);
        Isa::detect().q8_tile(&w, tile(&x, 96, 0, TILE), &mut b);
        prop_assert_eq!(bits(a.as_flattened()), bits(b.as_flattened()));
        for rows in 1..TILE {
            let mut fewer = Tile::default();
            Isa::detect().q8_tile(&w, tile(&x, 96, 0, rows), &mut fewer);
            prop_assert_eq!(bits(fewer[..rows].as_flattened()), bits(b[..rows].as_flattened()));
        }
    }

    #[test]
    fn row_functions_are_equal(x in row(77), y in row(77)) {
        let (slow, fast) = (Isa::portable(), Isa::detect());
        prop_assert_eq!(slow.dot(&x, &y).to_bits(), fast.dot(&x, &y).to_bits());
        prop_assert_eq!(slow.max(&x).to_bits(), fast.max(&x).to_bits());
        prop_assert_eq!(slow.argmax(&x), fast.argmax(&x));
        prop_assert_eq!(slow.log_sum_exp(&x).to_bits(), fast.log_sum_exp(&x).to_bits());
        let (mut a, mut b) = (x.clone(), x.clone());
        slow.silu_mul(&mut a, &y);
        fast.silu_mul(&mut b, &y);
        prop_assert_eq!(bits(&a), bits(&b));
        let (mut a, mut b) = (x.clone(), x.clone());
        prop_assert_eq!(slow.exp_sum(&mut a).to_bits(), fast.exp_sum(&mut b).to_bits());
        prop_assert_eq!(bits(&a), bits(&b));
        slow.rms_norm(&x, &y, 1e-5, &mut a);
        fast.rms_norm(&x, &y, 1e-5, &mut b);
        prop_assert_eq!(bits(&a), bits(&b));
        let (mut a, mut b) = (vec![0; 77], vec![0; 77]);
        slow.to_f16(&x, &mut a);
        fast.to_f16(&x, &mut b);
        prop_assert_eq!(a, b);
    }

    #[test]
    fn attention_is_equal(q in row(4 * 40), kv in row(PAGE * 40), tokens in 0usize..=PAGE) {
        let (slow, fast) = (Isa::portable(), Isa::detect());
        let mut page = vec![0; PAGE * 40];
        fast.to_f16(&kv, &mut page);
        let (mut a, mut b) = (vec![0.0; 4 * 50], vec![0.0; 4 * 50]);
        slow.scores(&q, 40, &page, &mut a, 50);
        fast.scores(&q, 40, &page, &mut b, 50);
        prop_assert_eq!(bits(&a), bits(&b));
        let (mut c, mut d) = (vec![1.0; 4 * 40], vec![1.0; 4 * 40]);
        slow.values(&a, 50, &page, tokens, 40, &mut c);
        fast.values(&b, 50, &page, tokens, 40, &mut d);
        prop_assert_eq!(bits(&c), bits(&d));
    }
}

#[test]
fn exponential_is_close_to_the_real_one() {
    let mut x: Vec<f32> = (-8700..8700).map(|i| i as f32 / 100.0).collect();
    let real: Vec<f64> = x.iter().map(|v| f64::from(*v - 86.99).exp()).collect();
    Isa::detect().exp_sum(&mut x);
    for (x, real) in x.iter().zip(real).filter(|(_, real)| *real > 1e-37) {
        assert!((f64::from(*x) / real - 1.0).abs() < 1e-5, "{x} {real}");
    }
}

#[test]
fn log_sum_exp_of_equal_values_is_the_logarithm_of_their_number() {
    let x = vec![3.0f32; 49152];
    assert!((Isa::detect().log_sum_exp(&x) - (3.0 + 49152f32.ln())).abs() < 1e-4);
}

#[test]
#[should_panic(expected = "assertion")]
fn a_tile_of_wrong_length_is_refused() {
    let x = QuantTile { q: &[0; 32], d: &[0.0], s: &[0.0], cols: 32, rows: 1 };
    Isa::detect().q4_tile(&[0; Q4_BYTES - 1], x, &mut Tile::default());
}
