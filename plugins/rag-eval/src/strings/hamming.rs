//! How many places have another letter (Hamming 1950). Of texts of unlike length, the places that one lacks are others, as with
//! rapidfuzz's `pad`.

/// How many.
#[must_use]
pub fn distance(one: &[char], two: &[char]) -> usize {
    let others = one.iter().zip(two).filter(|(one, two)| one != two).count();
    others + one.len().abs_diff(two.len())
}

/// The share of the longer text's places that have the same letter; 1 for two empty texts.
#[must_use]
pub fn likeness(one: &[char], two: &[char]) -> f64 {
    super::less(distance(one, two), one, two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strings::letters;

    #[test]
    fn known_distances() {
        for (one, two, expected) in [("", "", 0), ("", "abc", 3), ("karolin", "kathrin", 3), ("abc", "xabc", 4)] {
            assert_eq!(distance(&letters(one), &letters(two)), expected, "{one} {two}");
        }
        assert_eq!(likeness(&letters("abcd"), &letters("ab")), 0.5);
        assert_eq!(likeness(&[], &[]), 1.0);
    }
}
