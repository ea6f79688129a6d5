//! One shadow: takes copies, asks its model, compares, and writes down what came of it. Owns its places: as many copies
//! under way and waiting as the configuration says, and no more.

use super::account::{Account, Accounts};
use super::compare::{compare, outputs};
use crate::second::Second;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::port::backend::{Backend, Call, Predict};
use tidegate_core::port::shadow::{Copied, Place, Shadow};
use tidegate_core::spec::ShadowSpec;
use tidegate_core::{Fault, Price, RouteName, Said};
use tidegate_dialect::{Served, Wrong};
use tidegate_server::observe::shadows::{Counted, ShadowCounts, ShadowOutcome};
use tidegate_storage::shadows::ShadowEntry;
use tokio::sync::Semaphore;

/// The most of one answer that is read.
const MOST: usize = 1024 * 1024;

/// A shadow.
#[derive(Debug, Clone)]
pub(crate) struct Taker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: RouteName,
    spec: ShadowSpec,
    asked: Asked,
    accounts: Arc<Accounts>,
    account: Arc<Account>,
    /// For copies under way or waiting.
    places: Arc<Semaphore>,
    /// For those under way.
    slots: Semaphore,
}

/// Whom a shadow asks.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What answers copies.
    pub(crate) backend: Arc<dyn Backend>,
    /// What that costs.
    pub(crate) price: Option<Price>,
    /// Whose embeddings are compared.
    pub(crate) embedding: Option<Second>,
    /// Who judges.
    pub(crate) judge: Option<Second>,
}

impl Taker {
    /// The shadow of a route.
    pub(crate) fn new(route: &RouteName, spec: &ShadowSpec, asked: Asked, accounts: &Arc<Accounts>) -> Self {
        Self(Arc::new(Inner {
            account: accounts.of(route, &spec.variant.name),
            route: route.clone(),
            places: Arc::new(Semaphore::new(spec.concurrency + spec.queue)),
            slots: Semaphore::new(spec.concurrency),
            spec: spec.clone(),
            asked,
            accounts: Arc::clone(accounts),
        }))
    }
}

impl Shadow for Taker {
    fn place(&self) -> Option<Place> {
        let this = &self.0;
        if let Some(budget) = this.spec.usd_a_day
            && !this.account.has_left(budget, this.accounts.clock.unix_ms())
        {
            this.account.count(ShadowOutcome::OverBudget);
            return None;
        }
        match Arc::clone(&this.places).try_acquire_owned() {
            Ok(place) => Some(Place::new(place)),
            Err(_) => {
                this.account.count(ShadowOutcome::NoPlace);
                None
            }
        }
    }

    fn take(&self, copy: Copied, place: Place) {
        let this = Arc::clone(&self.0);
        tokio::spawn(async move {
            this.answer(copy).await;
            drop(place);
        });
    }
}

impl Counted for Taker {
    fn counts(&self) -> ShadowCounts {
        self.0.account.counts()
    }
}

impl Inner {
    async fn answer(&self, copy: Copied) {
        // It is closed with the program alone.
        let Ok(_slot) = self.slots.acquire().await else { return };
        let Copied { of, call, stream, primary } = copy;
        let (request, began) = (call.body.clone(), Instant::now());
        let predict = call.predict.clone();
        let answered = self.ask(call, stream, predict.as_ref()).await;
        let seconds = [began.elapsed().as_secs_f64(), Duration::from_micros(primary.us).as_secs_f64()];
        let mut entry = ShadowEntry {
            at: self.accounts.clock.unix_ms(),
            id: of,
            route: self.route.clone(),
            shadow: self.spec.variant.name.clone(),
            primary: primary.variant.unwrap_or_else(|| self.spec.variant.name.clone()),
            fault: None,
            seconds,
            usd: [None, primary.usd],
            compared: None,
        };
        match answered {
            Ok(parts) => {
                let (said, got) = (Said::read(&parts), Said::read(&primary.answer));
                entry.usd[0] = self.asked.price.and_then(|price| Some(price.cost(&said.usage?)));
                self.account.spend(entry.usd[0].unwrap_or_default(), entry.at);
                let (own, theirs) = match predict {
                    None => (said.first(), got.first()),
                    // All of what a classic model says is its answer.
                    Some(_) => outputs(&parts, &primary.answer),
                };
                let mut compared = compare(&own, &theirs, self.spec.compare.numeric_tolerance);
                (compared.similarity, compared.judged) = self.second(&request, &own, &theirs).await;
                entry.compared = Some(compared);
                self.account.count(ShadowOutcome::Compared);
            }
            Err(fault) => {
                tracing::debug!(route = %self.route, shadow = %entry.shadow, %fault, "a shadow failed");
                entry.fault = Some(fault.kind);
                self.account.count(ShadowOutcome::Failed);
            }
        }
        self.accounts.note(&entry);
    }

    async fn ask(&self, call: Call, stream: bool, predict: Option<&Predict>) -> Result<Vec<Bytes>, Fault> {
        if !stream {
            let answer = self.asked.backend.complete(call).await?;
            if let (Some(Predict { request, .. }), Some(predicted)) = (predict, &answer.predicted) {
                let json = Served::answered("", request, predicted);
                return Ok(vec![json.map_err(Wrong::of_provider)?]);
            }
            return Ok(vec![answer.body]);
        }
        let mut frames = self.asked.backend.stream(call).await?.frames;
        let (mut parts, mut length) = (Vec::new(), 0);
        while let Some(frame) = std::future::poll_fn(|cx| frames.as_mut().poll_next(cx)).await {
            let frame = frame?;
            length += frame.len();
            if length > MOST {
                return Err(Fault::internal("a shadow's answer is longer than 1 MiB"));
            }
            parts.push(frame);
        }
        Ok(parts)
    }

    /// What others say of both answers; nothing where they cannot be asked.
    async fn second(&self, request: &[u8], said: &str, got: &str) -> (Option<f64>, Option<f64>) {
        let or_none = |asked: Result<Option<f64>, Fault>| {
            asked.unwrap_or_else(|fault| {
                tracing::warn!(route = %self.route, %fault, "two answers cannot be compared by a model");
                None
            })
        };
        let mut found = (None, None);
        if let Some(embedding) = &self.asked.embedding {
            found.0 = or_none(embedding.similarity(said, got).await);
        }
        if let Some(judge) = &self.asked.judge {
            found.1 = or_none(judge.judged(request, got, said).await);
        }
        found
    }
}
