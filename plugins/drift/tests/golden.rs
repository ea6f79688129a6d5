//! Every golden case of the drift families, natively: the same checks that the built component has to pass.
//!
//! The vectors are looked for in `GOLDEN_DIR`, else in `../shared/golden` beside the repository. Where they are missing
//! it is said, and under `CI=true` it is a failure.

#![expect(clippy::panic, reason = "a test's helpers may fail it")]
#![expect(clippy::print_stderr, reason = "it tells figures, and what it leaves out")]

use std::path::{Path, PathBuf};
use tidegate_drift::measure::bins::Pair;
use tidegate_drift::measure::psi;
use tidegate_drift::table::{Column, Data};
use tidegate_drift::{Config, Measurement, Table, evaluate};
use tidegate_golden::{Answer, Asked, Case, Check, GoldenFault, PLUGINS, Said, Values, cases, folder, generate};

fn vectors() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match folder(&repository) {
        Ok(folder) => Some(folder),
        Err(GoldenFault::NoFolder(path)) if std::env::var("CI").as_deref() != Ok("true") => {
            eprintln!("note: left out: no golden vectors in {}", path.display());
            None
        }
        Err(fault) => panic!("{fault}"),
    }
}

fn table(columns: &[tidegate_golden::Column]) -> Table {
    let column = |column: &tidegate_golden::Column| Column {
        name: column.name.clone(),
        data: match &column.values {
            Values::Numbers(values) => Data::Numbers(values.clone()),
            Values::Categories { codes, levels } => Data::Categories { codes: codes.clone(), levels: levels.clone() },
        },
        missing: Vec::new(),
    };
    Table { columns: columns.iter().map(column).collect() }
}

fn answer(measurement: Measurement) -> Answer {
    let Measurement { name, value, threshold, p, breached, labels, .. } = measurement;
    Answer { name, value, p, threshold, breached, labels }
}

fn answered(check: &Check) -> Result<Vec<Said>, String> {
    let Asked::Drift { reference, current } = &check.asked else { return Err("it is of another world".to_owned()) };
    let config = Config::read(&check.config.to_string())?;
    let report = evaluate(&config, &table(reference), &table(current)).map_err(|fault| fault.to_string())?;
    let answers = report.measurements.into_iter().map(answer).collect();
    Ok(vec![Said { answers, detail: report.detail }])
}

#[test]
fn every_case_is_within_its_tolerance() {
    let Some(folder) = vectors() else { return };
    let plugin = PLUGINS.into_iter().find(|plugin| plugin.name == "drift").expect("the plugin");
    for family in plugin.families {
        let cases = cases(&folder, family).expect("the family's file");
        let run = tidegate_golden::run(plugin, &cases, answered).expect("cases of its family");
        println!(
            "{family}: {} cases, {} numbers, worst error {:.2e} of its tolerance",
            run.cases, run.numbers, run.worst
        );
        if cfg!(feature = "wrong") {
            assert!(!run.missed.is_empty(), "{family} misses what is wrong");
        } else {
            assert!(run.missed.is_empty(), "{:#?}", run.missed);
        }
    }
}

/// What the report does not show: where the index's bins are cut, and what is in them.
#[test]
fn bins_are_those_of_the_index() {
    let Some(folder) = vectors() else { return };
    let list =
        |case: &Case, pointer: &str| -> Option<Vec<f64>> { case.body.pointer(pointer).and_then(generate::numbers) };
    let near =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs());
    for case in cases(&folder, "psi").expect("the family's file") {
        let side = |which: &str| list(&case, &format!("/input/{which}")).expect("numbers");
        let pair = Pair::evidently(&side("reference"), &side("current"));
        let edges = list(&case, "/expected/bin_edges").unwrap_or_default();
        assert!(near(&pair.edges, &edges), "case {}: {:?}", case.id, pair.edges);
        let expected = ["reference", "current"]
            .map(|which| list(&case, &format!("/expected/{which}_percents")).expect("the shares of each bin"));
        let got = [pair.reference_shares(), pair.current_shares()].map(psi::filled);
        // Where each value has a bin, Evidently lists them in no order.
        let bins = |[reference, current]: &[Vec<f64>; 2]| -> Vec<(f64, f64)> {
            let mut bins: Vec<(f64, f64)> = reference.iter().copied().zip(current.iter().copied()).collect();
            if edges.is_empty() {
                bins.sort_by(|a, b| a.partial_cmp(b).expect("shares are numbers"));
            }
            bins
        };
        let (got, expected) = (bins(&got), bins(&expected));
        let first = |bins: &[(f64, f64)]| bins.iter().map(|bin| bin.0).collect::<Vec<f64>>();
        let second = |bins: &[(f64, f64)]| bins.iter().map(|bin| bin.1).collect::<Vec<f64>>();
        assert!(near(&first(&got), &first(&expected)), "case {}: {got:?}", case.id);
        assert!(near(&second(&got), &second(&expected)), "case {}: {got:?}", case.id);
    }
}
