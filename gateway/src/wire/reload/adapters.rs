//! Adapters that are loaded and unloaded by an admin's word. Owns that what the configuration names is changed there alone,
//! and that what may be called changes with what is loaded.

use super::Reloader;
use crate::wire::adapters;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::port::adapters::{AdapterStatus, Adapters, Expected};
use tidegate_core::port::audit::Noted;
use tidegate_core::spec::AdapterSource;
use tidegate_core::{AdapterName, Fault, FaultKind, ModelName};

impl Reloader {
    /// The adapters of a model.
    ///
    /// # Errors
    /// There is no such model, or it takes none.
    pub(crate) async fn adapters_of(&self, model: &ModelName) -> Result<Vec<AdapterStatus>, Fault> {
        Ok(self.adapters(model).await?.list())
    }

    async fn adapters(&self, model: &ModelName) -> Result<Arc<dyn Adapters>, Fault> {
        let parts = self.parts.lock().await;
        let spec = self.spec();
        let none = || Fault::new(FaultKind::NotFound, format!("the configuration has no model `{model}`"));
        let found = spec.models.get(model).ok_or_else(none)?;
        let takes_none = || {
            let says = format!("the model `{model}` takes no adapters: only language models of a local provider do");
            Fault::new(FaultKind::Conflict, says)
        };
        parts.backend(found).and_then(|backend| backend.adapters()).ok_or_else(takes_none)
    }

    /// Loads an adapter beside what serves, and puts it into force.
    ///
    /// # Errors
    /// It cannot be had or does not fit, something else is in force than expected, or the configuration says what it is.
    pub(crate) async fn load_adapter(
        &self,
        by: &str,
        model: &ModelName,
        name: &AdapterName,
        source: &str,
        expected: Expected,
    ) -> Result<AdapterStatus, Fault> {
        let adapters = self.adapters(model).await?;
        self.is_free(model, name)?;
        let source = self.adapter_source(source)?;
        let found = adapters::found(&source, &self.tools).await;
        let (files, shown) = found.map_err(|why| Fault::field("source", format!("{source}: {why:#}")))?;
        let status = adapters.load(name, files, &shown, expected).await?;
        tracing::info!(%model, adapter = %name, source = shown, generation = status.generation, by, "an adapter is loaded");
        self.renew_routes().await;
        self.note(by, "adapter.load", model, name, &status.generation, &shown).await;
        Ok(status)
    }

    /// Takes an adapter away; calls under way keep it.
    ///
    /// # Errors
    /// There is none, another one than expected is in force, or the configuration names it.
    pub(crate) async fn unload_adapter(
        &self,
        by: &str,
        model: &ModelName,
        name: &AdapterName,
        expected: &Expected,
    ) -> Result<String, Fault> {
        let adapters = self.adapters(model).await?;
        self.is_free(model, name)?;
        let generation = adapters.unload(name, expected)?;
        tracing::info!(%model, adapter = %name, generation, by, "an adapter is unloaded");
        self.renew_routes().await;
        self.note(by, "adapter.unload", model, name, &generation, "").await;
        Ok(generation)
    }

    /// What the configuration names is what it says.
    fn is_free(&self, model: &ModelName, name: &AdapterName) -> Result<(), Fault> {
        if self.spec().models.get(model).is_some_and(|model| model.adapters.contains_key(name)) {
            let says = format!("the configuration says what `{name}` of `{model}` is: change it there");
            return Err(Fault::new(FaultKind::Conflict, says));
        }
        Ok(())
    }

    fn adapter_source(&self, text: &str) -> Result<AdapterSource, Fault> {
        if text.starts_with("models:") {
            return text.parse().map(AdapterSource::Registry).map_err(|e| Fault::field("source", format!("{e}")));
        }
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let base = if self.path.is_dir() { &*self.path } else { parent.unwrap_or_else(|| Path::new(".")) };
        let folder = adapters::below(base, text);
        folder.map(AdapterSource::Folder).map_err(|why| Fault::field("source", format!("`{text}` {why}")))
    }

    /// Puts into force that other adapters may be called.
    async fn renew_routes(&self) {
        let parts = self.parts.lock().await;
        let spec = self.spec();
        if !spec.routes.values().any(|route| route.exposes_adapters) {
            return;
        }
        let before = self.server.snapshot();
        let prompts = self.tools.prompts.as_ref();
        let built = crate::wire::snapshot::build(
            &spec,
            &parts,
            Some(&before),
            &self.tools.clock,
            prompts,
            &self.tools.deciders,
        );
        match built {
            Ok(snapshot) => self.put_into_force(snapshot),
            Err(e) => tracing::error!(error = format!("{e:#}"), "the routes are not renewed"),
        }
    }

    /// Enters it into the audit log, where there is one; the deed stands all the same.
    async fn note(
        &self,
        by: &str,
        action: &'static str,
        model: &ModelName,
        name: &AdapterName,
        generation: &str,
        source: &str,
    ) {
        let Some(audit) = self.tools.registry.as_ref().map(|shelf| Arc::clone(&shelf.audit)) else { return };
        let subject = format!("adapters:/{model}/{name}");
        let detail = json!({"generation": generation, "source": source});
        if let Err(fault) = audit.enter(Noted { by: by.to_owned(), action, subject, detail }).await {
            tracing::error!(%fault, "the audit log does not say so");
        }
    }
}
