//! How a registry answers when it is full: 10,000 models with 10 versions each (or as many as the arguments say).
//!
//! ```sh
//! cargo run --release -p tidegate-registry --example many_models -- FOLDER [MODELS] [VERSIONS]
//! ```
//!
//! A folder that was filled before is used again.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::DatabaseSpec;
use tidegate_registry::alias::AliasName;
use tidegate_registry::facts::VersionFacts;
use tidegate_registry::model::RegisteredName;
use tidegate_registry::registry::{NewModel, VersionRequest};
use tidegate_registry::source::Source;
use tidegate_registry::tag::Tags;
use tidegate_registry::{Actor, Range, Registry};

type Done<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give a folder")?;
    let models: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let versions: usize = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let database = DatabaseSpec::Sqlite(Path::new(&folder).join("registry.db"));
    let registry = Registry::open(&database, Arc::new(SystemClock), Arc::new(SplitMix::seeded(1)), None).await?;
    fill(&registry, models, versions).await?;

    let name = |i: usize| RegisteredName::new(&format!("model-{:05}", i % models));
    let pick = |i: usize| name(i.wrapping_mul(7919));
    let mut took = Vec::new();
    for i in 0..5000 {
        let name = pick(i)?;
        let begun = Instant::now();
        registry.model(&name).await?;
        took.push(begun.elapsed());
    }
    show("GET of a model", &mut took);
    for i in 0..5000 {
        let name = pick(i)?;
        let begun = Instant::now();
        registry.version_by_alias(&name, "champion").await?;
        took.push(begun.elapsed());
    }
    show("GET of an alias", &mut took);
    let some = format!("name = 'model-{:05}'", models / 2);
    for (what, filter) in [
        ("search of models, all", ""),
        ("search of models, by a part of the name", "name LIKE '%9%'"),
        ("search of models, in any case, by nothing that is there", "name ILIKE '%NOTHING%'"),
        ("search of models, by a tag", "tags.team = 'team-7'"),
    ] {
        for _ in 0..20 {
            let begun = Instant::now();
            registry.search_models(filter, &[], Range { limit: 100, offset: 0 }).await?;
            took.push(begun.elapsed());
        }
        show(what, &mut took);
    }
    for (what, filter, limit) in [
        ("search of versions, the 100 newest", "", 100),
        ("search of versions, of one model", some.as_str(), 10_000),
        ("search of versions, by their run", "run_id = 'run-77'", 10_000),
    ] {
        for _ in 0..20 {
            let begun = Instant::now();
            registry.search_versions(filter, &[], Range { limit, offset: 0 }).await?;
            took.push(begun.elapsed());
        }
        show(what, &mut took);
    }
    Ok(())
}

async fn fill(registry: &Registry, models: usize, versions: usize) -> Done {
    let last = RegisteredName::new(&format!("model-{:05}", models - 1))?;
    if registry.version_by_alias(&last, "champion").await.is_ok() {
        return Ok(());
    }
    let by = Actor { principal: "scale".into(), idempotency: None, approves: false };
    let begun = Instant::now();
    for i in 0..models {
        let name = RegisteredName::new(&format!("model-{i:05}"))?;
        let mut tags = Tags::default();
        tags.add("team", &format!("team-{}", i % 100))?;
        let new = NewModel {
            name: name.clone(),
            description: "x".repeat(100),
            deployment_job: String::new(),
            tags,
            kind: None,
            risk: None,
        };
        registry.create_model(&by, new).await?;
        for v in 0..versions {
            let new = VersionRequest {
                name: name.clone(),
                source: Source::check(&format!("s3://bucket/{i}/{v}"), "", "")?,
                run_id: Some(format!("run-{}", i * versions + v)),
                run_link: String::new(),
                logged_model: String::new(),
                description: String::new(),
                tags: Tags::default(),
                facts: VersionFacts::default(),
            };
            registry.create_version(&by, new).await?;
        }
        registry.set_alias(&by, &name, &AliasName::new("champion")?, 1).await?;
    }
    let writes = models * (versions + 2);
    println!(
        "{writes} writes, each durable, in {:.0?}: {:.0?} each",
        begun.elapsed(),
        begun.elapsed() / u32::try_from(writes)?
    );
    Ok(())
}

fn show(what: &str, took: &mut Vec<Duration>) {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!("{what}: p50 {:.2?}, p99 {:.2?}, most {:.2?}", at(50), at(99), at(100));
    took.clear();
}
