//! `tidegate experiment`: the arms of a route compared by a reward, and whether one may stop. Owns the table and the plot in
//! text; the picture is [`svg`]'s.

mod svg;

use super::events::Store;
use super::{Wrong, load, print, when};
use crate::replay::{Asking, Experiment, asked, control_of, experiment, least_of};
use crate::terminal::Style;
use anyhow::Context as _;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::{Clock as _, RouteName};
use tidegate_experiment::Interval;
use tidegate_experiment::guardrail::Guarded;
use tidegate_experiment::power::Change;

/// The arguments of `experiment`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate experiment support --config configs/production --reward resolved
  tidegate experiment support --config configs/production --since 7d --control old --svg means.svg")]
pub(super) struct Experimented {
    /// The route
    route: RouteName,
    /// By which reward: one of `rewards`, or latency, first_token, cost, tokens, error; what the route learns from by default
    #[arg(long)]
    reward: Option<String>,
    /// The variant that the others are compared with; the first by default
    #[arg(long)]
    control: Option<String>,
    /// Only calls of this span of time, such as 7d
    #[arg(long, value_parser = when::span)]
    since: Option<Duration>,
    /// The smallest difference that matters, 2% of the control's mean or 0.01 of the reward itself: variants that differ by
    /// less are alike, and one may stop
    #[arg(long, value_parser = least_of)]
    least: Option<Change>,
    /// Draw the means over time, with where they may lie, into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Store,
}

impl Experimented {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let spec = load(self.store.config())?.spec;
        let wrong = |says: String| Wrong(says);
        let route = spec.routes.get(&self.route).ok_or_else(|| wrong(format!("there is no route `{}`", self.route)))?;
        let reward = asked(&spec, route, self.reward.as_deref()).map_err(wrong)?;
        let control = control_of(route, self.control.as_deref()).map_err(wrong)?;
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let since = self.since.map_or(0, |span| SystemClock.unix_ms().saturating_sub(ms(span)));
        let asking = Asking { reward, control, since, least: self.least };
        let found = experiment(&self.store.folder()?, route, &asking)?;
        if let Some(file) = &self.svg {
            std::fs::write(file, svg::picture(&found)).with_context(|| format!("cannot write {}", file.display()))?;
        }
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&found)?));
        }
        print(&page(&found, Style::stdout()))
    }
}

fn page(found: &Experiment, style: Style) -> String {
    let mut out = format!(
        "{} by `{}`, {} calls{}\n",
        style.bold(&found.route),
        found.reward,
        found.calls,
        if found.left_out > 0 { format!(" ({} of other variants left out)", found.left_out) } else { String::new() }
    );
    // Writing into a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!(
        "  {:<16} {:>9} {:>11} {:>9} {:>9} {:>10} {:>10} {:>10}  95 % at every look",
        "variant", "drawn", "expected", "values", "units", "mean", "p50", "p95"
    ));
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    for arm in &found.arms {
        let span =
            arm.interval.map_or_else(|| "not known yet".to_owned(), |at| format!("{:.4} to {:.4}", at.low, at.high));
        line(format!(
            "  {:<16} {:>9} {:>11.1} {:>9} {:>9} {:>10} {:>10} {:>10}  {span}",
            arm.name,
            arm.drawn,
            arm.expected,
            arm.values,
            arm.units,
            number(arm.mean),
            number(arm.p50),
            number(arm.p95)
        ));
    }
    plot(found).into_iter().for_each(&mut line);
    if found.units_left_out > 0 {
        line(format!("  {} values are of more units than are told apart, and left out", found.units_left_out));
    }
    for against in &found.compared {
        if let Some(comparison) = &against.comparison {
            let lift = comparison.lift.map(|lift| format!(", {:+.1} %", lift * 100.0)).unwrap_or_default();
            line(format!(
                "  {} less {}: {:+.4}{lift}, p {:.4} among all",
                against.treatment, found.control, comparison.difference, against.adjusted_p
            ));
        }
        let guards: Vec<String> = against.guardrails.iter().map(|(name, is)| format!("{name} {}", word(*is))).collect();
        if !guards.is_empty() {
            line(format!("  guardrails: {}", guards.join(", ")));
        }
        let says = if against.may_stop { style.good(&against.says) } else { against.says.clone() };
        line(format!("  {says}"));
    }
    if found.sample_ratio_p < 0.001 {
        let says = "the variants do not get the calls that they are to get: nothing of this can be relied on";
        line(format!("  {} (p {:.6})", style.bad(says), found.sample_ratio_p));
    }
    out
}

const fn word(is: Guarded) -> &'static str {
    match is {
        Guarded::Held => "held",
        Guarded::Broken => "broken",
        Guarded::NotYetKnown => "not yet known",
    }
}

/// Where each mean lies, a line an arm.
fn plot(found: &Experiment) -> Vec<String> {
    const WIDTH: usize = 60;
    let spans: Vec<(&str, Option<f64>, Option<Interval>)> =
        found.arms.iter().map(|arm| (arm.name.as_str(), arm.mean, arm.interval)).collect();
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
        Some(format!("  {name:<16} |{}|", row.into_iter().collect::<String>()))
    });
    let mut rows: Vec<String> = drawn.collect();
    rows.push(format!("  {:<16} {low:<.4}{:>width$.4}", "", high, width = WIDTH - 4));
    rows
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::replay::Arm;
    use crate::replay::Moment;
    use tidegate_experiment::guardrail::Goal;

    pub(crate) fn found() -> Experiment {
        let arm = |name: &str, mean: f64, margin: f64| Arm {
            name: name.to_owned(),
            drawn: 500,
            expected: 499.5,
            values: 480.0,
            units: 480.0,
            mean: Some(mean),
            variance: Some(1e-4),
            p50: Some(1.0),
            p95: None,
            interval: Some(Interval::around(mean, margin)),
        };
        let at = |mean: f64, margin: f64| Some((mean, Interval::around(mean, margin)));
        Experiment {
            route: "support".to_owned(),
            reward: "resolved".to_owned(),
            goal: Goal::Maximize,
            control: "a".to_owned(),
            calls: 1000,
            left_out: 3,
            units_left_out: 0,
            arms: vec![arm("a", 0.5, 0.1), arm("b<", 0.7, 0.05)],
            sample_ratio_p: 0.5,
            compared: Vec::new(),
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
}
