//! All cases of a family, asked one by one. Owns what is counted and shown of it; who answers is the caller's.

use crate::{Case, Check, GoldenFault, Plugin, Said};

/// What came of a family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// How many cases it has.
    pub cases: usize,
    /// How many numbers were expected.
    pub numbers: usize,
    /// What was not met, in words.
    pub missed: Vec<String>,
    /// The largest error of what was met, in tolerances.
    pub worst: f64,
}

/// Has the cases of a family answered: the reports of each check, or why there are none.
///
/// # Errors
/// A case is not as its family's are.
pub fn run(
    plugin: Plugin,
    cases: &[Case],
    mut answer: impl FnMut(&Check) -> Result<Vec<Said>, String>,
) -> Result<Run, GoldenFault> {
    let mut run = Run { cases: cases.len(), ..Run::default() };
    for case in cases {
        for check in (plugin.checks)(case)? {
            run.numbers += check.expected.len();
            match answer(&check) {
                Ok(reports) => {
                    let (missed, worst) = check.judge(&reports);
                    run.missed.extend(missed);
                    run.worst = run.worst.max(worst);
                }
                Err(says) => run.missed.push(format!("{} {}: {says}", check.family, check.id)),
            }
        }
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, PLUGINS};
    use serde_json::json;

    #[test]
    fn what_is_not_met_is_told_and_what_is_not_answered_too() {
        let body = json!({"input": {"reference": [1.0], "current": [2.0]}, "params": {"threshold": 0.2},
            "expected": {"psi": 0.5, "drifted": true}, "tol": {"psi": "rel 1e-9"}});
        let cases = [Case { family: "psi".to_owned(), id: "00".to_owned(), body }];
        let of = |value: f64| {
            let answers = vec![Answer { name: "psi:x".to_owned(), value, breached: true, ..Answer::default() }];
            run(PLUGINS[0], &cases, |_| Ok(vec![Said { answers: answers.clone(), ..Said::default() }])).expect("a case")
        };
        let met = of(0.5);
        assert_eq!((met.cases, met.numbers, met.missed.len()), (1, 2, 0));
        assert_eq!(of(0.501).missed.len(), 1);
        let silent = run(PLUGINS[0], &cases, |_| Err("it is gone".to_owned())).expect("a case");
        assert_eq!(silent.missed, ["psi 00: it is gone"]);
        let empty = run(PLUGINS[0], &cases, |_| Ok(Vec::new())).expect("a case");
        assert_eq!(empty.missed.len(), 2);
    }
}
