//! The distance of Jensen and Shannon: the root of the mean divergence of two samples' shares from their mixture (Lin:
//! Divergence measures based on the Shannon entropy, 1991; Endres and Schindelin 2003 show that the root is a metric).

use super::bins::Pair;

/// In which units the divergence is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Natural logarithms: the distance is at most `√ln 2`.
    E,
    /// Binary ones: at most 1.
    Two,
}

/// The distance; empty bins count as what they are. NaN where a sample is empty.
#[must_use]
pub fn distance(pair: &Pair, base: Base) -> f64 {
    let (p, q) = (pair.reference_shares(), pair.current_shares());
    let divergence: f64 = p
        .iter()
        .zip(&q)
        .map(|(p, q)| {
            let mixed = f64::midpoint(*p, *q);
            (part(*p, mixed) + part(*q, mixed)) / 2.0
        })
        .sum();
    let unit = match base {
        Base::E => 1.0,
        Base::Two => std::f64::consts::LN_2,
    };
    // What rounding leaves below 0 is 0; a NaN stays one.
    if divergence < 0.0 { 0.0 } else { (divergence / unit).sqrt() }
}

/// 0 · ln 0 is 0.
fn part(share: f64, mixed: f64) -> f64 {
    if share == 0.0 { 0.0 } else { share * (share / mixed).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(reference: &[u64], current: &[u64]) -> Pair {
        Pair { reference: reference.to_vec(), current: current.to_vec(), edges: Vec::new() }
    }

    #[test]
    fn it_lies_between_nothing_and_all() {
        assert_eq!(distance(&pair(&[1, 2], &[2, 4]), Base::E), 0.0);
        assert!((distance(&pair(&[1, 0], &[0, 1]), Base::Two) - 1.0).abs() < 1e-15);
        assert!((distance(&pair(&[3, 0], &[0, 1]), Base::E) - 2f64.ln().sqrt()).abs() < 1e-15);
        assert!(distance(&pair(&[0], &[1]), Base::E).is_nan());
    }

    #[test]
    fn it_is_the_same_both_ways() {
        let (there, back) = (pair(&[1, 5, 4], &[3, 3, 4]), pair(&[3, 3, 4], &[1, 5, 4]));
        // scipy.spatial.distance.jensenshannon([.1, .5, .4], [.3, .3, .4])
        assert!((distance(&there, Base::E) - distance(&back, Base::E)).abs() < 1e-16);
        assert!((distance(&there, Base::E) - 0.196_966_962_074_893_84).abs() < 1e-15);
    }
}
