//! One measure of one column, or of several as vectors. Owns which sample goes into which formula, and which effect
//! stands beside which p-value.

use crate::config::{Binning, Measure, Norm};
use crate::measure::bins::{DISTINCT, Pair};
use crate::measure::ks::Distance;
use crate::measure::mmd::{Kernel, Vectors, median_sigma};
use crate::measure::{effect, jensen_shannon, proportions, psi, text, wasserstein};
use crate::table::{Both, Column, Data};
use serde_json::{Value, json};

/// From which distance on a column drifted, where nothing else is said: Evidently's for all of its distances.
pub(super) const DISTANCE: f64 = 0.1;
/// More vectors than this of a side are thinned evenly: the kernel of all with all has to fit into a guest's memory.
const MOST_VECTORS: usize = 1000;
/// How many bins the reference's deciles make.
const DECILES: usize = 10;

/// What a measure found.
pub(super) struct Found {
    /// The statistic or the distance.
    pub(super) value: f64,
    /// Of tests.
    pub(super) p: Option<f64>,
    /// What it is called, and how large it is; of tests.
    pub(super) effect: Option<(&'static str, f64)>,
    /// How many values of each side it saw.
    pub(super) rows: (usize, usize),
    /// Numbers that belong to it.
    pub(super) labels: Vec<(&'static str, f64)>,
    /// What was counted where, of measures in bins.
    pub(super) bins: Option<Value>,
}

impl Found {
    const fn distance(value: f64, rows: (usize, usize)) -> Self {
        Self { value, p: None, effect: None, rows, labels: Vec::new(), bins: None }
    }

    fn in_bins(self, pair: &Pair, names: Option<&[String]>) -> Self {
        // JSON has no infinity: the outermost edges of quantile bins are null.
        let shares = json!({"edges": pair.edges, "values": names,
            "reference": pair.reference_shares(), "current": pair.current_shares()});
        Self { bins: Some(shares), ..self }
    }
}

/// Whether it takes several columns at once.
pub(super) const fn of_vectors(measure: &Measure) -> bool {
    matches!(measure, Measure::Mmd { .. })
}

/// One column.
pub(super) fn compare(measure: &Measure, both: &Both) -> Result<Found, String> {
    let rows = both.rows();
    if matches!(both, Both::Texts(..)) != matches!(measure, Measure::Text) {
        return Err("texts are compared by the test text, and nothing else is".to_owned());
    }
    match measure {
        Measure::Ks { method } => {
            let (a, b) = numbers(both)?;
            let distance = Distance::between(a, b).ok_or("one side has no value")?;
            let effect = Some(("distance", distance.statistic()));
            let labels = effect::cohens_d(a, b).map(|d| ("cohens_d", d)).into_iter().collect();
            let p = Some(distance.p(*method));
            Ok(Found { p, effect, labels, ..Found::distance(distance.statistic(), rows) })
        }
        Measure::Wasserstein { norm } => {
            let (a, b) = numbers(both)?;
            let value = match norm {
                Norm::None => wasserstein::raw(a, b),
                Norm::ReferenceDeviation => wasserstein::normed(a, b),
            };
            let labels = effect::cohens_d(a, b).map(|d| ("cohens_d", d)).into_iter().collect();
            Ok(Found { labels, ..Found::distance(value.ok_or("one side has no value")?, rows) })
        }
        Measure::Psi { bins } => {
            let pair = binned(both, *bins);
            Ok(Found::distance(psi::psi(&pair), rows).in_bins(&pair, names(both)))
        }
        Measure::JensenShannon { base, bins } => {
            let pair = binned(both, *bins);
            Ok(Found::distance(jensen_shannon::distance(&pair, *base), rows).in_bins(&pair, names(both)))
        }
        Measure::ChiSquare { form } => {
            let pair = both.values();
            let tested = form.test(&pair).ok_or("it has one value only")?;
            let effect = match form {
                crate::measure::chi_square::Form::Contingency => {
                    ("cramers_v", effect::cramers_v(tested.statistic, rows.0 + rows.1))
                }
                crate::measure::chi_square::Form::OneWay => ("cohens_w", effect::cohens_w(tested.statistic, rows.1)),
            };
            let labels = vec![("degrees", tested.degrees)];
            let found = Found::distance(tested.statistic, rows).in_bins(&pair, names(both));
            Ok(Found { p: Some(tested.p), effect: Some(effect), labels, ..found })
        }
        Measure::Z => z(both),
        Measure::Text => texts(both),
        Measure::Mmd { .. } => Err("it compares vectors".to_owned()),
    }
}

/// How well a classifier tells the window's texts from the reference's; its effect is 0 for not at all and 1 for always.
fn texts(both: &Both) -> Result<Found, String> {
    let Both::Texts(reference, current) = both else { return Err("it has no texts".to_owned()) };
    let told = text::told_apart(reference, current);
    let told = told.ok_or_else(|| format!("each side needs {} texts at least", text::FEWEST))?;
    let effect = Some(("separation", 2.0 * told.auc - 1.0));
    Ok(Found { p: Some(told.p), effect, ..Found::distance(told.auc, both.rows()) })
}

/// Of two values, the larger is the yes, as in Evidently: of `false` and `true`, or of 0 and 1.
fn z(both: &Both) -> Result<Found, String> {
    let (rows, pair) = (both.rows(), both.values());
    let yes = |counts: &[u64], all: usize| (counts.last().copied().unwrap_or(0), all as u64);
    if pair.reference.len() > 2 {
        return Err(format!("it has {} values, and z compares two", pair.reference.len()));
    }
    let (a, b) = (yes(&pair.reference, rows.0), yes(&pair.current, rows.1));
    let tested = proportions::z_test(a, b).ok_or("one side has no value")?;
    let (of_a, of_b) = (pair.reference_shares(), pair.current_shares());
    let share = |shares: &[f64]| shares.last().copied().unwrap_or(0.0);
    let effect = Some(("cohens_h", effect::cohens_h(share(&of_a), share(&of_b))));
    let found = Found::distance(tested.z, rows).in_bins(&pair, names(both));
    Ok(Found { p: Some(tested.p), effect, ..found })
}

/// Several columns, a vector a row; rows that lack a number are left out.
pub(super) fn vectors(measure: &Measure, reference: &[Column], current: &[Column]) -> Result<Found, String> {
    let Measure::Mmd { sigma, permutations, seed } = measure else {
        return Err("it compares one column".to_owned());
    };
    let (a, b) = (thinned(reference)?, thinned(current)?);
    let width = reference.len();
    let too_few = || "each side needs two vectors at least".to_owned();
    let (a, b) = (Vectors::new(&a, width).ok_or_else(too_few)?, Vectors::new(&b, width).ok_or_else(too_few)?);
    let sigma = match sigma {
        Some(sigma) => *sigma,
        None => median_sigma(a).ok_or("the reference's vectors are all alike: give a sigma")?,
    };
    let kernel = Kernel::new(a, b, sigma).ok_or_else(too_few)?;
    let value = kernel.squared();
    let p = (*permutations > 0).then(|| kernel.p(*permutations, *seed));
    let effect = p.map(|_| ("mmd", value.max(0.0).sqrt()));
    Ok(Found { p, effect, labels: vec![("sigma", sigma)], ..Found::distance(value, (a.rows(), b.rows())) })
}

/// The rows of columns of numbers, one after another; at most [`MOST_VECTORS`] of them, evenly spread.
fn thinned(columns: &[Column]) -> Result<Vec<f64>, String> {
    let numbers = |column: &Column| match &column.data {
        Data::Numbers(values) => {
            let mut values = values.clone();
            for row in &column.missing {
                if let Some(cell) = usize::try_from(*row).ok().and_then(|row| values.get_mut(row)) {
                    *cell = f64::NAN;
                }
            }
            Ok(values)
        }
        _ => Err(format!("column {} has no numbers", column.name)),
    };
    let columns: Vec<Vec<f64>> = columns.iter().map(numbers).collect::<Result<_, _>>()?;
    let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
    let whole: Vec<usize> = (0..rows).filter(|row| columns.iter().all(|column| column[*row].is_finite())).collect();
    let taken = whole.len().min(MOST_VECTORS);
    let kept = (0..taken).map(|at| whole[at * whole.len() / taken]);
    Ok(kept.flat_map(|row| columns.iter().map(move |column| column[row])).collect())
}

fn numbers(both: &Both) -> Result<(&[f64], &[f64]), String> {
    match both {
        Both::Numbers(a, b) => Ok((a, b)),
        Both::Categories(..) => Err("it has categories, and this compares numbers".to_owned()),
        Both::Texts(..) => Err("it has texts, and this compares numbers".to_owned()),
    }
}

/// Categories, and few distinct numbers, have a bin each, wherever the others are cut.
fn binned(both: &Both, bins: Binning) -> Pair {
    match (both, bins) {
        (Both::Categories(pair, _), _) => pair.clone(),
        (Both::Texts(..), _) => Pair::default(),
        (Both::Numbers(a, b), Binning::Evidently) => Pair::evidently(a, b),
        (Both::Numbers(a, b), Binning::ReferenceDeciles) => {
            let few = crate::measure::bins::distinct(&crate::measure::sorted(a)) <= DISTINCT.min(DECILES);
            if few { Pair::values(a, b) } else { Pair::quantiles(a, b, DECILES) }
        }
    }
}

fn names(both: &Both) -> Option<&[String]> {
    match both {
        Both::Numbers(..) | Both::Texts(..) => None,
        Both::Categories(_, names) => Some(names),
    }
}
