//! The fewest letters to be put in, taken out or changed (Levenshtein 1966), 64 cells of the table at a time (Myers 1999; in
//! Hyyrö's form of 2003 for texts of any length).

use std::collections::BTreeMap;

/// How many.
#[must_use]
pub fn distance(one: &[char], two: &[char]) -> usize {
    // What both begin and end with costs nothing.
    let before = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let (one, two) = (one.get(before..).unwrap_or_default(), two.get(before..).unwrap_or_default());
    let after = one.iter().rev().zip(two.iter().rev()).take_while(|(one, two)| one == two).count();
    let (one, two) = (one.get(..one.len() - after), two.get(..two.len() - after));
    let (one, two) = (one.unwrap_or_default(), two.unwrap_or_default());
    let (short, long) = if one.len() < two.len() { (one, two) } else { (two, one) };
    if short.is_empty() { long.len() } else { Column::before(short).read(long) }
}

/// A column of the table, as the differences of each cell from the one above it; rows are the letters of the shorter text, in
/// words of 64.
struct Column {
    words: Vec<Word>,
    /// Where a letter is in the shorter text, a bit a row.
    places: BTreeMap<char, Vec<u64>>,
    rows: usize,
}

/// 64 rows.
#[derive(Clone, Copy)]
struct Word {
    /// Rows that are one more than the row above.
    more: u64,
    /// Rows that are one less.
    less: u64,
}

impl Column {
    /// The column before anything was read: each row is one more than the row above.
    fn before(short: &[char]) -> Self {
        let words = vec![Word { more: !0, less: 0 }; short.len().div_ceil(64)];
        let mut places: BTreeMap<char, Vec<u64>> = BTreeMap::new();
        for (row, letter) in short.iter().enumerate() {
            let masks = places.entry(*letter).or_insert_with(|| vec![0; words.len()]);
            if let Some(mask) = masks.get_mut(row / 64) {
                *mask |= 1 << (row % 64);
            }
        }
        Self { words, places, rows: short.len() }
    }

    /// The last row's cell once all of the longer text was read.
    fn read(mut self, long: &[char]) -> usize {
        let nowhere = vec![0; self.words.len()];
        let last = 1 << ((self.rows - 1) % 64);
        let mut distance = self.rows;
        for letter in long {
            // From the column before: the row above the first grows by one with each letter.
            let (mut grew, mut shrank) = (1, 0);
            let mut at_last = (false, false);
            for (word, place) in self.words.iter_mut().zip(self.places.get(letter).unwrap_or(&nowhere)) {
                let same = place | shrank;
                let kept = ((same & word.more).wrapping_add(word.more) ^ word.more) | same | word.less;
                let (up, down) = (word.less | !(kept | word.more), kept & word.more);
                at_last = (up & last != 0, down & last != 0);
                let (shifted_up, shifted_down) = (up << 1 | grew, down << 1 | shrank);
                (grew, shrank) = (up >> 63, down >> 63);
                *word = Word { more: shifted_down | !(kept | shifted_up), less: shifted_up & kept };
            }
            distance = distance + usize::from(at_last.0) - usize::from(at_last.1);
        }
        distance
    }
}

/// 1 less the distance by the longer text's length; 1 for two empty texts.
#[must_use]
pub fn likeness(one: &[char], two: &[char]) -> f64 {
    super::less(distance(one, two), one, two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strings::letters;
    use proptest::prelude::*;

    fn of(one: &str, two: &str) -> usize {
        distance(&letters(one), &letters(two))
    }

    #[test]
    fn known_distances() {
        for (one, two, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
            ("abcdef", "azced", 3),
            ("naïve", "naive", 1),
            ("日本語", "日本", 1),
            ("abab", "ab", 2),
        ] {
            assert_eq!((of(one, two), of(two, one)), (expected, expected), "{one} {two}");
        }
    }

    /// By the definition.
    fn plain(one: &[char], two: &[char]) -> usize {
        match (one, two) {
            ([], rest) | (rest, []) => rest.len(),
            ([a, one @ ..], [b, two @ ..]) if a == b => plain(one, two),
            ([_, one_rest @ ..], [_, two_rest @ ..]) => {
                1 + plain(one_rest, two).min(plain(one, two_rest)).min(plain(one_rest, two_rest))
            }
        }
    }

    /// Cell by cell (Wagner and Fischer 1974).
    fn table(one: &[char], two: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=two.len()).collect();
        for (read, letter) in one.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], read + 1);
            for (at, other) in two.iter().enumerate() {
                let up = row[at + 1];
                row[at + 1] = (corner + usize::from(letter != other)).min(up + 1).min(row[at] + 1);
                corner = up;
            }
        }
        row[two.len()]
    }

    proptest! {
        #[test]
        fn it_is_a_distance(one in "[abc]{0,6}", two in "[abc]{0,6}", three in "[abc]{0,6}") {
            prop_assert_eq!(of(&one, &two), plain(&letters(&one), &letters(&two)));
            prop_assert_eq!(of(&one, &two) == 0, one == two);
            prop_assert!(of(&one, &three) <= of(&one, &two) + of(&two, &three));
        }

        #[test]
        fn long_texts_are_read_as_short_ones(one in "[abcd]{0,200}", two in "[abcd]{0,200}") {
            let (a, b) = (letters(&one), letters(&two));
            prop_assert_eq!(distance(&a, &b), table(&a, &b));
        }
    }
}
