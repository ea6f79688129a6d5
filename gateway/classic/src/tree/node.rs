//! One node of a tree as it is walked: 16 bytes, so that four lie in a cache line. Owns the rule by which a value goes
//! left or right; knows nothing of files.

/// Where a leaf is reached.
const LEAF: u32 = 1 << 31;
/// What is missing goes left.
const MISSING_LEFT: u32 = 1 << 30;
/// A value that is zero counts as missing.
const ZERO_IS_MISSING: u32 = 1 << 29;
/// The value is a category, and `value` the number of a set.
const CATEGORICAL: u32 = 1 << 28;
/// Where a category is in the set, it goes left (else right).
const MEMBERS_LEFT: u32 = 1 << 27;
/// What equals the threshold goes left.
const EQUAL: u32 = 1 << 26;
/// A split that needs more than one comparison.
const SPECIAL: u32 = ZERO_IS_MISSING | CATEGORICAL | EQUAL;
const FEATURE: u32 = EQUAL - 1;
/// LightGBM's bound of what is zero.
const ALMOST_ZERO: f64 = 1e-35_f32 as f64;

/// More features are refused: no file of a few bytes may make many names. A node could name 2^26.
pub(crate) const MOST_FEATURES: usize = 1 << 20;

/// A split or a leaf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    /// The threshold, a leaf's value, or the number of a set of categories.
    value: f64,
    what: u32,
    /// The left child; the right one follows it.
    left: u32,
}

/// How a split decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    /// Below the threshold goes left.
    Below { threshold: f64, missing_left: bool, zero_is_missing: bool },
    /// What equals `to` goes left.
    #[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "only ONNX has it"))]
    Equal { to: f64, missing_left: bool },
    /// By membership of the set with this number.
    In { set: u32, members_left: bool, missing_left: bool },
}

/// Sets of categories: bits, set after set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sets {
    words: Vec<u32>,
    /// Where each set begins and ends in `words`.
    spans: Vec<(u32, u32)>,
}

impl Sets {
    /// Adds a set that is given as words of bits; its number. `None`: more than can be counted.
    pub(crate) fn add(&mut self, words: &[u32]) -> Option<u32> {
        let number = u32::try_from(self.spans.len()).ok()?;
        let begin = u32::try_from(self.words.len()).ok()?;
        let end = u32::try_from(self.words.len() + words.len()).ok()?;
        self.words.extend_from_slice(words);
        self.spans.push((begin, end));
        Some(number)
    }

    fn has(&self, set: usize, category: u32) -> bool {
        let Some(&(begin, end)) = self.spans.get(set) else { return false };
        let words = self.words.get(begin as usize..end as usize).unwrap_or_default();
        words.get((category / 32) as usize).is_some_and(|word| word >> (category % 32) & 1 == 1)
    }
}

impl Node {
    pub(crate) fn leaf(value: f64) -> Self {
        Self { value, what: LEAF, left: 0 }
    }

    pub(crate) fn split(feature: u32, rule: Rule, left: u32) -> Self {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let (value, bits) = match rule {
            Rule::Below { threshold, missing_left, zero_is_missing } => {
                (threshold, bit(missing_left, MISSING_LEFT) | bit(zero_is_missing, ZERO_IS_MISSING))
            }
            Rule::Equal { to, missing_left } => (to, EQUAL | bit(missing_left, MISSING_LEFT)),
            Rule::In { set, members_left, missing_left } => {
                (f64::from(set), CATEGORICAL | bit(members_left, MEMBERS_LEFT) | bit(missing_left, MISSING_LEFT))
            }
        };
        Self { value, what: (feature & FEATURE) | bits, left }
    }

    #[inline]
    pub(crate) fn is_leaf(self) -> bool {
        self.what & LEAF != 0
    }

    /// A leaf's value.
    #[inline]
    pub(crate) fn value(self) -> f64 {
        self.value
    }

    /// The feature that a split looks at.
    #[inline]
    pub(crate) fn feature(self) -> usize {
        (self.what & FEATURE) as usize
    }

    /// Both children: left, right.
    #[inline]
    pub(crate) fn children(self) -> (usize, usize) {
        (self.left as usize, self.left as usize + 1)
    }

    /// The child that a value leads to.
    #[inline]
    pub(crate) fn next(self, value: f64, sets: &Sets) -> usize {
        let left = if self.what & SPECIAL == 0 {
            // Without branches: a processor cannot guess a tree's turns.
            (value < self.value) | (value.is_nan() & (self.what & MISSING_LEFT != 0))
        } else {
            self.special(value, sets)
        };
        self.left as usize + usize::from(!left)
    }

    fn special(self, value: f64, sets: &Sets) -> bool {
        let missing_left = self.what & MISSING_LEFT != 0;
        if self.what & EQUAL != 0 {
            return if value.is_nan() { missing_left } else { value == self.value };
        }
        if self.what & CATEGORICAL == 0 {
            let missing = value.is_nan() || value.abs() <= ALMOST_ZERO;
            return if missing { missing_left } else { value < self.value };
        }
        if value.is_nan() {
            return missing_left;
        }
        let members_left = self.what & MEMBERS_LEFT != 0;
        // A category that no set can name is in none.
        if value <= -1.0 || value >= f64::from(u32::MAX) {
            return !members_left;
        }
        sets.has(self.value as usize, value as u32) == members_left
    }
}
