//! Adapters: whether the model that a variant puts one on has it, and whether its provider runs any.

use super::look_up;
use crate::place::Place;
use crate::scalar::At;
use crate::section::ConfigFile;
use crate::section::Desk;
use crate::section::model::ModelFile;
use crate::section::provider::ProviderFile;
use crate::section::shadow::ShadowFile;
use crate::shape::Placed as _;
use tidegate_core::{AdapterName, ModelName};

/// Checks those of routes, and the routes that expose them.
pub(super) fn check(raw: &ConfigFile, desk: &mut Desk<'_>) {
    let routes = raw.routes.iter().flat_map(|routes| &routes.0);
    for (at, route) in routes.filter_map(|item| Some((&item.at, item.value.as_ref()?))) {
        let variants = || route.variants.iter().flat_map(|variants| &variants.0).filter_map(|item| item.value.as_ref());
        let shadows = route.shadow.iter().flatten().filter_map(ShadowFile::adapter);
        let named = variants().filter_map(|variant| Some((variant.model.as_ref()?, variant.adapter.as_ref()?)));
        for (model, adapter) in named.chain(shadows) {
            check_one(raw, model, adapter, desk);
        }
        if route.expose.as_ref().is_some_and(|exposed| !exposed.is_empty()) {
            let mut models = route.model.iter().chain(variants().filter_map(|variant| variant.model.as_ref()));
            if let Some(model) = models.next().filter(|model| is_local(raw, model) == Some(false)) {
                fault_of_remote(at, model, desk);
            }
        }
    }
}

/// A name that is missing in the model is mostly a misspelt one.
fn check_one(raw: &ConfigFile, model: &At<ModelName>, adapter: &At<AdapterName>, desk: &mut Desk<'_>) {
    let Some(found) = model_of(raw, model) else { return };
    if is_local(raw, model) == Some(false) {
        return fault_of_remote(&adapter.at, model, desk);
    }
    if found.adapters.is_some() || !found.here().has("adapters") {
        look_up("adapter", adapter.value.as_str(), adapter, found.adapters.as_ref(), desk);
    }
}

fn fault_of_remote(at: &Place, model: &At<ModelName>, desk: &mut Desk<'_>) {
    desk.notes
        .fault(
            at,
            format!("the model {} does not run in this process, and only those that do have adapters", model.shown()),
        )
        .remedy("name a model of a local provider, or leave the adapter out");
}

fn model_of<'a>(raw: &'a ConfigFile, name: &At<ModelName>) -> Option<&'a ModelFile> {
    let models = raw.models.as_ref()?;
    models.0.iter().find(|item| item.name == name.value.as_str())?.value.as_ref()
}

fn is_local(raw: &ConfigFile, model: &At<ModelName>) -> Option<bool> {
    let provider = model_of(raw, model)?.provider.as_ref()?;
    let found = raw.providers.as_ref()?.0.iter().find(|item| item.name == provider.value.as_str())?;
    Some(matches!(found.value.as_ref()?, ProviderFile::Local(_)))
}
