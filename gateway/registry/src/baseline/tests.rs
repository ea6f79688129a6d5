//! What a profile holds: bins, sums and categories that add up, and what is refused.

use super::build::Most;
use super::*;
use crate::fault::RegistryFault;
use proptest::prelude::*;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::table::{Cell, Table};
use tidegate_core::{Dice, Fault};

/// A table of texts.
#[derive(Debug)]
struct Texts {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Texts {
    fn new<T: ToString>(names: &[&str], rows: &[Vec<T>]) -> Self {
        let rows = rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        Self { names: names.iter().map(ToString::to_string).collect(), rows }
    }

    fn column<T: ToString>(cells: &[T]) -> Self {
        Self::new(&["x"], &cells.iter().map(|cell| vec![cell.to_string()]).collect::<Vec<_>>())
    }
}

impl Table for Texts {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.rows.iter().try_for_each(|cells| row(&cells.iter().map(|cell| Cell::Text(cell)).collect::<Vec<_>>()))
    }
}

fn dice() -> SplitMix {
    SplitMix::seeded(1)
}

fn built(table: &Texts) -> Baseline {
    Baseline::build(table, &dice()).unwrap()
}

fn numeric(of: &Baseline) -> &Numeric {
    match &of.columns[0].profile {
        Profile::Numeric(numeric) => numeric,
        Profile::Categorical(categorical) => panic!("{categorical:?}"),
    }
}

fn categorical(of: &Baseline) -> &Categorical {
    match &of.columns[0].profile {
        Profile::Categorical(categorical) => categorical,
        Profile::Numeric(numeric) => panic!("{numeric:?}"),
    }
}

#[test]
fn a_column_is_numeric_by_a_fraction_or_by_many_different_numbers() {
    let few: Vec<i32> = (0..200).map(|i| i % 20).collect();
    assert_eq!(categorical(&built(&Texts::column(&few))).categories.len(), 20);
    let many: Vec<i32> = (0..200).map(|i| i % 21).collect();
    assert_eq!(numeric(&built(&Texts::column(&many))).bins.len(), 21);
    assert_eq!(numeric(&built(&Texts::column(&["0.5", "1", "", "nan", "-inf", "1e999", "1e200"]))).bins.len(), 2);
    let mixed = built(&Texts::column(&["0.5", "1", "one"]));
    assert_eq!(categorical(&mixed).categories[0], Category { value: "0.5".into(), count: 1 });
    // Numbers are spelled in one way where all are numbers.
    let spelled = built(&Texts::column(&["1", "1.0", " 1", "-0", "0"]));
    let names: Vec<(&str, u64)> =
        categorical(&spelled).categories.iter().map(|category| (category.value.as_str(), category.count)).collect();
    assert_eq!(names, [("1", 3), ("0", 2)]);
    let none = built(&Texts::column(&["", " ", "NaN"]));
    assert_eq!((none.columns[0].count, none.columns[0].missing, categorical(&none).categories.len()), (0, 3, 0));
}

#[test]
fn rare_and_long_categories_are_others() {
    let mut cells: Vec<String> = (0..1500).map(|i| format!("c{i:04}")).collect();
    cells.extend(["c1400".to_owned(), "ä".repeat(200)]);
    let of = built(&Texts::column(&cells));
    let found = categorical(&of);
    assert_eq!((found.categories.len(), found.other), (1000, 501));
    assert_eq!(found.categories[0], Category { value: "c1400".into(), count: 2 });
    let longest = of.sample.iter().flatten().filter_map(|cell| match cell {
        Sampled::Text(text) => Some(text.len()),
        _ => None,
    });
    assert!(longest.max().unwrap() <= LONGEST_TEXT);
    assert_eq!(of.sample.len(), 1000);
}

#[test]
fn too_much_is_refused_with_a_reason() {
    let table = Texts::column(&(0..100).map(|i| f64::from(i) / 2.0).collect::<Vec<_>>());
    let says = |most| Baseline::build_within(&table, &dice(), most).unwrap_err().says;
    assert!(says(Most { rows: 99, bytes: 1 << 30 }).contains("more than 99 rows: take a random part"));
    assert!(says(Most { rows: 100, bytes: 799 }).contains("numbers and categories of more than"));
    assert!(Baseline::build_within(&table, &dice(), Most { rows: 100, bytes: 800 }).is_ok());
    let says = |names: &[&str], rows: &[Vec<&str>]| {
        Baseline::build(&Texts::new(names, rows), &dice()).map(drop).map_err(|fault: RegistryFault| fault.says)
    };
    assert!(says(&["a"], &[]).unwrap_err().contains("no rows"));
    assert!(says(&["a", "a"], &[vec!["1", "2"]]).unwrap_err().contains("two columns are called `a`"));
    assert!(says(&[""], &[vec!["1"]]).unwrap_err().contains("1 to 256 bytes"));
    assert!(says(&["a".repeat(300).as_str()], &[vec!["1"]]).is_err());
    let names: Vec<String> = (0..4097).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(says(&names, &[]).unwrap_err().contains("4097 columns"));
}

#[test]
fn what_numpy_says_of_a_fixed_table_holds() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/baseline");
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(golden.join("expected.json")).unwrap()).unwrap();
    let text = std::fs::read_to_string(golden.join("training.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.splitn(5, ',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    // Only the last column has quotes.
    let plain = |cell: &str| match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => cell.to_owned(),
    };
    let rows: Vec<Vec<String>> = lines.map(|row| row.into_iter().map(plain).collect()).collect();
    let made = built(&Texts::new(&names, &rows));
    let near = |a: f64, b: &Value| {
        let b = b.as_f64().unwrap();
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
    };
    for column in &made.columns {
        let of = &expected[if matches!(column.profile, Profile::Numeric(_)) { "numeric" } else { "categorical" }];
        let of = &of[&column.name];
        assert_eq!((&json!(column.count), &json!(column.missing)), (&of["count"], &of["missing"]), "{}", column.name);
        match &column.profile {
            Profile::Numeric(found) => {
                let counts: Vec<u64> = found.bins.iter().map(|bin| bin.count).collect();
                assert_eq!(json!(counts), of["counts"]);
                for (value, key) in [(found.min, "min"), (found.max, "max"), (found.mean, "mean"), (found.m2, "m2")] {
                    near(value, &of[key]);
                }
                for (i, bin) in found.bins.iter().enumerate() {
                    near(bin.to, &of["to"][i]);
                    near(bin.sum, &of["sums"][i]);
                }
            }
            Profile::Categorical(found) => {
                let named: Vec<Value> =
                    found.categories.iter().map(|category| json!([category.value, category.count])).collect();
                assert_eq!((json!(named), found.other), (of["categories"].clone(), 0));
            }
        }
    }
    assert_eq!(made.size(), Size { rows: 1500, numeric: 3, categorical: 2, sampled: 1000 });
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let cells: Vec<Vec<String>> = (0..50).map(|i| vec![format!("{}.5", i % 40), format!("c{}", i % 3)]).collect();
    let good = built(&Texts::new(&["n", "c"], &cells)).to_json();
    assert_eq!(Baseline::read(&good).unwrap().to_json(), good);
    let wrongs: [(&str, Value, &str); 17] = [
        ("/baseline", json!(2), "its form is 2"),
        ("/rows", json!(51), "column `n`: `count` and `missing`"),
        ("/columns/0/name", json!("c"), "two columns"),
        ("/columns/0/extra", json!(1), "unknown field `extra`"),
        ("/columns/0/count", json!(49), "make up 50 rows"),
        ("/columns/0/numeric/m2", json!(-1.0), "`m2`"),
        ("/columns/0/numeric/mean", json!(99.0), "`mean`"),
        ("/columns/0/numeric/mean", json!(0.75), "`mean` is not that of"),
        ("/columns/0/numeric/max", json!(1e300), "±1e140"),
        ("/columns/0/numeric/bins/3/count", json!(0), "each bin counts"),
        ("/columns/0/numeric/bins/3/to", json!(0.0), "ascend"),
        ("/columns/0/numeric/bins/3/sum", json!(-7.0), "the `sum` of the bin"),
        ("/columns/0/categorical", json!({"categories": [], "other": 50}), "either"),
        ("/columns/1/categorical/other", json!(1), "with `other` 50"),
        ("/columns/1/categorical/categories/0/value", json!("c2"), "named twice"),
        ("/sample/0/0", json!("x"), "row 0"),
        ("/sample/0/1", json!([1]), "sample"),
    ];
    for (place, value, says) in wrongs {
        let mut bad = good.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        match bad.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(key.to_owned(), value)),
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            other => panic!("{other}"),
        }
        let fault = Baseline::read(&bad).map(drop).unwrap_err();
        assert!(fault.says.contains(says) || place == "/sample/0/1", "{place}: {}", fault.says);
    }
    assert!(Baseline::read(&json!([])).is_err());
    assert_eq!(Baseline::read(&good).unwrap().without_sample().to_json()["sample"], json!([]));
}

proptest! {
    #[test]
    fn bins_hold_equal_shares_and_nothing_is_lost(
        cells in prop::collection::vec(prop_oneof![
            4 => (-1e6f64..1e6).prop_map(Some),
            3 => (0i32..6).prop_map(|i| Some(f64::from(i) + 0.5)),
            1 => Just(None),
        ], 2..1500),
        seed: u64,
    ) {
        let mut values: Vec<f64> = cells.iter().filter_map(|x| *x).collect();
        prop_assume!(values.iter().any(|x| x.fract() != 0.0));
        values.sort_unstable_by(f64::total_cmp);
        let texts: Vec<String> = cells.iter().map(|x| x.map(|x| x.to_string()).unwrap_or_default()).collect();
        let dice: &dyn Dice = &SplitMix::seeded(seed);
        let made = Baseline::build(&Texts::column(&texts), dice).unwrap();
        let found = numeric(&made);
        prop_assert_eq!(made.columns[0].count + made.columns[0].missing, cells.len() as u64);
        prop_assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<u64>(), values.len() as u64);
        let sum: f64 = found.bins.iter().map(|bin| bin.sum).sum();
        prop_assert!((sum - values.iter().sum::<f64>()).abs() <= 1e-3);
        let bins = values.len().min(MOST_BINS);
        prop_assert!(found.bins.len() <= bins);
        let share = values.len().div_ceil(bins);
        let mut below = f64::NEG_INFINITY;
        for bin in &found.bins {
            prop_assert!(below < bin.to);
            let within: Vec<f64> = values.iter().copied().filter(|x| *x > below && *x <= bin.to).collect();
            prop_assert_eq!(within.len() as u64, bin.count);
            prop_assert!(within.iter().filter(|x| **x < bin.to).count() < share);
            below = bin.to;
        }
        prop_assert_eq!((found.bins.last().unwrap().to, found.min), (found.max, values[0]));
        // What is made is taken, and by way of text too.
        let json = made.to_json();
        prop_assert_eq!(&Baseline::read(&json).unwrap(), &made);
        let text: Value = serde_json::from_str(&json.to_string()).unwrap();
        prop_assert!(Baseline::read(&text).is_ok());
    }
}
