//! How alike two texts are, from 0 to 1, letter by letter. Owns the choice of measure; each has its own file. Letters are
//! Unicode code points, as in rapidfuzz: an accent that is written apart from its letter is a letter.

pub mod hamming;
pub mod jaro;
pub mod levenshtein;

/// A measure of likeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Likeness {
    /// 1 less the share of letters to be put in, taken out or changed.
    #[default]
    Levenshtein,
    /// The share of places with the same letter.
    Hamming,
    /// Letters in common that are near their places.
    Jaro,
    /// The same, higher where the first letters are the same.
    JaroWinkler,
}

impl Likeness {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Levenshtein, Self::Hamming, Self::Jaro, Self::JaroWinkler];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Levenshtein => "levenshtein",
            Self::Hamming => "hamming",
            Self::Jaro => "jaro",
            Self::JaroWinkler => "jaro_winkler",
        }
    }

    /// How alike two texts are. Two empty ones are alike.
    #[must_use]
    pub fn of(self, one: &str, two: &str) -> f64 {
        self.of_letters(&letters(one), &letters(two))
    }

    /// The same for texts that were taken apart already by [`letters`].
    #[must_use]
    pub fn of_letters(self, one: &[char], two: &[char]) -> f64 {
        match self {
            Self::Levenshtein => levenshtein::likeness(one, two),
            Self::Hamming => hamming::likeness(one, two),
            Self::Jaro => jaro::likeness(one, two),
            Self::JaroWinkler => jaro::winkler(one, two),
        }
    }
}

/// The letters of a text.
#[must_use]
pub fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// 1 less a share of the longer text, 1 where both are empty.
pub(crate) fn less(distance: usize, one: &[char], two: &[char]) -> f64 {
    let longer = one.len().max(two.len());
    if longer == 0 { 1.0 } else { 1.0 - crate::ranked::count(distance) / crate::ranked::count(longer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn likeness_is_a_share_and_1_of_what_is_the_same(one in "[ab é日]{0,12}", two in "[ab é日]{0,12}") {
            for likeness in Likeness::ALL {
                let got = likeness.of(&one, &two);
                prop_assert!((0.0..=1.0).contains(&got), "{}: {got}", likeness.name());
                prop_assert!((got - likeness.of(&two, &one)).abs() < 1e-12, "{}", likeness.name());
                prop_assert!((likeness.of(&one, &one) - 1.0).abs() < 1e-12);
                if one != two && likeness != Likeness::Jaro && likeness != Likeness::JaroWinkler {
                    prop_assert!(got < 1.0);
                }
            }
            prop_assert!(Likeness::Hamming.of(&one, &two) <= Likeness::Levenshtein.of(&one, &two));
            prop_assert!(Likeness::Jaro.of(&one, &two) <= Likeness::JaroWinkler.of(&one, &two));
        }
    }
}
