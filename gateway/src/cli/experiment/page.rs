//! An experiment for people: a table of its arms, where their means lie, each beside the control, and in sentences whether one
//! may stop. Owns how it looks.

use crate::replay::{Against, Experiment, Guard, Measure};
use crate::terminal::Style;
use std::fmt::Write as _;
use tidegate_experiment::Interval;
use tidegate_experiment::guardrail::Guarded;
use tidegate_experiment::power::Change;

/// The page.
pub(super) fn page(found: &Experiment, style: Style) -> String {
    let mut out = format!(
        "{} by `{}`, {} calls{}\n",
        style.bold(&found.route),
        found.reward,
        found.calls,
        if found.left_out > 0 { format!(" ({} of other variants left out)", found.left_out) } else { String::new() }
    );
    // Writing into a string cannot fail.
    let mut line = |text: String| writeln!(out, "  {text}").unwrap_or_default();
    arms(found).into_iter().for_each(&mut line);
    plot(found).into_iter().for_each(&mut line);
    others(found).into_iter().for_each(&mut line);
    if found.units_left_out > 0 {
        line(format!("{} values are of more units than are told apart, and left out", found.units_left_out));
    }
    for one in &found.compared {
        against(found, one, style).into_iter().for_each(&mut line);
    }
    if let Some(cuped) = &found.cuped {
        line(cuped.says.clone());
    }
    if found.sample_ratio_p < 0.001 {
        let says = "the variants do not get the calls that they are to get: nothing of this can be relied on";
        line(format!("{} (p {:.6})", style.bad(says), found.sample_ratio_p));
    }
    out
}

/// The arms by the reward.
fn arms(found: &Experiment) -> Vec<String> {
    let mut rows = vec![format!(
        "{:<16} {:>9} {:>11} {}  95 % at every look",
        "variant",
        "drawn",
        "expected",
        measured(["values", "units", "mean", "variance", "p50", "p95"].map(str::to_owned))
    )];
    rows.extend(found.arms.iter().map(|arm| {
        let span =
            arm.interval.map_or_else(|| "not known yet".to_owned(), |at| format!("{:.4} to {:.4}", at.low, at.high));
        format!("{:<16} {:>9} {:>11.1} {}  {span}", arm.name, arm.drawn, arm.expected, row(&arm.reward))
    }));
    rows
}

/// What guardrails are of.
fn others(found: &Experiment) -> Vec<String> {
    let rows = found.arms.iter().flat_map(|arm| {
        let measures = arm.others.iter().filter(|of| of.measure != found.reward && of.values > 0.0);
        measures.map(|of| format!("{:<16} {:>9} {:>11} {}", arm.name, of.measure, "", row(of)))
    });
    rows.collect()
}

fn row(of: &Measure) -> String {
    let counts = [of.values, of.units].map(|count| count.to_string());
    let [values, units] = counts;
    measured([values, units, number(of.mean), number(of.variance), number(of.p50), number(of.p95)])
}

fn measured(columns: [String; 6]) -> String {
    let [values, units, mean, variance, p50, p95] = columns;
    format!("{values:>9} {units:>9} {mean:>10} {variance:>10} {p50:>10} {p95:>10}")
}

/// A number with four digits that say something.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    if value == 0.0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of digits is small")]
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

/// An arm beside the control.
fn against(found: &Experiment, one: &Against, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let names = format!("{} less {}", one.treatment, found.control);
    if let Some(comparison) = &one.comparison {
        let lift = comparison.lift.map(|lift| format!(", {:+.1} %", lift * 100.0)).unwrap_or_default();
        lines.push(format!("{names}: {:+.4}{lift}, p {:.4} among all", comparison.difference, one.adjusted_p));
        let among = if one.msprt_adjusted_p > one.msprt_p {
            format!(", {:.4} among all", one.msprt_adjusted_p)
        } else {
            String::new()
        };
        lines.push(format!("the smallest p of all looks so far (mixture SPRT): {:.4}{among}", one.msprt_p));
    }
    if let Some(taken) = one.cuped.as_ref().filter(|taken| taken.interval.width().is_finite()) {
        let Interval { low, high } = taken.interval;
        lines.push(format!("{names}, without what units did before: {:+.4}, {low:.4} to {high:.4}", taken.difference));
    }
    if !one.guardrails.is_empty() {
        let guards: Vec<String> = one.guardrails.iter().map(guarded).collect();
        lines.push(format!("guardrails: {}", guards.join(", ")));
    }
    lines.push(if one.may_stop { style.good(&one.says) } else { one.says.clone() });
    lines.extend(one.needed.as_ref().map(|needed| needed.says.clone()));
    lines
}

/// A guardrail, as `error held (1 point)`.
fn guarded(one: &Guard) -> String {
    let is = match one.is {
        Guarded::Held => "held",
        Guarded::Broken => "broken",
        Guarded::NotYetKnown => "not yet known",
    };
    let most = match one.worse_by {
        Change::Relative(by) => format!("{:.4} %", by * 100.0),
        Change::Absolute(by) if one.measure == "error" => format!("{:.4} points", by * 100.0),
        Change::Absolute(by) => format!("{by:.6}"),
    };
    let (number, unit) = most.split_once(' ').map_or((most.as_str(), None), |(number, unit)| (number, Some(unit)));
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{} {is} ({number}{})", one.measure, unit.map(|unit| format!(" {unit}")).unwrap_or_default())
}

/// Where each mean lies, a line an arm.
fn plot(found: &Experiment) -> Vec<String> {
    const WIDTH: usize = 60;
    let spans: Vec<(&str, Option<f64>, Option<Interval>)> =
        found.arms.iter().map(|arm| (arm.name.as_str(), arm.reward.mean, arm.interval)).collect();
    let ends = spans.iter().filter_map(|(_, _, span)| *span);
    let (low, high) =
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), span| (low.min(span.low), high.max(span.high)));
    if low >= high {
        return Vec::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of 60"
    )]
    let column = |value: f64| (((value - low) / (high - low)) * (WIDTH - 1) as f64).round() as usize;
    let drawn = spans.iter().filter_map(|(name, mean, span)| {
        let (span, mean) = ((*span)?, (*mean)?);
        let mut row = vec![' '; WIDTH];
        row[column(span.low)..=column(span.high)].fill('-');
        row[column(mean)] = 'o';
        Some(format!("{name:<16} |{}|", row.into_iter().collect::<String>()))
    });
    let mut rows: Vec<String> = drawn.collect();
    rows.push(format!("{:<16} {low:<.4}{:>width$.4}", "", high, width = WIDTH - 4));
    rows
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::replay::{Arm, Cuped, Moment, Needed};
    use tidegate_experiment::guardrail::Goal;

    pub(crate) fn found() -> Experiment {
        let measure = |name: &str, mean: f64| Measure {
            measure: name.to_owned(),
            values: 480.0,
            units: 480.0,
            mean: Some(mean),
            variance: Some(0.25),
            mean_variance: Some(1e-4),
            p50: Some(1.0),
            p95: None,
        };
        let arm = |name: &str, mean: f64, margin: f64| Arm {
            name: name.to_owned(),
            drawn: 500,
            expected: 499.5,
            reward: measure("resolved", mean),
            interval: Some(Interval::around(mean, margin)),
            others: vec![measure("cost", 1.25e-4), Measure { values: 0.0, ..measure("latency", 0.0) }],
        };
        let at = |mean: f64, margin: f64| Some((mean, Interval::around(mean, margin)));
        Experiment {
            route: "support".to_owned(),
            routes: Vec::new(),
            reward: "resolved".to_owned(),
            goal: Goal::Maximize,
            control: "a".to_owned(),
            calls: 1000,
            left_out: 3,
            units_left_out: 0,
            arms: vec![arm("a", 0.5, 0.1), arm("b<", 0.7, 0.05)],
            sample_ratio_p: 0.5,
            compared: Vec::new(),
            cuped: None,
            over_time: vec![
                Moment { at_ms: 0, arms: vec![None, None] },
                Moment { at_ms: 1000, arms: vec![at(0.5, 0.2), at(0.7, 0.2)] },
                Moment { at_ms: 2000, arms: vec![at(0.5, 0.1), at(0.7, 0.05)] },
            ],
        }
    }

    #[test]
    fn a_plot_has_a_line_for_each_arm_from_end_to_end() {
        let rows = plot(&found());
        assert_eq!(rows.len(), 3);
        let bar = |row: &str| row[row.find('|').unwrap() + 1..row.rfind('|').unwrap()].to_owned();
        assert!(bar(&rows[0]).starts_with('-') && bar(&rows[1]).ends_with('-'), "{rows:#?}");
        assert!(bar(&rows[0]).contains('o') && bar(&rows[1]).trim_start().len() < 30);
        let shown = page(&found(), Style::plain());
        assert!(
            shown.contains("1000 calls (3 of other variants left out)") && shown.contains("0.4000 to 0.6000"),
            "{shown}"
        );
    }

    #[test]
    fn a_page_has_each_measure_and_what_each_sentence_is_of() {
        let mut found = found();
        let guard = |measure: &str, worse_by: Change, is: Guarded| Guard { measure: measure.to_owned(), worse_by, is };
        found.compared = vec![Against {
            treatment: "b<".to_owned(),
            comparison: None,
            adjusted_p: 1.0,
            msprt_p: 1.0,
            msprt_adjusted_p: 1.0,
            guardrails: vec![
                guard("error", Change::Absolute(0.02), Guarded::Held),
                guard("latency", Change::Relative(0.2), Guarded::Broken),
                guard("stars", Change::Absolute(0.5), Guarded::NotYetKnown),
            ],
            needed: Some(Needed {
                effect: 0.1,
                is_named: true,
                power: 0.8,
                control: 500.0,
                treatment: 500.0,
                more: (20.0, 20.0),
                says: "It takes 20 more.".to_owned(),
            }),
            cuped: None,
            verdict: None,
            may_stop: false,
            says: "Go on.".to_owned(),
        }];
        found.cuped = Some(Cuped {
            since_ms: 0,
            units_with_past: 0.0,
            units: 960.0,
            calls_left_out: 0,
            theta: None,
            variance_reduction: None,
            arms: Vec::new(),
            says: "Nothing is taken out.".to_owned(),
        });
        let shown = page(&found, Style::plain());
        assert!(
            shown.contains("guardrails: error held (2 points), latency broken (20 %), stars not yet known (0.5)\n"),
            "{shown}"
        );
        let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what} in {shown}"));
        assert!(at("Go on.") < at("It takes 20 more.") && at("It takes") < at("Nothing is taken out."));
        assert!(shown.contains(" 0.0001250 ") && !shown.contains("latency  "), "{shown}");
    }
}
