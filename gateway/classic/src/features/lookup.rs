//! The look-up of a route: all its views are asked side by side, and what they say joins the call. Owns what of it goes into the
//! record, and which lack refuses a call.

use super::counts::Why;
use super::join::{Column, joined};
use super::keys::{self, Entities};
use super::verdict::{Verdict, judge};
use super::view::View;
use futures_util::future::join_all;
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::enrich::{Enrich, Enriched, ViewReport};
use tidegate_core::port::features::{Found, FoundRow};
use tidegate_core::served::{Lack, MOST_SERVED_ROWS, ServedRow, ServedView};
use tidegate_core::spec::{KeySpec, LookupSpec};
use tidegate_core::{Clock, Fault, FaultKind, PredictRequest};

/// The look-up of a route.
#[derive(Debug)]
pub struct Lookup {
    spec: LookupSpec,
    views: Vec<Arc<View>>,
    /// The join keys of all views.
    keys: Vec<KeySpec>,
    clock: Arc<dyn Clock>,
}

/// What a view said of a call.
struct Answered<'a> {
    view: &'a View,
    entities: Entities,
    /// For each row the verdicts of its columns.
    rows: Vec<Vec<Verdict>>,
    served: ServedView,
}

impl Lookup {
    /// The look-up `spec` in these views, which are in its order.
    #[must_use]
    pub fn new(spec: LookupSpec, views: Vec<Arc<View>>, clock: Arc<dyn Clock>) -> Self {
        let mut keys: Vec<KeySpec> = Vec::new();
        for key in views.iter().flat_map(|view| &view.spec().keys) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(key.clone());
            }
        }
        Self { spec, views, keys, clock }
    }

    async fn run(&self, asked: &PredictRequest) -> Enriched {
        let entities = match self.entities(asked) {
            Ok(entities) => entities,
            Err(fault) => return Enriched { request: Err(fault), served: Vec::new() },
        };
        let views = self.views.iter().zip(entities).map(|(view, entities)| self.asked(view, entities));
        let answers = join_all(views).await;
        let request = self.request(asked, &answers);
        Enriched { request, served: answers.into_iter().map(|answer| answer.served).collect() }
    }

    /// The entities of each view.
    ///
    /// # Errors
    /// A key is missing or wrong, or the caller sent himself what is looked up.
    fn entities(&self, asked: &PredictRequest) -> Result<Vec<Entities>, Fault> {
        let columns = self.views.iter().flat_map(|view| &view.spec().columns);
        if let Some(twice) = columns.map(|column| &column.name).find(|name| asked.input(name).is_some()) {
            let says = format!("`{twice}` is looked up by the gateway: leave it out");
            return Err(Fault::field(twice.to_string(), says));
        }
        let rows = keys::rows(&self.spec, &self.keys, asked)?;
        self.views.iter().map(|view| keys::entities(&self.spec, &view.spec().keys, asked, rows)).collect()
    }

    async fn asked<'a>(&'a self, view: &'a View, entities: Entities) -> Answered<'a> {
        let spec = view.spec();
        let began = self.clock.now();
        let found = view.find(&entities.keys).await;
        let took = self.clock.now().saturating_duration_since(began);
        let failed = found.as_ref().err().map(|fault| {
            tracing::debug!(view = %spec.name, %fault, "features cannot be looked up");
            Why::of(fault)
        });
        view.counts.looked_up(failed, took);
        let now = self.clock.unix_ms();
        let cells = |row: Option<&FoundRow>| -> Vec<Verdict> {
            let cell = |at: usize| -> Option<Found> { row.map(|row| row.get(at).cloned().unwrap_or_default()) };
            spec.columns.iter().enumerate().map(|(at, column)| judge(spec, column, cell(at).as_ref(), now)).collect()
        };
        let row = |place: &usize| cells(found.as_ref().ok().and_then(|rows| rows.get(*place)));
        let rows: Vec<Vec<Verdict>> = entities.of_row.iter().map(row).collect();
        view.counts.served(rows.iter().flatten().map(|verdict| &verdict.served));
        let kept = |(place, row): (&usize, &Vec<Verdict>)| ServedRow {
            key: entities.keys.get(*place).map(|key| keys::kept(&spec.keys, key)).unwrap_or_default(),
            features: spec
                .columns
                .iter()
                .zip(row)
                .map(|(column, one)| (Arc::clone(&column.name), one.served.clone()))
                .collect(),
        };
        let served = ServedView {
            view: spec.name.clone(),
            rows: rows.len() as u64,
            us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            failed: failed.map(|why| why.label().into()),
            served: entities.of_row.iter().zip(&rows).take(MOST_SERVED_ROWS).map(kept).collect(),
        };
        Answered { view, entities, rows, served }
    }

    /// The call with what was served, where nothing lacks.
    fn request(&self, asked: &PredictRequest, answers: &[Answered<'_>]) -> Result<PredictRequest, Fault> {
        let mut columns = Vec::new();
        for answer in answers {
            for (at, column) in answer.view.spec().columns.iter().enumerate() {
                let mut values = Vec::with_capacity(answer.rows.len());
                for (row, verdicts) in answer.rows.iter().enumerate() {
                    let Some(value) = verdicts.get(at).and_then(|verdict| verdict.value.as_ref()) else {
                        return Err(answer.lacks(row, at));
                    };
                    values.push(value);
                }
                columns.push(Column { name: &column.name, datatype: column.datatype, values });
            }
        }
        let keys: Vec<&str> = self.keys.iter().map(|key| self.spec.called(&key.name)).collect();
        joined(&self.spec, asked, &keys, &columns)
    }
}

impl Answered<'_> {
    /// What a caller is told whose row lacks the column at this place.
    fn lacks(&self, row: usize, at: usize) -> Fault {
        let spec = self.view.spec();
        let name = spec.columns.get(at).map_or("", |column| &column.name);
        let key = self.entities.of_row.get(row).and_then(|place| self.entities.keys.get(*place));
        let key = key.map(|key| keys::shown(&spec.keys, key)).unwrap_or_default();
        let verdict = self.rows.get(row).and_then(|row| row.get(at));
        match verdict.and_then(|verdict| verdict.served.lacks) {
            Some(Lack::Missing) => {
                let param = spec.keys.first().map(|key| key.name.to_string()).unwrap_or_default();
                let says = format!("the feature `{name}` of {key} (row {row}) is not known, and has no default");
                Fault::field(param, says)
            }
            Some(Lack::Stale) => {
                let says =
                    format!("the feature `{name}` of {key} (row {row}) is older than may be served; try again later");
                Fault::new(FaultKind::Unavailable, says)
            }
            Some(Lack::Unfit) => {
                let says = format!("the feature `{name}` cannot be served: what its store has is of another type");
                Fault::new(FaultKind::Unavailable, says)
            }
            Some(Lack::Failed) | None => {
                let says = format!("the features of `{}` cannot be looked up now; try again", spec.name);
                let because = self.served.failed.as_deref().unwrap_or_default().to_owned();
                Fault::new(FaultKind::Unavailable, says).because(because)
            }
        }
    }
}

impl Enrich for Lookup {
    fn enrich<'a>(&'a self, asked: &'a PredictRequest) -> BoxFuture<'a, Enriched> {
        Box::pin(self.run(asked))
    }

    fn reports(&self) -> Vec<ViewReport> {
        self.views.iter().map(|view| view.counts.report(&view.spec().name)).collect()
    }
}
