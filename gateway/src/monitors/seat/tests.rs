//! Tests of what goes together.

use super::*;
use crate::monitors::testing::{Means, field, monitor};
use std::time::Duration;
use tidegate_core::spec::{FieldFrom, RolesSpec, WindowSpec};

#[test]
fn a_plugin_gets_what_its_world_wants_or_is_refused() {
    let roles = RolesSpec {
        prediction: Some("x".to_owned()),
        protected: vec!["x".to_owned()],
        positive: Some("1".to_owned()),
        ..RolesSpec::default()
    };
    let none = MonitorSpec { reference: ReferenceSpec::None, ..monitor() };
    assert_eq!(fits(&monitor(), World::Drift), Ok(()));
    assert_eq!(fits(&MonitorSpec { roles, ..none.clone() }, World::Fairness), Ok(()));
    for (spec, world, part) in [
        (&none, World::Drift, "add `baseline:"),
        (&none, World::Fairness, "`prediction`, `protected` and `positive`"),
        (&none, World::Rag, "`question` and `answer`"),
        (&none, World::Router, "judges no windows"),
        (&monitor(), World::Validator, "leave `baseline` out"),
    ] {
        let says = fits(spec, world).unwrap_err();
        assert!(says.contains(part), "{world}: {says}");
    }
    let window =
        WindowSpec { size: None, every: Some(Duration::from_millis(1)), min: 1, wait: Duration::from_secs(86_400) };
    let later = MonitorSpec {
        fields: vec![field("l", FieldFrom::Label("l".parse().unwrap()), Some(FieldKind::Category))],
        window,
        ..monitor()
    };
    assert!(fits(&later, World::Drift).unwrap_err().contains("`window.every` longer"));
}

#[test]
fn rows_are_kept_where_columns_alone_do_not_do() {
    let of = |kind, world, config: &str| {
        let spec = MonitorSpec { fields: vec![field("f", FieldFrom::Said, kind)], ..monitor() };
        keep(&spec, world, config).rows > 0
    };
    let mmd = r#"{"tests": [{"test": "mmd", "prefix": "e"}]}"#;
    assert!(!of(None, World::Drift, "{}") && !of(Some(FieldKind::Number), World::Drift, "{}"));
    assert!(of(Some(FieldKind::Vector), World::Drift, "{}") && of(None, World::Drift, mmd));
    assert!(of(None, World::Fairness, "{}") && of(None, World::Rag, "{}"));
    assert_eq!(Means(World::Drift).world(), World::Drift);
}
