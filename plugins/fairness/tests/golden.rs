//! Every golden case of the families of group fairness, natively: the same checks that the built component has to pass.
//!
//! The vectors are looked for in `GOLDEN_DIR`, else in `../shared/golden` beside the repository. Where they are missing
//! it is said, and under `CI=true` it is a failure.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's helpers may fail it")]
#![expect(clippy::print_stderr, reason = "it tells figures, and what it leaves out")]

use std::path::{Path, PathBuf};
use tidegate_fairness::{Config, evaluate};
use tidegate_golden::{Answer, Asked, Check, GoldenFault, PLUGINS, Said, Values, cases, folder};
use tidegate_window::{Column, Data, Measurement, Roles, Table};

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
    let column = |column: &tidegate_golden::Column| {
        let data = match &column.values {
            Values::Numbers(values) => Data::Numbers(values.clone()),
            Values::Categories { codes, levels } => Data::Categories { codes: codes.clone(), levels: levels.clone() },
        };
        Column::full(&column.name, data)
    };
    let columns: Vec<Column> = columns.iter().map(column).collect();
    let rows = columns.first().map_or(0, |column| column.data.len());
    Table { rows: u32::try_from(rows).expect("few rows"), columns }
}

fn answer(measurement: Measurement) -> Answer {
    let Measurement { name, value, threshold, breached, labels, .. } = measurement;
    Answer { name, value, p: None, threshold, breached, labels }
}

fn answered(check: &Check) -> Result<Vec<Said>, String> {
    let Asked::Fairness { data, roles } = &check.asked else { return Err("it is of another world".to_owned()) };
    let tidegate_golden::Roles { prediction, score, label, protected, positive } = roles.clone();
    let roles = Roles { prediction, score, label, protected, positive, min_group_size: 0 };
    let config = Config::read(&check.config.to_string())?;
    let report = evaluate(&config, &table(data), &roles).map_err(|fault| fault.to_string())?;
    let answers = report.measurements.into_iter().map(answer).collect();
    Ok(vec![Said { answers, detail: report.detail }])
}

#[test]
fn every_case_is_within_its_tolerance() {
    let Some(folder) = vectors() else { return };
    let plugin = PLUGINS.into_iter().find(|plugin| plugin.name == "fairness").expect("the plugin");
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
