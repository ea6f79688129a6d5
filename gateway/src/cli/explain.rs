//! `tidegate explain`: why a call went where it went. Owns what is looked up and how it is shown; what was decided stands in
//! the call's record and is drawn again here, the shares are reckoned again from the state and the configuration that were in
//! force, and [`why`] has the sentences.

mod visits;
mod why;

use super::events::Store;
use super::said::{Saying, said_of};
use super::{print, when};
use crate::replay::{History, Kept, drawn_again, reckoned, same_bits};
use crate::terminal::{Style, harmless};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::event::{Attempt, Decision};
use tidegate_core::{Event, InferenceId, Outcome, Reasons, RouteName, VariantName};
use tidegate_storage::EventReader;
use tidegate_storage::learning::{Learnt, StateEntry, log_at};
use why::percent;

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
    decision: Decision,
    arms: Vec<Option<VariantName>>,
    again: Option<usize>,
    state: Option<StateEntry>,
    kept: Option<Kept>,
    /// What callers said of the call.
    said: Vec<Saying>,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = self.store.folder()?;
        let gone = || anyhow::anyhow!("there is no record of {}; it may be older than the retention", self.id);
        let event = EventReader::open(&folder)?.get(self.id)?.ok_or_else(gone)?;
        let Some(known) = Known::of(&folder, event)? else {
            let says = "this call was ended before an arm was drawn: `tidegate events show` says how\n";
            return print(if self.json { "null\n" } else { says });
        };
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&known.shown())?));
        }
        print(&known.says(Style::stdout()))
    }
}

impl Known {
    fn of(folder: &Path, event: Event) -> anyhow::Result<Option<Self>> {
        let (Some(route), Some(decision)) = (event.route.clone(), event.decision.clone()) else { return Ok(None) };
        let mut state = None;
        if let Some(id) = decision.state {
            log_at(folder).read(|entry| match entry {
                Learnt::State(one) if one.id == id && one.route == route => state = Some(one),
                _ => {}
            })?;
        }
        let kept = Kept::of(folder, &event.config, &route)?;
        let arms = match (&state, kept.as_ref().and_then(Kept::arms)) {
            (Some(state), _) => state.variants.iter().cloned().map(Some).collect(),
            (None, Some(arms)) => arms.into_iter().map(Some).collect(),
            (None, None) => arms_of_day(folder, &route, &event)?,
        };
        let named: Vec<Option<&VariantName>> = arms.iter().map(Option::as_ref).collect();
        let again = drawn_again(&decision, &named);
        let said = said_of(folder, &event)?;
        Ok(Some(Self { event, decision, arms, again, state, kept, said }))
    }

    fn name(&self, arm: usize) -> String {
        let name = self.arms.get(arm).and_then(Option::as_ref);
        name.map_or_else(|| format!("arm {arm}"), ToString::to_string)
    }

    fn agrees(&self) -> bool {
        self.again == Some(self.decision.arm)
    }

    /// The shares, reckoned again from what is kept, and whether they are those of the record to the bit; `None` where they
    /// cannot be.
    fn shares_again(&self) -> Option<(Arc<[f64]>, bool)> {
        let (kept, shares) = (self.kept.as_ref()?, &self.decision.shares);
        if let Some(state) = &self.state {
            let again = reckoned(kept, state)?;
            let of_call = again.shares_of(&self.decision);
            let is_same = again.is_same && same_bits(&of_call, shares);
            return Some((of_call, is_same));
        }
        let arms: Option<Vec<VariantName>> = self.arms.iter().cloned().collect();
        let again = kept.weighted(&arms?)?;
        let is_same = same_bits(&again, shares);
        Some((again, is_same))
    }

    fn shown(&self) -> Value {
        let again = self.shares_again();
        json!({
            "id": self.event.id,
            "route": self.event.route,
            "decision": self.decision,
            "arms": self.arms,
            "drawn": self.name(self.decision.arm),
            "why": self.why(),
            "drawn_again": self.again.map(|arm| self.name(arm)),
            "agrees": self.agrees(),
            "state": self.state,
            "shares_again": again.as_ref().map(|(shares, _)| shares),
            "shares_agree": again.as_ref().map(|(_, is_same)| is_same),
            "policy": self.kept.as_ref().and_then(|kept| kept.policy()).map(|(kind, settings)| json!({kind: settings})),
            "attempts": self.event.attempts,
            "answered_by": self.event.variant,
            "model": self.event.model,
            "adapter": self.event.adapter,
            "adapter_generation": self.event.adapter_generation,
            "reasons": self.event.reasons,
            "visits": self.event.visits,
            "feedback": self.said.iter().map(Saying::json).collect::<Vec<_>>(),
        })
    }

    fn says(&self, style: Style) -> String {
        let decision = &self.decision;
        let drawn = self.name(decision.arm);
        let route = self.event.route.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = style.bold(&self.event.id.to_string());
        let mut out = format!("{id} of the route {route}, {}\n", when::utc(self.event.unix_ms));
        let mut add = |text: String| out.push_str(&text);
        let share = decision.shares.get(decision.arm).copied().unwrap_or_default();
        add(format!("  `{}` had {}, {}\n", harmless(&drawn), percent(share), self.why()));
        if let (Some(model), Some(adapter)) = (&self.event.model, &self.event.adapter) {
            let generation =
                self.event.adapter_generation.as_deref().map(|it| format!(", generation {}", harmless(it)));
            add(format!("  the model `{model}` wore the adapter `{adapter}`{}\n", generation.unwrap_or_default()));
        }
        let kind = self.kept.as_ref().and_then(|kept| kept.policy()).map_or("the policy", |(kind, _)| kind);
        let shares = decision.shares.iter().enumerate();
        let shares: Vec<String> =
            shares.map(|(arm, share)| format!("{} {}", self.name(arm), percent(*share))).collect();
        add(format!("  {kind} gave {}\n", shares.join(", ")));
        if let Some(state) = &self.state {
            add(learnt(state));
        }
        add(self.reckoned_again(style));
        add(self.draw(style, &drawn));
        self.event.attempts.iter().for_each(|attempt| add(tried(attempt)));
        visits::told(&self.event.visits).into_iter().for_each(&mut add);
        if let Some(variant) = self.event.variant.as_ref().filter(|variant| variant.as_str() != drawn) {
            add(format!("  so `{variant}` took the place of `{drawn}`\n"));
        }
        if let Some(reasons) = &self.event.reasons {
            add(reasoned(reasons));
        }
        if self.event.outcome != Outcome::Ok {
            add(format!("  it ended as {}\n", word(&self.event.outcome)));
        }
        self.said.iter().for_each(|one| add(one.line()));
        out
    }

    fn reckoned_again(&self, style: Style) -> String {
        match self.shares_again() {
            Some((_, true)) => format!("  reckoned again, these shares are {}\n", style.good("the same to the bit")),
            Some((again, false)) => {
                let again: Vec<String> = again.iter().map(f64::to_string).collect();
                let not = style.bad("not the same");
                format!("  reckoned again, these shares are {not}: {}\n", again.join(", "))
            }
            None => String::new(),
        }
    }

    /// What the draw was, between which bounds its arm lies, and whether it is drawn again.
    fn draw(&self, style: Style, drawn: &str) -> String {
        let decision = &self.decision;
        let whose =
            if decision.sticky { "the caller's unit, which keeps its arm while shares stay," } else { "chance" };
        let mut out = format!("  {whose} drew {:.6}, which is {}", decision.draw, style.bold(&harmless(drawn)));
        if !decision.sticky {
            // The sum of nothing is -0.
            let below = decision.shares.iter().take(decision.arm).sum::<f64>() + 0.0;
            let up_to = below + decision.shares.get(decision.arm).copied().unwrap_or_default();
            // Writing into a string cannot fail.
            write!(out, ", from {below:.6} to {up_to:.6}").unwrap_or_default();
        }
        out.push('\n');
        out.push_str(&match (self.again, self.agrees()) {
            (_, true) => format!("  drawn again it is {drawn}: {}\n", style.good("the same")),
            (Some(arm), false) => format!("  {} drawn again it is {}\n", style.bad("not the same:"), self.name(arm)),
            (None, false) => {
                "  it cannot be drawn again: no call that is kept tells the names of all arms\n".to_owned()
            }
        });
        out
    }
}

/// What arms were called, by other calls of the same configuration on the same day: older configurations are kept without
/// the order of their arms.
fn arms_of_day(folder: &Path, route: &RouteName, event: &Event) -> anyhow::Result<Vec<Option<VariantName>>> {
    const DAY: u64 = 86_400_000;
    let span = event.unix_ms.saturating_sub(DAY)..event.unix_ms.saturating_add(DAY);
    let history = History::read_span(folder, route, &[], span)?;
    let call = history.calls.iter().find(|call| call.id == event.id);
    Ok(call
        .map(|call| history.arms(call).into_iter().map(Option::<&VariantName>::cloned).collect())
        .unwrap_or_default())
}

/// What the state knew when it was published.
fn learnt(state: &StateEntry) -> String {
    let mut out = format!("  as it had learnt of `{}` by {}:\n", state.reward, when::utc(state.at));
    for (name, tally) in state.variants.iter().zip(crate::replay::known(state)) {
        let (n, sum) = (tally.n, tally.sum);
        let mean = if n > 0.0 { format!("mean {:.4}", sum / n) } else { "nothing yet".to_owned() };
        // Writing into a string cannot fail.
        writeln!(out, "    {name:<16} {n:>10.1} rewards, {mean} (larger is better)").unwrap_or_default();
    }
    if let Some(heard) = &state.heard {
        let rewards: u64 = heard.folded.values().sum();
        let who = heard.folded.len();
        writeln!(out, "    ({rewards} rewards came from {who} other replicas)").unwrap_or_default();
    }
    out
}

fn tried(attempt: &Attempt) -> String {
    let beside = if attempt.hedge { ", asked beside the one before that was slow," } else { "" };
    let came = match (&attempt.fault, &attempt.poor) {
        (Some(fault), _) => format!("failed ({})", word(fault)),
        (None, Some(poor)) => {
            let by = attempt.poor_by.as_ref().map(|by| format!(" {by}")).unwrap_or_default();
            format!("answered too poorly ({}{by})", word(poor))
        }
        (None, None) if attempt.lost => "was given up, since the other one answered first,".to_owned(),
        (None, None) => "answered".to_owned(),
    };
    let at = attempt.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let ms = attempt.us as f64 / 1000.0;
    let cost = attempt.cost_usd.map(|usd| format!("; it cost ${usd:.6} all the same")).unwrap_or_default();
    format!("  {}{at}{beside} {came} after {ms:.1} ms{cost}\n", attempt.variant)
}

/// Why a classic model gave what it gave: of the first row, what weighed most.
fn reasoned(reasons: &Reasons) -> String {
    const MOST: usize = 4;
    let Some(first) = reasons.values.first() else { return String::new() };
    let most = first.contributions.iter().take(MOST);
    let weighed: Vec<String> = most.map(|one| format!("{} {:+.4}", harmless(&one.feature), one.value)).collect();
    let others = if reasons.rows > 1 { format!(" (the first of {} rows)", reasons.rows) } else { String::new() };
    format!(
        "  by {} the model came from {:.4} to {:.4}{others}, most by {}\n",
        harmless(&reasons.method),
        first.base,
        first.explained,
        weighed.join(", ")
    )
}

/// A thing by its name in records.
fn word(thing: &impl serde::Serialize) -> String {
    match serde_json::to_value(thing) {
        Ok(Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::FaultKind;
    use tidegate_core::event::Poor;
    use tidegate_core::reasons::{Contribution, ValueReasons};

    #[test]
    fn what_weighed_most_in_the_first_row_is_told() {
        let contribution = |feature: &str, value| Contribution { feature: feature.into(), value };
        let contributions = vec![contribution("age", -1.25), contribution("income", 0.5)];
        let first = ValueReasons { row: 0, group: 0, base: 0.25, explained: -0.5, contributions };
        let reasons = Reasons { method: "tree_shap".into(), rows: 2, values: vec![first] };
        assert_eq!(
            reasoned(&reasons),
            "  by tree_shap the model came from 0.2500 to -0.5000 (the first of 2 rows), most by age -1.2500, income +0.5000\n"
        );
    }

    #[test]
    fn a_try_says_what_came_of_it() {
        let (us, plain) = (1_500, Attempt::of("small".parse().unwrap()));
        let at = Some("a:1".parse().unwrap());
        for (attempt, says) in [
            (Attempt { us, endpoint: at, ..plain.clone() }, "small at a:1 answered after 1.5 ms"),
            (
                Attempt { us, fault: Some(FaultKind::Unreachable), ..plain.clone() },
                "small failed (unreachable) after 1.5 ms",
            ),
            (
                Attempt { us, lost: true, cost_usd: Some(5e-6), ..plain.clone() },
                "small was given up, since the other one answered first, after 1.5 ms; it cost $0.000005 all the same",
            ),
            (
                Attempt { us, poor: Some(Poor::Monitor), poor_by: Some("drift".into()), ..plain.clone() },
                "small answered too poorly (monitor drift) after 1.5 ms",
            ),
            (
                Attempt { us, hedge: true, ..plain.clone() },
                "small, asked beside the one before that was slow, answered after 1.5 ms",
            ),
        ] {
            assert_eq!(tried(&attempt), format!("  {says}\n"));
        }
    }
}
