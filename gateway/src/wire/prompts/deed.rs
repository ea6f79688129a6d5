//! What a call did to prompts, as the registry's audit log shall have it. Owns the words.

use http::Method;
use serde_json::{Value, json};
use tidegate_core::port::audit::Noted;

/// The deed of a call that was answered so; `None` where it only read.
pub(crate) fn deed(by: &str, method: &Method, segments: &[&str], body: &Value, answer: &Value) -> Option<Noted> {
    let stamp = &answer["stamp"];
    let why = body["why"].as_str().filter(|why| !why.is_empty());
    let moved = json!({"to": stamp["n"], "sha": stamp["sha"], "why": why});
    let (action, subject, detail) = match (method.as_str(), segments) {
        ("POST", []) => {
            let (name, n) = (answer["name"].as_str()?, &answer["n"]);
            ("prompt.register", format!("prompts:/{name}/{n}"), json!({"sha": answer["sha"]}))
        }
        ("DELETE", [name]) => ("prompt.delete", format!("prompts:/{name}"), json!({})),
        ("PUT", [name, "labels", label]) => ("prompt.label", format!("prompts:/{name}@{label}"), moved),
        ("DELETE", [name, "labels", label]) => ("prompt.label.delete", format!("prompts:/{name}@{label}"), json!({})),
        ("POST", [name, "rollback"]) => {
            ("prompt.rollback", format!("prompts:/{name}@{}", answer["label"].as_str()?), moved)
        }
        _ => return None,
    };
    Some(Noted { by: by.to_owned(), action, subject, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_a_prompt_is_a_deed_and_what_reads_it_is_none() {
        let stamp = json!({"name": "a", "n": 3, "sha": "f00"});
        let moved = json!({"label": "production", "stamp": stamp});
        let seen = |method: Method, segments: &[&str], answer: &Value| {
            deed("ann", &method, segments, &json!({"why": "better"}), answer)
                .map(|deed| (deed.action, deed.subject, deed.detail["to"].clone(), deed.detail["why"].clone()))
        };
        let label = ("prompt.label", "prompts:/a@production".to_owned(), json!(3), json!("better"));
        assert_eq!(seen(Method::PUT, &["a", "labels", "production"], &moved), Some(label));
        let back = ("prompt.rollback", "prompts:/a@production".to_owned(), json!(3), json!("better"));
        assert_eq!(seen(Method::POST, &["a", "rollback"], &moved), Some(back));
        assert_eq!(seen(Method::POST, &[], &stamp).map(|(_, subject, ..)| subject), Some("prompts:/a/3".to_owned()));
        assert!(seen(Method::DELETE, &["a"], &json!({})).is_some());
        assert!(seen(Method::DELETE, &["a", "labels", "x"], &json!({})).is_some());
        for read in [&["a", "render"][..], &["a", "versions"], &["a"]] {
            let method = if read.len() == 2 && read[1] == "render" { Method::POST } else { Method::GET };
            assert_eq!(seen(method, read, &json!({})), None, "{read:?}");
        }
    }
}
