//! Numbers to bins of equal shares, and to their moments. Owns the arithmetic; the rule stands at the module above.

use super::{Bin, MOST_BINS, Numeric};

/// The profile of these numbers, in ascending order and none of them infinite; `None` where there are none.
pub(super) fn profile(sorted: &[f64]) -> Option<Numeric> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let bins = bins(sorted);
    let total: f64 = sum(bins.iter().map(|bin| bin.sum));
    // Rounding must not carry it out of what it is the mean of.
    let mean = (total / count(sorted.len())).clamp(min, max);
    let m2 = sum(sorted.iter().map(|x| (x - mean) * (x - mean)));
    Some(Numeric { min, max, mean, m2, bins })
}

fn bins(sorted: &[f64]) -> Vec<Bin> {
    let (n, most) = (sorted.len(), sorted.len().min(MOST_BINS));
    let mut bins: Vec<Bin> = Vec::with_capacity(most);
    let mut from = 0;
    for i in 1..=most {
        let Some(&to) = (i * n).div_ceil(most).checked_sub(1).and_then(|rank| sorted.get(rank)) else { continue };
        // All that are equal to the end belong to it; where the bin before took them, this one is no bin.
        let end = from + sorted[from..].partition_point(|x| *x <= to);
        if end > from {
            let within = &sorted[from..end];
            bins.push(Bin { to, count: within.len() as u64, sum: sum(within.iter().copied()) });
            from = end;
        }
    }
    bins
}

/// A sum that keeps what single additions lose (Neumaier 1974).
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for x in numbers {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

#[expect(clippy::cast_precision_loss, reason = "more than 2^53 numbers fit into no memory")]
fn count(n: usize) -> f64 {
    n as f64
}
