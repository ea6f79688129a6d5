//! What must hold of governance: what a gate asks is asked on every way to its alias.

use crate::cases::{alias, cases, kind, model, name, version, version_of};
use crate::{Place, ann};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{GateSpec, GovernanceSpec, Requirement, RiskTier};
use tidegate_registry::card::Card;
use tidegate_registry::evaluation::Evaluation;
use tidegate_registry::facts::{Lineage, Signature, VersionFacts, VersionId};
use tidegate_registry::gate::Missing;
use tidegate_registry::kind::{Format, Kind};
use tidegate_registry::registry::VersionRequest;
use tidegate_registry::version::Stage;
use tidegate_registry::{Actor, Registry, RegistryFaultKind};

cases![
    facts_and_kinds_are_kept,
    a_gate_opens_for_what_has_all_of_it,
    no_way_leads_around_a_gate,
    approvals_are_of_others_and_end_with_the_card,
    the_way_back_is_not_closed_by_age,
    an_alias_moves_from_where_it_is_expected_and_keeps_its_history,
    a_tier_is_lowered_by_those_who_approve,
];

const WEEK: Duration = Duration::from_secs(7 * 86400);

fn approver(principal: &str) -> Actor {
    Actor { principal: principal.into(), idempotency: None, approves: true }
}

/// The same database, with a gate before `production`.
async fn governed(place: &Place, requires: Vec<Requirement>) -> Registry {
    let clock = Arc::<ManualClock>::clone(&place.clock);
    let registry = Registry::open(&place.database, clock, Arc::new(SplitMix::seeded(7)), None).await.unwrap();
    let gate = GateSpec { requires, risk: BTreeMap::new() };
    let aliases = BTreeMap::from([("production".to_owned(), gate)]);
    registry.governed(GovernanceSpec { aliases, ..GovernanceSpec::default() })
}

fn card(summary: &str) -> Card {
    Card::read(&json!({
        "summary": summary, "owner": "a", "license": "mit", "intended_use": "b", "limitations": "c",
        "training_data": "d", "evaluation": "e",
    }))
    .unwrap()
}

fn evaluation(passed: bool) -> Evaluation {
    Evaluation::read(&json!({"monitor": "faith", "passed": passed, "score": 0.5})).unwrap()
}

fn evaluated() -> Requirement {
    Requirement::Evaluation { monitor: "faith".into(), max_age: Some(WEEK) }
}

async fn facts_and_kinds_are_kept(place: Place) {
    let registry = &place.registry;
    model(registry, "base").await;
    version(registry, "base").await;
    model(registry, "m").await;
    let facts = VersionFacts {
        format: Some(Format::Gguf),
        sha256: Some(Digest::of(b"x")),
        signature: Some(Signature::read(&json!({"inputs": [{"type": "string"}]})).unwrap()),
        lineage: Lineage { parent: Some(VersionId::read("base/1").unwrap()), ..Lineage::default() },
    };
    let new = VersionRequest { facts: facts.clone(), ..version_of("m", "s3://b/x") };
    registry.create_version(&ann(), new).await.unwrap();
    assert_eq!(registry.version(&name("m"), 1).await.unwrap().facts, facts);
    let lineage = Lineage { parent: Some(VersionId::read("base/2").unwrap()), ..Lineage::default() };
    let orphan = VersionFacts { lineage, ..VersionFacts::default() };
    let new = VersionRequest { facts: orphan, ..version_of("m", "s3://b/x") };
    assert_eq!(kind(registry.create_version(&ann(), new).await), RegistryFaultKind::Invalid);
    registry.classify(&ann(), &name("m"), Some(Kind::LoraAdapter), None).await.unwrap();
    registry.classify(&ann(), &name("m"), None, Some(RiskTier::Limited)).await.unwrap();
    let found = registry.model(&name("m")).await.unwrap();
    assert_eq!((found.kind, found.risk), (Some(Kind::LoraAdapter), Some(RiskTier::Limited)));
}

async fn a_gate_opens_for_what_has_all_of_it(place: Place) {
    let registry = &governed(&place, vec![Requirement::Card, evaluated(), Requirement::Approvals(1)]).await;
    model(registry, "m").await;
    version(registry, "m").await;
    let (m, production) = (name("m"), alias("production"));
    let refused = registry.set_alias(&approver("bob"), &m, &production, 1).await.unwrap_err();
    assert_eq!(refused.kind, RegistryFaultKind::Forbidden);
    assert_eq!(
        refused.says,
        "`production` cannot stand for version 1 of m: it has no model card; it was not evaluated by `faith`; it has 0 \
         of 1 approvals by others than its owner"
    );
    registry.set_card(&ann(), &m, 1, &card("x")).await.unwrap();
    registry.evaluated(&ann(), &m, 1, evaluation(false)).await.unwrap();
    registry.approve(&approver("bob"), &m, 1, &production, "looks good").await.unwrap();
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), [Missing::Failed("faith".into())]);
    registry.evaluated(&ann(), &m, 1, evaluation(true)).await.unwrap();
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), []);
    // Whoever may not approve cannot move it, even through an open gate.
    assert_eq!(kind(registry.set_alias(&ann(), &m, &production, 1).await), RegistryFaultKind::Forbidden);
    registry.set_alias(&approver("bob"), &m, &production, 1).await.unwrap();
    assert_eq!(registry.version_by_alias(&m, "production").await.unwrap().version, 1);
    assert_eq!(registry.evaluations(&m, 1).await.unwrap().len(), 2);
    assert!(registry.verify_audit(&[]).await.unwrap().is_ok());
}

async fn no_way_leads_around_a_gate(place: Place) {
    let registry = &governed(&place, vec![Requirement::Card]).await;
    for text in ["m", "n"] {
        model(registry, text).await;
        version(registry, text).await;
        version(registry, text).await;
    }
    let (m, n, bob) = (name("m"), name("n"), approver("bob"));
    // In another case, by a stage of the same name, by nobody who may.
    for other in ["Production", "PRODUCTION"] {
        assert_eq!(kind(registry.set_alias(&bob, &m, &alias(other), 1).await), RegistryFaultKind::Forbidden);
    }
    assert_eq!(kind(registry.transition(&bob, &m, 1, Stage::Production, false).await), RegistryFaultKind::Forbidden);
    registry.set_card(&ann(), &m, 1, &card("x")).await.unwrap();
    assert_eq!(kind(registry.transition(&ann(), &m, 1, Stage::Production, true).await), RegistryFaultKind::Forbidden);
    registry.set_alias(&bob, &m, &alias("production"), 1).await.unwrap();
    registry.transition(&bob, &m, 1, Stage::Production, false).await.unwrap();
    // What it stands for cannot be taken away either, nor its name come to mean another model.
    assert_eq!(kind(registry.delete_alias(&ann(), &m, "production").await), RegistryFaultKind::Forbidden);
    assert_eq!(kind(registry.delete_version(&ann(), &m, 1).await), RegistryFaultKind::Forbidden);
    assert_eq!(kind(registry.delete_model(&ann(), &m).await), RegistryFaultKind::Forbidden);
    assert_eq!(kind(registry.rename_model(&ann(), &m, &name("o")).await), RegistryFaultKind::Forbidden);
    assert_eq!(kind(registry.transition(&ann(), &m, 1, Stage::Archived, false).await), RegistryFaultKind::Forbidden);
    // What is not governed moves as before.
    registry.set_alias(&ann(), &m, &alias("champion"), 2).await.unwrap();
    registry.transition(&ann(), &n, 1, Stage::Staging, true).await.unwrap();
    registry.delete_version(&ann(), &m, 2).await.unwrap();
    registry.delete_model(&ann(), &n).await.unwrap();
    registry.delete_version(&bob, &m, 1).await.unwrap();
}

async fn approvals_are_of_others_and_end_with_the_card(place: Place) {
    let registry = &governed(&place, vec![Requirement::Card, Requirement::Approvals(2)]).await;
    model(registry, "m").await;
    version(registry, "m").await;
    let (m, production) = (name("m"), alias("production"));
    let own = Actor { approves: true, ..ann() };
    registry.set_card(&ann(), &m, 1, &card("x")).await.unwrap();
    assert_eq!(kind(registry.approve(&own, &m, 1, &production, "").await), RegistryFaultKind::Forbidden);
    let unable = Actor { approves: false, ..approver("eve") };
    assert_eq!(kind(registry.approve(&unable, &m, 1, &production, "").await), RegistryFaultKind::Forbidden);
    assert_eq!(kind(registry.approve(&own, &m, 1, &alias("champion"), "").await), RegistryFaultKind::Invalid);
    for _ in 0..2 {
        // One principal is one approval, however often he approves.
        registry.approve(&approver("bob"), &m, 1, &production, "").await.unwrap();
    }
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), [Missing::Approvals { have: 1, need: 2 }]);
    registry.approve(&approver("eve"), &m, 1, &production, "").await.unwrap();
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), []);
    registry.withdraw(&approver("eve"), &m, 1, &production).await.unwrap();
    assert_eq!(registry.approvals(&m, 1).await.unwrap().len(), 1);
    registry.approve(&approver("eve"), &m, 1, &production, "").await.unwrap();
    // The same card again changes nothing; another one was not what they saw.
    registry.set_card(&ann(), &m, 1, &card("x")).await.unwrap();
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), []);
    registry.set_card(&ann(), &m, 1, &card("y")).await.unwrap();
    assert_eq!(registry.lacks(&m, 1, &production).await.unwrap(), [Missing::Approvals { have: 0, need: 2 }]);
}

async fn the_way_back_is_not_closed_by_age(place: Place) {
    let registry = &governed(&place, vec![evaluated()]).await;
    model(registry, "m").await;
    let (m, production, bob) = (name("m"), alias("production"), approver("bob"));
    for number in 1..=3 {
        version(registry, "m").await;
        registry.evaluated(&ann(), &m, number, evaluation(true)).await.unwrap();
    }
    registry.set_alias(&bob, &m, &production, 1).await.unwrap();
    registry.set_alias(&bob, &m, &production, 2).await.unwrap();
    place.clock.advance(WEEK + Duration::from_secs(1));
    assert_eq!(kind(registry.set_alias(&bob, &m, &production, 3).await), RegistryFaultKind::Forbidden);
    registry.set_alias(&bob, &m, &production, 1).await.unwrap();
}

async fn an_alias_moves_from_where_it_is_expected_and_keeps_its_history(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    for _ in 0..3 {
        version(registry, "m").await;
    }
    let (m, champion) = (name("m"), alias("champion"));
    registry.move_alias(&ann(), &m, &champion, 1, Some(None)).await.unwrap();
    assert_eq!(kind(registry.move_alias(&ann(), &m, &champion, 2, Some(None)).await), RegistryFaultKind::Conflict);
    assert_eq!(kind(registry.move_alias(&ann(), &m, &champion, 2, Some(Some(3))).await), RegistryFaultKind::Conflict);
    registry.move_alias(&ann(), &m, &champion, 2, Some(Some(1))).await.unwrap();
    registry.delete_version(&ann(), &m, 2).await.unwrap();
    registry.set_alias(&ann(), &m, &champion, 3).await.unwrap();
    registry.delete_alias(&ann(), &m, "champion").await.unwrap();
    let moves = registry.alias_moves(&m, &champion).await.unwrap();
    let ends: Vec<_> = moves.iter().rev().map(|it| (it.before, it.after)).collect();
    assert_eq!(ends, [(None, Some(1)), (Some(1), Some(2)), (Some(2), None), (None, Some(3)), (Some(3), None)]);
    assert!(moves.iter().all(|it| it.by == "ann"));
}

async fn a_tier_is_lowered_by_those_who_approve(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    let m = name("m");
    registry.classify(&ann(), &m, None, Some(RiskTier::High)).await.unwrap();
    let lower = registry.classify(&ann(), &m, None, Some(RiskTier::Minimal)).await;
    assert_eq!(kind(lower), RegistryFaultKind::Forbidden);
    registry.classify(&approver("bob"), &m, None, Some(RiskTier::Minimal)).await.unwrap();
    assert_eq!(registry.model(&m).await.unwrap().risk, Some(RiskTier::Minimal));
}
