//! The maximum mean discrepancy of two sets of vectors: how far apart their means are in the space of a Gaussian kernel
//! (Gretton, Borgwardt, Rasch, Schölkopf, Smola: A kernel two-sample test, JMLR 13, 2012). For embeddings.

use super::count;

/// Vectors of one length, one after another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vectors<'a> {
    values: &'a [f64],
    width: usize,
}

impl<'a> Vectors<'a> {
    /// Rows of `width` numbers each; none where they do not divide so.
    #[must_use]
    pub const fn new(values: &'a [f64], width: usize) -> Option<Self> {
        if width > 0 && values.len().is_multiple_of(width) { Some(Self { values, width }) } else { None }
    }

    /// How many.
    #[must_use]
    pub const fn rows(self) -> usize {
        self.values.len() / self.width
    }

    fn row(self, at: usize) -> &'a [f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }
}

/// The kernel's width by the median heuristic over the reference alone, as alibi-detect chooses it: the root of half the
/// median squared distance between two of its vectors. None below two vectors, or where all are alike.
#[must_use]
pub fn median_sigma(reference: Vectors<'_>) -> Option<f64> {
    let n = reference.rows();
    let pairs = (1..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut squared: Vec<f64> = pairs.map(|(i, j)| squared(reference.row(i), reference.row(j))).collect();
    // Of the n² distances, each pair's stands twice behind the n zeros of the diagonal; alibi-detect takes the one at
    // n + (n² − n)/2 − 1.
    let middle = ((n * n).checked_sub(n + 2)? / 2) / 2;
    if middle >= squared.len() {
        return None;
    }
    let (_, median, _) = squared.select_nth_unstable_by(middle, f64::total_cmp);
    let sigma = (0.5 * *median).sqrt();
    (sigma > 0.0).then_some(sigma)
}

/// The kernel of all vectors of both sets with each other: `exp(−|x − y|² / (2σ²))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    cells: Vec<f64>,
    reference: usize,
    all: usize,
}

impl Kernel {
    /// Of two sets of at least two vectors of the same length each, for a positive `sigma`; else none.
    #[must_use]
    pub fn new(reference: Vectors<'_>, current: Vectors<'_>, sigma: f64) -> Option<Self> {
        let (n, all) = (reference.rows(), reference.rows() + current.rows());
        if n < 2 || all - n < 2 || reference.width != current.width || sigma.is_nan() || sigma <= 0.0 {
            return None;
        }
        let row = |at: usize| if at < n { reference.row(at) } else { current.row(at - n) };
        let mut cells = vec![0.0; all * all];
        for i in 0..all {
            for j in 0..i {
                let near = (-squared(row(i), row(j)) / (2.0 * sigma * sigma)).exp();
                cells[i * all + j] = near;
                cells[j * all + i] = near;
            }
        }
        Some(Self { cells, reference: n, all })
    }

    /// The unbiased estimate of the squared discrepancy (their lemma 6): what is alike within each set, without each
    /// vector's likeness to itself, less twice what is alike across. It may be below 0 where nothing differs.
    #[must_use]
    pub fn squared(&self) -> f64 {
        let order: Vec<usize> = (0..self.all).collect();
        self.split(&order)
    }

    /// The share of `permutations` random splits of all vectors that are at least as discrepant, the real one among them
    /// (Phipson and Smyth 2010). The same `seed` gives the same splits.
    #[must_use]
    pub fn p(&self, permutations: u32, seed: u64) -> f64 {
        let observed = self.squared();
        let mut order: Vec<usize> = (0..self.all).collect();
        let mut state = seed;
        let mut as_far = 1u32;
        for _ in 0..permutations {
            for at in (1..order.len()).rev() {
                order.swap(at, below(&mut state, at + 1));
            }
            as_far += u32::from(self.split(&order) >= observed);
        }
        f64::from(as_far) / (f64::from(permutations) + 1.0)
    }

    /// The estimate where the first of `order` are the reference.
    fn split(&self, order: &[usize]) -> f64 {
        let (of_reference, of_current) = order.split_at(self.reference);
        let (n, m) = (count(of_reference.len()), count(of_current.len()));
        let among =
            |rows: &[usize], columns: &[usize]| -> f64 { rows.iter().map(|row| self.row_sum(*row, columns)).sum() };
        among(of_reference, of_reference) / (n * (n - 1.0)) + among(of_current, of_current) / (m * (m - 1.0))
            - 2.0 * among(of_reference, of_current) / (n * m)
    }

    fn row_sum(&self, row: usize, columns: &[usize]) -> f64 {
        let cells = &self.cells[row * self.all..(row + 1) * self.all];
        columns.iter().map(|column| cells[*column]).sum()
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// A number below `end`, by SplitMix64 (Steele, Lea, Flood 2014).
fn below(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // The upper half of the product: as even as 64 bits allow.
    usize::try_from((u128::from(z) * end as u128) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pairs_are_worked_by_hand() {
        let (a, b) = ([0.0, 1.0], [3.0, 3.0]);
        let (a, b) = (Vectors::new(&a, 1).expect("rows"), Vectors::new(&b, 1).expect("rows"));
        let kernel = Kernel::new(a, b, 1.0).expect("two each");
        let expected = (-0.5f64).exp() + 1.0 - 2.0 * (2.0 * (-4.5f64).exp() + 2.0 * (-2.0f64).exp()) / 4.0;
        assert!((kernel.squared() - expected).abs() < 1e-15);
    }

    #[test]
    fn far_sets_are_found_and_near_ones_are_not() {
        let near: Vec<f64> = (0..60u32).map(|i| f64::from(i * 37 % 61)).collect();
        let far: Vec<f64> = near.iter().map(|value| value + 40.0).collect();
        let p = |a: &[f64], b: &[f64]| {
            let (a, b) = (Vectors::new(a, 2).expect("rows"), Vectors::new(b, 2).expect("rows"));
            let sigma = median_sigma(a).expect("they differ");
            Kernel::new(a, b, sigma).expect("enough").p(199, 1)
        };
        assert_eq!(p(&near, &far), 1.0 / 200.0);
        assert!(p(&near[..30], &near[30..]) > 0.05);
    }

    #[test]
    fn nothing_is_said_of_too_little() {
        assert_eq!(Vectors::new(&[1.0, 2.0, 3.0], 2), None);
        let one = Vectors::new(&[1.0, 2.0], 2).expect("a row");
        assert_eq!((median_sigma(one), Kernel::new(one, one, 1.0)), (None, None));
        let alike = Vectors::new(&[1.0, 1.0, 1.0], 1).expect("rows");
        assert_eq!(median_sigma(alike), None);
        assert_eq!(Kernel::new(alike, alike, f64::NAN), None);
    }
}
