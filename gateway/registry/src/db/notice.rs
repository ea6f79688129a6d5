//! Notices of changes: PostgreSQL tells all who listen when a change was committed. They only make looking earlier: one
//! may be lost, so nobody may rely on them.

use crate::fault::RegistryFault;
use sqlx::postgres::PgListener;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::spec::DatabaseSpec;
use tokio::sync::Notify;

/// The channel, of this database alone.
const CHANNEL: &str = "tidegate_registry";
/// What a change tells on it when it is committed.
pub(super) const TELL: &str = "NOTIFY tidegate_registry";
/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_secs(1);

/// The notices of a database.
#[derive(Debug)]
pub(super) struct Notices {
    /// Where to listen; a database in a file has nobody else who could tell.
    url: Option<Secret>,
    came: Notify,
}

impl Notices {
    pub(super) fn of(database: &DatabaseSpec) -> Self {
        let url = match database {
            DatabaseSpec::Sqlite(_) => None,
            DatabaseSpec::Postgres(url) => Some(url.clone()),
        };
        Self { url, came: Notify::new() }
    }

    pub(super) async fn next(&self) {
        self.came.notified().await;
    }

    /// Listens, and connects again when the connection is lost: the log says so once.
    pub(super) async fn listen(&self) {
        let Some(url) = &self.url else { return };
        let mut was_lost = false;
        loop {
            if let Err(fault) = self.follow(url.expose(), &mut was_lost).await
                && !std::mem::replace(&mut was_lost, true)
            {
                tracing::warn!(%fault, "no notices of the registry's changes: it is asked now and then instead");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Follows one connection to its end.
    async fn follow(&self, url: &str, was_lost: &mut bool) -> Result<(), RegistryFault> {
        let mut listener = PgListener::connect(url).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        if std::mem::take(was_lost) {
            tracing::info!("notices of the registry's changes come again");
        }
        loop {
            // What changed while nobody listened is looked for too.
            self.came.notify_one();
            if listener.try_recv().await?.is_none() {
                return Err(RegistryFault::internal("the connection was lost"));
            }
        }
    }
}
