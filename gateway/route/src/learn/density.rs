//! A distribution on the line, tabulated: its density and cumulative probability at the points of a grid of its own.
//! Owns the table and how it is read between its points.
//!
//! The grid lies dense around the middle and ever wider outwards (`x = middle + scale · sinh t`), so that a few hundred
//! points hold a normal distribution as well as one with the tails of Cauchy's, and whatever its scale. Between two
//! points the cumulative probability is Hermite's cubic through both values with the densities as slopes, which is as
//! good as the grid's step to the fourth power.

/// Cells of a grid.
const CELLS: usize = 384;

/// How far a grid reaches: `sinh 11` ≈ 30,000 scales to either side. Beyond lies 1e-5 of Cauchy's distribution, and
/// nothing of a normal one.
const REACH: f64 = 11.0;

/// A tabulated distribution.
#[derive(Debug, Clone)]
pub(super) struct Density {
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    x: f64,
    density: f64,
    /// The probability to the left.
    below: f64,
}

impl Density {
    /// The distribution whose density is in proportion to `exp(log(x))` within `support`; `middle` and `scale` (above 0)
    /// say where most of it lies.
    pub(super) fn tabulated(middle: f64, scale: f64, support: (f64, f64), log: impl Fn(f64) -> f64) -> Self {
        let at = |x: f64| ((x - middle) / scale).asinh();
        let (first, last) = (at(support.0).max(-REACH), at(support.1).min(REACH));
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let step = (last - first) / CELLS as f64;
        let x = |i: f64| (middle + scale * (first + step * i).sinh()).clamp(support.0, support.1);
        // The largest logarithm becomes 0, so that nothing overflows.
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let logs: Vec<(f64, f64)> = (0..=2 * CELLS).map(|i| x(i as f64 / 2.0)).map(|x| (x, log(x))).collect();
        let top = logs.iter().map(|(_, log)| *log).filter(|log| log.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        let of = |(x, log): (f64, f64)| (x, if log.is_finite() { (log - top).exp() } else { 0.0 });
        let values: Vec<(f64, f64)> = logs.into_iter().map(of).collect();
        let slope = |x: f64| scale.hypot(x - middle);
        let mut points = Vec::with_capacity(CELLS + 1);
        let mut below = 0.0;
        points.push(Point { x: values[0].0, density: values[0].1, below });
        for cell in values.windows(3).step_by(2) {
            // Simpson's rule in `t`, where dx = scale · cosh t dt.
            let part = |(x, density): (f64, f64)| density * slope(x);
            below += (part(cell[0]) + 4.0 * part(cell[1]) + part(cell[2])) * step / 6.0;
            points.push(Point { x: cell[2].0, density: cell[2].1, below });
        }
        let whole = below;
        for point in &mut points {
            point.density /= whole;
            point.below /= whole;
        }
        Self { points }
    }

    /// A reader of the table, for numbers that grow.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { points: &self.points }
    }

    /// The mean of `of(x)` under this distribution; `of` is asked for ever larger `x`.
    pub(super) fn mean_of(&self, mut of: impl FnMut(f64) -> f64) -> f64 {
        // The trapezoid in probability, with the middle of each cell where its probability is: as exact as Simpson's
        // rule where `of` is smooth, and never beyond the range of `of`.
        let (mut sum, mut reader) = (0.0, self.reader());
        let mut left = of(self.points[0].x);
        for pair in self.points.windows(2) {
            let centre = f64::midpoint(pair[0].x, pair[1].x);
            let first = reader.below(centre) - pair[0].below;
            let between = of(centre);
            let right = of(pair[1].x);
            let second = pair[1].below - pair[0].below - first;
            sum += first * f64::midpoint(left, between) + second * f64::midpoint(between, right);
            left = right;
        }
        sum
    }
}

/// Reads a table from left to right, so that no number is searched for.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The points that are not behind.
    points: &'a [Point],
}

impl Reader<'_> {
    /// The probability that it is at most `x`, which is no smaller than the `x` before.
    pub(super) fn below(&mut self, x: f64) -> f64 {
        let [left, right] = loop {
            match self.points {
                [left, right, ..] if x <= right.x => break [left, right],
                [_, rest @ ..] if !rest.is_empty() => self.points = rest,
                _ => return 1.0,
            }
        };
        let width = right.x - left.x;
        if x <= left.x || width <= 0.0 {
            return left.below;
        }
        let u = (x - left.x) / width;
        let (a, b) = (left.density * width, right.density * width);
        let rise = right.below - left.below;
        let cubic = left.below + u * (a + u * (3.0 * rise - 2.0 * a - b + u * (a + b - 2.0 * rise)));
        cubic.clamp(left.below, right.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_distribution_is_held_to_seven_digits() {
        let normal = Density::tabulated(3.0, 2.0, (f64::NEG_INFINITY, f64::INFINITY), |x| -(x - 3.0).powi(2) / 8.0);
        // Φ(0), Φ(1), Φ(−2), Φ(3.5).
        for (z, below) in [(0.0, 0.5), (1.0, 0.841_344_746), (-2.0, 0.022_750_132), (3.5, 0.999_767_371)] {
            assert!((normal.reader().below(3.0 + 2.0 * z) - below).abs() < 1e-7, "{z}");
        }
        assert_eq!((normal.reader().below(-1e9), normal.reader().below(1e9)), (0.0, 1.0));
        assert!((normal.mean_of(|x| x) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn tails_and_edges_hold() {
        let cauchy = Density::tabulated(0.0, 1.0, (f64::NEG_INFINITY, f64::INFINITY), |x| -(1.0 + x * x).ln());
        assert!(
            (cauchy.reader().below(1.0) - 0.75).abs() < 2e-5
                && (cauchy.reader().below(-100.0) - 0.003_183).abs() < 2e-5
        );
        let uniform = Density::tabulated(0.5, 0.3, (0.0, 1.0), |_| 0.0);
        for x in [0.0, 0.1, 0.25, 0.9, 1.0] {
            assert!((uniform.reader().below(x) - x).abs() < 1e-8, "{x}");
        }
        // An exponential at the edge of its support: 1 − e^−x.
        let edge = Density::tabulated(1e-6, 1e-6, (0.0, 1.0), |x| -x * 1e6);
        assert!((edge.reader().below(1e-6) - 0.632_120_559).abs() < 1e-7);
    }
}
