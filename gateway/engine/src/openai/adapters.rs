//! The adapters of a language model behind the port `Adapters`. Owns that reading happens beside the runtime's threads, and
//! what faults of adapters are to callers.

use crate::adapter::{AdapterFault, AdapterHandle, AdapterStore, Taken};
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::adapters::{AdapterFiles, AdapterStatus, AdapterTotals, Adapters, Expected};
use tidegate_core::{AdapterName, Fault, FaultKind};

/// The adapters of one engine.
#[derive(Debug, Clone)]
pub(super) struct LocalAdapters(pub(super) Arc<AdapterStore>);

impl LocalAdapters {
    /// The adapter of a call; one that is not in memory is read beside the runtime's threads, and beside the engine's.
    pub(super) async fn worn(&self, name: &AdapterName) -> Result<AdapterHandle, Fault> {
        if let Taken::Ready(handle) = self.0.take(name.as_str()).map_err(|fault| of_call(&fault))? {
            return Ok(handle);
        }
        let (store, name) = (Arc::clone(&self.0), name.clone());
        let fetching = tokio::task::spawn_blocking(move || store.fetch(name.as_str()));
        fetching.await.map_err(Fault::internal)?.map_err(|fault| of_call(&fault))
    }
}

/// A fault as the caller of a model sees it: what is wrong with files is not his doing.
fn of_call(fault: &AdapterFault) -> Fault {
    match fault {
        AdapterFault::Unknown { .. } => {
            Fault { param: Some("model".into()), ..Fault::new(FaultKind::ModelNotFound, fault.to_string()) }
        }
        AdapterFault::NoRoom { .. } => {
            let says = "too many adapters are in use at once: try again later";
            Fault::new(FaultKind::Overloaded, says).because(fault.to_string()).after(std::time::Duration::from_secs(1))
        }
        _ => Fault::new(FaultKind::Unavailable, "the adapter cannot be read again").because(fault.to_string()),
    }
}

/// A fault as who loads and unloads sees it.
fn of_change(fault: &AdapterFault) -> Fault {
    let kind = match fault {
        AdapterFault::Unknown { .. } => FaultKind::NotFound,
        AdapterFault::Conflict { .. } | AdapterFault::NoRoom { .. } => FaultKind::Conflict,
        _ => return Fault::field("source", fault.to_string()),
    };
    Fault::new(kind, fault.to_string())
}

impl Adapters for LocalAdapters {
    fn load<'a>(
        &'a self,
        name: &'a AdapterName,
        files: AdapterFiles,
        source: &'a str,
        expected: Expected,
    ) -> BoxFuture<'a, Result<AdapterStatus, Fault>> {
        Box::pin(async move {
            let (store, source, name) = (Arc::clone(&self.0), source.to_owned(), name.clone());
            let loading = tokio::task::spawn_blocking(move || {
                let ready = store.prepare(files, &source)?;
                store.load(name.as_str(), ready, &expected)
            });
            loading.await.map_err(Fault::internal)?.map_err(|fault| of_change(&fault))
        })
    }

    fn unload(&self, name: &AdapterName, expected: &Expected) -> Result<String, Fault> {
        self.0.unload(name.as_str(), expected).map_err(|fault| of_change(&fault))
    }

    fn list(&self) -> Vec<AdapterStatus> {
        self.0.list()
    }

    fn files(&self, name: &AdapterName) -> Option<AdapterFiles> {
        self.0.files(name.as_str())
    }

    fn totals(&self) -> AdapterTotals {
        self.0.totals()
    }
}
