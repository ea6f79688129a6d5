//! A stream that a filter looks at: it owns an instance until it ends, in which the plugin keeps what it remembers of it. Owns
//! that life; a failure ends it, and what is asked afterwards is answered by the same failure.

use super::instance::Instance;
use super::warm::Warm;
use super::{vet, view};
use crate::bindings::filters::exports::tidegate::plugin::stream_filter;
use crate::fault::Kind;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::filter::{DeltaAction, Failed, FilterStream, PartKind, Place, Seen};
use wasmtime::component::ResourceAny;

/// A stream.
pub(super) struct WarmStream {
    warm: Arc<Warm>,
    instance: Option<Instance>,
    resource: ResourceAny,
    failed: Option<Failed>,
}

impl WarmStream {
    /// Begins one, where the plugin wants to look at it.
    pub(super) fn open(warm: &Arc<Warm>, call: &Seen<'_>) -> Result<Option<Self>, Failed> {
        let id = view::Id::of(call);
        let context = view::context(&id, call, warm.plugin().limits().filters.delta_deadline);
        let opened = warm.call_and_keep(|store, guests| {
            let Some(guest) = &guests.stream else { return Ok(Ok(None)) };
            guest.answer_stream().call_open(store, context)
        })?;
        Ok(opened.map(|(instance, resource)| Self {
            warm: Arc::clone(warm),
            instance: Some(instance),
            resource,
            failed: None,
        }))
    }

    /// Asks the instance, which is gone if it fails.
    fn ask<T>(&mut self, ask: impl FnOnce(&Warm, &mut Instance, Duration) -> Result<T, Failed>) -> Result<T, Failed> {
        let Some(instance) = &mut self.instance else { return Err(self.over()) };
        let done = ask(&self.warm, instance, self.warm.plugin().limits().filters.delta_deadline);
        if let Err(failed) = &done {
            self.failed = Some(failed.clone());
            self.leave();
        }
        done
    }

    fn over(&self) -> Failed {
        let says = "the stream is over".to_owned();
        let over = || Failed { plugin: self.warm.name.clone(), kind: Kind::Host.as_str(), says };
        self.failed.clone().unwrap_or_else(over)
    }

    /// Gives the instance back, without what it kept of this stream.
    fn leave(&mut self) {
        let Some(mut instance) = self.instance.take() else { return };
        if !instance.is_worn() {
            let (resource, deadline) = (self.resource, self.warm.plugin().limits().filters.delta_deadline);
            let dropped =
                self.warm.call_in(&mut instance, deadline, |store, _| resource.resource_drop(store).map(Ok), Ok);
            // It was counted; nobody waits for more.
            dropped.unwrap_or_default();
        }
        self.warm.give_back(instance);
    }
}

impl FilterStream for WarmStream {
    fn delta(&mut self, place: Place, text: &str) -> Result<DeltaAction, Failed> {
        if place.kind == PartKind::Other {
            return Ok(DeltaAction::Pass);
        }
        let resource = self.resource;
        self.ask(|warm, instance, deadline| {
            warm.call_in(
                instance,
                deadline,
                |store, guests| match &guests.stream {
                    Some(guest) => guest.answer_stream().call_on_delta(store, resource, view::place(place), text),
                    None => Ok(Ok(stream_filter::DeltaAction::Pass)),
                },
                vet::delta,
            )
        })
    }

    fn end(&mut self, choice: u32, finish_reason: &str) -> Result<Vec<(Place, String)>, Failed> {
        let resource = self.resource;
        self.ask(|warm, instance, deadline| {
            warm.call_in(
                instance,
                deadline,
                |store, guests| match &guests.stream {
                    Some(guest) => guest.answer_stream().call_on_end(store, resource, choice, finish_reason),
                    None => Ok(Ok(Vec::new())),
                },
                |held| vet::held(held, choice),
            )
        })
    }
}

impl Drop for WarmStream {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for WarmStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmStream")
            .field("plugin", &self.warm.name)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
