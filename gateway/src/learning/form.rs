//! The form of feedback: a reward's value, a label or a demonstration, about a call or an episode. Owns what is wrong with one,
//! and how large what is said may be.

use serde::Deserialize;
use serde_json::Value;
use tidegate_core::port::learning::{About, Feedback, Giver, RewardValue, Saying};
use tidegate_core::{Caller, Fault, FaultKind, InferenceId, LabelName, RewardName};

/// What a label is called where nothing is said.
const LABEL: &str = "label";
/// The longest class, in bytes.
const CLASS: usize = 256;
/// The longest demonstration, in bytes of its text or its JSON.
const DEMONSTRATION: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    inference_id: Option<String>,
    episode_id: Option<String>,
    reward: Option<String>,
    value: Option<Value>,
    label: Option<Value>,
    name: Option<String>,
    demonstration: Option<Value>,
    idempotency_key: Option<String>,
}

/// What a caller says, under this key where he gives none with it.
pub(super) fn feedback(caller: &Caller, said: Value, key: Option<String>) -> Result<Feedback, Fault> {
    let said: Said = serde_json::from_value(said).map_err(|e| {
        let says = format!(
            "feedback is {{inference_id or episode_id}} with {{reward, value}}, {{label, name}} or {{demonstration}}: {e}"
        );
        Fault::new(FaultKind::InvalidRequest, says)
    })?;
    let about = match (&said.inference_id, &said.episode_id) {
        (Some(id), None) => {
            About::Inference(id.parse::<InferenceId>().map_err(|e| Fault::field("inference_id", e.to_string()))?)
        }
        (None, Some(episode)) => About::Episode(episode.as_str().into()),
        _ => return Err(Fault::field("inference_id", "feedback has either `inference_id` or `episode_id`")),
    };
    let key = said.idempotency_key.clone().or(key).map(Into::into);
    let by = Giver { id: caller.0.id.clone(), principal: caller.0.principal.clone(), tenant: caller.0.tenant.clone() };
    Ok(Feedback { about, said: saying(said)?, key, by })
}

/// One of the three, and nothing of the others.
fn saying(said: Said) -> Result<Saying, Fault> {
    let kinds = [said.reward.is_some(), said.label.is_some(), said.demonstration.is_some()];
    if kinds.into_iter().filter(|is| *is).count() != 1 {
        let says =
            "feedback has one of `reward` (with its `value`), `label` and `demonstration`: send others by themselves";
        return Err(Fault::field("reward", says));
    }
    let alone = |field: &'static str, is_there: bool, with: &str| {
        let says = format!("`{field}` belongs to a `{with}`: leave it out");
        if is_there { Err(Fault::field(field, says)) } else { Ok(()) }
    };
    if said.reward.is_none() {
        alone("value", said.value.is_some(), "reward")?;
    }
    if said.label.is_none() {
        alone("name", said.name.is_some(), "label")?;
    }
    match (said.reward, said.label, said.demonstration) {
        (Some(name), _, _) => reward(&name, said.value),
        (_, Some(class), _) => label(said.name.as_deref().unwrap_or(LABEL), &class),
        (_, _, answer) => demonstration(answer.unwrap_or_default()),
    }
}

fn reward(name: &str, value: Option<Value>) -> Result<Saying, Fault> {
    let value = match value {
        Some(Value::Bool(is)) => RewardValue::Boolean(is),
        Some(Value::Number(number)) => RewardValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        _ => return Err(Fault::field("value", "`value` is true, false or a number")),
    };
    let name = name.parse::<RewardName>().map_err(|e| Fault::field("reward", e.to_string()))?;
    Ok(Saying::Reward(name, value))
}

fn label(name: &str, class: &Value) -> Result<Saying, Fault> {
    let name = name.parse::<LabelName>().map_err(|e| Fault::field("name", e.to_string()))?;
    let wrong = || Fault::field("label", format!("`label` is a class: a text of 1 to {CLASS} bytes in one line"));
    let class = class.as_str().ok_or_else(wrong)?;
    if class.is_empty() || class.len() > CLASS || class.contains(char::is_control) {
        return Err(wrong());
    }
    Ok(Saying::Label(name, class.into()))
}

fn demonstration(answer: Value) -> Result<Saying, Fault> {
    let length = match &answer {
        Value::String(text) => text.len(),
        Value::Object(_) | Value::Array(_) => answer.to_string().len(),
        _ => {
            let says = "`demonstration` is the answer that would have been right: a text, an object or an array";
            return Err(Fault::field("demonstration", says));
        }
    };
    if !(1..=DEMONSTRATION).contains(&length) {
        let says = format!("`demonstration` has {length} bytes, and 1 to {DEMONSTRATION} are taken");
        return Err(Fault::field("demonstration", says));
    }
    Ok(Saying::Demonstration(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(body: Value) -> Result<Saying, Option<String>> {
        let said: Said = serde_json::from_value(body).unwrap();
        saying(said).map_err(|fault| fault.param.map(std::borrow::Cow::into_owned))
    }

    #[test]
    fn each_of_the_three_is_taken() {
        let reward = said(json!({"reward": "stars", "value": 3}));
        assert_eq!(reward, Ok(Saying::Reward("stars".parse().unwrap(), RewardValue::Float(3.0))));
        let label = |name: &str, class: &str| Ok(Saying::Label(name.parse().unwrap(), class.into()));
        assert_eq!(said(json!({"label": "billing", "name": "topic"})), label("topic", "billing"));
        assert_eq!(said(json!({"label": "très bien"})), label("label", "très bien"));
        for answer in [json!("yes"), json!({"a": 1}), json!([]), json!("x".repeat(DEMONSTRATION))] {
            assert_eq!(said(json!({"demonstration": answer})), Ok(Saying::Demonstration(answer)));
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (body, param) in [
            (json!({}), "reward"),
            (json!({"reward": "r", "value": 1, "label": "x"}), "reward"),
            (json!({"label": "x", "demonstration": "y"}), "reward"),
            (json!({"demonstration": null}), "reward"),
            (json!({"reward": "r"}), "value"),
            (json!({"reward": "r", "value": "x"}), "value"),
            (json!({"reward": "a b", "value": 1}), "reward"),
            (json!({"label": "x", "value": 1}), "value"),
            (json!({"demonstration": "x", "name": "n"}), "name"),
            (json!({"label": "x", "name": "a b"}), "name"),
            (json!({"label": ""}), "label"),
            (json!({"label": 5}), "label"),
            (json!({"label": "a\nb"}), "label"),
            (json!({"label": "x".repeat(CLASS + 1)}), "label"),
            (json!({"demonstration": ""}), "demonstration"),
            (json!({"demonstration": 5}), "demonstration"),
            (json!({"demonstration": true}), "demonstration"),
            (json!({"demonstration": "x".repeat(DEMONSTRATION + 1)}), "demonstration"),
            (json!({"demonstration": ["x".repeat(DEMONSTRATION)]}), "demonstration"),
        ] {
            assert_eq!(said(body.clone()), Err(Some(param.to_owned())), "{body}");
        }
    }
}
