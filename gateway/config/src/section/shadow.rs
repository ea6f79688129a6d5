//! `shadow` of a route: variants that get copies of calls, and whose answers nobody gets. Owns what of them is possible;
//! whether their models are there is `refer`'s question.

use super::Desk;
use super::graph::{self, GraphFile};
use super::route::{Arms, of_graph};
use crate::scalar::{At, Count, Money, Share};
use crate::shape::{Placed, choice, record};
use tidegate_core::spec::{CompareSpec, ShadowSpec, VariantSpec};
use tidegate_core::{AdapterName, ModelName, PromptRef, VariantName};

const CONCURRENCY: u32 = 4;
const QUEUE: u32 = 64;
/// What a shadow is called that is a graph.
const GRAPH: &str = "graph";

record! {
    /// A variant that gets copies of calls, and whose answers nobody gets.
    ShadowFile {
        required {
            /// What answers the copies.
            variant: ShadowVariantFile,
        }
        optional {
            /// Its name in records and metrics; its model's by default, that of a graph `graph`.
            name: At<VariantName>,
            /// The share of the calls that are copied; 100% by default.
            share: At<Share>,
            /// How answers are compared, beside texts, JSON, latency and cost.
            compare: CompareFile,
            /// The most that it may cost.
            budget: ShadowBudgetFile,
            /// The most copies that are under way; 4 by default.
            concurrency: At<Count>,
            /// The most copies that wait; 64 by default. One for which there is no place is left out.
            queue: At<Count>,
        }
    }
}

record! {
    /// What answers copies.
    ShadowVariantFile {
        optional {
            /// Its model.
            model: At<ModelName>,
            /// Classic models put together, in the place of one.
            graph: GraphFile,
            /// The prompt that stands before what callers say.
            prompt: At<PromptRef>,
            /// The LoRA adapter on its model, one of the model's `adapters`.
            adapter: At<AdapterName>,
        }
        later { "parameters" }
    }
}

record! {
    /// How answers are compared.
    CompareFile {
        optional {
            /// By the cosine of their embeddings.
            embedding: ByModelFile,
            /// By a model that says how good the shadow's answer is beside the caller's.
            judge: ByModelFile,
            /// How far numbers in JSON may differ and count as the same; not at all by default.
            numeric_tolerance: At<Share>,
        }
    }
}

record! {
    /// By a model.
    ByModelFile {
        required {
            /// Which.
            model: At<ModelName>,
        }
    }
}

record! {
    /// The most that a shadow may cost.
    ShadowBudgetFile {
        required {
            /// In USD.
            usd: At<Money>,
            /// In which time.
            every: PeriodFile,
        }
    }
}

choice! {
    /// A span of time in which a budget is spent.
    PeriodFile {
        words {
            /// A day of UTC.
            Day = "calendar_day",
        }
        later { "hour", "calendar_month" }
    }
}

/// A shadow of a route with these arms.
pub(crate) fn check(raw: &ShadowFile, arms: &Arms, desk: &mut Desk<'_>) -> Option<ShadowSpec> {
    let variant = asked(raw, arms, desk);
    let share = raw.share.as_ref().map_or(1.0, |share| share.value.0);
    if let Some(given) = raw.share.as_ref().filter(|given| given.value.0 <= 0.0) {
        desk.notes.fault(&given.at, "this can never apply: no call is copied").remedy("leave the shadow out");
    }
    let count = |given: &Option<At<Count>>, default| given.as_ref().map_or(default, |count| count.value.0) as usize;
    let by = |given: &Option<ByModelFile>| Some(given.as_ref()?.model.as_ref()?.value.clone());
    let compare = raw.compare.as_ref().map_or_else(CompareSpec::default, |raw| CompareSpec {
        embedding: by(&raw.embedding),
        judge: by(&raw.judge),
        numeric_tolerance: raw.numeric_tolerance.as_ref().map_or(0.0, |share| share.value.0),
    });
    Some(ShadowSpec {
        variant: variant?,
        share,
        compare,
        usd_a_day: raw.budget.as_ref().and_then(|budget| match budget.every.as_ref()? {
            PeriodFile::Day => Some(budget.usd.as_ref()?.value.0),
        }),
        concurrency: count(&raw.concurrency, CONCURRENCY),
        queue: count(&raw.queue, QUEUE),
    })
}

/// What answers the copies: a model, or a graph of them.
fn asked(raw: &ShadowFile, arms: &Arms, desk: &mut Desk<'_>) -> Option<VariantSpec> {
    let variant = raw.variant.as_ref()?;
    check_form(variant, desk);
    let is_taken = |name: &str| arms.names.iter().any(|arm| arm == name);
    if let Some(given) = raw.name.as_ref().filter(|given| is_taken(given.value.as_str())) {
        desk.notes
            .fault(&given.at, format!("this route has a variant {} that answers callers", given.shown()))
            .remedy("give the shadow another name");
    }
    if let Some(graph) = &variant.graph {
        let spec = graph::check(graph, desk);
        if raw.name.is_none() && is_taken(GRAPH) {
            desk.notes
                .fault(raw.at(), format!("this route has a variant `{GRAPH}`, as this shadow is called, too"))
                .remedy("give the shadow a `name`");
        }
        let name = raw.name.as_ref().map_or(GRAPH, |name| name.value.as_str());
        return of_graph(name, spec?, desk.notes, variant.at());
    }
    let model = variant.model.as_ref()?;
    let name = match &raw.name {
        Some(given) => given.value.clone(),
        None => super::name::<VariantName>(model.value.as_str(), &model.at, desk)?,
    };
    Some(VariantSpec {
        graph: None,
        adapter: variant.adapter.as_ref().map(|adapter| adapter.value.clone()),
        name,
        model: model.value.clone(),
        prompt: variant.prompt.as_ref().map(|prompt| prompt.value.clone()),
        parameters: Vec::new(),
    })
}

/// A shadow has either a model or a graph, whose models are classic ones.
fn check_form(raw: &ShadowVariantFile, desk: &mut Desk<'_>) {
    let has = |field: &str| raw.here().has(field);
    let (says, remedy) = match (has("model"), has("graph")) {
        (false, false) => ("`model` is missing", "add `model: …`"),
        (true, true) => ("this shadow has a `model` and a `graph`", "leave one of them out"),
        (false, true) if has("prompt") || has("adapter") => {
            ("the models of a graph take no `prompt` and no `adapter`", "leave them out")
        }
        (true, false) | (false, true) => return,
    };
    desk.notes.fault(raw.at(), says).remedy(remedy);
}

impl ShadowFile {
    /// The graph that it asks.
    pub(crate) fn graph(&self) -> Option<&GraphFile> {
        self.variant.as_ref()?.graph.as_ref()
    }

    /// The models that it names.
    pub(crate) fn models(&self) -> impl Iterator<Item = &At<ModelName>> {
        let compare = self.compare.as_ref();
        let own = self.variant.as_ref().and_then(|variant| variant.model.as_ref());
        let embedding = compare.and_then(|compare| compare.embedding.as_ref()).and_then(|by| by.model.as_ref());
        let judge = compare.and_then(|compare| compare.judge.as_ref()).and_then(|by| by.model.as_ref());
        own.into_iter().chain(embedding).chain(judge)
    }

    /// The adapter that it names, and on which model.
    pub(crate) fn adapter(&self) -> Option<(&At<ModelName>, &At<AdapterName>)> {
        let variant = self.variant.as_ref()?;
        Some((variant.model.as_ref()?, variant.adapter.as_ref()?))
    }

    /// The prompt that it names.
    pub(crate) fn prompt(&self) -> Option<&At<PromptRef>> {
        self.variant.as_ref()?.prompt.as_ref()
    }
}
