//! The tables, as steps that are only ever added to: a database made by an older program is brought up to date at
//! opening, in one transaction.

use super::{Db, Dialect, Sql};
use crate::fault::{RegistryFault, RegistryFaultKind};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

/// The steps; `{text}` is a text column that sorts by its bytes.
const STEPS: [&str; 3] = [FIRST, GOVERNANCE, IMPORTS];

const FIRST: &str = r"
CREATE TABLE models (
    id BIGINT PRIMARY KEY,
    name {text} NOT NULL UNIQUE,
    owner {text} NOT NULL,
    description {text} NOT NULL,
    deployment_job {text} NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    last_version BIGINT NOT NULL
);
CREATE TABLE versions (
    model BIGINT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    source {text} NOT NULL,
    storage {text} NOT NULL,
    run_id {text} NOT NULL,
    run_link {text} NOT NULL,
    logged_model {text} NOT NULL,
    owner {text} NOT NULL,
    description {text},
    stage {text} NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);
CREATE INDEX versions_by_time ON versions (updated, model, version);
CREATE INDEX versions_by_run ON versions (run_id);
CREATE TABLE model_tags (
    model BIGINT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (model, key)
);
CREATE TABLE version_tags (
    model BIGINT NOT NULL,
    version BIGINT NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE TABLE aliases (
    model BIGINT NOT NULL,
    alias {text} NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE TABLE webhooks (
    id {text} PRIMARY KEY,
    name {text} NOT NULL,
    description {text} NOT NULL,
    url {text} NOT NULL,
    events {text} NOT NULL,
    secret {text} NOT NULL,
    status {text} NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE TABLE kept_answers (
    principal {text} NOT NULL,
    key {text} NOT NULL,
    request {text} NOT NULL,
    answer {text} NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    subject {text} NOT NULL,
    detail {text},
    salt {text},
    detail_hash {text} NOT NULL,
    hash {text} NOT NULL
);
";

/// What is known of a version beside its source, and what stands before an alias.
const GOVERNANCE: &str = r"
ALTER TABLE models ADD COLUMN kind {text} NOT NULL DEFAULT '';
ALTER TABLE models ADD COLUMN risk {text} NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN format {text} NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN sha256 {text} NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN signature {text} NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN lineage {text} NOT NULL DEFAULT '';
CREATE TABLE cards (
    model BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body {text} NOT NULL,
    at BIGINT NOT NULL,
    by {text} NOT NULL,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE TABLE baselines (
    model BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body {text} NOT NULL,
    sha256 {text} NOT NULL,
    at BIGINT NOT NULL,
    by {text} NOT NULL,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE TABLE evaluations (
    id BIGINT PRIMARY KEY,
    model BIGINT NOT NULL,
    version BIGINT NOT NULL,
    monitor {text} NOT NULL,
    passed BIGINT NOT NULL,
    body {text} NOT NULL,
    at BIGINT NOT NULL,
    by {text} NOT NULL,
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE INDEX evaluations_of ON evaluations (model, version, monitor, id);
CREATE TABLE approvals (
    model BIGINT NOT NULL,
    version BIGINT NOT NULL,
    alias {text} NOT NULL,
    by {text} NOT NULL,
    note {text} NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (model, version, alias, by),
    FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
);
CREATE TABLE alias_moves (
    id BIGINT PRIMARY KEY,
    model BIGINT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    alias {text} NOT NULL,
    before BIGINT,
    after BIGINT,
    at BIGINT NOT NULL,
    by {text} NOT NULL
);
CREATE INDEX alias_moves_of ON alias_moves (model, alias, id);
CREATE TABLE serving (
    replica {text} NOT NULL,
    reference {text} NOT NULL,
    version BIGINT NOT NULL,
    state {text} NOT NULL,
    reason {text} NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (replica, reference)
);
";

/// How what was imported was at its origin then.
const IMPORTS: &str = r"
CREATE TABLE imports (
    origin {text} NOT NULL,
    subject {text} NOT NULL,
    digest {text} NOT NULL,
    PRIMARY KEY (origin, subject)
);
";

/// Brings the tables up to date.
///
/// # Errors
/// The database was made by a newer program, or fails.
pub(super) async fn migrate(db: &Db) -> Result<(), RegistryFault> {
    let mut tx = db.pool.begin_with(db.dialect.begin()).await?;
    if db.dialect == Dialect::Postgres {
        // Several replicas may start at once; `CREATE … IF NOT EXISTS` alone does not order them.
        tx.execute("SELECT pg_advisory_xact_lock(7449160)").await?;
    }
    tx.execute(
        "CREATE TABLE IF NOT EXISTS head (one BIGINT PRIMARY KEY, schema BIGINT NOT NULL, revision BIGINT NOT NULL, \
         last_id BIGINT NOT NULL, hash TEXT NOT NULL)",
    )
    .await?;
    let mut insert = Sql::new("INSERT INTO head (one, schema, revision, last_id, hash) VALUES (1, 0, 0, 0, ");
    insert.bind(crate::audit::GENESIS.to_string()).push(") ON CONFLICT (one) DO NOTHING");
    insert.run(&mut tx).await?;
    let row = Sql::new("SELECT schema FROM head WHERE one = 1").one(&mut tx).await?;
    let found: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = STEPS.get(done..) else {
        return Err(RegistryFault::new(
            RegistryFaultKind::Conflict,
            format!(
                "the registry's database has tables of version {found}, and this program knows up to {}: run a newer \
                 program",
                STEPS.len()
            ),
        ));
    };
    for step in missing {
        for statement in step.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            tx.execute(AssertSqlSafe(statement.replace("{text}", db.dialect.text()))).await?;
        }
    }
    let mut update = Sql::new("UPDATE head SET schema = ");
    update.bind(i64::try_from(STEPS.len()).unwrap_or(i64::MAX)).push(" WHERE one = 1");
    update.run(&mut tx).await?;
    Ok(tx.commit().await?)
}
