//! Whether texts can be told apart: a classifier learns on half of both sides which words are whose, and is tried on the other
//! half. Its area under the ROC curve is the statistic, 0.5 where nothing drifted.
//!
//! The choice: Evidently fits a TF-IDF model with SGD and takes an AUC above 0.55, or above a percentile of bootstraps, for
//! drift. Here the classifier is naive Bayes over hashed words (no chance, one pass), and since it has not seen the texts that it
//! is tried on, the AUC of texts from one source is that of Mann and Whitney's test, which gives a p-value like the other
//! tests' (Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests").

use super::count;

/// So many kinds of words are told apart.
const BUCKETS: usize = 1 << 16;
/// So many words of a text are read, and so many texts of a side, evenly spread.
const MOST_WORDS: usize = 2000;
const MOST_TEXTS: usize = 5000;
/// With fewer on a side nothing can be learnt.
pub const FEWEST: usize = 8;

/// What the classifier comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// The chance that a text of the window looks more like the window than one of the reference does.
    pub auc: f64,
    /// How probable so large a chance is where both are of one source.
    pub p: f64,
}

/// Compares both sides; none where one has fewer than [`FEWEST`] texts.
#[must_use]
pub fn told_apart(reference: &[String], current: &[String]) -> Option<Told> {
    if reference.len() < FEWEST || current.len() < FEWEST {
        return None;
    }
    let sides = [reference, current].map(|texts| thinned(texts).map(words).collect::<Vec<Vec<usize>>>());
    let half = |texts: &[Vec<usize>], which: usize| -> Vec<Vec<usize>> {
        texts.iter().skip(which).step_by(2).cloned().collect()
    };
    let model = Model::of(&half(&sides[0], 0), &half(&sides[1], 0));
    let [reference, current] =
        sides.map(|texts| -> Vec<f64> { half(&texts, 1).iter().map(|text| model.score(text)).collect() });
    Some(mann_whitney(&reference, &current))
}

fn thinned(texts: &[String]) -> impl Iterator<Item = &str> {
    let taken = texts.len().min(MOST_TEXTS);
    (0..taken).filter_map(move |at| texts.get(at * texts.len() / taken)).map(String::as_str)
}

/// The different words of a text, by their buckets: what is between all that is neither letter nor figure, in lower case, and
/// each letter of scripts that have no spaces. A text without any has a bucket of its own.
fn words(text: &str) -> Vec<usize> {
    let (mut found, mut hash) = (Vec::new(), None);
    for letter in text.chars().flat_map(char::to_lowercase) {
        if found.len() >= MOST_WORDS {
            break;
        }
        if is_a_word(letter) {
            found.extend(hash.take().map(bucket));
            found.push(bucket(mixed(None, letter)));
        } else if letter.is_alphanumeric() {
            hash = Some(mixed(hash, letter));
        } else {
            found.extend(hash.take().map(bucket));
        }
    }
    found.extend(hash.map(bucket));
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { vec![0] } else { found }
}

/// Kana, Han and Hangul, Thai, Lao, Khmer, Burmese.
const fn is_a_word(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}')
}

/// FNV-1a (Fowler, Noll, Vo), a letter at a time.
fn mixed(hash: Option<u64>, letter: char) -> u64 {
    (hash.unwrap_or(0xcbf2_9ce4_8422_2325) ^ u64::from(letter)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn bucket(hash: u64) -> usize {
    // The high bits are the better mixed. Bucket 0 is that of texts without words.
    1 + usize::try_from(hash >> 32).unwrap_or(0) % (BUCKETS - 1)
}

/// For each bucket how much more a word of it is the window's.
struct Model(Vec<f64>);

impl Model {
    fn of(reference: &[Vec<usize>], current: &[Vec<usize>]) -> Self {
        let counted = |texts: &[Vec<usize>]| {
            let mut counts = vec![0u32; BUCKETS];
            for word in texts.iter().flatten() {
                if let Some(cell) = counts.get_mut(*word) {
                    *cell += 1;
                }
            }
            counts
        };
        let (a, b) = (counted(reference), counted(current));
        // A text has a word or not; one more of each so that nothing is impossible.
        let share = |n: u32, texts: usize| (f64::from(n) + 1.0) / (count(texts) + 2.0);
        let odds = a.iter().zip(&b).map(|(a, b)| (share(*b, current.len()) / share(*a, reference.len())).ln());
        Self(odds.collect())
    }

    /// Per word, so that long texts are not more extreme than short ones.
    fn score(&self, text: &[usize]) -> f64 {
        let all: f64 = text.iter().filter_map(|word| self.0.get(*word)).sum();
        all / count(text.len().max(1))
    }
}

/// The share of pairs in which the second is above, ties half, and how probable that much or more is by the normal
/// approximation with ties (Lehmann, Nonparametrics, 1975, section 1.4).
fn mann_whitney(first: &[f64], second: &[f64]) -> Told {
    let mut all: Vec<(f64, bool)> = first.iter().map(|score| (*score, false)).collect();
    all.extend(second.iter().map(|score| (*score, true)));
    all.sort_unstable_by(|one, two| one.0.total_cmp(&two.0));
    let (n, m) = (count(first.len()), count(second.len()));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0);
    for tied in all.chunk_by(|one, two| one.0 == two.0) {
        let size = count(tied.len());
        let rank = count(before) + f64::midpoint(size, 1.0);
        ranks += rank * count(tied.iter().filter(|(_, is_second)| *is_second).count());
        ties += size * (size * size - 1.0);
        before += tied.len();
    }
    let above = ranks - m * (m + 1.0) / 2.0;
    let both = n + m;
    let variance = n * m / 12.0 * ((both + 1.0) - ties / (both * (both - 1.0)));
    let auc = above / (n * m);
    if variance <= 0.0 {
        return Told { auc, p: 1.0 };
    }
    let z = (above - n * m / 2.0 - 0.5) / variance.sqrt();
    Told { auc, p: libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of five words each, from the first so many of a list.
    fn texts(n: usize, seed: usize, of: &[&str]) -> Vec<String> {
        let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            of[usize::try_from(state >> 33).expect("it fits") % of.len()]
        };
        (0..n).map(|_| (0..5).map(|_| next()).collect::<Vec<_>>().join(" ")).collect()
    }

    const BEFORE: [&str; 6] = ["invoice", "refund", "delivery", "late", "order", "thanks"];
    const AFTER: [&str; 6] = ["invoice", "refund", "delivery", "password", "login", "thanks"];

    #[test]
    fn other_words_are_another_source() {
        let told = told_apart(&texts(200, 1, &BEFORE), &texts(200, 2, &AFTER)).expect("enough");
        assert!(told.auc > 0.9 && told.p < 1e-6, "{told:?}");
    }

    #[test]
    fn one_source_is_told_apart_as_often_as_by_chance() {
        let ps: Vec<f64> = (0..200)
            .filter_map(|seed| told_apart(&texts(60, 2 * seed + 1, &BEFORE), &texts(60, 2 * seed + 2, &BEFORE)))
            .map(|told| told.p)
            .collect();
        let below = ps.iter().filter(|p| **p <= 0.05).count();
        // 10 expected, with a standard deviation of 3.
        assert!(below <= 19, "{below} of 200");
        assert!(ps.iter().filter(|p| **p <= 0.5).count() > 60);
    }

    #[test]
    fn the_test_is_mann_and_whitneys() {
        // Of 20 pairs 15.5; by hand z = (15.5 − 10 − 0.5) / √(20/12 · (10 − 12/72)).
        let told = mann_whitney(&[1.0, 2.0, 4.0, 6.0], &[3.0, 5.0, 4.0, 7.0, 7.0]);
        assert!((told.auc - 15.5 / 20.0).abs() < 1e-12, "{told:?}");
        assert!((told.p - 0.108_400_281_4).abs() < 1e-9, "{told:?}");
        assert_eq!(mann_whitney(&[1.0; 4], &[1.0; 4]), Told { auc: 0.5, p: 1.0 });
    }

    #[test]
    fn words_of_all_scripts_are_words() {
        assert_eq!(words("The the, THE!").len(), 1);
        assert_eq!(words("日本語 text").len(), 4);
        assert_eq!((words(""), words("… !")), (vec![0], vec![0]));
        assert_eq!(told_apart(&texts(7, 1, &BEFORE), &texts(90, 1, &BEFORE)), None);
    }
}
