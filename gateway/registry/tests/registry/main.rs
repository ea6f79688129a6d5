//! The registry as a whole, by one suite for both databases: `SQLite` in a file, and a PostgreSQL server that the suite
//! starts for itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod beside;
mod cases;
mod governance;
mod imports;
#[path = "../../../../tests/e2e/harness/postgres.rs"]
mod postgres;
mod tampering;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::sync::Arc;
use tidegate_core::Secret;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::DatabaseSpec;
use tidegate_registry::{Actor, Registry};

/// Where a case runs: an empty registry, and its database for what the registry itself would never do.
struct Place {
    registry: Arc<Registry>,
    clock: Arc<ManualClock>,
    database: DatabaseSpec,
}

async fn open(database: DatabaseSpec) -> Place {
    let clock = Arc::new(ManualClock::at(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000)));
    let registry = Registry::open(&database, Arc::<ManualClock>::clone(&clock), Arc::new(SplitMix::seeded(7)), None)
        .await
        .unwrap();
    Place { registry: Arc::new(registry), clock, database }
}

fn ann() -> Actor {
    Actor { principal: "ann".into(), idempotency: None, approves: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in cases::ALL.iter().chain(governance::ALL).chain(imports::ALL).chain(beside::ALL) {
        println!("{name}");
        case(open(DatabaseSpec::Sqlite(folder.path().join(format!("{name}.db")))).await).await;
    }
}

/// A new and empty database of this name.
async fn empty(server: &postgres::Postgres, name: &str) -> DatabaseSpec {
    let mut db = sqlx::PgConnection::connect(&server.url("postgres")).await.unwrap();
    db.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    db.close().await.unwrap();
    DatabaseSpec::Postgres(Secret::new(server.url(name)))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let Some(server) = postgres::Postgres::start() else {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed, and nothing may be left out");
        println!("left out: PostgreSQL is not installed");
        return;
    };
    for (name, case) in cases::ALL.iter().chain(governance::ALL).chain(imports::ALL).chain(beside::ALL) {
        println!("{name}");
        let place = open(empty(&server, name).await).await;
        let registry = Arc::clone(&place.registry);
        case(place).await;
        registry.close().await;
    }
}
