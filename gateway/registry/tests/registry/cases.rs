//! What must hold of a registry, whichever database it lives in.

use crate::{Place, ann, tampering};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_registry::alias::AliasName;
use tidegate_registry::facts::VersionFacts;
use tidegate_registry::model::RegisteredName;
use tidegate_registry::registry::{IdempotencyKey, NewModel, VersionRequest};
use tidegate_registry::source::Source;
use tidegate_registry::tag::Tags;
use tidegate_registry::version::Stage;
use tidegate_registry::{Actor, Range, Registry, RegistryFault, RegistryFaultKind};

pub(crate) type Case = fn(Place) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const ALL: &[(&str, $crate::cases::Case)] = &[$((stringify!($name), |place| Box::pin($name(place)))),*];
    };
}
pub(crate) use cases;

cases![
    names_are_taken_once_and_freed,
    numbers_are_never_used_again,
    parallel_writers_lose_nothing,
    aliases_follow_their_moves,
    stages_archive_what_stood_there,
    a_version_of_a_version_has_its_files,
    searches_find_what_their_filter_says,
    pages_hold_everything_once,
    a_request_sent_twice_is_done_once,
    times_move_as_mlflow_says,
    changes_dropped_midway_leave_nothing,
    the_audit_log_holds_every_change,
    tampering_shows,
];

const ALL_OF_IT: Range = Range { limit: 1000, offset: 0 };

pub(crate) fn name(text: &str) -> RegisteredName {
    RegisteredName::new(text).unwrap()
}

pub(crate) fn alias(text: &str) -> AliasName {
    AliasName::new(text).unwrap()
}

fn new_model(text: &str) -> NewModel {
    NewModel {
        name: name(text),
        description: String::new(),
        deployment_job: String::new(),
        tags: Tags::default(),
        kind: None,
        risk: None,
    }
}

pub(crate) async fn model(registry: &Registry, text: &str) {
    model_with(registry, text, &[]).await;
}

async fn model_with(registry: &Registry, text: &str, tags: &[(&str, &str)]) {
    let mut checked = Tags::default();
    for (key, value) in tags {
        checked.add(key, value).unwrap();
    }
    registry.create_model(&ann(), NewModel { tags: checked, ..new_model(text) }).await.unwrap();
}

pub(crate) fn version_of(text: &str, source: &str) -> VersionRequest {
    VersionRequest {
        name: name(text),
        source: Source::check(source, "", "").unwrap(),
        run_id: None,
        run_link: String::new(),
        logged_model: String::new(),
        description: String::new(),
        tags: Tags::default(),
        facts: VersionFacts::default(),
    }
}

pub(crate) async fn version(registry: &Registry, text: &str) -> i64 {
    number(&registry.create_version(&ann(), version_of(text, "s3://b/x")).await.unwrap())
}

pub(crate) fn number(version: &Value) -> i64 {
    version["version"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, RegistryFault>) -> RegistryFaultKind {
    result.unwrap_err().kind
}

async fn names_are_taken_once_and_freed(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    assert_eq!(kind(registry.create_model(&ann(), new_model("m")).await), RegistryFaultKind::Exists);
    // Case counts, and so does every character.
    model(registry, "M").await;
    model(registry, "модель 1 \"'%_\\").await;
    assert_eq!(kind(registry.rename_model(&ann(), &name("m"), &name("M")).await), RegistryFaultKind::Exists);
    version(registry, "m").await;
    registry.rename_model(&ann(), &name("m"), &name("n")).await.unwrap();
    assert_eq!(kind(registry.model(&name("m")).await), RegistryFaultKind::Missing);
    assert_eq!(registry.version(&name("n"), 1).await.unwrap().name, name("n"));
    registry.rename_model(&ann(), &name("n"), &name("n")).await.unwrap();
    registry.delete_model(&ann(), &name("n")).await.unwrap();
    assert_eq!(kind(registry.version(&name("n"), 1).await), RegistryFaultKind::Missing);
    model(registry, "n").await;
    assert_eq!(version(registry, "n").await, 1);
}

async fn numbers_are_never_used_again(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    for expected in 1..=3 {
        assert_eq!(version(registry, "m").await, expected);
    }
    registry.delete_version(&ann(), &name("m"), 3).await.unwrap();
    registry.delete_version(&ann(), &name("m"), 1).await.unwrap();
    assert_eq!(version(registry, "m").await, 4);
    assert_eq!(kind(registry.version(&name("m"), 3).await), RegistryFaultKind::Missing);
    assert_eq!(kind(registry.delete_version(&ann(), &name("m"), 3).await), RegistryFaultKind::Missing);
}

async fn parallel_writers_lose_nothing(place: Place) {
    const WRITERS: i64 = 32;
    const EACH: i64 = 4;
    let registry = &place.registry;
    model(registry, "m").await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let registry = Arc::clone(registry);
            tokio::spawn(async move {
                let by = Actor { principal: format!("writer-{writer}"), idempotency: None, approves: false };
                let mut numbers = Vec::new();
                for i in 0..EACH {
                    let made = registry.create_version(&by, version_of("m", "s3://b/x")).await.unwrap();
                    numbers.push(number(&made));
                    let key = format!("{writer}-{i}");
                    registry.set_tag(&by, &name("m"), None, &key, "x").await.unwrap();
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for writer in writers {
        numbers.extend(writer.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=WRITERS * EACH).collect::<Vec<_>>());
    assert_eq!(registry.model(&name("m")).await.unwrap().tags.len(), usize::try_from(WRITERS * EACH).unwrap());
    let chain = registry.verify_audit(&[]).await.unwrap().unwrap();
    assert_eq!(chain.length(), 1 + 2 * WRITERS * EACH);
}

async fn aliases_follow_their_moves(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    assert_eq!(kind(registry.version_by_alias(&name("m"), "latest").await), RegistryFaultKind::Missing);
    version(registry, "m").await;
    version(registry, "m").await;
    registry.set_alias(&ann(), &name("m"), &alias("champion"), 1).await.unwrap();
    assert_eq!(registry.version_by_alias(&name("m"), "champion").await.unwrap().version, 1);
    registry.set_alias(&ann(), &name("m"), &alias("champion"), 2).await.unwrap();
    let found = registry.version_by_alias(&name("m"), "champion").await.unwrap();
    assert_eq!((found.version, found.aliases), (2, vec!["champion".to_owned()]));
    assert_eq!(registry.model(&name("m")).await.unwrap().aliases["champion"], 2);
    assert_eq!(registry.version_by_alias(&name("m"), "LATEST").await.unwrap().version, 2);
    assert_eq!(kind(registry.set_alias(&ann(), &name("m"), &alias("q"), 9).await), RegistryFaultKind::Missing);
    assert_eq!(kind(registry.version_by_alias(&name("m"), "q").await), RegistryFaultKind::Invalid);
    // A version that goes takes its aliases with it.
    registry.delete_version(&ann(), &name("m"), 2).await.unwrap();
    assert_eq!(kind(registry.version_by_alias(&name("m"), "champion").await), RegistryFaultKind::Invalid);
    registry.delete_alias(&ann(), &name("m"), "champion").await.unwrap();
}

async fn stages_archive_what_stood_there(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    for _ in 0..3 {
        version(registry, "m").await;
    }
    registry.transition(&ann(), &name("m"), 1, Stage::Production, false).await.unwrap();
    registry.transition(&ann(), &name("m"), 2, Stage::Production, false).await.unwrap();
    registry.transition(&ann(), &name("m"), 3, Stage::Production, true).await.unwrap();
    let stages: Vec<_> = futures_util::future::join_all((1..=3).map(|v| {
        let registry = Arc::clone(registry);
        async move { registry.version(&name("m"), v).await.unwrap().stage }
    }))
    .await;
    assert_eq!(stages, [Stage::Archived, Stage::Archived, Stage::Production]);
    let latest = registry.latest_versions(&name("m"), &[]).await.unwrap();
    assert_eq!(latest.iter().map(|v| v.version).collect::<Vec<_>>(), [2, 3]);
    let latest = registry.latest_versions(&name("m"), &[Stage::Production]).await.unwrap();
    assert_eq!(latest.iter().map(|v| v.version).collect::<Vec<_>>(), [3]);
}

async fn a_version_of_a_version_has_its_files(place: Place) {
    let registry = &place.registry;
    for text in ["a", "b", "c"] {
        model(registry, text).await;
    }
    version(registry, "a").await;
    registry.set_alias(&ann(), &name("a"), &alias("champion"), 1).await.unwrap();
    let made = registry.create_version(&ann(), version_of("b", "models:/a@champion")).await.unwrap();
    assert_eq!(made["source"], "models:/a/1");
    registry.create_version(&ann(), version_of("c", "models:/b/1")).await.unwrap();
    // What it was made of may go: where the files lie was settled when it was made.
    registry.delete_model(&ann(), &name("a")).await.unwrap();
    assert_eq!(registry.version(&name("c"), 1).await.unwrap().storage, "s3://b/x");
    assert_eq!(kind(registry.create_version(&ann(), version_of("c", "models:/a/1")).await), RegistryFaultKind::Missing);
}

async fn searches_find_what_their_filter_says(place: Place) {
    let registry = &place.registry;
    model_with(registry, "Alpha", &[("team", "x"), ("t y/z", "v")]).await;
    model_with(registry, "alpha_1", &[("team", "X")]).await;
    model_with(registry, "beta\\%", &[]).await;
    let find = async |filter: &str| -> Vec<String> {
        let page = registry.search_models(filter, &[], ALL_OF_IT).await.unwrap();
        page.items.iter().map(|model| model.name.to_string()).collect()
    };
    assert_eq!(find("").await, ["Alpha", "alpha_1", "beta\\%"]);
    assert_eq!(find("name LIKE 'alpha%'").await, ["alpha_1"]);
    assert_eq!(find("name ILIKE 'ALPHA%'").await, ["Alpha", "alpha_1"]);
    assert_eq!(find("name LIKE '%\\%'").await, ["beta\\%"]);
    assert_eq!(find("name LIKE 'alpha_1'").await, ["alpha_1"]);
    assert_eq!(find("name LIKE '~%'").await, Vec::<String>::new());
    assert_eq!(find("name != 'Alpha'").await, ["alpha_1", "beta\\%"]);
    assert_eq!(find("name IN ('Alpha', 'beta\\%', 'x')").await, ["Alpha", "beta\\%"]);
    assert_eq!(find("name NOT IN ('Alpha')").await, ["alpha_1", "beta\\%"]);
    assert_eq!(find("tags.team = 'x'").await, ["Alpha"]);
    // A tag that is missing fits nothing, not even an inequality.
    assert_eq!(find("tags.team != 'x'").await, ["alpha_1"]);
    assert_eq!(find("tags.team ILIKE 'x' AND tags.`t y/z` = 'v'").await, ["Alpha"]);
    assert_eq!(find("name = 'x'' OR 1=1 --'").await, Vec::<String>::new());

    for run in ["r1", "r2"] {
        let mut new = version_of("Alpha", "s3://b/x");
        new.run_id = Some(run.into());
        new.tags.add("k", run).unwrap();
        registry.create_version(&ann(), new).await.unwrap();
    }
    version(registry, "alpha_1").await;
    let find = async |filter: &str, order: &str| -> Vec<String> {
        let order: Vec<String> = if order.is_empty() { Vec::new() } else { vec![order.to_owned()] };
        let page = registry.search_versions(filter, &order, ALL_OF_IT).await.unwrap();
        page.items.iter().map(|v| format!("{}/{}", v.name, v.version)).collect()
    };
    assert_eq!(find("", "").await, ["Alpha/2", "Alpha/1", "alpha_1/1"]);
    assert_eq!(find("name = 'Alpha' AND run_id IN ('r1')", "").await, ["Alpha/1"]);
    assert_eq!(find("version_number > 1", "").await, ["Alpha/2"]);
    assert_eq!(find("source_path LIKE 's3://%'", "version_number ASC").await, ["Alpha/1", "alpha_1/1", "Alpha/2"]);
    assert_eq!(find("tags.k = 'r2'", "").await, ["Alpha/2"]);
    assert_eq!(find("run_id = ''", "").await, ["alpha_1/1"]);
}

async fn pages_hold_everything_once(place: Place) {
    let registry = &place.registry;
    for i in 0..23 {
        model(registry, &format!("m{i:02}")).await;
    }
    for limit in [1, 5, 23, 100] {
        let (mut offset, mut seen) = (0, Vec::new());
        loop {
            let order = ["name DESC".to_owned()];
            let page = registry.search_models("", &order, Range { limit, offset }).await.unwrap();
            seen.extend(page.items.iter().map(|model| model.name.to_string()));
            match page.next {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(seen, (0..23).rev().map(|i| format!("m{i:02}")).collect::<Vec<_>>(), "{limit}");
    }
}

async fn a_request_sent_twice_is_done_once(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    let keyed = |key: &str, request: &str| Actor {
        idempotency: Some(IdempotencyKey::new(key, Digest::of(request.as_bytes())).unwrap()),
        ..ann()
    };
    let first = registry.create_version(&keyed("k", "a"), version_of("m", "s3://b/x")).await.unwrap();
    let again = registry.create_version(&keyed("k", "a"), version_of("m", "s3://b/x")).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(
        kind(registry.create_version(&keyed("k", "b"), version_of("m", "s3://b/y")).await),
        RegistryFaultKind::Conflict
    );
    // Another's key is another key, and a fault is not kept.
    let other = Actor { principal: "bob".into(), ..keyed("k", "a") };
    assert_eq!(number(&registry.create_version(&other, version_of("m", "s3://b/x")).await.unwrap()), 2);
    assert_eq!(kind(registry.delete_version(&keyed("d", "d"), &name("m"), 9).await), RegistryFaultKind::Missing);
    registry.delete_version(&keyed("e", "e"), &name("m"), 2).await.unwrap();
    registry.delete_version(&keyed("e", "e"), &name("m"), 2).await.unwrap();
    // Many at once.
    let all = (0..16).map(|_| {
        let (registry, by) = (Arc::clone(registry), keyed("many", "m"));
        tokio::spawn(async move { registry.create_version(&by, version_of("m", "s3://b/x")).await.unwrap() })
    });
    let answers: Vec<Value> = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| number(answer) == 3), "{answers:?}");
    // After a day it is another request.
    place.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(number(&registry.create_version(&keyed("k", "a"), version_of("m", "s3://b/x")).await.unwrap()), 4);
}

async fn times_move_as_mlflow_says(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    let made = registry.model(&name("m")).await.unwrap();
    assert_eq!(made.created, made.updated);
    let mut last = made.updated;
    let mut moved = async |moves: bool, what: &str| {
        let now = registry.model(&name("m")).await.unwrap().updated;
        assert_eq!(now > last, moves, "{what}");
        last = now;
        place.clock.advance(Duration::from_millis(5));
    };
    moved(false, "nothing").await;
    version(registry, "m").await;
    moved(true, "a version").await;
    registry.set_tag(&ann(), &name("m"), None, "a", "b").await.unwrap();
    registry.set_alias(&ann(), &name("m"), &alias("x"), 1).await.unwrap();
    registry.describe_version(&ann(), &name("m"), 1, Some("new")).await.unwrap();
    moved(false, "a tag, an alias, a version's description").await;
    registry.transition(&ann(), &name("m"), 1, Stage::Staging, false).await.unwrap();
    moved(true, "a stage").await;
    registry.describe_model(&ann(), &name("m"), "new", None).await.unwrap();
    moved(true, "a description").await;
    registry.delete_version(&ann(), &name("m"), 1).await.unwrap();
    moved(true, "a version's removal").await;
}

async fn changes_dropped_midway_leave_nothing(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    for patience in 0..40 {
        let by = ann();
        let changing = registry.create_version(&by, version_of("m", "s3://b/x"));
        drop(tokio::time::timeout(Duration::from_micros(patience * 50), changing).await);
    }
    // A commit that was sent may still be under way where the database is another process; the next change waits for it.
    let last = version(registry, "m").await;
    // Whatever was cut short, numbers have no gap and the log has all that was done.
    let versions = registry.search_versions("name = 'm'", &["version_number ASC".into()], ALL_OF_IT).await.unwrap();
    let numbers: Vec<i64> = versions.items.iter().map(|v| v.version).collect();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    let chain = registry.verify_audit(&[]).await.unwrap().unwrap();
    assert_eq!(chain.length(), 1 + i64::try_from(numbers.len()).unwrap());
    assert_eq!(last, i64::try_from(numbers.len()).unwrap());
}

async fn the_audit_log_holds_every_change(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    version(registry, "m").await;
    registry.set_alias(&ann(), &name("m"), &alias("champion"), 1).await.unwrap();
    registry.delete_alias(&ann(), &name("m"), "absent").await.unwrap();
    registry.delete_model(&ann(), &name("m")).await.unwrap();
    let log = registry.audit(0, 100).await.unwrap();
    let deeds: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    assert_eq!(
        deeds,
        [
            ("model.create", "models:/m"),
            ("version.create", "models:/m/1"),
            ("alias.set", "models:/m@champion"),
            ("model.delete", "models:/m")
        ]
    );
    assert!(log.iter().all(|entry| entry.actor == "ann"));
    assert_eq!(log[2].detail.as_deref(), Some("{\"from\":null,\"to\":1}"));
    assert_eq!(registry.verify_audit(&[]).await.unwrap().unwrap().length(), 4);
    // Another replica, opened later, knows it all.
    let other = crate::open(place.database.clone()).await.registry;
    assert_eq!(other.verify_audit(&[]).await.unwrap().unwrap().length(), 4);
    model(registry, "n").await;
    assert_eq!(other.model(&name("n")).await.unwrap().owner, "ann");
    other.close().await;
}

async fn tampering_shows(place: Place) {
    let registry = &place.registry;
    for i in 0..5 {
        model(registry, &format!("m{i}")).await;
    }
    tampering::check(registry, &place.database).await;
}
