//! Seldon's feedback, `{"response": {"meta": {"puid": …}}, "reward": 1.0, "truth": …}`, in the form of ours. Pure.

use serde_json::{Value, json};
use tidegate_core::Fault;

/// The reward that is meant: the one of this name in the configuration.
const REWARD: &str = "reward";

/// What is said, one by one: the reward, and the truth as a label, where it is there.
///
/// # Errors
/// It names no call, or says nothing.
pub(super) fn said(body: &Value) -> Result<Vec<Value>, Fault> {
    let puid = body.pointer("/response/meta/puid").or_else(|| body.pointer("/request/meta/puid"));
    let call = puid.and_then(Value::as_str).ok_or_else(|| {
        Fault::field("response.meta.puid", "response.meta.puid is missing: send the prediction's answer as `response`")
    })?;
    let truth = body.get("truth").filter(|truth| !truth.is_null()).map(truth).transpose()?;
    let reward = body.get("reward").filter(|reward| !reward.is_null());
    if reward.is_none() && truth.is_none() {
        return Err(Fault::field("reward", "feedback has a `reward`, a `truth`, or both"));
    }
    let reward = reward.map(|value| json!({"inference_id": call, "reward": REWARD, "value": value}));
    let label = truth.map(|class| json!({"inference_id": call, "label": class}));
    Ok(reward.into_iter().chain(label).collect())
}

/// The class that was right: the only value of the data.
fn truth(truth: &Value) -> Result<String, Fault> {
    let data = truth
        .pointer("/data/ndarray")
        .or_else(|| truth.pointer("/data/tensor/values"))
        .or_else(|| truth.get("strData"));
    let mut value = data.unwrap_or(truth);
    while let Value::Array(all) = value {
        let [only] = &**all else { return Err(wrong()) };
        value = only;
    }
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(wrong()),
    }
}

fn wrong() -> Fault {
    Fault::field("truth", "truth must be one value, as in {\"data\": {\"ndarray\": [[1]]}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_and_a_truth_are_said_of_the_call_that_was_answered() {
        let body = json!({"request": {}, "response": {"meta": {"puid": "c"}}, "reward": 0.5, "truth": {"data": {"ndarray": [[1]]}}});
        let wanted = [
            json!({"inference_id": "c", "reward": "reward", "value": 0.5}),
            json!({"inference_id": "c", "label": "1"}),
        ];
        assert_eq!(said(&body).unwrap(), wanted);
        for body in [
            json!({"reward": 1}),
            json!({"response": {"meta": {"puid": 5}}, "reward": 1}),
            json!({"response": {"meta": {"puid": "c"}}}),
            json!({"response": {"meta": {"puid": "c"}}, "truth": {"data": {"ndarray": [1, 2]}}}),
            json!({"response": {"meta": {"puid": "c"}}, "truth": {}}),
        ] {
            assert!(said(&body).is_err(), "{body}");
        }
    }
}
