//! KServe's `:explain`, beside `:predict` of its first protocol: asked by rows or by columns as that is, answered by
//! `explanations`. Its protocol leaves open what one is; here it is an object for each row, and what an explainer says
//! that others serve goes on as it is.

use crate::outgoing::{check_finite, versioned};
use crate::sheet::Sheet;
use crate::tf_serving::{json, read_answer as read_predictions, rows_of, write_rows};
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tidegate_core::percent::segment;
use tidegate_core::spec::Dialect;
use tidegate_core::tensor::EXPLANATION;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_request(body: &Bytes) -> Result<PredictRequest, Wrong> {
    crate::tf_serving::read_request(body).map(|(request, _)| PredictRequest { explains: true, ..request })
}

/// Writes what was answered: `predictions`, and for each row of them the contributions of features, what is given where
/// nothing is known, and what both add up to, value by value.
///
/// # Errors
/// There is no explanation, or JSON cannot have it.
pub(crate) fn write_answer(answer: &PredictAnswer) -> Result<Sheet, Wrong> {
    if let Some(body) = &answer.explanation {
        return Ok(Sheet { body: body.clone(), header_length: None, behind: Vec::new() });
    }
    let (why, outputs): (Vec<Tensor>, Vec<Tensor>) =
        answer.outputs.iter().cloned().partition(|output| output.name().starts_with(EXPLANATION));
    let part = |name: &str| {
        let found = why.iter().find(|tensor| tensor.name().strip_prefix(EXPLANATION) == Some(name));
        found.ok_or_else(|| Wrong::new("explain", "the model says what it predicts, and not why"))
    };
    let contributions = part("contributions")?;
    let features = features(part("features")?)?;
    let method = contributions.parameters().get("method").cloned().unwrap_or_default();
    let rows = |tensor: &Tensor| rows_of(tensor).map(Vec::into_iter);
    let (base, explained) = (rows(part("base")?)?, rows(part("explained")?)?);
    let mut out = b"{\"predictions\":".to_vec();
    write_rows(&outputs, &mut out)?;
    out.extend_from_slice(b",\"explanations\":[");
    let head = format!("{{\"method\":{method},\"features\":{features},\"contributions\":");
    for (nth, ((contributions, base), explained)) in rows(contributions)?.zip(base).zip(explained).enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        let (contributions, base, explained) = (contributions.get(), base.get(), explained.get());
        let row = format!("{comma}{head}{contributions},\"base\":{base},\"explained\":{explained}}}");
        out.extend_from_slice(row.as_bytes());
    }
    out.extend_from_slice(b"]}");
    Ok(Sheet::json(out))
}

/// The names of the features, as JSON.
fn features(names: &Tensor) -> Result<serde_json::Value, Wrong> {
    let texts = names.texts().ok_or_else(|| Wrong::new("explain", "the names of the features are no texts"))?;
    Ok(json!(texts.map(String::from_utf8_lossy).collect::<Vec<_>>()))
}

/// The path below the base address at which `model` is asked why; none where the protocol has nothing of it.
///
/// Servers of KServe that speak the Open Inference Protocol have the first one beside it, and their explainers that alone.
#[must_use]
pub fn explain_path(dialect: Dialect, model: &str) -> Option<String> {
    let has_it = matches!(dialect, Dialect::OpenInference | Dialect::TfServing);
    has_it.then(|| match versioned(model).filter(|_| dialect == Dialect::TfServing) {
        Some((name, kind, version)) => format!("/v1/models/{}{kind}{}:explain", segment(name), segment(version)),
        None => format!("/v1/models/{}:explain", segment(model)),
    })
}

/// Writes what an explainer is asked: by rows, which all of them take.
///
/// # Errors
/// The inputs are not of equally many rows, or hold what JSON has not.
pub fn write_explain(request: &PredictRequest) -> Result<Sheet, Wrong> {
    request.inputs.iter().try_for_each(check_finite)?;
    let mut out = b"{\"instances\":".to_vec();
    write_rows(&request.inputs, &mut out).map_err(|wrong| Wrong { field: "inputs".to_owned(), ..wrong })?;
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// Reads what an explainer says, which is kept as it is; its predictions are the outputs, where it has any.
///
/// # Errors
/// It is no object of JSON.
pub fn read_explained(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let whole: &RawValue = json(body)?;
    if !crate::loose::is_object(whole) {
        return Err(Wrong::new("body", "an explainer's answer is an object, and this is none"));
    }
    let predicted = read_predictions(body).unwrap_or_default();
    Ok(PredictAnswer { explanation: Some(body.clone()), ..predicted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn body(text: &str) -> Bytes {
        Bytes::from(text.to_owned())
    }

    #[test]
    fn rows_and_columns_are_asked_and_answered_by_rows() {
        for text in [r#"{"instances": [[1, 2], [3, 4]]}"#, r#"{"inputs": {"x": [[1, 2], [3, 4]]}}"#] {
            let request = read_request(&body(text)).unwrap();
            assert!(request.explains && request.is_loose);
            assert_eq!(write_explain(&request).unwrap().body, r#"{"instances":[[1,2],[3,4]]}"#);
        }
        assert!(read_request(&body("{}")).is_err());
        let apart = read_request(&body(r#"{"inputs": {"x": [1, 2], "y": [1]}}"#)).unwrap();
        assert_eq!(write_explain(&apart).unwrap_err().field, "inputs");
    }

    #[test]
    fn each_row_has_its_explanation() {
        let of = |name: &str, shape: &[u64], values: &[f64]| {
            let parameters = [("method".to_owned(), json!("tree_shap"))].into_iter().collect();
            Tensor::of_f64(name, shape.to_vec(), values).unwrap().with_parameters(parameters)
        };
        let mut answer = PredictAnswer {
            outputs: vec![
                of("predict", &[2], &[0.5, 1.5]),
                of("explanation.contributions", &[2, 1, 2], &[1.0, -1.0, 2.0, f64::NAN]),
                of("explanation.base", &[2, 1], &[0.5, 0.5]),
                of("explanation.explained", &[2, 1], &[0.5, 2.5]),
                Tensor::of_texts("explanation.features", vec![2], &["a", "b\""]).unwrap(),
            ],
            ..PredictAnswer::default()
        };
        let written: Value = serde_json::from_slice(&write_answer(&answer).unwrap().body).unwrap();
        assert_eq!(
            written,
            json!({"predictions": [0.5, 1.5], "explanations": [
                {"method": "tree_shap", "features": ["a", "b\""], "contributions": [[1.0, -1.0]], "base": [0.5], "explained": [0.5]},
                {"method": "tree_shap", "features": ["a", "b\""], "contributions": [[2.0, null]], "base": [0.5], "explained": [2.5]},
            ]})
        );
        answer.outputs.truncate(1);
        assert!(write_answer(&answer).unwrap_err().says.contains("not why"));
    }

    #[test]
    fn what_an_explainer_says_goes_on_as_it_is() {
        // Alibi's, which has neither `predictions` nor `explanations`.
        for (text, outputs) in [
            (r#"{"meta": {"name": "AnchorTabular"}, "data": {"anchor": ["age > 5"]}}"#, 0),
            (r#"{"predictions": [1], "explanations": [[0.5]]}"#, 1),
        ] {
            let said = read_explained(&body(text)).unwrap();
            assert_eq!((said.outputs.len(), &write_answer(&said).unwrap().body[..]), (outputs, text.as_bytes()));
        }
        for wrong in ["[1]", "<html>", "", "7"] {
            assert!(read_explained(&body(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(explain_path(Dialect::OpenInference, "a b").unwrap(), "/v1/models/a%20b:explain");
        assert_eq!(explain_path(Dialect::TfServing, "half/versions/3").unwrap(), "/v1/models/half/versions/3:explain");
        assert_eq!(explain_path(Dialect::Mlflow, "m"), None);
    }
}
