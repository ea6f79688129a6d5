//! The golden vectors through built components: each case of each family is asked of the component that answers for it, and
//! every expected number must be met within its tolerance; ones that were built wrong on purpose must fail in every family.
//! GOLDEN_DIR names the vectors, COMPONENT_DIR the components (`plugins/dist`). Owns the run and what it prints; what a case
//! asks and how its numbers are judged is `plugins/golden`'s, which the plugins' own tests use natively.

#[cfg(test)]
mod shipped;

#[cfg(test)]
mod run {
    use std::path::{Path, PathBuf};
    use tidegate_golden::{Answer, Asked, Check, Column as Given, PLUGINS, Run, Said, Values, cases};
    use tidegate_host::{
        Bounds, Column, Data, Frame, Host, Input, Limits, Measurement, Output, Outside, Passage, Plugin, Report, Roles,
        Sample, Window,
    };

    /// All families, as the issue of the contract lists them.
    const FAMILIES: [&str; 11] = [
        "ks",
        "psi",
        "chisquare",
        "jensenshannon",
        "wasserstein",
        "mmd",
        "fairlearn",
        "aif360",
        "calibration",
        "ranking",
        "ragas_nonllm",
    ];

    /// How many failures of a family are shown.
    const SHOWN: usize = 10;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// What is left out: said, and a failure where nothing may be.
    fn left_out(what: &str) {
        println!("note: {what} is not there, so the golden vectors of it are left out");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what} is not there");
    }

    /// Each family through the component of its plugin in this folder of the components; nothing where the vectors or a
    /// component are not there.
    fn runs(folder: &str) -> Option<Vec<(&'static str, Run)>> {
        let Ok(vectors) = tidegate_golden::folder(&repository()) else {
            left_out("the folder of golden vectors");
            return None;
        };
        let named = std::env::var_os("COMPONENT_DIR").filter(|value| !value.is_empty());
        let components = named.map_or_else(|| repository().join("plugins/dist"), PathBuf::from).join(folder);
        let host = Host::new(Limits::default(), Outside::default()).expect("plugins can be run here");
        let mut runs = Vec::new();
        for plugin in PLUGINS {
            let path = components.join(plugin.name).with_extension("wasm");
            let Ok(bytes) = std::fs::read(&path) else {
                left_out(&path.display().to_string());
                return None;
            };
            let component =
                host.load(&bytes, Bounds::default()).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
            for family in plugin.families {
                let cases = cases(&vectors, family).expect("its file");
                let before = component.calls();
                let run = tidegate_golden::run(plugin, &cases, |check| answered(check, &component));
                let run = run.expect("cases of its family");
                println!(
                    "figure: golden {family}: {} cases, {} calls into the component, {} numbers, {} of them not met, worst {:.1e} tolerances, sha256 {}",
                    run.cases,
                    component.calls() - before,
                    run.numbers,
                    run.missed.len(),
                    run.worst,
                    component.about().sha256
                );
                runs.push((*family, run));
            }
        }
        assert_eq!(runs.iter().map(|(family, _)| *family).collect::<Vec<_>>(), FAMILIES);
        Some(runs)
    }

    fn answered(check: &Check, plugin: &Plugin) -> Result<Vec<Said>, String> {
        let done = plugin
            .call(&check.config.to_string(), &input(check))
            .map_err(|fault| format!("{fault} ({})", fault.kind))?;
        match done.output {
            Output::Report(report) => Ok(vec![said(report)]),
            Output::Reports(reports) => Ok(reports.into_iter().map(said).collect()),
            Output::Findings(_) => Err("it gave no report".to_owned()),
        }
    }

    fn input(check: &Check) -> Input {
        let window = Window { id: check.id.clone(), ..Window::default() };
        match &check.asked {
            Asked::Drift { reference, current } => {
                Input::Drift { window, reference: frame(reference), current: frame(current) }
            }
            Asked::Fairness { data, roles } => {
                let tidegate_golden::Roles { prediction, score, label, protected, positive } = roles.clone();
                let roles = Roles { prediction, score, label, protected, positive, min_group_size: 0 };
                Input::Fairness { window, data: frame(data), roles }
            }
            Asked::Rag { samples } => Input::Rag { samples: samples.iter().map(sample).collect() },
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

    fn said(report: Report) -> Said {
        let answers = report.measurements.into_iter().map(answer).collect();
        Said { answers, detail: report.detail.unwrap_or_default() }
    }

    fn answer(measurement: Measurement) -> Answer {
        let Measurement { name, value, threshold, p_value: p, breached, labels, .. } = measurement;
        Answer { name, value: value.unwrap_or(f64::NAN), p, threshold, breached, labels }
    }

    /// The columns as the contract has them: what is no number is missing.
    fn frame(given: &[Given]) -> Frame {
        let column = |given: &Given| match &given.values {
            Values::Categories { codes, levels } => {
                Column::full(&given.name, Data::Categories { codes: codes.clone(), levels: levels.clone() })
            }
            Values::Numbers(values) => {
                let missing = (0u32..).zip(values).filter(|(_, value)| value.is_nan()).map(|(row, _)| row).collect();
                let data =
                    Data::Numbers(values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect());
                Column { name: given.name.clone(), data, missing }
            }
        };
        Frame::of(given.iter().map(column).collect()).expect("columns of one length")
    }

    #[test]
    fn every_case_is_met_through_the_component() {
        let Some(runs) = runs("") else { return };
        let missed: Vec<String> = runs.into_iter().flat_map(|(_, run)| run.missed.into_iter().take(SHOWN)).collect();
        assert!(missed.is_empty(), "not met:\n{}", missed.join("\n"));
    }

    #[test]
    fn components_that_were_built_wrong_fail_in_every_family() {
        let Some(runs) = runs("wrong") else { return };
        let silent: Vec<&str> =
            runs.iter().filter(|(_, run)| run.missed.is_empty()).map(|(family, _)| *family).collect();
        assert!(silent.is_empty(), "nothing is seen in {silent:?}");
    }
}
