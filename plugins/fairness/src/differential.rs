//! Differential fairness: by what factor, as a logarithm, the chance of an outcome differs between groups. Owns the smoothed
//! empirical form (Foulds, Islam, Keya and Pan 2018, "An Intersectional Definition of Fairness"; AIF360
//! `smoothed_empirical_differential_fairness`) and how much of it predictions add to what labels have.

use crate::counts::Counts;
use crate::measured::{Measured, count};

/// That of the labels of groups. `concentration` is the weight of the prior, spread evenly over both outcomes; AIF360's is
/// 1.
#[must_use]
pub fn of_labels(groups: &[Counts], concentration: f64) -> Measured {
    epsilon(groups, concentration, Counts::positives)
}

/// That of the predictions for the labelled rows of groups.
#[must_use]
pub fn of_predictions(groups: &[Counts], concentration: f64) -> Measured {
    epsilon(groups, concentration, |group| group.true_positives + group.false_positives)
}

/// What predictions add: their differential fairness less that of labels. Below 0, predictions are the fairer.
#[must_use]
pub fn amplification(groups: &[Counts], concentration: f64) -> Measured {
    let n = groups.iter().map(Counts::labelled).sum();
    of_predictions(groups, concentration).minus(of_labels(groups, concentration), n)
}

/// The largest `|ln|` of the ratio of two groups' chances of the one outcome or the other. The extremes are found at the
/// lowest and the highest chance. Undefined where fewer than two groups have labelled rows: of the others nothing is known
/// but the prior.
fn epsilon(groups: &[Counts], concentration: f64, positives: impl Fn(&Counts) -> u64) -> Measured {
    let labelled = groups.iter().filter(|group| group.labelled() > 0);
    let chances: Vec<f64> = labelled
        .map(|group| (count(positives(group)) + concentration / 2.0) / (count(group.labelled()) + concentration))
        .collect();
    let n = groups.iter().map(Counts::labelled).sum();
    if chances.len() < 2 {
        return Measured::Undefined { n };
    }
    let lowest = chances.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = chances.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Without smoothing, equal chances of 0 are no ratio and no difference.
    let apart = |low: f64, high: f64| if low == high { 0.0 } else { (high / low).ln() };
    Measured::new(apart(lowest, highest).max(apart(1.0 - highest, 1.0 - lowest)), n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_of_the_largest_ratio() {
        let groups = [Counts::of([0, 0, 10, 30, 0, 0]), Counts::of([0, 0, 30, 10, 0, 0])];
        let got = of_labels(&groups, 0.0).value().expect("a number");
        assert!((got - 3f64.ln()).abs() < 1e-15, "{got}");
        assert!(of_labels(&groups, 1.0).value().expect("a number") < got);
        // Nobody was predicted good, so predictions are alike.
        assert_eq!(of_predictions(&groups, 0.0), Measured::Value(0.0));
        assert_eq!(amplification(&groups, 0.0), Measured::Value(-got));
    }

    #[test]
    fn a_group_without_labels_is_no_group() {
        let groups = [Counts::of([4, 4, 4, 4, 0, 0]), Counts::of([0, 0, 0, 0, 9, 9])];
        assert_eq!(of_labels(&groups, 1.0), Measured::Undefined { n: 16 });
    }
}
