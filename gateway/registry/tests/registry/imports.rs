//! What must hold of what comes from another registry: numbers are kept, nothing is written twice or over what was
//! changed here, and no gate is passed.

use crate::cases::{alias, cases, model, name, version};
use crate::{Place, ann};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::{GateSpec, GovernanceSpec, Requirement};
use tidegate_registry::Registry;
use tidegate_registry::import::{Imported, ImportedModel, ImportedVersion, Known};
use tidegate_registry::registry::Import;
use tidegate_registry::tag::Tags;
use tidegate_registry::version::Stage;

cases![
    numbers_are_kept_and_what_is_known_is_not_written_again,
    what_was_changed_here_stays,
    a_number_that_was_used_here_is_not_used_again,
    no_import_passes_a_gate,
    aliases_follow_until_they_are_changed_here,
];

fn import() -> Import {
    Import { origin: "http://other:5000".into(), by: "ann".into() }
}

fn there(description: &str) -> ImportedModel {
    let mut tags = Tags::default();
    tags.add("team", "a").unwrap();
    ImportedModel {
        name: name("m"),
        description: description.into(),
        deployment_job: String::new(),
        tags,
        created: 1_000,
        updated: 2_000,
    }
}

fn of(number: i64, description: &str) -> ImportedVersion {
    ImportedVersion {
        name: name("m"),
        version: number,
        source: format!("runs:/r{number}/model"),
        storage: format!("mlflow-artifacts:/imported/m/{number}"),
        run_id: format!("r{number}"),
        run_link: String::new(),
        logged_model: String::new(),
        owner: "eve".into(),
        description: description.into(),
        stage: Stage::Staging,
        tags: Tags::default(),
        created: 1_500,
        updated: 1_600,
    }
}

fn is_kept(outcome: &Imported) -> bool {
    matches!(outcome, Imported::Kept(_))
}

async fn numbers_are_kept_and_what_is_known_is_not_written_again(place: Place) {
    let registry = &place.registry;
    assert_eq!(registry.import_model(&import(), &there("one")).await.unwrap(), Imported::Created);
    assert_eq!(registry.known(&name("m"), 2).await.unwrap(), Known::New);
    for number in [2, 5] {
        assert_eq!(registry.import_version(&import(), &of(number, "v")).await.unwrap(), Imported::Created);
    }
    let kept = registry.version(&name("m"), 5).await.unwrap();
    assert_eq!((kept.owner.as_str(), kept.created, kept.stage), ("eve", 1_500, Stage::Staging));
    let entries = registry.head().await.unwrap();
    assert_eq!(registry.import_model(&import(), &there("one")).await.unwrap(), Imported::Same);
    assert_eq!(registry.import_version(&import(), &of(5, "v")).await.unwrap(), Imported::Same);
    assert_eq!(registry.head().await.unwrap(), entries, "what changes nothing is in no log");
    assert_eq!(registry.import_version(&import(), &of(5, "better")).await.unwrap(), Imported::Changed);
    assert_eq!(registry.version(&name("m"), 5).await.unwrap().description.as_deref(), Some("better"));
    let moved = ImportedVersion { storage: "mlflow-artifacts:/imported/here".into(), ..of(5, "better") };
    assert_eq!(registry.import_version(&import(), &moved).await.unwrap(), Imported::Changed);
    assert_eq!(registry.known(&name("m"), 5).await.unwrap(), Known::Here(moved.storage));
    // One that was left out before goes into its gap, and a new one is behind the highest.
    assert_eq!(registry.import_version(&import(), &of(3, "late")).await.unwrap(), Imported::Created);
    assert_eq!(version(registry, "m").await, 6);
    assert!(registry.verify_audit(&[]).await.unwrap().is_ok());
}

async fn what_was_changed_here_stays(place: Place) {
    let registry = &place.registry;
    registry.import_model(&import(), &there("one")).await.unwrap();
    registry.import_version(&import(), &of(1, "v")).await.unwrap();
    registry.describe_model(&ann(), &name("m"), "ours", None).await.unwrap();
    assert_eq!(registry.import_model(&import(), &there("one")).await.unwrap(), Imported::Same, "nothing new there");
    assert!(is_kept(&registry.import_model(&import(), &there("theirs")).await.unwrap()));
    assert_eq!(registry.model(&name("m")).await.unwrap().description, "ours");
    let other = ImportedVersion { run_id: "another".into(), ..of(1, "v") };
    assert!(is_kept(&registry.import_version(&import(), &other).await.unwrap()), "made anew there");
    registry.delete_version(&ann(), &name("m"), 1).await.unwrap();
    assert!(is_kept(&registry.import_version(&import(), &of(1, "v")).await.unwrap()), "deleted here");
    registry.delete_model(&ann(), &name("m")).await.unwrap();
    assert!(is_kept(&registry.import_model(&import(), &there("one")).await.unwrap()), "deleted here");
}

async fn a_number_that_was_used_here_is_not_used_again(place: Place) {
    let registry = &place.registry;
    model(registry, "m").await;
    version(registry, "m").await;
    registry.delete_version(&ann(), &name("m"), 1).await.unwrap();
    assert!(is_kept(&registry.import_model(&import(), &there("one")).await.unwrap()), "one of ours has its name");
    assert!(is_kept(&registry.import_version(&import(), &of(1, "v")).await.unwrap()));
    // Nor where the model came from there, and a version was made here.
    let import = Import { origin: "http://third".into(), ..import() };
    let mut third = there("one");
    third.name = name("n");
    registry.import_model(&import, &third).await.unwrap();
    assert_eq!(version(registry, "n").await, 1);
    registry.delete_version(&ann(), &name("n"), 1).await.unwrap();
    assert!(is_kept(
        &registry.import_version(&import, &ImportedVersion { name: name("n"), ..of(1, "v") }).await.unwrap()
    ));
}

async fn no_import_passes_a_gate(place: Place) {
    let clock = Arc::<ManualClock>::clone(&place.clock);
    let registry = Registry::open(&place.database, clock, Arc::new(SplitMix::seeded(7)), None).await.unwrap();
    let gate = GateSpec { requires: vec![Requirement::Card], risk: BTreeMap::new() };
    let aliases = BTreeMap::from([("production".to_owned(), gate)]);
    let registry = registry.governed(GovernanceSpec { aliases, ..GovernanceSpec::default() });
    registry.import_model(&import(), &there("one")).await.unwrap();
    let staged = ImportedVersion { stage: Stage::Production, ..of(1, "v") };
    assert_eq!(registry.import_version(&import(), &staged).await.unwrap(), Imported::Created);
    assert_eq!(registry.version(&name("m"), 1).await.unwrap().stage, Stage::None);
    let wanted = BTreeMap::from([("Production".to_owned(), 1), ("champion".to_owned(), 1), ("old".to_owned(), 9)]);
    let (outcome, left) = registry.import_aliases(&import(), &name("m"), &wanted).await.unwrap();
    assert_eq!((outcome, left.len()), (Imported::Created, 2), "{left:?}");
    assert_eq!(registry.model(&name("m")).await.unwrap().aliases, BTreeMap::from([("champion".to_owned(), 1)]));
}

async fn aliases_follow_until_they_are_changed_here(place: Place) {
    let registry = &place.registry;
    registry.import_model(&import(), &there("one")).await.unwrap();
    registry.import_version(&import(), &of(1, "v")).await.unwrap();
    registry.import_version(&import(), &of(2, "v")).await.unwrap();
    let aliases =
        |list: &[(&str, i64)]| list.iter().map(|(alias, n)| ((*alias).to_owned(), *n)).collect::<BTreeMap<_, _>>();
    let follow =
        async |list: &[(&str, i64)]| registry.import_aliases(&import(), &name("m"), &aliases(list)).await.unwrap().0;
    assert_eq!(follow(&[]).await, Imported::Same);
    assert_eq!(follow(&[("a", 1), ("b", 1)]).await, Imported::Created);
    assert_eq!(follow(&[("a", 1), ("b", 1)]).await, Imported::Same);
    assert_eq!(follow(&[("a", 2)]).await, Imported::Changed);
    assert_eq!(registry.model(&name("m")).await.unwrap().aliases, aliases(&[("a", 2)]));
    registry.set_alias(&ann(), &name("m"), &alias("a"), 1).await.unwrap();
    assert_eq!(follow(&[("a", 2)]).await, Imported::Same, "nothing new there");
    assert!(is_kept(&follow(&[("a", 2), ("b", 2)]).await));
    assert_eq!(registry.model(&name("m")).await.unwrap().aliases, aliases(&[("a", 1)]));
}
