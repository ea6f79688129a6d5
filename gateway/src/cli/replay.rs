//! `tidegate replay`: what another policy would have earned on the calls that were logged. Owns the report; the estimators
//! are those of the crate `tidegate-experiment`, and [`verify`] draws again what was decided.

mod verify;

use super::{Wrong, load, print, when};
use crate::replay::{History, Kept, Past, asked, kept_form, targets};
use crate::terminal::Style;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::spec::{GatewaySpec, PolicySpec, RouteSpec};
use tidegate_core::{Clock as _, RouteName};
use tidegate_experiment::off_policy::{Bounds, Estimates, Limits, Log, Logged, Overlap};
use tidegate_experiment::{Alpha, Interval, Moments, asymptotic};
use tidegate_storage::{EventReader, Filter};

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate replay --config new.yaml --route support --reward resolved
  tidegate replay --config new.yaml --relearn --since 7d
  tidegate replay --config configs/production --verify")]
pub(super) struct Replay {
    /// The configuration with the other policy; its event store is read
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The event store's folder, where it is not that of the configuration
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// This route alone; else those whose policy is not that of their newest calls
    #[arg(long)]
    route: Option<RouteName>,
    /// By which reward: one of `rewards`, or latency, first_token, cost, tokens, error; the policy's own by default
    #[arg(long)]
    reward: Option<String>,
    /// Only calls of this span of time, such as 7d
    #[arg(long, value_parser = when::span)]
    since: Option<Duration>,
    /// Let the policy learn from the rewards of the log, in their order
    #[arg(long)]
    relearn: bool,
    /// Only draw every decision again, and reckon every state of a learner again, and count those that are the same
    #[arg(long)]
    verify: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What another policy would have earned.
struct Found {
    route: RouteName,
    reward: String,
    calls: usize,
    rewarded: usize,
    as_it_was: Vec<f64>,
    estimates: Estimates,
    bounds: Bounds,
    overlap: Overlap,
}

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let spec = load(&self.config)?.spec;
        let none =
            || Wrong(format!("{} keeps no events: set `store.events` in it, or give --store", self.config.display()));
        let folder = self.store.clone().or_else(|| spec.events.folder.clone()).ok_or_else(none)?;
        let routes: Vec<&RouteSpec> = spec
            .routes
            .values()
            .filter(|route| self.route.as_ref().is_none_or(|wanted| *wanted == route.name))
            .collect();
        if let (Some(wanted), true) = (&self.route, routes.is_empty()) {
            return Err(Wrong(format!("{} has no route `{wanted}`", self.config.display())).into());
        }
        if self.verify {
            return self.verified(&folder, &routes);
        }
        let several: Vec<&RouteSpec> = routes.into_iter().filter(|route| route.variants.len() > 1).collect();
        anyhow::ensure!(!several.is_empty(), "there is nothing to choose: no route has several variants");
        let mut all = All::default();
        for route in several {
            if self.route.is_none() && is_in_force(&spec, route, &folder)? {
                all.unchanged.push(route.name.clone());
                continue;
            }
            match self.replayed(&spec, route, &folder) {
                Ok(found) => all.found.push(found),
                Err(refused) => all.refused.push((route.name.clone(), refused)),
            }
        }
        all.tell(self.json)
    }

    fn since_ms(&self) -> u64 {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.since.map_or(0, |span| SystemClock.unix_ms().saturating_sub(ms(span)))
    }

    fn replayed(&self, spec: &GatewaySpec, route: &RouteSpec, folder: &Path) -> anyhow::Result<Found> {
        let reward = asked(spec, route, self.reward.as_deref()).map_err(Wrong)?;
        // What it is judged by, and what it learns from.
        let mut rewards = vec![reward.clone()];
        if let PolicySpec::Learned(learned) = &route.policy {
            rewards.push(learned.reward.clone());
        }
        let history = History::read(folder, &route.name, &rewards, self.since_ms())?;
        anyhow::ensure!(!history.calls.is_empty(), "`{}` has no calls in {}", route.name, folder.display());
        let targets = targets(folder, route, &history, self.relearn)?;
        let rewarded =
            history.calls.iter().zip(&targets).filter_map(|(call, target)| logged(route, &history, call, target));
        let logged: Vec<Logged> = rewarded.collect();
        anyhow::ensure!(
            !logged.is_empty(),
            "none of {} calls of `{}` has the reward `{}`",
            history.calls.len(),
            route.name,
            reward.name()
        );
        let refused = |why: String| anyhow::anyhow!("`{}` cannot be replayed: {why}", route.name);
        let log = Log::new(&logged).map_err(|fault| refused(fault.to_string()))?;
        let overlap = log.overlap().map_err(|refusal| refused(refusal.to_string()))?;
        Ok(Found {
            route: route.name.clone(),
            reward: reward.name().to_owned(),
            calls: history.calls.len(),
            rewarded: logged.len(),
            as_it_was: logged.iter().map(|call| call.reward).collect(),
            estimates: log.estimates(Limits::default()),
            bounds: log.bounds(Alpha::FIVE_PERCENT),
            overlap,
        })
    }
}

/// Whether a route picks its arms as it did when its newest call was logged; so does one that has no call yet.
fn is_in_force(spec: &GatewaySpec, route: &RouteSpec, folder: &Path) -> anyhow::Result<bool> {
    let filter = Filter { route: Some(route.name.clone()), ..Filter::default() };
    let newest = EventReader::open(folder)?.newest(&filter, 1)?;
    let Some(newest) = newest.first() else { return Ok(true) };
    let was = Kept::of(folder, &newest.config, &route.name)?;
    let now = Kept::read(kept_form(spec), &route.name);
    Ok(was.zip(now).is_some_and(|(was, now)| was.picks_as(&now)))
}

/// What came of each route.
#[derive(Default)]
struct All {
    found: Vec<Found>,
    refused: Vec<(RouteName, anyhow::Error)>,
    unchanged: Vec<RouteName>,
}

impl All {
    /// Prints what was found; what was refused fails the command, whatever was found of others.
    fn tell(mut self, as_json: bool) -> anyhow::Result<()> {
        if let ([], 1) = (self.found.as_slice(), self.refused.len()) {
            return self.refused.pop().map_or(Ok(()), |(_, refused)| Err(refused));
        }
        let unchanged: Vec<String> = self.unchanged.iter().map(|name| format!("`{name}`")).collect();
        anyhow::ensure!(
            !(self.found.is_empty() && self.refused.is_empty()),
            "no route has another policy than its newest calls had ({}): name one with --route to replay it all the same",
            unchanged.join(", ")
        );
        if as_json {
            let found = self.found.iter().map(Found::shown);
            let refused = self.refused.iter().map(|(name, why)| json!({"route": name, "refused": format!("{why:#}")}));
            let all: Vec<Value> = found.chain(refused).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
        } else {
            print(&self.found.iter().map(|found| found.says(Style::stdout())).collect::<String>())?;
        }
        let refused: Vec<String> = self.refused.iter().map(|(_, why)| format!("{why:#}")).collect();
        anyhow::ensure!(refused.is_empty(), "{}", refused.join("\n"));
        Ok(())
    }
}

/// A call as the estimators know it, with one action more than the new route has variants: those that it lacks.
fn logged(route: &RouteSpec, history: &History, call: &Past, target: &Arc<[f64]>) -> Option<Logged> {
    let values: Moments = call.rewards.first()?.iter().map(|(_, value)| *value).collect();
    let reward = values.mean()?;
    let gone = route.variants.len();
    let names = history.arms(call);
    let place = |arm: usize| {
        let name = names.get(arm).copied().flatten();
        name.and_then(|name| route.variants.iter().position(|variant| variant.name == *name)).unwrap_or(gone)
    };
    let mut shares = vec![0.0; gone + 1];
    for (arm, share) in call.decision.shares.iter().enumerate() {
        shares[place(arm)] += share;
    }
    let action = place(call.decision.arm);
    Some(Logged {
        action,
        reward,
        propensity: shares[action],
        shares: Some(shares),
        target: target.iter().copied().chain([0.0]).collect(),
        q: None,
    })
}

impl Found {
    fn mean(&self) -> f64 {
        self.as_it_was.iter().copied().collect::<Moments>().mean().unwrap_or_default()
    }

    fn shown(&self) -> Value {
        json!({
            "route": self.route, "reward": self.reward, "calls": self.calls, "rewarded": self.rewarded,
            "as_it_was": self.mean(), "estimates": self.estimates, "bounds": self.bounds, "overlap": self.overlap,
        })
    }

    fn says(&self, style: Style) -> String {
        let Estimates { ips, clipped, snips, dm, dr, switch, effective_sample_size, max_weight, .. } = &self.estimates;
        let was = asymptotic::sequence_of(&self.as_it_was, Alpha::FIVE_PERCENT);
        let mean = self.mean();
        let mut out = format!(
            "{}: {} calls, {} of them with `{}`\n",
            style.bold(self.route.as_str()),
            self.calls,
            self.rewarded,
            self.reward
        );
        let mut line = |name: &str, value: f64, span: Option<Interval>| {
            let span = span.filter(|span| span.low.is_finite());
            let span = span.map(|span| format!("  {:.4} to {:.4}", span.low, span.high)).unwrap_or_default();
            // Writing into a string cannot fail.
            writeln!(out, "  {name:<34} {value:>9.4}{span}").unwrap_or_default();
        };
        line("as it was", mean, Some(was));
        line("the other policy, SNIPS", *snips, Some(self.bounds.snips));
        line("  doubly robust", *dr, Some(self.bounds.dr));
        line("  IPS", *ips, Some(self.bounds.ips));
        line("  IPS, clipped", *clipped, None);
        line("  direct method", *dm, None);
        line("  switch", *switch, None);
        writeln!(
            out,
            "  worth {effective_sample_size:.0} calls of its own (largest weight {max_weight:.1}); bounds hold with 95 %"
        )
        .unwrap_or_default();
        let words = match self.bounds.snips {
            span if span.low > mean => "it would have had more of it than there was",
            span if span.high < mean => "it would have had less of it than there was",
            _ => "whether it would have had more or less cannot be told from these calls",
        };
        writeln!(out, "  {words}").unwrap_or_default();
        out
    }
}
