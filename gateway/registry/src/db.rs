//! The database: `SQLite` in a file or a PostgreSQL server, by one set of statements. Owns connections, the few places
//! where the two differ, and the order of changes; what is read and written is `store`'s.

mod change;
mod notice;
mod schema;
mod sql;

pub(crate) use change::{Change, Deed};
pub(crate) use sql::Sql;

use crate::fault::RegistryFault;
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Executor as _, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::spec::DatabaseSpec;
use tokio::sync::Mutex;

/// Where the two databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Db {
    pool: AnyPool,
    dialect: Dialect,
    /// Changes of this process take turns here, in order of arrival; across processes the database orders them.
    turn: Arc<Mutex<()>>,
    notices: notice::Notices,
}

impl Db {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// It cannot be opened, or was made by a newer program.
    pub(crate) async fn open(database: &DatabaseSpec) -> Result<Self, RegistryFault> {
        sqlx::any::install_default_drivers();
        let (dialect, url, most) = match database {
            DatabaseSpec::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(RegistryFault::internal)?;
                }
                (Dialect::Sqlite, sqlite_url(path)?, 4)
            }
            DatabaseSpec::Postgres(url) => (Dialect::Postgres, url.expose().to_owned(), 8),
        };
        let pool = AnyPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(Duration::from_secs(300))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(dialect.settings()).await?;
                    Ok(())
                })
            })
            .connect(&url)
            .await?;
        let db = Self { pool, dialect, turn: Arc::default(), notices: notice::Notices::of(database) };
        schema::migrate(&db).await?;
        Ok(db)
    }

    /// A connection to read from.
    ///
    /// # Errors
    /// None can be had.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Any>, RegistryFault> {
        Ok(self.pool.acquire().await?)
    }

    /// A transaction for what is no change of the registry, and enters no audit log.
    ///
    /// # Errors
    /// None can be had.
    pub(crate) async fn aside(&self) -> Result<Transaction<'static, Any>, RegistryFault> {
        Ok(self.pool.begin_with(self.dialect.begin()).await?)
    }

    /// Resolves when a notice of a change came since the last time that somebody waited here.
    pub(crate) async fn changed(&self) {
        self.notices.next().await;
    }

    /// Listens for notices of changes for as long as it is polled; ends at once where the database has none.
    pub(crate) async fn listen(&self) {
        self.notices.listen().await;
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Dialect {
    /// What each connection is told at first.
    const fn settings(self) -> &'static str {
        match self {
            // FULL: a commit that was acknowledged outlives a power failure.
            Self::Sqlite => {
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; \
                 PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; PRAGMA cache_size = -2000"
            }
            Self::Postgres => "SET synchronous_commit = on; SET lock_timeout = '10s'; SET statement_timeout = '30s'",
        }
    }

    /// Begins a change: nobody else's runs beside it.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// A column of text that sorts by its bytes.
    const fn text(self) -> &'static str {
        match self {
            Self::Sqlite => "TEXT",
            Self::Postgres => "TEXT COLLATE \"C\"",
        }
    }
}

fn sqlite_url(path: &std::path::Path) -> Result<String, RegistryFault> {
    let text = path
        .to_str()
        .ok_or_else(|| RegistryFault::invalid(format!("the registry's path {} is not valid UTF-8", path.display())))?;
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '%' => "%25".to_owned(),
            '?' => "%3F".to_owned(),
            '#' => "%23".to_owned(),
            ' ' => "%20".to_owned(),
            c => c.to_string(),
        })
        .collect();
    Ok(format!("sqlite:{escaped}?mode=rwc"))
}
