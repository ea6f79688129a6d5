//! Filters: components that look at calls while they are served, behind the port of `core`. Owns what of the port is which
//! function of the contract; instances, breaker and vetting are in the files beside.

mod breaker;
mod guard;
mod instance;
mod linked;
mod pool;
mod router;
mod stream;
mod vet;
mod view;
mod warm;

pub(crate) use linked::FilterPre;

use crate::bindings::filters::tidegate::plugin::view as wit;
use crate::counts::{Counts, Series};
use crate::fault::Fault;
use crate::plugin::Plugin;
use guard::{Gathered, Side};
use std::sync::Arc;
use stream::WarmStream;
use tidegate_core::PluginName;
use tidegate_core::port::filter::{Failed, Filter, FilterStream, LooksAt, Message, Opinion, Seen};
use warm::Warm;

/// A plugin as a filter of routes, under one name and with one configuration. Dropping it drops its idle instances; those
/// that own a stream end with that.
#[derive(Debug)]
pub struct WarmFilter(Arc<Warm>);

impl WarmFilter {
    pub(crate) fn new(plugin: Arc<Plugin>, name: PluginName, config: &str) -> Result<Self, Fault> {
        Ok(Self(Arc::new(Warm::new(plugin, name, config)?)))
    }

    /// Its name here.
    #[must_use]
    pub fn name(&self) -> &PluginName {
        &self.0.name
    }

    /// The plugin that it is of.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        self.0.plugin()
    }

    /// Whether it failed so often that a call now would fail at once, and the plugin would not be called.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.0.rests()
    }

    /// What was counted of it.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// What it said by the interface `metrics`, added up; [`Limits::metrics`](crate::Limits::metrics) series at most.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        self.0.shared.series()
    }

    /// Has a guardrail look at each text, all within the time of one call.
    fn guarded(&self, call: &Seen<'_>, side: Side, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        let id = view::Id::of(call);
        let context = view::context(&id, call, self.0.plugin().limits().deadline);
        self.0.call(
            |store, guests| {
                let mut gathered = Gathered::default();
                let Some(guest) = &guests.guardrail else { return Ok(Ok(Ok(gathered))) };
                for (at, message) in messages.iter().enumerate() {
                    for (of, part) in message.parts.iter().enumerate() {
                        let Some(stage) = guard::stage(side, part) else { continue };
                        let outcome = match guest.call_check(&mut *store, context.clone(), stage, &part.text)? {
                            Ok(outcome) => outcome,
                            Err(error) => return Ok(Err(error)),
                        };
                        match gathered.take((at, of), &part.text, outcome) {
                            Ok(true) => {}
                            Ok(false) => return Ok(Ok(Ok(gathered))),
                            Err(wrong) => return Ok(Ok(Err(wrong))),
                        }
                    }
                }
                Ok(Ok(Ok(gathered)))
            },
            |gathered| gathered?.opinion(messages),
        )
    }

    fn is_guardrail(&self) -> bool {
        self.0.plugin().about().world == crate::World::Guardrail
    }
}

impl Filter for WarmFilter {
    fn looks_at(&self) -> LooksAt {
        self.0.plugin().about().looks_at
    }

    fn request(&self, call: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        if self.is_guardrail() {
            return self.guarded(call, Side::Request, messages);
        }
        if !self.looks_at().request {
            return Ok(Opinion::default());
        }
        let id = view::Id::of(call);
        let context = view::context(&id, call, self.0.plugin().limits().deadline);
        let parts = view::parts(messages);
        let seen = view::messages(messages, &parts);
        self.0.call(
            |store, guests| match &guests.request {
                Some(guest) => guest.call_on_request(store, context, call.headers, &seen),
                None => Ok(Ok(nothing())),
            },
            |outcome| vet::outcome(outcome, messages),
        )
    }

    fn answer(&self, call: &Seen<'_>, choices: &[Message<'_>]) -> Result<Opinion, Failed> {
        if self.is_guardrail() {
            return self.guarded(call, Side::Answer, choices);
        }
        if !self.looks_at().answer {
            return Ok(Opinion::default());
        }
        let id = view::Id::of(call);
        let context = view::context(&id, call, self.0.plugin().limits().deadline);
        let parts = view::parts(choices);
        let seen = view::messages(choices, &parts);
        self.0.call(
            |store, guests| match &guests.answer {
                Some(guest) => guest.call_on_response(store, context, &seen),
                None => Ok(Ok(nothing())),
            },
            |outcome| vet::outcome(outcome, choices),
        )
    }

    fn stream(&self, call: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
        if !self.looks_at().stream {
            return Ok(None);
        }
        let stream = WarmStream::open(&self.0, call)?;
        Ok(stream.map(|stream| Box::new(stream) as Box<dyn FilterStream>))
    }
}

/// What is said by what does not look.
const fn nothing() -> wit::Outcome {
    wit::Outcome { action: wit::Action::Pass, annotations: Vec::new() }
}
