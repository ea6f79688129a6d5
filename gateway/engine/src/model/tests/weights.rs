//! The weights of the goldens, by the formula of `tests/models/make.py`: nothing of them is kept.

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
}

/// Uniform in [-1, 1): splitmix64 of the name's hash and the index.
pub(super) fn random(name: &str, count: usize) -> Vec<f32> {
    let seed = hash(name);
    (1..=count as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect()
}

/// A tensor of a model.
pub(super) fn weight(name: &str, shape: &[usize], zero_norms: bool) -> Vec<f32> {
    let (scale, offset) = match shape {
        _ if name.ends_with(".bias") => (0.5, 0.0),
        [_] => (0.3, if zero_norms { 0.0 } else { 1.0 }),
        _ if name.contains("embed") => (0.9, 0.0),
        shape => (2.0 / (shape[1] as f32).sqrt(), 0.0),
    };
    random(name, shape.iter().product()).into_iter().map(|u| u * scale + offset).collect()
}
