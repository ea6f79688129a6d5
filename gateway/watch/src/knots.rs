//! Cut points of the line, and which cell between or at them a number falls into. Owns that a number that equals a cut is
//! told from those beside it: only so can the distribution functions of two samples be compared at a jump.

use serde::{Deserialize, Serialize};

/// Ascending, each different, at least one, all of them numbers that may be seen.
///
/// They make `2 k + 1` cells: the even cell `2 i` is what lies between the knots `i − 1` and `i` (the first one what lies
/// below all, the last one what lies above), the odd cell `2 i + 1` the knot `i` itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Knots {
    all: Box<[f64]>,
    /// The last of each [`BLOCK`] of them, to be looked at first.
    blocks: Box<[f64]>,
}

/// So many knots are looked at one after the other: two blocks cost less than the nine steps of a binary search, each of
/// which waits for the one before it.
const BLOCK: usize = 16;

/// Why numbers are no knots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKnots;

impl std::fmt::Display for NoKnots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("knots are one number or more in ascending order, each different and none beyond 1e140")
    }
}

impl std::error::Error for NoKnots {}

impl TryFrom<Vec<f64>> for Knots {
    type Error = NoKnots;

    fn try_from(knots: Vec<f64>) -> Result<Self, NoKnots> {
        let are_numbers = knots.iter().all(|knot| crate::value::number(*knot).is_some());
        if knots.is_empty() || !are_numbers || !knots.is_sorted_by(|a, b| a < b) {
            return Err(NoKnots);
        }
        let blocks = knots.chunks_exact(BLOCK).filter_map(|block| block.last().copied()).collect();
        Ok(Self { all: knots.into(), blocks })
    }
}

impl From<Knots> for Vec<f64> {
    fn from(knots: Knots) -> Self {
        knots.all.into()
    }
}

impl Knots {
    /// The knots.
    #[must_use]
    pub fn all(&self) -> &[f64] {
        &self.all
    }

    /// How many cells they make.
    #[must_use]
    pub fn cells(&self) -> usize {
        2 * self.all.len() + 1
    }

    /// The cell of a number.
    #[must_use]
    #[inline]
    pub fn cell(&self, x: f64) -> usize {
        let begin = below(&self.blocks, x) * BLOCK;
        let block = self.all.get(begin..).unwrap_or_default();
        // A whole block has a length that the compiler knows.
        let at = begin + block.first_chunk::<BLOCK>().map_or_else(|| below(block, x), |block| below(block, x));
        2 * at + usize::from(self.all.get(at).is_some_and(|knot| *knot == x))
    }

    /// The lowest knot.
    #[must_use]
    pub fn first(&self) -> f64 {
        self.all.first().copied().unwrap_or_default()
    }

    /// The highest knot.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.all.last().copied().unwrap_or_default()
    }

    /// How far apart the outermost are; of a single one its magnitude, and never 0.
    #[must_use]
    pub fn length(&self) -> f64 {
        let length = self.last() - self.first();
        if length > 0.0 { length } else { self.last().abs().max(f64::MIN_POSITIVE) }
    }
}

/// How many of them lie below a number. All are looked at, so there is no branch to be guessed.
#[inline]
fn below(knots: &[f64], x: f64) -> usize {
    knots.iter().map(|knot| usize::from(*knot < x)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_find_what_a_binary_search_finds() {
        for n in [1, 2, 15, 16, 17, 31, 32, 33, 257, 270] {
            let all: Vec<f64> = (0..n).map(|at| f64::from(at) * 1.5).collect();
            let knots = Knots::try_from(all.clone()).unwrap();
            for x in (-2..3 * n + 3).map(|half| f64::from(half) * 0.5) {
                let at = all.partition_point(|knot| *knot < x);
                assert_eq!(knots.cell(x), 2 * at + usize::from(all.get(at) == Some(&x)), "{x} of {n}");
            }
        }
    }

    #[test]
    fn a_number_at_a_knot_is_told_from_those_beside_it() {
        let knots = Knots::try_from(vec![-1.0, 0.0, 2.5]).unwrap();
        let cells = [-9.0, -1.0, -0.5, -0.0, 0.0, 1.0, 2.5, 3.0].map(|x| knots.cell(x));
        assert_eq!(cells, [0, 1, 2, 3, 3, 4, 5, 6]);
        assert_eq!((knots.cells(), knots.length()), (7, 3.5));
        assert_eq!(Knots::try_from(vec![4.0]).unwrap().length(), 4.0);
        assert!(Knots::try_from(vec![0.0]).unwrap().length() > 0.0);
        for bad in [vec![], vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::NAN], vec![1e150]] {
            assert!(Knots::try_from(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<Knots>("[2.0, 1.0]").is_err());
    }
}
