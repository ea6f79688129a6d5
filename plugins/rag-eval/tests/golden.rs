//! Every golden case of the families of retrieval, natively: the same checks that the built component has to pass.
//!
//! The vectors are looked for in `GOLDEN_DIR`, else in `../shared/golden` beside the repository. Where they are missing
//! it is said, and under `CI=true` it is a failure.

#![expect(clippy::panic, reason = "a test's helpers may fail it")]
#![expect(clippy::print_stderr, reason = "it tells figures, and what it leaves out")]

use std::path::{Path, PathBuf};
use tidegate_golden::{Answer, Asked, Check, GoldenFault, PLUGINS, Said, cases, folder};
use tidegate_rag_eval::judge::{Models, Unreached};
use tidegate_rag_eval::{Config, Passage, Sample, evaluate};
use tidegate_window::{Measurement, Report};

/// No case asks a model.
struct Nobody;

impl Models for Nobody {
    fn generate(&self, _: &str, _: [&str; 2], _: u32, _: &str) -> Result<String, Unreached> {
        Err(Unreached::Denied("no models here".to_owned()))
    }
    fn embed(&self, _: &str, _: &[&str]) -> Result<Vec<Vec<f64>>, Unreached> {
        Err(Unreached::Denied("no models here".to_owned()))
    }
}

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

fn sample(given: &tidegate_golden::Sample) -> Sample {
    let passage = |given: &tidegate_golden::Passage| Passage {
        id: given.id.clone(),
        text: given.text.clone(),
        score: given.score,
    };
    Sample {
        request_id: given.request_id.clone(),
        passages: given.passages.iter().map(passage).collect(),
        relevant_ids: given.relevant_ids.clone(),
        ..Sample::default()
    }
}

fn answer(measurement: Measurement) -> Answer {
    let Measurement { name, value, threshold, breached, labels, .. } = measurement;
    Answer { name, value, p: None, threshold, breached, labels }
}

fn answered(check: &Check) -> Result<Vec<Said>, String> {
    let Asked::Rag { samples } = &check.asked else { return Err("it is of another world".to_owned()) };
    let config = Config::read(&check.config.to_string())?;
    let samples: Vec<Sample> = samples.iter().map(sample).collect();
    let said =
        |report: Report| Said { answers: report.measurements.into_iter().map(answer).collect(), detail: report.detail };
    Ok(evaluate(&config, &samples, &Nobody).into_iter().map(said).collect())
}

#[test]
fn every_case_is_within_its_tolerance() {
    let Some(folder) = vectors() else { return };
    let plugin = PLUGINS.into_iter().find(|plugin| plugin.name == "rag-eval").expect("the plugin");
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
