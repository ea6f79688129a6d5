//! Rows of governance: cards, evaluations, approvals, moves of aliases, and what they say together of a version.

use super::{number, text};
use crate::alias::{AliasMove, Approval};
use crate::card::Card;
use crate::db::{Change, Sql};
use crate::evaluation::{Evaluation, RecordedEvaluation};
use crate::fault::RegistryFault;
use crate::gate::Evidence;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeMap;

/// Keeps a card, in the place of the one before.
pub(crate) async fn set_card(change: &mut Change, model: i64, version: i64, card: &Card) -> Result<(), RegistryFault> {
    let (now, by) = (change.now(), change.actor().to_owned());
    let mut sql = Sql::new("INSERT INTO cards (model, version, body, at, by) VALUES (");
    sql.bind(model).push(", ").bind(version).push(", ").bind(card.to_json().to_string());
    sql.push(", ").bind(now).push(", ").bind(by);
    sql.push(") ON CONFLICT (model, version) DO UPDATE SET body = excluded.body, at = excluded.at, by = excluded.by");
    sql.run(change.db()).await?;
    Ok(())
}

/// The card of a version.
pub(crate) async fn card(db: &mut AnyConnection, model: i64, version: i64) -> Result<Option<Card>, RegistryFault> {
    let mut sql = Sql::new("SELECT body FROM cards WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version);
    let Some(row) = sql.one(db).await? else { return Ok(None) };
    Card::read(&json(&row)?).map(Some).map_err(RegistryFault::internal)
}

/// Records an evaluation.
pub(crate) async fn add_evaluation(
    change: &mut Change,
    model: i64,
    version: i64,
    found: &Evaluation,
) -> Result<(), RegistryFault> {
    let (id, now, by) = (change.new_id(), change.now(), change.actor().to_owned());
    let mut sql = Sql::new("INSERT INTO evaluations (id, model, version, monitor, passed, body, at, by) VALUES (");
    sql.bind(id).push(", ").bind(model).push(", ").bind(version).push(", ").bind(found.monitor.as_str());
    sql.push(", ").bind(i64::from(found.passed)).push(", ").bind(found.to_json().to_string());
    sql.push(", ").bind(now).push(", ").bind(by).push(")");
    sql.run(change.db()).await?;
    Ok(())
}

/// The newest evaluations of a version, the newest first.
pub(crate) async fn evaluations(
    db: &mut AnyConnection,
    model: i64,
    version: i64,
    most: u64,
) -> Result<Vec<RecordedEvaluation>, RegistryFault> {
    let mut sql = Sql::new("SELECT body, at, by FROM evaluations WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version).push(" ORDER BY id DESC LIMIT ").number(most);
    sql.all(db).await?.iter().map(evaluation).collect()
}

fn evaluation(row: &AnyRow) -> Result<RecordedEvaluation, RegistryFault> {
    let found = Evaluation::read(&json(row)?).map_err(RegistryFault::internal)?;
    Ok(RecordedEvaluation { found, at: number(row, "at")?, by: text(row, "by")? })
}

fn json(row: &AnyRow) -> Result<Value, RegistryFault> {
    serde_json::from_str(&text(row, "body")?).map_err(RegistryFault::internal)
}

/// Records an approval; one principal has one for each version and alias.
pub(crate) async fn approve(
    change: &mut Change,
    model: i64,
    version: i64,
    alias: &str,
    note: &str,
) -> Result<(), RegistryFault> {
    let (now, by) = (change.now(), change.actor().to_owned());
    let mut sql = Sql::new("INSERT INTO approvals (model, version, alias, by, note, at) VALUES (");
    sql.bind(model).push(", ").bind(version).push(", ").bind(alias).push(", ").bind(by);
    sql.push(", ").bind(note).push(", ").bind(now);
    sql.push(") ON CONFLICT (model, version, alias, by) DO UPDATE SET note = excluded.note, at = excluded.at");
    sql.run(change.db()).await?;
    Ok(())
}

/// Takes a principal's approval back; false where there was none.
pub(crate) async fn withdraw(
    change: &mut Change,
    model: i64,
    version: i64,
    alias: &str,
) -> Result<bool, RegistryFault> {
    let by = change.actor().to_owned();
    let mut sql = Sql::new("DELETE FROM approvals WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version).push(" AND alias = ").bind(alias);
    sql.push(" AND by = ").bind(by);
    Ok(sql.run(change.db()).await? > 0)
}

/// Takes all approvals of a version back; tells how many there were.
pub(crate) async fn void_approvals(change: &mut Change, model: i64, version: i64) -> Result<u64, RegistryFault> {
    let mut sql = Sql::new("DELETE FROM approvals WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version);
    Ok(sql.run(change.db()).await?)
}

/// The approvals of a version, by alias and in the order of their times.
pub(crate) async fn approvals(
    db: &mut AnyConnection,
    model: i64,
    version: i64,
) -> Result<Vec<Approval>, RegistryFault> {
    let mut sql = Sql::new("SELECT alias, by, note, at FROM approvals WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version).push(" ORDER BY alias, at, by");
    let row = |row: &AnyRow| {
        Ok(Approval {
            alias: text(row, "alias")?,
            by: text(row, "by")?,
            note: text(row, "note")?,
            at: number(row, "at")?,
        })
    };
    sql.all(db).await?.iter().map(row).collect()
}

/// Writes a move of an alias into its history; one that leads where it stood is none.
pub(crate) async fn moved(
    change: &mut Change,
    model: i64,
    alias: &str,
    before: Option<i64>,
    after: Option<i64>,
) -> Result<(), RegistryFault> {
    if before == after {
        return Ok(());
    }
    let (id, now, by) = (change.new_id(), change.now(), change.actor().to_owned());
    let mut sql = Sql::new("INSERT INTO alias_moves (id, model, alias, before, after, at, by) VALUES (");
    sql.bind(id).push(", ").bind(model).push(", ").bind(alias);
    for end in [before, after] {
        sql.push(", ");
        match end {
            Some(version) => sql.bind(version),
            None => sql.push("NULL"),
        };
    }
    sql.push(", ").bind(now).push(", ").bind(by).push(")");
    sql.run(change.db()).await?;
    Ok(())
}

/// The newest moves of an alias, the newest first.
pub(crate) async fn moves(
    db: &mut AnyConnection,
    model: i64,
    alias: &str,
    most: u64,
) -> Result<Vec<AliasMove>, RegistryFault> {
    let mut sql = Sql::new("SELECT before, after, at, by FROM alias_moves WHERE model = ");
    sql.bind(model).push(" AND alias = ").bind(alias).push(" ORDER BY id DESC LIMIT ").number(most);
    let row = |row: &AnyRow| -> Result<AliasMove, RegistryFault> {
        Ok(AliasMove {
            before: row.try_get("before")?,
            after: row.try_get("after")?,
            at: number(row, "at")?,
            by: text(row, "by")?,
        })
    };
    sql.all(db).await?.iter().map(row).collect()
}

/// What is known of a version that `alias` shall stand for; owner and tier are the caller's to add.
pub(crate) async fn evidence(
    db: &mut AnyConnection,
    model: i64,
    version: i64,
    alias: &str,
) -> Result<Evidence, RegistryFault> {
    let mut before = Sql::new("SELECT id FROM alias_moves WHERE model = ");
    before.bind(model).push(" AND lower(alias) = lower(").bind(alias).push(") AND after = ").bind(version);
    before.push(" LIMIT 1");
    let mut newest =
        Sql::new("SELECT body, at, by FROM evaluations WHERE id IN (SELECT MAX(id) FROM evaluations WHERE model = ");
    newest.bind(model).push(" AND version = ").bind(version).push(" GROUP BY monitor)");
    let evaluations = newest.all(db).await?.iter().map(evaluation).collect::<Result<Vec<_>, _>>()?;
    let approvals = approvals(db, model, version).await?;
    Ok(Evidence {
        has_card: has(db, "SELECT version FROM cards WHERE model = ", model, version).await?,
        has_baseline: has(db, "SELECT version FROM baselines WHERE model = ", model, version).await?,
        evaluations: evaluations
            .into_iter()
            .map(|it| (it.found.monitor.as_str().to_owned(), it))
            .collect::<BTreeMap<_, _>>(),
        approvers: approvals.into_iter().filter(|it| it.alias.eq_ignore_ascii_case(alias)).map(|it| it.by).collect(),
        was_in_force: before.one(db).await?.is_some(),
        ..Evidence::default()
    })
}

/// Where the files lie of versions that somebody approved of or that one of `governed` stands for, with their names.
pub(crate) async fn held(
    db: &mut AnyConnection,
    governed: impl Iterator<Item = String>,
) -> Result<Vec<(String, String)>, RegistryFault> {
    let mut sql = Sql::new(
        "SELECT v.storage, m.name, v.version FROM versions v JOIN models m ON m.id = v.model WHERE EXISTS (SELECT 1 FROM \
         approvals p WHERE p.model = v.model AND p.version = v.version) OR EXISTS (SELECT 1 FROM aliases a WHERE \
         a.model = v.model AND a.version = v.version AND lower(a.alias) IN ",
    );
    sql.list(governed).push(")");
    let row = |row: &AnyRow| {
        Ok((text(row, "storage")?, format!("version {} of {}", number(row, "version")?, text(row, "name")?)))
    };
    sql.all(db).await?.iter().map(row).collect()
}

async fn has(db: &mut AnyConnection, select: &'static str, model: i64, version: i64) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new(select);
    sql.bind(model).push(" AND version = ").bind(version);
    Ok(sql.one(db).await?.is_some())
}
