//! The golden vectors through built components: each case of each family is asked of the component that answers for it, and
//! every expected number must be met within its tolerance; one that was built wrong on purpose must fail in every family.
//! GOLDEN_DIR names the vectors, COMPONENT_DIR the components (`plugins/dist`). Owns the run and what it prints; what a case
//! asks and how its numbers are judged is `plugins/golden`'s, which the plugins' own tests use natively.

#[cfg(test)]
mod run {
    use std::path::{Path, PathBuf};
    use tidegate_golden::{Answer, Case, Check, Column as Given, Values, cases, drift};
    use tidegate_host::{Column, Data, Frame, Host, Input, Limits, Measurement, Output, Outside, Plugin, Window};

    /// How many failures of a family are shown.
    const SHOWN: usize = 10;

    /// What came of a family.
    struct Run {
        family: &'static str,
        cases: usize,
        missed: Vec<String>,
        /// In tolerances, of what was met.
        worst: f64,
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// What is left out: said, and a failure where nothing may be.
    fn left_out(what: &str) {
        println!("note: {what} is not there, so the golden vectors of it are left out");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what} is not there");
    }

    /// Each family through the component of this name; nothing where the vectors or the component are not there.
    fn runs(component: &str) -> Option<Vec<Run>> {
        let Ok(vectors) = tidegate_golden::folder(&repository()) else {
            left_out("the folder of golden vectors");
            return None;
        };
        let folder = std::env::var_os("COMPONENT_DIR").filter(|value| !value.is_empty());
        let path = folder.map_or_else(|| repository().join("plugins/dist"), PathBuf::from).join(component);
        let Ok(bytes) = std::fs::read(&path) else {
            left_out(component);
            return None;
        };
        let host = Host::new(Limits::default(), Outside::default()).expect("plugins can be run here");
        let plugin = host.load(&bytes).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        Some(
            drift::FAMILIES
                .map(|family| of_family(family, &cases(&vectors, family).expect("its file"), &plugin))
                .into(),
        )
    }

    fn of_family(family: &'static str, cases: &[Case], plugin: &Plugin) -> Run {
        let mut run = Run { family, cases: cases.len(), missed: Vec::new(), worst: 0.0 };
        let before = plugin.calls();
        for check in cases.iter().flat_map(|case| drift::checks(case).expect("a case of its family")) {
            match answers(&check, plugin) {
                Ok(answers) => {
                    let (missed, worst) = check.judge(&answers);
                    run.missed.extend(missed);
                    run.worst = run.worst.max(worst);
                }
                Err(says) => run.missed.push(format!("{} {}: {says}", check.family, check.id)),
            }
        }
        println!(
            "figure: golden {family}: {} cases, {} calls into the component, {} numbers not met, worst {:.1e} tolerances, sha256 {}",
            run.cases,
            plugin.calls() - before,
            run.missed.len(),
            run.worst,
            plugin.about().sha256
        );
        run
    }

    fn answers(check: &Check, plugin: &Plugin) -> Result<Vec<Answer>, String> {
        let input = Input::Drift {
            window: Window { id: check.id.clone(), ..Window::default() },
            reference: frame(&check.reference),
            current: frame(&check.current),
        };
        let done =
            plugin.call(&check.config.to_string(), &input).map_err(|fault| format!("{fault} ({})", fault.kind))?;
        let Output::Report(report) = done.output else { return Err("it gave no report".to_owned()) };
        Ok(report.measurements.into_iter().map(answer).collect())
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
        let Some(runs) = runs("drift.wasm") else { return };
        let missed: Vec<String> = runs.into_iter().flat_map(|run| run.missed.into_iter().take(SHOWN)).collect();
        assert!(missed.is_empty(), "not met:\n{}", missed.join("\n"));
    }

    #[test]
    fn a_component_that_was_built_wrong_fails_in_every_family() {
        let Some(runs) = runs("wrong/drift.wasm") else { return };
        let silent: Vec<&str> = runs.iter().filter(|run| run.missed.is_empty()).map(|run| run.family).collect();
        assert!(silent.is_empty(), "nothing is seen in {silent:?}");
    }
}
