//! The filters of a route look at a call: at what is asked behind the prompt, and at the answer. Owns the order in which
//! they look, what their failure leads to, and what the record has of each look; finding the texts is `crate::body`'s.
//!
//! A route without filters has none of this: nothing is made, read or kept for it.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod chain;
pub(crate) mod critic;
pub(crate) mod deltas;
pub(crate) mod held;
pub(crate) mod made;
pub(crate) mod passage;
pub(crate) mod view;

use crate::path::permit::Admitted;
use crate::snapshot::{Route, RouteFilter};
use asked::Asked;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::event::{FilterDid, Filtered};
use tidegate_core::port::filter::{Action, Failed, Opinion, Refused, Seen};
use tidegate_core::spec::OnFailure;
use tidegate_core::{Api, Clock, Fault, FaultKind, InferenceId, Ledger, PluginName, Tenant};
use view::View;

/// The kind of failure of a filter that says what it may not.
const BAD_OUTPUT: &str = "bad_output";
/// The kind of failure where an answer cannot be read, so that nobody can look at it.
const UNREADABLE: &str = "unreadable";
/// The same where it is too long to be kept until its end.
const TOO_LONG: &str = "too_long";

/// The filters of a call's route, and what they see of the call beside its texts.
#[derive(Debug)]
pub(crate) struct Filters {
    route: Arc<Route>,
    clock: Arc<dyn Clock>,
    api: Api,
    id: InferenceId,
    tenant: Tenant,
    headers: Vec<(HeaderName, HeaderValue)>,
    model: Option<String>,
    prompt: Option<String>,
    asked: Option<Asked>,
}

/// What came of a look.
#[derive(Debug)]
pub(crate) enum Came {
    /// It goes on, with what of the view was changed.
    Passed,
    /// This is the answer.
    Replied(String),
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What is asked.
    Request,
    /// The answer.
    Answer,
}

impl Filters {
    /// Those of a call; nothing where its route has none, and no cascade that asks plugins.
    pub(crate) fn of(
        admitted: &Admitted,
        headers: &HeaderMap,
        clock: &Arc<dyn Clock>,
        ledger: &Ledger,
    ) -> Option<Box<Self>> {
        // Filters look at texts.
        if admitted.arrived.predict.is_some() {
            return None;
        }
        if admitted.route.filters.is_empty() && admitted.route.critics.plugins.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            route: Arc::clone(&admitted.route),
            clock: Arc::clone(clock),
            api: admitted.arrived.api,
            id: ledger.event()?.id,
            tenant: admitted.caller.0.tenant.clone(),
            headers: shown(headers),
            model: None,
            prompt: None,
            asked: None,
        }))
    }

    /// Gives `look` what filters see of the call.
    fn seen<T>(&self, look: impl FnOnce(&Seen<'_>) -> T) -> T {
        let headers = as_texts(&self.headers);
        look(&Seen {
            id: self.id,
            route: &self.route.spec.name,
            tenant: Some(&self.tenant),
            api: self.api,
            model: self.model.as_deref(),
            prompt_version: self.prompt.as_deref(),
            headers: &headers,
        })
    }

    /// Has those filters look that `ask` asks, in order; each sees what those before it made of the texts.
    ///
    /// # Errors
    /// One refused the call, or failed although nothing may pass it unseen.
    fn look(
        &self,
        stage: Stage,
        view: &mut View<'_>,
        ledger: &mut Ledger,
        ask: impl Fn(&RouteFilter, &Seen<'_>, &View<'_>) -> Option<Result<Opinion, Failed>>,
    ) -> Result<Came, Fault> {
        for filter in &self.route.filters {
            let began = self.clock.now();
            let Some(said) = self.seen(|seen| ask(filter, seen, view)) else { continue };
            let us = micros(self.clock.now().saturating_duration_since(began));
            let mut noted = Filtered {
                plugin: filter.plugin.clone(),
                answer: stage == Stage::Answer,
                did: FilterDid::Passed,
                failed: None,
                annotations: BTreeMap::new(),
                us,
            };
            let done = said.and_then(|said| {
                noted.annotations.extend(said.annotations);
                self.act(filter, said.action, view)
            });
            let (did, came) = done.unwrap_or_else(|failed| {
                noted.annotations.clear();
                noted.failed = Some(failed.kind.into());
                match failure(filter.spec.failure, &failed) {
                    None => (FilterDid::FailedOpen, Ok(Came::Passed)),
                    Some(fault) => (FilterDid::FailedClosed, Err(fault)),
                }
            });
            noted.did = did;
            ledger.note(|event| event.filtered.push(noted));
            match came? {
                Came::Passed => {}
                replied @ Came::Replied(_) => return Ok(replied),
            }
        }
        Ok(Came::Passed)
    }

    /// Does what a filter says, where it may say that.
    fn act(
        &self,
        filter: &RouteFilter,
        action: Action,
        view: &mut View<'_>,
    ) -> Result<(FilterDid, Result<Came, Fault>), Failed> {
        let wrong = |says: &str| bad_output(&filter.plugin, says);
        match action {
            Action::Pass => Ok((FilterDid::Passed, Ok(Came::Passed))),
            Action::Edit(edits) => {
                let did = if view.edit(edits).map_err(wrong)? { FilterDid::Edited } else { FilterDid::Passed };
                Ok((did, Ok(Came::Passed)))
            }
            Action::Reply(_) if !self.api.makes_text() => {
                Err(wrong("this interface's answers are no text to reply with"))
            }
            Action::Reply(text) => Ok((FilterDid::Replied, Ok(Came::Replied(text)))),
            Action::Refuse(refused) => Ok((FilterDid::Refused, Err(refusal(refused).map_err(wrong)?))),
        }
    }

    /// Nobody can look at an answer: each filter that would have fails.
    ///
    /// # Errors
    /// Nothing may pass one of them unseen.
    fn unseen(
        &self,
        kind: &'static str,
        ledger: &mut Ledger,
        would: impl Fn(&RouteFilter) -> bool,
    ) -> Result<(), Fault> {
        let mut none = View::default();
        self.look(Stage::Answer, &mut none, ledger, |filter, _, _| {
            let says = "the answer cannot be looked at".to_owned();
            would(filter).then(|| Err(Failed { plugin: filter.plugin.clone(), kind, says }))
        })?;
        Ok(())
    }
}

/// The fault by which a filter refuses.
fn refusal(refused: Refused) -> Result<Fault, &'static str> {
    if (400..500).contains(&refused.status) { Ok(Fault::filtered(refused)) } else { Err("a refusal's status is a 4xx") }
}

fn bad_output(plugin: &PluginName, says: &str) -> Failed {
    Failed { plugin: plugin.clone(), kind: BAD_OUTPUT, says: says.to_owned() }
}

/// What a filter's failure leads to: nothing, or the fault that the call ends with.
fn failure(means: OnFailure, failed: &Failed) -> Option<Fault> {
    match means {
        OnFailure::Open => {
            tracing::warn!(plugin = %failed.plugin, kind = failed.kind, says = %failed.says, "a filter failed, and the call passes it");
            None
        }
        OnFailure::Closed => {
            let says =
                "a filter that this route's calls may not pass unseen could not look at the call: try again later";
            Some(Fault::new(FaultKind::FilterFailed, says).because(failed))
        }
    }
}

pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The headers that filters see: shared with the call's, not copied.
pub(crate) fn shown(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let is_shown = |(name, value): &(&HeaderName, &HeaderValue)| {
        !value.is_sensitive() && value.to_str().is_ok() && (USUAL.contains(name) || !is_secret(name.as_str()))
    };
    headers.iter().filter(is_shown).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// As plugins get them; those that are no text were left out.
pub(crate) fn as_texts(headers: &[(HeaderName, HeaderValue)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect()
}

/// What nearly every call has, known by its number: no letters are compared for it.
const USUAL: [HeaderName; 6] = [HOST, USER_AGENT, ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, CONTENT_LENGTH];

/// Whether a header of this name carries what lets its bearer in somewhere: wide, since nobody knows them all.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 10] =
        ["auth", "cookie", "key", "token", "secret", "password", "credential", "signature", "session", "jwt"];
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
pub(crate) mod tests;
