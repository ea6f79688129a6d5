//! Why a classic model gave what it gave: whether a caller asks for it, what he gets of it, and what goes into the record.

use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_classic::{Explaining, Explanation};
use tidegate_core::reasons::{AllReasons, Reasons};
use tidegate_core::spec::ExplainSpec;
use tidegate_core::tensor::EXPLANATION;
use tidegate_core::{Fault, PredictRequest, Tensor};

/// What a caller asks it by.
const EXPLAIN: &str = "explain";

/// Whether the caller asks why.
///
/// # Errors
/// He says it wrongly, or speaks a protocol that cannot say the answer.
pub(crate) fn is_asked(request: &PredictRequest) -> Result<bool, Fault> {
    if request.explains {
        return Ok(true);
    }
    let field = "parameters.explain";
    match request.parameters.get(EXPLAIN) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(false),
        Some(Value::Bool(true)) if request.is_loose => {
            let says =
                "this protocol has no place for explanations: ask at /v2/models/NAME/infer or /v1/models/NAME:explain";
            Err(Fault::field(field, says))
        }
        Some(Value::Bool(true)) => Ok(true),
        Some(_) => Err(Fault::field(field, "parameters.explain must be true or false")),
    }
}

/// How a model is explained that is not made of trees.
pub(super) fn explaining(spec: Option<&ExplainSpec>) -> Explaining {
    let ExplainSpec { orders, background } = spec.cloned().unwrap_or_default();
    Explaining { background, orders, ..Explaining::default() }
}

/// The tensors of an explanation, as an answer has them behind its own: contributions, base, what is explained, and the
/// names of the features.
///
/// # Errors
/// None that is not a mistake of ours.
pub(super) fn tensors(explanation: &Explanation) -> Result<Vec<Tensor>, Fault> {
    let mut all = explanation.to_tensors().map_err(Fault::internal)?;
    let names = [explanation.features.len() as u64].to_vec();
    all.push(Tensor::of_texts("features", names, &explanation.features).map_err(Fault::internal)?);
    let method = json!({"method": explanation.method.name()});
    let said = |tensor: Tensor| {
        let name = format!("{EXPLANATION}{}", tensor.name());
        let parameters = method.as_object().cloned().unwrap_or_default();
        tensor.named(name).with_parameters(parameters)
    };
    Ok(all.into_iter().map(said).collect())
}

/// What of it goes into the record of the call.
pub(super) fn kept(explanation: &Explanation) -> Arc<Reasons> {
    let features: Vec<Arc<str>> = explanation.features.iter().map(|name| name.as_str().into()).collect();
    Arc::new(Reasons::kept(&AllReasons {
        method: explanation.method.name(),
        features: &features,
        rows: explanation.rows,
        groups: explanation.groups,
        contributions: &explanation.contributions,
        base: &explanation.base,
        explained: &explanation.explained,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_classic::Method;

    fn asked(explain: Value, is_loose: bool) -> Result<bool, String> {
        let parameters = [(EXPLAIN.to_owned(), explain)].into_iter().collect();
        let request = PredictRequest { parameters, is_loose, ..PredictRequest::default() };
        is_asked(&request).map_err(|fault| fault.says.into_owned())
    }

    #[test]
    fn an_explanation_is_asked_for_by_a_truth() {
        assert_eq!(is_asked(&PredictRequest::default()).ok(), Some(false));
        assert_eq!(asked(json!(false), true), Ok(false));
        assert_eq!(asked(json!(true), false), Ok(true));
        let by_protocol = PredictRequest { explains: true, is_loose: true, ..PredictRequest::default() };
        assert_eq!(is_asked(&by_protocol).ok(), Some(true));
        assert!(asked(json!("yes"), false).unwrap_err().contains("true or false"));
        assert!(asked(json!(true), true).unwrap_err().contains("/v2/models/NAME/infer"));
    }

    #[test]
    fn an_explanation_is_tensors_with_names_of_their_own() {
        let explanation = Explanation {
            method: Method::TreeShap,
            features: vec!["a".to_owned(), "b".to_owned()],
            rows: 1,
            groups: 1,
            contributions: vec![0.5, -2.0],
            base: vec![1.0],
            explained: vec![-0.5],
        };
        let tensors = tensors(&explanation).unwrap();
        let shapes: Vec<(&str, &[u64])> = tensors.iter().map(|one| (one.name(), one.shape())).collect();
        assert_eq!(
            shapes,
            [
                ("explanation.contributions", &[1, 1, 2][..]),
                ("explanation.base", &[1, 1][..]),
                ("explanation.explained", &[1, 1][..]),
                ("explanation.features", &[2][..]),
            ]
        );
        assert!(tensors.iter().all(|one| one.parameters()["method"] == "tree_shap"));
        let kept = kept(&explanation);
        assert_eq!((&*kept.values[0].contributions[0].feature, kept.values[0].explained), ("b", -0.5));
    }
}
