//! Against Shapley's own sum over all coalitions.

use super::*;

/// Two outputs that features reach together.
fn model(rows: &Matrix) -> Result<Vec<f64>, Refused> {
    let of = |row: &[f64]| [row[0] * row[1] + 2.0 * row[2], (row[0] - row[2] * row[3]).tanh()];
    Ok((0..rows.rows()).flat_map(|number| of(rows.row(number))).collect())
}

fn exact(row: &[f64], background: &[f64], feature: usize) -> [f64; 2] {
    let count = row.len();
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let value = |set: usize| {
        let mixed = (0..count).map(|at| if set >> at & 1 == 1 { row[at] } else { background[at] }).collect();
        model(&Matrix::of_row(mixed)).unwrap()
    };
    let mut sum = [0.0; 2];
    for set in (0..1_usize << count).filter(|set| set >> feature & 1 == 0) {
        let size = set.count_ones() as usize;
        let weight = factorial(size) * factorial(count - size - 1) / factorial(count);
        let (with, without) = (value(set | 1 << feature), value(set));
        (0..2).for_each(|group| sum[group] += weight * (with[group] - without[group]));
    }
    sum
}

fn explain(rows: &Matrix, how: &Explaining) -> Explanation {
    explained(rows, (0..4).map(|at| format!("f{at}")).collect(), how, &model).unwrap()
}

#[test]
fn many_orders_come_to_shapleys_values_and_any_add_up() {
    let (row, background) = (vec![1.5, -2.0, 0.5, 3.0], vec![0.1, 0.2, -0.3, 1.0]);
    let how = |orders| Explaining { background: Some(background.clone()), orders, seed: 7 };
    for orders in [1, 3, 4000] {
        let given = explain(&Matrix::of_row(row.clone()), &how(orders));
        for group in 0..2 {
            let sum: f64 = given.contributions[group * 4..group * 4 + 4].iter().sum();
            assert!((sum + given.base[group] - given.explained[group]).abs() < 1e-12);
        }
        if orders == 4000 {
            for feature in 0..4 {
                for (group, exact) in exact(&row, &background, feature).into_iter().enumerate() {
                    let ours = given.contributions[group * 4 + feature];
                    assert!((ours - exact).abs() < 0.01, "{feature} {group}: {ours} {exact}");
                }
            }
        }
    }
    // Of the first output, which only pairs of features make, one order and its reverse are exact already.
    let given = explain(&Matrix::of_row(row.clone()), &how(1));
    for feature in 0..4 {
        assert!((given.contributions[feature] - exact(&row, &background, feature)[0]).abs() < 1e-12);
    }
}

#[test]
fn a_row_is_explained_alone_as_among_others() {
    let rows = Matrix::new(2, 4, vec![1.0, 2.0, 3.0, 4.0, 0.5, -1.0, 2.0, 0.0]).unwrap();
    let both = explain(&rows, &Explaining::default());
    let alone = explain(&Matrix::of_row(rows.row(1).to_vec()), &Explaining::default());
    assert_eq!(both.contributions[8..], alone.contributions);
    assert_eq!(both.base.len(), 4);
}

#[test]
fn what_is_too_much_or_does_not_fit_is_refused() {
    let row = Matrix::of_row(vec![0.0; 4]);
    let says = |rows: &Matrix, how: &Explaining| explained(rows, vec![], how, &model).unwrap_err().to_string();
    let how = Explaining { background: Some(vec![0.0; 3]), ..Explaining::default() };
    assert_eq!(says(&row, &how), "the background has 3 values, but a row has 4");
    let how = Explaining { orders: 1_000_000, ..Explaining::default() };
    assert!(says(&row, &how).contains("which is too much"));
    assert!(says(&Matrix::of_row(vec![0.0; 5000]), &Explaining::default()).contains("5000 features"));
}
