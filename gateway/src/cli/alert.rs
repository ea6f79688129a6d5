//! `tidegate alert`: a test of whom the configuration tells of alarms, without a gateway and without an alarm.

use super::{QUICKSTART, Wrong, load, print};
use crate::alerts::Verdict;
use crate::terminal::{Style, harmless};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::alerts::{Alarm, Measured};
use tidegate_core::spec::{AlertSpec, AlertTo, GatewaySpec};
use tidegate_core::{Clock, InferenceId, RouteName};

/// The commands below `alert`.
#[derive(Debug, Subcommand)]
pub(super) enum Alert {
    /// Send a test alarm and its end, and print what came back
    #[command(after_help = "\
An alert that starts a run (airflow, prefect, dagster, kfp, generic) starts one: the test is a real run, with the alarm's
summary saying that it is a test. Alarms of the monitor `tidegate-test` are tests.

Ends with 0 where the receiver took both, with 1 where it did not, and with 2 where there is no such alert.

Example:
  tidegate alert test duty --config configs/production")]
    Test(Test),
}

/// The arguments of `alert test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The alert, as the configuration calls it
    name: String,
    /// A YAML file, or a folder of them
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What came back of one of the two.
struct Came {
    what: &'static str,
    /// Nothing where the alert has no use for it.
    verdict: Option<Verdict>,
}

impl Alert {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Test(test) = self;
        test.run().await
    }
}

impl Test {
    async fn run(&self) -> anyhow::Result<()> {
        let spec = load(&self.config)?.spec;
        let alert = find(&spec, &self.name)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let dice = SplitMix::seeded(seed()?);
        let messenger = crate::wire::alerts::messenger(&clock, spec.admin.as_ref());
        let begin = alarm(&spec, alert, clock.unix_ms(), InferenceId::new(&*clock, &dice))?;
        let mut all = Vec::new();
        for what in ["alarm", "end"] {
            let firing = what == "alarm";
            let alarm = Alarm { firing, at_ms: clock.unix_ms(), ..begin.clone() };
            let delivery = InferenceId::new(&*clock, &dice).to_string();
            let verdict = messenger.tell(alert, &alarm, &delivery).await;
            all.push(Came { what, verdict });
        }
        let is_taken = all.iter().all(Came::is_taken);
        if self.json {
            let came: serde_json::Map<String, Value> =
                all.iter().map(|one| (one.what.to_owned(), one.json())).collect();
            print(&format!("{:#}\n", json!({"alert": self.name, "ok": is_taken, "came": came})))?;
        } else {
            let style = Style::stdout();
            print(&all.iter().map(|one| one.line(style)).collect::<String>())?;
        }
        anyhow::ensure!(is_taken, "the alert `{}` did not work", self.name);
        Ok(())
    }
}

impl Came {
    const fn is_taken(&self) -> bool {
        matches!(self.verdict, None | Some(Verdict::Told(_)))
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            None => "not sent",
            Some(Verdict::Told(_)) => "taken",
            Some(Verdict::Again(..)) => "not now",
            Some(Verdict::Refused(_)) => "refused",
        }
    }

    fn says(&self) -> &str {
        self.verdict.as_ref().map_or("an alarm's end starts nothing", Verdict::says)
    }

    fn json(&self) -> Value {
        json!({"result": self.word(), "says": self.says()})
    }

    fn line(&self, style: Style) -> String {
        let word = match self.verdict {
            None => style.dim(self.word()),
            Some(Verdict::Told(_)) => style.good(self.word()),
            Some(Verdict::Again(..)) => style.warn(self.word()),
            Some(Verdict::Refused(_)) => style.bad(self.word()),
        };
        format!("{:<6} {word}: {}\n", self.what, harmless(self.says()))
    }
}

/// The alert of this name.
fn find<'a>(spec: &'a GatewaySpec, name: &str) -> anyhow::Result<&'a AlertSpec> {
    let known: Vec<&str> = spec.alerts.keys().map(tidegate_core::AlertName::as_str).collect();
    let wrong = || {
        let which =
            if known.is_empty() { "it has no `alerts`".to_owned() } else { format!("it has {}", known.join(", ")) };
        Wrong(format!("the configuration has no alert `{}`: {which}", harmless(name)))
    };
    Ok(spec.alerts.get(name).ok_or_else(wrong)?)
}

/// An alarm that says that it is none.
fn alarm(spec: &GatewaySpec, alert: &AlertSpec, now_ms: u64, id: InferenceId) -> anyhow::Result<Alarm> {
    let is_run = matches!(alert.to, AlertTo::Run(_));
    let what = if is_run { "this run was started by `tidegate alert test`" } else { "sent by `tidegate alert test`" };
    let route = match spec.routes.keys().next() {
        Some(route) => route.clone(),
        None => "test".parse::<RouteName>()?,
    };
    Ok(Alarm {
        monitor: "tidegate-test".parse()?,
        firing: true,
        route,
        variant: None,
        model: None,
        model_version: None,
        summary: format!("This is a test of the alert `{}` and nothing is wrong: {what}.", alert.name),
        since_ms: now_ms,
        at_ms: now_ms,
        dedup_key: format!("tidegate-test-{id}"),
        measurements: vec![Measured {
            name: "test".to_owned(),
            value: 1.0,
            threshold: Some(0.5),
            labels: std::iter::once(("kind".to_owned(), "test".to_owned())).collect(),
        }],
    })
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_a_line() {
        let line = |verdict: Option<Verdict>| Came { what: "alarm", verdict }.line(Style::plain());
        assert_eq!(line(Some(Verdict::Told("202 Accepted: {}".to_owned()))), "alarm  taken: 202 Accepted: {}\n");
        let refused = line(Some(Verdict::Refused("400 Bad Request: \u{1b}[31mno".to_owned())));
        assert!(refused.starts_with("alarm  refused: 400 Bad Request: ") && !refused.contains('\u{1b}'), "{refused:?}");
        assert_eq!(line(None), "alarm  not sent: an alarm's end starts nothing\n");
    }
}
