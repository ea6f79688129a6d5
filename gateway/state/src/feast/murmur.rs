//! MurmurHash3 of 32 bits with seed 0 (Austin Appleby's x86_32, in the public domain).

/// The hash of `bytes`.
pub(super) fn murmur3(bytes: &[u8]) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<4>();
    let mixed = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = blocks.iter().fold(0u32, |hash, block| {
        (hash ^ mixed(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash ^= mixed(u32::from_le_bytes(last));
    }
    // Lengths are taken modulo 2³², as the reference does.
    #[expect(clippy::cast_possible_truncation, reason = "the reference counts in 32 bits")]
    let length = bytes.len() as u32;
    hash ^= length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        // As the package `mmh3` has them.
        for (text, wanted) in [("", 0), ("a", 0x3c25_69b2), ("aaaa", 0x7eee_d987), ("Hello, world!", 0xc036_3e43)] {
            assert_eq!(murmur3(text.as_bytes()), wanted, "{text}");
        }
    }
}
