//! What is kept beside models and versions: baselines, what replicas serve, and notices of changes.

use crate::cases::{cases, kind, model, name, version};
use crate::{Place, ann};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::models::{Models as _, Serving, ServingState};
use tidegate_core::port::table::{Cell, Table};
use tidegate_core::spec::DatabaseSpec;
use tidegate_core::{Fault, ReplicaId};
use tidegate_registry::RegistryFaultKind;
use tidegate_registry::baseline::Baseline;

cases![a_version_has_the_baseline_that_was_given_last, replicas_say_what_they_serve, a_change_is_noticed];

#[derive(Debug)]
struct Ramp(Vec<String>, u32);

impl Table for Ramp {
    fn columns(&self) -> &[String] {
        &self.0
    }

    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
        (0..self.1).try_for_each(|i| row(&[Cell::Number(f64::from(i) / 2.0)]))
    }
}

async fn a_version_has_the_baseline_that_was_given_last(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    version(registry, "m").await;
    let missing = registry.baseline(&name("m"), 1).await;
    assert_eq!(kind(missing), RegistryFaultKind::Missing);
    for rows in [10, 20] {
        let table = Ramp(vec!["x".into()], rows);
        let baseline = Baseline::build(&table, &SplitMix::seeded(1)).unwrap();
        let answer = registry.set_baseline(&ann(), &name("m"), 1, &baseline).await.unwrap();
        assert_eq!(answer["rows"], rows);
        assert_eq!(registry.baseline(&name("m"), 1).await.unwrap(), baseline.to_json());
    }
    let table = Ramp(vec!["x".into()], 3);
    let baseline = Baseline::build(&table, &SplitMix::seeded(1)).unwrap();
    let nowhere = registry.set_baseline(&ann(), &name("m"), 2, &baseline).await;
    assert_eq!(kind(nowhere), RegistryFaultKind::Missing);
    let log = registry.audit(0, 100).await.unwrap();
    assert_eq!(log.iter().filter(|entry| entry.action == "version.baseline").count(), 2);
    assert!(!log.last().unwrap().detail.as_deref().unwrap().contains("bins"));
}

async fn replicas_say_what_they_serve(place: Place) {
    let registry = &place.registry;
    let (a, b): (ReplicaId, ReplicaId) = ("a".parse().unwrap(), "b".parse().unwrap());
    let one = |reference: &str, version, state, reason: &str| Serving {
        reference: reference.parse().unwrap(),
        version,
        state,
        reason: reason.into(),
    };
    let seen = async || {
        let all = registry.replicas().await.unwrap();
        all.into_iter()
            .map(|it| format!("{} {} {:?} {}{}", it.replica, it.reference, it.state, it.version, it.reason))
            .collect::<Vec<_>>()
    };
    let before = registry.revision().await.unwrap();
    let x = "models:/m@x";
    registry
        .announce(&a, &[one(x, 1, ServingState::Loads, ""), one("models:/m/1", 1, ServingState::Serves, "")])
        .await
        .unwrap();
    registry.announce(&b, &[one(x, 1, ServingState::Refused, ": no")]).await.unwrap();
    assert_eq!(seen().await, ["a models:/m/1 Serves 1", "a models:/m@x Loads 1", "b models:/m@x Refused 1: no"]);
    registry.announce(&a, &[one(x, 2, ServingState::Serves, "")]).await.unwrap();
    assert_eq!(seen().await, ["a models:/m@x Serves 2", "b models:/m@x Refused 1: no"]);
    // Who notes nothing is gone, and who comes back is there.
    place.clock.advance(Duration::from_secs(50));
    registry.announce(&a, &[one(x, 2, ServingState::Serves, "")]).await.unwrap();
    place.clock.advance(Duration::from_secs(20));
    assert_eq!(seen().await, ["a models:/m@x Serves 2"]);
    registry.announce(&a, &[]).await.unwrap();
    assert!(seen().await.is_empty());
    // It was no change of the registry.
    assert_eq!(registry.revision().await.unwrap(), before);
    assert!(registry.audit(0, 10).await.unwrap().is_empty());
}

async fn a_change_is_noticed(place: Place) {
    let registry = Arc::clone(&place.registry);
    let listening = tokio::spawn(async move { registry.listen().await });
    if matches!(place.database, DatabaseSpec::Sqlite(_)) {
        // Nobody else could tell: it ends at once.
        listening.await.unwrap();
        return;
    }
    let within = async |what: &str| {
        let told = tokio::time::timeout(Duration::from_secs(10), place.registry.changed()).await;
        assert!(told.is_ok(), "{what}");
    };
    within("that it listens").await;
    let other = crate::open(place.database.clone()).await.registry;
    for i in 0..3 {
        model(&other, &format!("m{i}")).await;
        within("a change of another").await;
    }
    let revision = place.registry.revision().await.unwrap();
    assert_eq!((revision.number, revision.at), (3, Some(1_790_000_000_000)));
    listening.abort();
    other.close().await;
}
