//! Lower-case hexadecimal digits, the way ids and digests are written. Owns nothing else.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The two digits of each byte: ids are written several times a call, and one look is a tenth of two with their bounds.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xF]];
        byte += 1;
    }
    pairs
};

/// Writes the digits of `bytes` into `out`, which is twice as long.
#[inline]
pub(crate) fn write(bytes: &[u8], out: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(out.as_chunks_mut().0) {
        *digits = PAIRS[usize::from(*byte)];
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
