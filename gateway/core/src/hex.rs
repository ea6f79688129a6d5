//! Lower-case hexadecimal digits, the way ids and digests are written. Owns nothing else.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The two digits of a byte.
const fn pair(byte: u8) -> [u8; 2] {
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 0xF) as usize]]
}

/// Writes the digits of `bytes` into `out`, which is twice as long.
pub(crate) fn write(bytes: &[u8], out: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        digits.copy_from_slice(&pair(*byte));
    }
}

/// Reads lower-case digits; `None` at anything else. At most 32 of them count.
pub(crate) fn read(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |so_far, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(so_far << 4 | u128::from(value))
    })
}
