//! `tidegate experiment`: the arms of a route compared by a reward, and whether one may stop. Owns the arguments; the table
//! and the plot in text are [`page`]'s, the picture is [`svg`]'s.

mod page;
mod svg;

use super::events::Store;
use super::{Wrong, load, print, when};
use crate::replay::{RailWords, Words, experiment, least_of, meant, rail_of};
use crate::terminal::Style;
use anyhow::Context as _;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::{Clock as _, RouteName};
use tidegate_experiment::power::Change;

/// The arguments of `experiment`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate experiment support --config configs/production --reward resolved
  tidegate experiment support --config configs/production --since 7d --control old --svg means.svg
  tidegate experiment support --reward resolved --effect 2% --guardrail error=2% --guardrail cost=off
  tidegate experiment support --reward resolved --since 7d --covariate-since 30d

Whether one may stop goes by bounds that hold at every look together, so that one may look as often as one likes. What
--covariate-since adds holds so, too, as units grow in number, if that span was chosen before the first look.")]
pub(super) struct Experimented {
    /// The route, or the experiment that several are parts of (`sticky: {by: …, experiment: NAME}`)
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
    /// Say how many units it takes to see this difference, 2% of the control's mean or 0.01 of the reward itself, in four of
    /// five experiments; by default the smallest that matters, else the one that was seen so far
    #[arg(long, value_parser = least_of)]
    effect: Option<Change>,
    /// A measure that may not become worse, and by how much: latency=20% of the control's mean, error=2% (points),
    /// stars=0.5, or cost=off; by default error=1%, latency=10% and cost=10%. Again for each
    #[arg(long, value_name = "MEASURE=CHANGE", value_parser = rail_of)]
    guardrail: Vec<RailWords>,
    /// Take out what units did before --since (CUPED): the mean of the same measure over the calls from this span ago, such
    /// as 30d, up to there
    #[arg(long, value_name = "SPAN", value_parser = when::span, requires = "since")]
    covariate_since: Option<Duration>,
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
        let none = || Wrong(format!("there is no route `{}`, nor an experiment of routes", self.route));
        let parts = meant(&spec, self.route.as_str());
        let route = *parts.first().ok_or_else(none)?;
        let now = SystemClock.unix_ms();
        let ago = |span: Duration| now.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let words = Words {
            reward: self.reward,
            control: self.control,
            since: self.since.map_or(0, ago),
            least: self.least,
            effect: self.effect,
            covariate_since: self.covariate_since.map(ago),
            guardrails: self.guardrail,
        };
        let asking = words.of(&spec, route).map_err(|(_, says)| Wrong(says))?;
        let found = experiment(&self.store.folder()?, &parts, &asking)?;
        if let Some(file) = &self.svg {
            std::fs::write(file, svg::picture(&found)).with_context(|| format!("cannot write {}", file.display()))?;
        }
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&found)?));
        }
        print(&page::page(&found, Style::stdout()))
    }
}
