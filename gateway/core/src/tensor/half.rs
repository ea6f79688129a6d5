//! Numbers of 16 bits and `f32`, both ways: FP16 of IEEE 754 and BF16, rounded to the nearest, ties to even.

/// The `f32` that FP16's `bits` stand for, exactly.
#[must_use]
pub fn of_fp16(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, (bits >> 10) & 31, u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // 2^-24 for each step, which an `f32` has exactly.
        0 => return f32::from_bits(sign | (f32::from(bits & 0x3ff) / 16_777_216.0).to_bits()),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (u32::from(exponent) + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The FP16 that is nearest to `value`; what is too large is infinite.
#[must_use]
pub fn to_fp16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = low(bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65520, from which on the nearest one is infinite.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    // 2^-14, the smallest that is normal.
    if magnitude >= 0x3880_0000 {
        return sign | low(rounded(magnitude - (112 << 23), 13));
    }
    // Steps of 2^-24: the fraction with its one, shifted to where they are.
    let exponent = magnitude >> 23;
    if exponent < 102 {
        return sign;
    }
    sign | low(rounded(magnitude & 0x007f_ffff | 0x0080_0000, 126 - exponent))
}

/// The `f32` that BF16's `bits` stand for, exactly.
#[must_use]
pub const fn of_bf16(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// The BF16 that is nearest to `value`.
#[must_use]
pub fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() { low(bits >> 16) | 0x40 } else { low(rounded(bits, 16)) }
}

/// `bits` without its last `shift` ones, rounded to the nearest, ties to even.
const fn rounded(bits: u32, shift: u32) -> u32 {
    let half = 1u32 << (shift - 1);
    let is_odd = (bits >> shift) & 1;
    // A carry goes into the exponent, which is right there too.
    (bits + (half - 1) + is_odd) >> shift
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is empty")]
const fn low(bits: u32) -> u16 {
    bits as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_of_16_bits_come_back() {
        for bits in 0..=u16::MAX {
            let (fp16, bf16) = (of_fp16(bits), of_bf16(bits));
            assert!(fp16.is_nan() || to_fp16(fp16) == bits, "{bits:#x}: {fp16}");
            assert!(bf16.is_nan() || to_bf16(bf16) == bits, "{bits:#x}: {bf16}");
            assert_eq!(fp16.is_nan(), of_fp16(to_fp16(fp16)).is_nan());
            assert_eq!(bf16.is_nan(), of_bf16(to_bf16(bf16)).is_nan());
        }
    }

    #[test]
    fn known_numbers_are_what_ieee_says() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(of_fp16(bits).to_bits(), f32::to_bits(value), "{bits:#x}");
            assert_eq!(to_fp16(value), bits);
        }
        // Between two: ties go to the even one, all else to the nearest; from 65520 on to infinity.
        assert_eq!((to_fp16(2049.0), to_fp16(2051.0), to_fp16(2049.1)), (0x6800, 0x6802, 0x6801));
        assert_eq!((to_fp16(65519.9), to_fp16(65520.0), to_fp16(1e9)), (0x7bff, 0x7c00, 0x7c00));
        assert_eq!((to_fp16(2.9e-8), to_fp16(3.0e-8), to_fp16(-1e-9)), (0, 1, 0x8000));
        assert_eq!((to_bf16(1.0), to_bf16(3.389_531_4e38), to_bf16(f32::MAX)), (0x3f80, 0x7f7f, 0x7f80));
    }

    #[test]
    fn what_is_rounded_is_the_nearest() {
        let mut bits = 1u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            if !value.is_finite() || value.abs() >= 65504.0 {
                continue;
            }
            let got = to_fp16(value);
            let error = |bits: u16| (f64::from(of_fp16(bits)) - f64::from(value)).abs();
            for other in [got.wrapping_sub(1), got.wrapping_add(1)] {
                let is_neighbour = of_fp16(other).is_finite() && (other ^ got) & 0x8000 == 0;
                assert!(!is_neighbour || error(got) <= error(other), "{value}: {got:#x} against {other:#x}");
            }
        }
    }
}
