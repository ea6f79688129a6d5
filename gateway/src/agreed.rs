//! What inputs of a classic model are held to: the signature of its version and a suite of expectations. Owns which of them
//! count, what a caller is told who breaks them, and how often each rule is broken.

mod held;

pub(crate) use held::Held;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tidegate_classic::contract::{Contract, Suite, Violation};
use tidegate_core::digest::Digest;
use tidegate_core::spec::{ContractSpec, SuiteSpec};
use tidegate_core::{Fault, FaultKind, PredictRequest, Tensor};

/// So many violations are told of a call.
const MOST_TOLD: usize = 4;
/// A field that no contract names is counted under this name, since callers choose such names.
const OTHER: &str = "other";

/// What was agreed.
#[derive(Debug)]
pub(crate) struct Agreed {
    contracts: Vec<Contract>,
    /// The names of a row's values.
    features: Vec<String>,
    /// Whether those are the signature's, and the model's file has others or none.
    is_renamed: bool,
    notes_only: bool,
    /// How often inputs broke it, by the field and the kind of rule.
    broken: Mutex<BTreeMap<(String, &'static str), u64>>,
}

impl Agreed {
    /// What a model's inputs are held to; nothing where nothing was agreed. `features` are the names of a row's values, as
    /// far as the model's file has them, and `width` is how many there are.
    ///
    /// # Errors
    /// What the configuration asks for is not there, or cannot be checked.
    pub(crate) fn of(
        spec: &ContractSpec,
        signature: Option<&Value>,
        features: &[String],
        width: Option<usize>,
    ) -> anyhow::Result<Option<Self>> {
        let signature = signature_of(spec, signature)?;
        let names = named(signature.as_ref(), features, width);
        let suite = spec.suite.as_ref().map(suite).transpose()?;
        let contracts: Vec<Contract> = signature.into_iter().chain(suite).collect();
        let is_any = contracts.iter().any(|contract| !contract.fields.is_empty() || contract.is_closed);
        let broken = Mutex::default();
        let is_renamed = names != features;
        Ok(is_any.then_some(Self { contracts, features: names, is_renamed, notes_only: spec.notes_only, broken }))
    }

    /// What calls of a model elsewhere are held to: a signature that must be one that can be checked, where one is given, and a
    /// suite. Its columns name the values of rows, since nobody else says what those are called.
    ///
    /// # Errors
    /// What the configuration asks for cannot be checked.
    pub(crate) fn elsewhere(spec: &ContractSpec, signature: Option<&Value>) -> anyhow::Result<Option<Self>> {
        let spec = ContractSpec { signature: signature.map(|_| true), ..spec.clone() };
        let columns = signature.and_then(|signature| signature["inputs"].as_array()).map(Vec::len);
        Self::of(&spec, signature, &[], columns)
    }

    /// Whether the signature names one of a row's values so.
    #[cfg_attr(
        not(feature = "engine"),
        expect(dead_code, reason = "only a model in this process takes rows as its file has them")
    )]
    pub(crate) fn names(&self, name: &str) -> bool {
        self.is_renamed && self.features.iter().any(|feature| feature == name)
    }

    /// The columns of a call in the order of the signature, where it alone names them.
    #[cfg_attr(
        not(feature = "engine"),
        expect(dead_code, reason = "only a model in this process takes rows as its file has them")
    )]
    pub(crate) fn in_order(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        if !self.is_renamed || inputs.len() != self.features.len() {
            return None;
        }
        let column = |name: &String| inputs.iter().find(|tensor| tensor.name() == name).cloned();
        self.features.iter().map(column).collect()
    }

    /// Holds the inputs of a call to it; how many rules they break.
    ///
    /// # Errors
    /// They break one, and such calls are refused.
    pub(crate) fn hold(&self, request: &PredictRequest) -> Result<u16, Fault> {
        let found: Vec<Violation> = self.contracts.iter().flat_map(|contract| self.check(contract, request)).collect();
        if found.is_empty() {
            return Ok(0);
        }
        let count = u16::try_from(found.len()).unwrap_or(u16::MAX);
        self.count(&found);
        if self.notes_only {
            return Ok(count);
        }
        let told: Vec<String> = found.iter().take(MOST_TOLD).map(Violation::to_string).collect();
        let more =
            if found.len() > MOST_TOLD { format!("; and {} more", found.len() - MOST_TOLD) } else { String::new() };
        let says = format!("the inputs break the model's contract: {}{more}", told.join("; "));
        let fault = Fault::new(FaultKind::ContractBroken, says);
        Err(Fault { param: Some(found[0].field.clone().into()), violations: count, ..fault })
    }

    fn check(&self, contract: &Contract, request: &PredictRequest) -> Vec<Violation> {
        // A tensor that is agreed alone may be called anything: MLflow leaves its name out, and some wires have none.
        if let ([field], [only]) = (&*contract.fields, &*request.inputs)
            && field.shape.is_some()
        {
            return contract.check(&[only.clone().named(&field.name)], &[], request.is_loose);
        }
        contract.check(&request.inputs, &self.features, request.is_loose)
    }

    fn count(&self, found: &[Violation]) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        for Violation { field, rule, .. } in found {
            let is_agreed = |contract: &Contract| contract.fields.iter().any(|known| known.name == *field);
            let name = if self.contracts.iter().any(is_agreed) { field.as_str() } else { OTHER };
            *broken.entry((name.to_owned(), *rule)).or_default() += 1;
        }
    }

    /// How often inputs broke it, by the field and the kind of rule.
    pub(crate) fn broken(&self) -> Vec<(String, &'static str, u64)> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.iter().map(|((field, rule), count)| (field.clone(), *rule, *count)).collect()
    }
}

/// The contract that the signature of the version is, as far as it counts.
fn signature_of(spec: &ContractSpec, signature: Option<&Value>) -> anyhow::Result<Option<Contract>> {
    let (wanted, given) = (spec.signature, signature.map(|signature| &signature["inputs"]));
    let given = given.filter(|inputs| !inputs.is_null());
    match (wanted, given) {
        (Some(false), _) | (None, None) => Ok(None),
        (Some(true), None) => anyhow::bail!(
            "its contract asks for the registered signature, and this version has none: register it with one, or leave \
             `signature: true` out"
        ),
        (_, Some(inputs)) => match Contract::of_signature(inputs) {
            Ok(contract) => Ok(Some(contract)),
            Err(fault) if wanted == Some(true) => anyhow::bail!("the registered signature cannot be checked: {fault}"),
            Err(fault) => {
                tracing::warn!(%fault, "a registered signature cannot be checked, and counts for nothing");
                Ok(None)
            }
        },
    }
}

/// The names of a row's values: the file's, unless the signature has as many and other ones, which are those of the training.
fn named(signature: Option<&Contract>, features: &[String], width: Option<usize>) -> Vec<String> {
    let fields = signature.map(|contract| &*contract.fields).unwrap_or_default();
    let is_known = fields.iter().any(|field| features.contains(&field.name));
    let is_of_columns = fields.iter().all(|field| field.shape.is_none());
    if !fields.is_empty() && is_of_columns && !is_known && width == Some(fields.len()) {
        return fields.iter().map(|field| field.name.clone()).collect();
    }
    features.to_vec()
}

/// The JSON of a file of which the digest is known.
///
/// # Errors
/// It cannot be read, is another by now, or no JSON.
pub(crate) fn json(spec: &SuiteSpec, what: &str) -> anyhow::Result<Value> {
    let file = spec.file.display();
    let bytes = std::fs::read(&spec.file).with_context(|| format!("the {what} {file} cannot be read"))?;
    ensure!(Digest::of(&bytes) == spec.sha256, "the {what} {file} changed while it was read: reload");
    serde_json::from_slice(&bytes).with_context(|| format!("the {what} {file} is no JSON"))
}

fn suite(spec: &SuiteSpec) -> anyhow::Result<Contract> {
    let file = spec.file.display();
    let json = json(spec, "suite")?;
    let read = Suite::read(&json).with_context(|| format!("the suite {file}"))?;
    if !read.unchecked.is_empty() {
        let unchecked = read.unchecked.join(", ");
        tracing::warn!(suite = %file, unchecked, "expectations of whole tables are for monitors, and are not checked");
    }
    Ok(read.contract)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SIGNATURE: &str = r#"{"inputs": [{"name": "age", "type": "long"}, {"name": "income", "type": "double"}]}"#;

    fn request(values: &[f32]) -> PredictRequest {
        let rows = values.len() as u64 / 2;
        let inputs = vec![Tensor::of_f32("x", vec![rows, 2], values).unwrap()];
        PredictRequest { inputs, ..PredictRequest::default() }
    }

    fn agreed(spec: &ContractSpec, signature: Option<&Value>) -> anyhow::Result<Option<Agreed>> {
        Agreed::of(spec, signature, &["f0".to_owned(), "f1".to_owned()], Some(2))
    }

    #[test]
    fn a_signature_names_the_values_of_rows_and_is_counted() {
        let signature: Value = serde_json::from_str(SIGNATURE).unwrap();
        let agreed = agreed(&ContractSpec::default(), Some(&signature)).unwrap().unwrap();
        assert_eq!(agreed.hold(&request(&[30.0, 1.5])).ok(), Some(0));
        let fault = agreed.hold(&request(&[30.0, 1.5, 30.5, 2.0])).unwrap_err();
        assert_eq!((fault.kind, fault.violations), (FaultKind::ContractBroken, 1));
        assert!(fault.says.contains("field `age`, row 1: 30.5 is no whole number"), "{fault}");
        assert_eq!(agreed.broken(), [("age".to_owned(), "type", 1)]);
    }

    #[test]
    fn columns_that_only_the_signature_names_come_in_its_order() {
        let signature: Value = serde_json::from_str(SIGNATURE).unwrap();
        let agreed = agreed(&ContractSpec::default(), Some(&signature)).unwrap().unwrap();
        let column = |name: &str| Tensor::of_i64(name, vec![1], &[3]).unwrap();
        let ordered = agreed.in_order(&[column("income"), column("age")]).unwrap();
        assert_eq!(ordered.iter().map(Tensor::name).collect::<Vec<_>>(), ["age", "income"]);
        assert!(agreed.in_order(&[column("income"), column("f0")]).is_none() && agreed.names("age"));
    }

    #[test]
    fn what_is_only_noted_is_answered() {
        let signature: Value = serde_json::from_str(SIGNATURE).unwrap();
        let spec = ContractSpec { notes_only: true, ..ContractSpec::default() };
        let agreed = agreed(&spec, Some(&signature)).unwrap().unwrap();
        assert_eq!(agreed.hold(&request(&[30.5, 1.5])).ok(), Some(1));
        assert_eq!(agreed.broken(), [("age".to_owned(), "type", 1)]);
    }

    #[test]
    fn a_tensor_that_is_agreed_alone_may_be_called_anything() {
        let signature = json!({"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]});
        let agreed = agreed(&ContractSpec::default(), Some(&signature)).unwrap().unwrap();
        assert_eq!(agreed.hold(&request(&[1.0, 2.0])).ok(), Some(0));
        let inputs = vec![Tensor::of_f32("x", vec![1, 3], &[0.0; 3]).unwrap()];
        let fault = agreed.hold(&PredictRequest { inputs, ..PredictRequest::default() }).unwrap_err();
        assert!(fault.says.contains("has the shape [1, 3], but [-1, 2] is agreed"), "{fault}");
    }

    #[test]
    fn a_signature_counts_as_far_as_it_can_be_checked_unless_it_must() {
        let wanted = |signature| ContractSpec { signature, ..ContractSpec::default() };
        let odd = json!({"inputs": [{"name": "a", "type": "datetime"}]});
        assert!(agreed(&wanted(None), None).unwrap().is_none());
        assert!(agreed(&wanted(None), Some(&odd)).unwrap().is_none());
        assert!(agreed(&wanted(Some(false)), Some(&odd)).unwrap().is_none());
        assert!(agreed(&wanted(Some(true)), None).unwrap_err().to_string().contains("has none"));
        assert!(agreed(&wanted(Some(true)), Some(&odd)).unwrap_err().to_string().contains("datetime"));
    }

    #[test]
    fn a_suite_is_a_file_of_which_the_digest_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("suite.json");
        let between = json!({"type": "expect_column_values_to_be_between", "kwargs": {"column": "f1", "max_value": 9}});
        let text = json!({"name": "s", "expectations": [between]}).to_string();
        std::fs::write(&file, &text).unwrap();
        let spec = |sha256| {
            let suite = Some(SuiteSpec { file: file.clone(), sha256 });
            ContractSpec { suite, ..ContractSpec::default() }
        };
        let held = agreed(&spec(Digest::of(text.as_bytes())), None).unwrap().unwrap();
        let fault = held.hold(&request(&[1.0, 10.0])).unwrap_err();
        assert!(fault.says.contains("field `f1`, row 0: 10 is not at most 9"), "{fault}");
        assert_eq!(fault.param.as_deref(), Some("f1"));
        assert!(agreed(&spec(Digest::of(b"other")), None).unwrap_err().to_string().contains("changed"));
    }
}
