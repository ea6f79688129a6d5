//! Symmetric positive matrices, kept as their lower triangle, row by row. Owns Cholesky's factor of one, and what is
//! reckoned with its inverse.

/// Where a row begins in a triangle.
pub(super) const fn row(i: usize) -> usize {
    i * (i + 1) / 2
}

/// How many numbers a triangle of this size has.
pub(super) const fn numbers(size: usize) -> usize {
    row(size)
}

/// The inverse of the lower factor `L` of a matrix `A = L Lᵀ`: with it all of `A⁻¹` is products, and a quadratic form is a
/// sum of squares, so that rounding makes none of them negative.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inverse {
    rows: Vec<f64>,
    size: usize,
}

impl Inverse {
    /// That of `matrix + ridge · I`; `None` where it is not positive.
    pub(super) fn of(matrix: &[f64], ridge: f64, size: usize) -> Option<Self> {
        let factor = factor(matrix, ridge, size)?;
        let mut rows = vec![0.0; numbers(size)];
        for i in 0..size {
            let pivot = factor[row(i) + i];
            for j in 0..i {
                let sum: f64 = (j..i).map(|k| factor[row(i) + k] * rows[row(k) + j]).sum();
                rows[row(i) + j] = -sum / pivot;
            }
            rows[row(i) + i] = 1.0 / pivot;
        }
        rows.iter().all(|number| number.is_finite()).then_some(Self { rows, size })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[row(i)..row(i + 1)]
    }

    /// `xᵀ A⁻¹ x`.
    pub(super) fn quadratic(&self, x: &[f64]) -> f64 {
        (0..self.size).map(|i| dot(self.row(i), x).powi(2)).sum()
    }

    /// `A⁻¹ x`.
    pub(super) fn solved(&self, x: &[f64]) -> Vec<f64> {
        let half: Vec<f64> = (0..self.size).map(|i| dot(self.row(i), x)).collect();
        let mut out = vec![0.0; self.size];
        self.spread(&half, 1, &mut out);
        out
    }

    /// Adds `L⁻ᵀ z` to `out`, for `many` vectors beside one another: the first numbers of all of them, then the second
    /// ones, and so on. Of independent standard normal numbers these are normal vectors with the covariance `A⁻¹`.
    pub(super) fn spread(&self, z: &[f64], many: usize, out: &mut [f64]) {
        for (i, from) in z.chunks_exact(many).enumerate() {
            for (factor, to) in self.row(i).iter().zip(out.chunks_exact_mut(many)) {
                add(to, *factor, from);
            }
        }
    }
}

/// `x · y`, as far as the shorter one reaches.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Adds `factor · from` to `to`.
pub(super) fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// The lower factor.
fn factor(matrix: &[f64], ridge: f64, size: usize) -> Option<Vec<f64>> {
    let mut out = vec![0.0; numbers(size)];
    for i in 0..size {
        for j in 0..=i {
            let rest = matrix.get(row(i) + j)? - dot(&out[row(i)..row(i) + j], &out[row(j)..row(j) + j]);
            out[row(i) + j] = if i > j {
                rest / out[row(j) + j]
            } else {
                let pivot = rest + ridge;
                if !(pivot.is_finite() && pivot > 0.0) {
                    return None;
                }
                pivot.sqrt()
            };
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_matrix_of_two_is_inverted_as_on_paper() {
        // [[4, 2], [2, 3]] has the determinant 8 and the inverse [[3, −2], [−2, 4]] / 8.
        let inverse = Inverse::of(&[3.0, 2.0, 2.0], 1.0, 2).unwrap();
        assert!((inverse.quadratic(&[1.0, 0.0]) - 3.0 / 8.0).abs() < 1e-15);
        let solved = inverse.solved(&[1.0, 2.0]);
        assert!((solved[0] + 1.0 / 8.0).abs() < 1e-15 && (solved[1] - 6.0 / 8.0).abs() < 1e-15, "{solved:?}");
    }

    #[test]
    fn what_is_not_positive_has_no_factor() {
        assert!(Inverse::of(&[-2.0], 1.0, 1).is_none());
        assert!(Inverse::of(&[0.0, 9.0, 0.0], 1.0, 2).is_none());
        assert!(Inverse::of(&[f64::NAN], 1.0, 1).is_none() && Inverse::of(&[f64::INFINITY], 1.0, 1).is_none());
        assert!(Inverse::of(&[1.0], 1.0, 2).is_none(), "too few numbers");
    }

    proptest! {
        #[test]
        fn what_is_solved_leads_back(
            rows in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 8), 0..60), b in prop::collection::vec(-9.0..9.0f64, 8),
        ) {
            let mut matrix = vec![0.0; numbers(8)];
            for x in &rows {
                for i in 0..8 {
                    add(&mut matrix[row(i)..=row(i) + i], x[i], x);
                }
            }
            let inverse = Inverse::of(&matrix, 1.0, 8).unwrap();
            let solved = inverse.solved(&b);
            let whole = |i: usize, j: usize| matrix[row(i.max(j)) + i.min(j)] + f64::from(u8::from(i == j));
            for (i, b) in b.iter().enumerate() {
                let back: f64 = (0..8).map(|j| whole(i, j) * solved[j]).sum();
                prop_assert!((back - b).abs() < 1e-9, "{back} {b}");
            }
            prop_assert!((inverse.quadratic(&b) - dot(&b, &solved)).abs() < 1e-9 * (1.0 + dot(&b, &solved)));
        }
    }
}
