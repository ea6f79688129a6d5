//! `tidegate explain`: why a call went where it went. Owns the words; what was decided stands in the call's record, and is
//! drawn again here.

use super::events::Store;
use super::{print, when};
use crate::replay::{History, Past};
use crate::terminal::{Style, harmless};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use tidegate_core::{Event, InferenceId, Outcome, VariantName};
use tidegate_route::learn::Tally;
use tidegate_storage::EventReader;
use tidegate_storage::configurations::Configurations;
use tidegate_storage::learning::{Learnt, StateEntry, log_at};

/// The arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate explain 01931c2e-8f10-7cc3-98c4-dc0c0c07398f
  tidegate explain 01931c2e-8f10-7cc3-98c4-dc0c0c07398f --json | jq .agrees")]
pub(super) struct Explain {
    /// The call's id: `x-request-id` of its answer
    id: InferenceId,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Store,
}

/// What is known of a decision.
struct Known {
    event: Event,
    call: Past,
    arms: Vec<Option<VariantName>>,
    again: Option<usize>,
    state: Option<StateEntry>,
    policy: Value,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = self.store.folder()?;
        let gone = || anyhow::anyhow!("there is no record of {}; it may be older than the retention", self.id);
        let event = EventReader::open(&folder)?.get(self.id)?.ok_or_else(gone)?;
        let Some(known) = known(&folder, event)? else {
            return print("this call was ended before an arm was drawn: `tidegate events show` says how\n");
        };
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&known.shown())?));
        }
        print(&known.says(Style::stdout()))
    }
}

fn known(folder: &Path, event: Event) -> anyhow::Result<Option<Known>> {
    let (Some(route), Some(decision)) = (event.route.clone(), event.decision.clone()) else { return Ok(None) };
    // The arms' names need other calls of the same configuration, where no state tells them: those of the same day do.
    let history = History::read(folder, &route, &[], event.unix_ms.saturating_sub(86_400_000))?;
    let Some(call) = history.calls.iter().find(|call| call.id == event.id).cloned() else { return Ok(None) };
    let arms = history.arms(&call).into_iter().map(Option::<&VariantName>::cloned).collect();
    let again = history.again(&call);
    let mut state = None;
    if let Some(id) = decision.state {
        log_at(folder).read(|entry| match entry {
            Learnt::State(one) if one.id == id && one.route == route => state = Some(one),
            _ => {}
        })?;
    }
    let kept = Configurations::at(folder).get(&event.config)?;
    let policy = kept.and_then(|kept| serde_json::from_str::<Value>(&kept).ok());
    let policy = policy.map_or(Value::Null, |mut kept| {
        let mut of = kept["routes"][route.as_str()].take();
        let policy = of["policy"].take();
        if policy.is_null() { of["rollout"].take() } else { policy }
    });
    Ok(Some(Known { event, call, arms, again, state, policy }))
}

impl Known {
    fn name(&self, arm: usize) -> String {
        let name = self.arms.get(arm).and_then(Option::as_ref);
        name.map_or_else(|| format!("arm {arm}"), ToString::to_string)
    }

    fn agrees(&self) -> bool {
        self.again == Some(self.call.decision.arm)
    }

    fn shown(&self) -> Value {
        let decision = &self.call.decision;
        json!({
            "id": self.event.id,
            "route": self.event.route,
            "decision": decision,
            "arms": self.arms,
            "drawn": self.name(decision.arm),
            "drawn_again": self.again.map(|arm| self.name(arm)),
            "agrees": self.agrees(),
            "state": self.state,
            "state_agrees": self.state.as_ref().map(|state| state.shares == decision.shares),
            "policy": self.policy,
            "answered_by": self.event.variant,
        })
    }

    fn says(&self, style: Style) -> String {
        let decision = &self.call.decision;
        let drawn = self.name(decision.arm);
        let route = self.event.route.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut out = format!(
            "{} of the route {route}, {}\n",
            style.bold(&self.event.id.to_string()),
            when::utc(self.event.unix_ms)
        );
        let mut add = |text: String| out.push_str(&text);
        let kind = self.policy.as_object().and_then(|policy| policy.keys().next()).map_or("the policy", String::as_str);
        add(format!("  {kind} gave "));
        let shares = decision.shares.iter().enumerate();
        let shares: Vec<String> =
            shares.map(|(arm, share)| format!("{} {:.2} %", self.name(arm), share * 100.0)).collect();
        add(format!("{}\n", shares.join(", ")));
        if let Some(state) = &self.state {
            add(self.learnt(state));
        }
        let whose =
            if decision.sticky { "the caller's unit, which keeps its arm while shares stay," } else { "chance" };
        add(format!("  {whose} drew {:.6}, which is {}\n", decision.draw, style.bold(&harmless(&drawn))));
        add(match (self.again, self.agrees()) {
            (_, true) => format!("  drawn again it is {drawn}: {}\n", style.good("the same")),
            (Some(arm), false) => format!("  {} drawn again it is {}\n", style.bad("not the same:"), self.name(arm)),
            (None, false) => {
                "  it cannot be drawn again: no call that is kept tells the names of all arms\n".to_owned()
            }
        });
        add(self.tried());
        out
    }

    /// What the state knew when it was published.
    fn learnt(&self, state: &StateEntry) -> String {
        let mut out = format!("  as it had learnt of `{}` by {}:\n", state.reward, when::utc(state.at));
        for (name, [n, sum, squares]) in state.variants.iter().zip(&state.tallies) {
            let tally = Tally { n: *n, sum: *sum, squares: *squares };
            let mean = tally.mean().map_or_else(|| "nothing yet".to_owned(), |mean| format!("mean {mean:.4}"));
            // Writing into a string cannot fail.
            writeln!(out, "    {name:<16} {n:>10.1} rewards, {mean} (larger is better)").unwrap_or_default();
        }
        if state.shares != self.call.decision.shares {
            out.push_str("    the shares of that state are others than those of the record\n");
        }
        out
    }

    fn tried(&self) -> String {
        let mut out = String::new();
        for attempt in &self.event.attempts {
            let came = attempt.fault.map_or_else(
                || "answered".to_owned(),
                |fault| {
                    format!(
                        "failed ({})",
                        serde_json::to_value(fault)
                            .ok()
                            .and_then(|v| v.as_str().map(str::to_owned))
                            .unwrap_or_default()
                    )
                },
            );
            let at = attempt.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
            writeln!(out, "  {}{at} {came} after {:.1} ms", attempt.variant, Duration(attempt.us)).unwrap_or_default();
        }
        if self.event.outcome != Outcome::Ok {
            writeln!(out, "  it ended as {:?}", self.event.outcome).unwrap_or_default();
        }
        out
    }
}

/// Microseconds, shown as milliseconds.
struct Duration(u64);

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let ms = self.0 as f64 / 1000.0;
        std::fmt::Display::fmt(&ms, f)
    }
}
