//! The fast functions against their portable twins, bit for bit, and the twins against plain arithmetic.

use super::*;
use proptest::prelude::*;

fn row(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-8.0f32..8.0, len)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

const FORMATS: [Format; 5] = [Format::Q40, Format::Q41, Format::Q80, Format::Q4K, Format::Q6K];

/// Columns that hold whole blocks of every format.
const COLS: usize = 512;

/// Packed weights of any format: scales as real half-precision numbers, the rest any bytes.
fn packed() -> impl Strategy<Value = (Format, Vec<u8>)> {
    prop::sample::select(&FORMATS[..]).prop_flat_map(|format| {
        let blocks = COLS / format.columns();
        let halves = if matches!(format, Format::Q41 | Format::Q4K) { 2 * LANES } else { LANES };
        let bytes = prop::collection::vec(any::<u8>(), blocks * format.bytes());
        (bytes, prop::collection::vec(-2.0f32..2.0, blocks * halves)).prop_map(move |(mut bytes, scales)| {
            for (w, scales) in bytes.chunks_exact_mut(format.bytes()).zip(scales.chunks_exact(halves)) {
                for (w, scale) in w.chunks_exact_mut(2).zip(scales) {
                    w.copy_from_slice(&half::f16::from_f32(*scale).to_le_bytes());
                }
            }
            (format, bytes)
        })
    })
}

struct Quantized {
    q: Vec<i8>,
    d: Vec<f32>,
    s: Vec<f32>,
    n: Vec<[i32; 2]>,
}

fn quantized(isa: Isa, x: &[f32]) -> Quantized {
    let blocks = x.len() / BLOCK;
    let mut out =
        Quantized { q: vec![0; x.len()], d: vec![0.0; blocks], s: vec![0.0; blocks], n: vec![[0; 2]; blocks] };
    isa.quantize(x, QuantRow { q: &mut out.q, d: &mut out.d, s: &mut out.s, n: &mut out.n });
    out
}

/// Rows first..first+rows of a quantised matrix.
fn tile(x: &Quantized, first: usize, rows: usize) -> QuantTile<'_> {
    let blocks = COLS / BLOCK;
    QuantTile {
        q: &x.q[first * COLS..][..rows * COLS],
        d: &x.d[first * blocks..][..rows * blocks],
        s: &x.s[first * blocks..][..rows * blocks],
        n: &x.n[first * blocks..][..rows * blocks],
        cols: COLS,
        rows,
    }
}

/// The sets that are compared with the portable one.
fn fast() -> impl Iterator<Item = Isa> {
    Isa::all().filter(|isa| *isa != Isa::portable())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quantised_rows_are_equal(x in row(96)) {
        let a = quantized(Isa::portable(), &x);
        for isa in fast() {
            let b = quantized(isa, &x);
            prop_assert_eq!(&a.q, &b.q);
            prop_assert_eq!(bits(&a.d), bits(&b.d));
            prop_assert_eq!(bits(&a.s), bits(&b.s));
            prop_assert_eq!(&a.n, &b.n);
        }
        for (i, x) in x.iter().enumerate() {
            prop_assert!((f32::from(a.q[i]) * a.d[i / BLOCK] - x).abs() <= a.d[i / BLOCK] * 0.51);
        }
    }

    #[test]
    fn tiles_are_equal_alone_and_together((format, w) in packed(), x in row(COLS * TILE), rows in 1..=TILE) {
        let x = quantized(Isa::portable(), &x);
        let mut a = Tile::default();
        Isa::portable().product(format, &w, tile(&x, 0, TILE), &mut a);
        for isa in fast() {
            let mut b = Tile::default();
            isa.product(format, &w, tile(&x, 0, TILE), &mut b);
            prop_assert_eq!(bits(a.as_flattened()), bits(b.as_flattened()), "{:?} {}", format, isa.name());
            let mut fewer = Tile::default();
            isa.product(format, &w, tile(&x, TILE - rows, rows), &mut fewer);
            prop_assert_eq!(bits(fewer[..rows].as_flattened()), bits(a[TILE - rows..].as_flattened()));
        }
    }

    #[test]
    fn row_functions_are_equal(x in row(77), y in row(77)) {
        let slow = Isa::portable();
        for fast in fast() {
            prop_assert_eq!(slow.dot(&x, &y).to_bits(), fast.dot(&x, &y).to_bits());
            prop_assert_eq!(slow.max(&x).to_bits(), fast.max(&x).to_bits());
            prop_assert_eq!(slow.argmax(&x), fast.argmax(&x));
            prop_assert_eq!(slow.log_sum_exp(&x).to_bits(), fast.log_sum_exp(&x).to_bits());
            prop_assert_eq!(slow.sum_exp(&x, 1.5, 0.7).to_bits(), fast.sum_exp(&x, 1.5, 0.7).to_bits());
            let (mut a, mut b) = (Vec::new(), Vec::new());
            slow.peaks(&x, &mut a);
            fast.peaks(&x, &mut b);
            prop_assert_eq!(a, b);
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
    }

    #[test]
    fn attention_is_equal(
        heads in 1usize..=8,
        dim in prop::sample::select(&[8usize, 40, 64, 96][..]),
        q in row(8 * 96),
        kv in row(PAGE * 96),
        tokens in 0usize..=PAGE,
    ) {
        let slow = Isa::portable();
        let mut page = vec![0; PAGE * dim];
        slow.to_f16(&kv[..PAGE * dim], &mut page);
        let q = &q[..heads * dim];
        let mut a = vec![0.0; heads * 50];
        slow.scores(q, dim, &page, &mut a, 50);
        let mut c = vec![1.0; heads * dim];
        slow.values(&a, 50, &page, tokens, dim, &mut c);
        for fast in fast() {
            let (mut b, mut d) = (vec![0.0; heads * 50], vec![1.0; heads * dim]);
            fast.scores(q, dim, &page, &mut b, 50);
            prop_assert_eq!(bits(&a), bits(&b));
            fast.values(&b, 50, &page, tokens, dim, &mut d);
            prop_assert_eq!(bits(&c), bits(&d));
        }
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
    let x = quantized(Isa::portable(), &[0.0; COLS]);
    let weights = vec![0; COLS / BLOCK * Format::Q40.bytes() - 1];
    Isa::detect().product(Format::Q40, &weights, tile(&x, 0, 1), &mut Tile::default());
}
