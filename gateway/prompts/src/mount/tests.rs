//! What the paths answer.

use super::*;
use crate::testing::{Bare, by};

fn ask(store: &PromptStore, method: &Method, path: &str, body: &Value) -> Result<(u16, Value), Fault> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let (author, body) = (by(), body.to_string());
    let asked =
        Asked { method, segments: &segments, query: &query, body: body.as_bytes(), reach: Reach::Afar, by: &author };
    store.answer(&asked).map(|(status, value)| (status.as_u16(), value))
}

fn get(store: &PromptStore, path: &str) -> Value {
    ask(store, &Method::GET, path, &json!({})).unwrap().1
}

#[test]
fn prompts_are_listed_shown_compared_and_rendered() {
    let bare = Bare::new();
    let store = bare.open();
    for template in ["Hi {{ who }}\nbye", "Hello {{ who }}\nbye"] {
        let body = json!({"name": "a", "template": template, "message": "a change"});
        assert_eq!(ask(&store, &Method::POST, "", &body).unwrap().0, 201);
    }
    ask(&store, &Method::PUT, "a/labels/production", &json!({"version": 1, "why": "tried"})).unwrap();
    let list = get(&store, "");
    assert_eq!(list["data"][0]["n"], 2);
    assert_eq!(list["data"][0]["labels"]["production"], 1);
    let shown = get(&store, "a?version=production");
    assert_eq!(shown["version"]["messages"][0]["template"], "Hi {{ who }}\nbye");
    assert_eq!(shown["version"]["commit"]["message"], "a change");
    assert_eq!(get(&store, "a/versions")["data"][0]["n"], 2);
    let diff = get(&store, "a/diff?from=1&to=2&variables={\"who\":\"Bo\"}");
    assert!(diff["text"].as_str().unwrap().contains("-Hi {{ who }}\n+Hello {{ who }}\n"), "{diff}");
    assert!(diff["rendered"].as_str().unwrap().contains("-Hi Bo\n+Hello Bo\n"), "{diff}");
    let rendered = ask(&store, &Method::POST, "a@production/render", &json!({"variables": {"who": "Bo"}})).unwrap().1;
    assert_eq!(rendered["messages"][0]["content"], "Hi Bo\nbye");
    assert_eq!(rendered["stamp"]["n"], 1);
    let rolled = ask(&store, &Method::POST, "a/rollback", &json!({"label": "production"})).unwrap_err();
    assert_eq!(rolled.kind, FaultKind::Conflict);
    assert_eq!(get(&store, "a/labels/production")["moves"][0]["why"], "tried");
}

#[test]
fn bad_requests_are_told_by_their_field() {
    let bare = Bare::new();
    let store = bare.open();
    let param = |body: Value| {
        let fault = ask(&store, &Method::POST, "", &body).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::InvalidRequest | FaultKind::Conflict), "{fault}");
        let param = fault.param.unwrap_or_default().into_owned();
        assert!(fault.says.contains(&param), "{}", fault.says);
        param
    };
    let long = "x".repeat(5000);
    for bad in
        ["--upload-pack=id", "refs/heads/../../x", "a~1^{/x}", "a\0b", "a b", "ext::sh -c id", "$(id)", "other", &long]
    {
        assert_eq!(param(json!({"name": "greet", "ref": bad, "template": "hi {{ name }}"})), "ref");
    }
    assert_eq!(param(json!({"name": "greet", "ref": null, "template": "hi"})), "ref");
    for bad in [
        json!("{{"),
        json!("{{ self.__class__ }}{{"),
        json!("{% for i in range(999999999) %}x{% endfor %}"),
        json!(5),
        json!([]),
    ] {
        assert_eq!(param(json!({"name": "greet", "ref": "main", "template": bad})), "template");
    }
    for bad in [json!("../x"), json!("a\0"), json!(null), json!("con/../x"), json!(".gitmodules")] {
        assert_eq!(param(json!({"name": bad, "ref": "main", "template": "hi"})), "name");
    }
    ask(&store, &Method::POST, "", &json!({"name": "a", "template": "{{ x }}"})).unwrap();
    let fault = ask(&store, &Method::POST, "a/render", &json!({"variables": {"y": 1}})).unwrap_err();
    assert_eq!(fault.param.as_deref(), Some("variables.y"));
    let fault = ask(&store, &Method::POST, "a/render", &json!({})).unwrap_err();
    assert_eq!(fault.param.as_deref(), Some("variables.x"));
    assert_eq!(ask(&store, &Method::GET, "b", &json!({})).unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(ask(&store, &Method::PUT, "a", &json!({})).unwrap_err().kind, FaultKind::MethodNotAllowed);
    assert_eq!(ask(&store, &Method::GET, "a/b/c/d", &json!({})).unwrap_err().kind, FaultKind::NotFound);
}
