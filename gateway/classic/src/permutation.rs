//! Shapley values of any model against one background row, estimated over random orders of the features (Castro, Gómez,
//! Tejada 2009; each order with its reverse, which takes the error of pairs of features away). Whatever the orders, the
//! contributions of a row add up to what it is given beyond the background. Pure: the model is a function.

use crate::{Explaining, Explanation, Matrix, Method, Refused};
use tidegate_core::Dice;
use tidegate_core::dice::SplitMix;

/// More features are refused: each order asks the model once for each.
const MOST_FEATURES: usize = 4096;
/// More numbers are never sent to the model at once.
const MOST_VALUES: usize = 4 << 20;
/// More rows for the model in one explanation are refused.
const MOST_ROWS: usize = 2_000_000;

/// What is asked of the model: for rows the values of the output, row after row.
type AskModel<'a> = &'a dyn Fn(&Matrix) -> Result<Vec<f64>, Refused>;

pub(crate) fn explained(
    rows: &Matrix,
    features: Vec<String>,
    how: &Explaining,
    ask: AskModel<'_>,
) -> Result<Explanation, Refused> {
    let columns = rows.columns();
    let background = how.background.clone().unwrap_or_else(|| vec![0.0; columns]);
    if background.len() != columns {
        return Err(Refused::Unexplained(format!(
            "the background has {} values, but a row has {columns}",
            background.len()
        )));
    }
    let asked = how.orders.max(1).saturating_mul(2 * (columns + 1)).saturating_mul(rows.rows());
    if columns > MOST_FEATURES || asked > MOST_ROWS {
        return Err(Refused::Unexplained(format!(
            "explaining {} rows of {columns} features asks the model for {asked} rows, which is too much: send fewer rows or take fewer orders",
            rows.rows()
        )));
    }
    let ends = asked_of(ask, &Matrix::of_row(background.clone()))?;
    let groups = ends.len();
    let whole = if rows.rows() == 0 { Vec::new() } else { asked_of(ask, rows)? };
    let mut explanation = Explanation {
        method: Method::Permutation,
        features,
        rows: rows.rows(),
        groups,
        contributions: Vec::with_capacity(rows.rows() * groups * columns),
        base: ends.iter().copied().cycle().take(groups * rows.rows()).collect(),
        explained: whole,
    };
    for number in 0..rows.rows() {
        // Each row by the same orders, so that it is explained alone as among others.
        let dice = SplitMix::seeded(how.seed);
        explanation.contributions.extend(of_row(rows.row(number), &background, groups, how.orders.max(1), &dice, ask)?);
    }
    Ok(explanation)
}

/// The contributions to each group, group after group.
fn of_row(
    row: &[f64],
    background: &[f64],
    groups: usize,
    orders: usize,
    dice: &dyn Dice,
    ask: AskModel<'_>,
) -> Result<Vec<f64>, Refused> {
    let columns = row.len();
    let mut sums = vec![0.0; groups * columns];
    let mut order: Vec<usize> = (0..columns).collect();
    let mut ways = Vec::with_capacity(2 * orders);
    for _ in 0..orders {
        shuffle(&mut order, dice);
        ways.push(order.clone());
        ways.push(order.iter().rev().copied().collect());
    }
    // As many ways at once as are sent together.
    let at_once = (MOST_VALUES / ((columns + 1) * columns.max(1))).max(1);
    for some in ways.chunks(at_once) {
        let mut values = Vec::with_capacity(some.len() * (columns + 1) * columns);
        for way in some {
            let mut mixed = background.to_vec();
            values.extend_from_slice(&mixed);
            for feature in way {
                mixed[*feature] = row[*feature];
                values.extend_from_slice(&mixed);
            }
        }
        let given = asked_of(ask, &Matrix::new(some.len() * (columns + 1), columns, values)?)?;
        for (way, steps) in some.iter().zip(given.chunks_exact((columns + 1) * groups)) {
            for (place, feature) in way.iter().enumerate() {
                let (before, after) = (&steps[place * groups..], &steps[(place + 1) * groups..]);
                for group in 0..groups {
                    sums[group * columns + feature] += (after[group] - before[group]) / ways.len() as f64;
                }
            }
        }
    }
    Ok(sums)
}

/// The model's values for whole rows: as many for each.
fn asked_of(ask: AskModel<'_>, rows: &Matrix) -> Result<Vec<f64>, Refused> {
    let given = ask(rows)?;
    if given.is_empty() || !given.len().is_multiple_of(rows.rows().max(1)) {
        return Err(Refused::Unexplained(format!("the model gives {} values for {} rows", given.len(), rows.rows())));
    }
    Ok(given)
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], dice: &dyn Dice) {
    for last in (1..order.len()).rev() {
        order.swap(last, (dice.unit() * (last + 1) as f64) as usize);
    }
}

#[cfg(test)]
mod tests;
