//! Classic models elsewhere whose inputs are held to something, kept over reloads. Owns where a signature comes from; what it
//! means, and who is refused, is `agreed`'s.

use super::parts::{Built, Tools};
use crate::agreed::{Agreed, Held, json};
use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::{ClassicSpec, ContractSpec, GatewaySpec, SignatureSpec};
use tidegate_core::{ModelName, ProviderName};

/// The models that are held, each with what it was built from.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<ModelName, Hold>);

#[derive(Debug, Clone)]
struct Hold {
    spec: ContractSpec,
    signature: Option<Value>,
    /// The provider, as itself.
    inner: Arc<dyn Backend>,
    backend: Arc<dyn Backend>,
}

impl Holds {
    /// What `spec` wants. A hold whose parts are what they were goes on, and its counts with it; one whose registry cannot be
    /// asked does, too.
    ///
    /// # Errors
    /// A signature is not there or cannot be checked.
    pub(super) async fn renewed(
        &self,
        spec: &GatewaySpec,
        providers: &BTreeMap<ProviderName, Built<ClassicSpec>>,
        tools: &Tools,
    ) -> anyhow::Result<Self> {
        let mut next = BTreeMap::new();
        for model in spec.models.values() {
            let (Some(contract), Some((_, inner))) = (&model.contract, providers.get(&model.provider)) else {
                continue;
            };
            let old = self.0.get(&model.name).filter(|old| old.spec == *contract && Arc::ptr_eq(&old.inner, inner));
            let made = async {
                let signature = signature(contract, tools).await?;
                if let Some(old) = old.filter(|old| old.signature == signature) {
                    return Ok(old.clone());
                }
                let agreed = Agreed::elsewhere(contract, signature.as_ref())?;
                let backend: Arc<dyn Backend> = match agreed {
                    Some(agreed) => Arc::new(Held::new(Arc::clone(inner), agreed)),
                    None => Arc::clone(inner),
                };
                anyhow::Ok(Hold { spec: contract.clone(), signature, inner: Arc::clone(inner), backend })
            };
            let hold = match (made.await, old) {
                (Ok(hold), _) => hold,
                (Err(fault), Some(old)) => {
                    tracing::warn!(model = %model.name, fault = format!("{fault:#}"), "its contract stays as it was");
                    old.clone()
                }
                (Err(fault), None) => return Err(fault.context(format!("the contract of the model `{}`", model.name))),
            };
            next.insert(model.name.clone(), hold);
        }
        Ok(Self(next))
    }

    /// What runs this model, where it is held.
    pub(super) fn of(&self, model: &ModelName) -> Option<&Arc<dyn Backend>> {
        self.0.get(model).map(|hold| &hold.backend)
    }
}

/// The signature that a contract names.
async fn signature(contract: &ContractSpec, tools: &Tools) -> anyhow::Result<Option<Value>> {
    match &contract.of {
        None => Ok(None),
        Some(SignatureSpec::File(file)) => json(file, "signature").map(Some),
        Some(SignatureSpec::Registry(reference)) => {
            let registry = tools.registry.as_ref().context("there is no registry")?;
            let version = registry.models.resolve(reference).await;
            let version = version.map_err(|fault| anyhow::anyhow!("{reference}: {fault}"))?;
            let none = || format!("{reference} has no signature: register it with one");
            version.signature.with_context(none).map(Some)
        }
    }
}
