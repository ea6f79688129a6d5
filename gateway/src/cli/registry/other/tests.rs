//! What a server of MLflow says, right and wrong, and what is made of it.

use super::*;
use serde_json::json;

#[test]
fn only_addresses_without_credentials_are_taken() {
    for bad in ["mlflow:5000", "ftp://x", "http://", "/x", "http://ann:secret@mlflow"] {
        assert!(Other::at(bad, None).is_err(), "{bad}");
    }
    assert!(!Other::at("http://ann:secret@mlflow", None).unwrap_err().contains("secret"));
    assert_eq!(Other::at("http://mlflow:5000/", None).unwrap().origin(), "http://mlflow:5000");
}

#[test]
fn places_lead_to_the_other_server_and_never_to_a_path_of_this_machine() {
    let seen = |uri: &str| {
        let place = place(uri, "mlflow:5000");
        (place.handed_out, place.uri.ok())
    };
    let own = Some("mlflow-artifacts://mlflow:5000/1/m".to_owned());
    assert_eq!(seen("mlflow-artifacts:/1/m"), (Some("1/m".to_owned()), own.clone()));
    assert_eq!(seen("mlflow-artifacts://mlflow:5000/1/m"), (Some("1/m".to_owned()), own));
    assert_eq!(seen("mlflow-artifacts://third/1/m"), (None, Some("mlflow-artifacts://third/1/m".to_owned())));
    assert_eq!(seen("s3://b/m"), (None, Some("s3://b/m".to_owned())));
    for local in ["/mlruns/1/m", "file:///mlruns/1/m", "FILE:/x", "mlruns", "C:\\mlruns", ""] {
        assert_eq!(seen(local), (None, None), "{local}");
    }
}

#[test]
fn what_the_server_says_is_checked() {
    let name = RegisteredName::new("m").unwrap();
    let good = json!({
        "name": "m", "version": "3", "creation_timestamp": "17", "last_updated_timestamp": 18, "user_id": "eve",
        "current_stage": "Staging", "source": "runs:/r/m", "run_id": "r", "status": "READY",
        "tags": [{"key": "a", "value": "b"}],
    });
    let read = version(&name, &good).unwrap();
    assert_eq!((read.version, read.created, read.updated, read.stage), (3, 17, 18, Stage::Staging));
    for (field, value) in [
        ("version", json!("x")),
        ("version", json!(0)),
        ("name", json!("other")),
        ("current_stage", json!("Moon")),
        ("status", json!("PENDING_REGISTRATION")),
        ("tags", json!([{"key": "../x", "value": ""}])),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(version(&name, &bad).is_err(), "{field}");
    }
    for bad in [
        json!({}),
        json!({"name": "a/b"}),
        json!({"name": "m", "aliases": [{"alias": "a b", "version": "1"}]}),
        json!({"name": "m", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}),
    ] {
        assert!(model(&bad).is_err(), "{bad}");
    }
    let read = model(&json!({"name": "m", "aliases": [{"alias": "champion", "version": "2"}]})).unwrap();
    assert_eq!(read.aliases, BTreeMap::from([("champion".to_owned(), 2)]));
}

#[test]
fn pages_that_lead_nowhere_end() {
    assert_eq!(next(&json!({}), None).unwrap(), None);
    assert_eq!(next(&json!({"next_page_token": "b"}), Some("a")).unwrap().as_deref(), Some("b"));
    assert!(next(&json!({"next_page_token": "a"}), Some("a")).is_err());
    assert!(list(&json!({"files": 7}), "files").is_err());
}
