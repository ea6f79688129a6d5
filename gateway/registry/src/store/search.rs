//! Searches: a checked filter as one statement. Owns how each comparison is said in SQL, on both databases.

use super::{models, versions};
use crate::db::{Db, Dialect, Sql};
use crate::fault::RegistryFault;
use crate::filter::{Clause, Filter, Key, Operand, Operator, Target};
use crate::model::RegisteredModel;
use crate::page::{By, Order};
use crate::version::ModelVersion;

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page begins, if there is more.
    pub next: Option<u64>,
}

/// Which part of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// How many at most.
    pub limit: u32,
    /// After how many.
    pub offset: u64,
}

/// Models that a filter holds for.
pub(crate) async fn models(
    db: &Db,
    filter: &Filter,
    order: &[Order],
    range: Range,
) -> Result<Page<RegisteredModel>, RegistryFault> {
    let mut sql = Sql::new(models::COLUMNS);
    sql.push(" WHERE 1 = 1");
    for clause in &filter.clauses {
        sql.push(" AND ");
        match &clause.key {
            Key::Tag(key) => {
                sql.push("EXISTS (SELECT 1 FROM model_tags t WHERE t.model = models.id AND t.key = ").bind(&**key);
                sql.push(" AND ");
                compare(&mut sql, "t.value", "lower(t.value)", clause);
                sql.push(")");
            }
            _ => compare(&mut sql, "name", "lower(name)", clause),
        }
    }
    sort(&mut sql, order, Target::Models);
    part(&mut sql, range);
    let mut connection = db.read().await?;
    let rows = sql.all(&mut connection).await?;
    let next = (rows.len() > range.limit as usize).then(|| range.offset + u64::from(range.limit));
    let rows = rows.iter().take(range.limit as usize).map(models::row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page { items: models::complete(&mut connection, rows).await?, next })
}

/// Versions that a filter holds for.
pub(crate) async fn versions(
    db: &Db,
    filter: &Filter,
    order: &[Order],
    range: Range,
) -> Result<Page<ModelVersion>, RegistryFault> {
    let is_by_time = order.first().is_none_or(|order| order.by == By::Updated);
    let is_narrow = filter.clauses.iter().any(|clause| matches!(clause.key, Key::Name | Key::RunId));
    let mut sql = Sql::new(if db.dialect() == Dialect::Sqlite && is_by_time && !is_narrow {
        versions::COLUMNS_BY_TIME
    } else {
        versions::COLUMNS
    });
    sql.push(" WHERE 1 = 1");
    for clause in &filter.clauses {
        sql.push(" AND ");
        match &clause.key {
            Key::Tag(key) => {
                sql.push(
                    "EXISTS (SELECT 1 FROM version_tags t WHERE t.model = v.model AND t.version = v.version \
                     AND t.key = ",
                );
                sql.bind(&**key).push(" AND ");
                compare(&mut sql, "t.value", "lower(t.value)", clause);
                sql.push(")");
            }
            Key::Name => compare(&mut sql, "m.name", "lower(m.name)", clause),
            Key::Number => compare(&mut sql, "v.version", "v.version", clause),
            Key::RunId => compare(&mut sql, "v.run_id", "lower(v.run_id)", clause),
            Key::Source => compare(&mut sql, "v.source", "lower(v.source)", clause),
        }
    }
    sort(&mut sql, order, Target::Versions);
    part(&mut sql, range);
    let mut connection = db.read().await?;
    let rows = sql.all(&mut connection).await?;
    let next = (rows.len() > range.limit as usize).then(|| range.offset + u64::from(range.limit));
    let most = rows.len().min(range.limit as usize);
    let found = versions::complete(&mut connection, &rows[..most]).await?;
    Ok(Page { items: found.into_iter().map(|(_, version)| version).collect(), next })
}

/// `column` is compared as it is, `lowered` where case does not count.
fn compare(sql: &mut Sql, column: &'static str, lowered: &'static str, clause: &Clause) {
    let operator = match clause.operator {
        Operator::Equal => " = ",
        Operator::Unequal => " <> ",
        Operator::Less => " < ",
        Operator::AtMost => " <= ",
        Operator::Greater => " > ",
        Operator::AtLeast => " >= ",
        Operator::Like | Operator::Ilike => " LIKE ",
        Operator::In => " IN ",
        Operator::NotIn => " NOT IN ",
    };
    sql.push(if clause.operator == Operator::Ilike { lowered } else { column }).push(operator);
    match (&clause.value, clause.operator) {
        (Operand::Number(number), _) => {
            sql.bind(*number);
        }
        (Operand::List(texts), _) => {
            sql.list(texts.iter().map(String::as_str));
        }
        (Operand::Text(text), Operator::Like) => pattern(sql, text),
        // Lowered by the database, as the column is.
        (Operand::Text(text), Operator::Ilike) => {
            sql.push("lower(");
            sql.bind(text.replace('~', "~~")).push(") ESCAPE '~'");
        }
        (Operand::Text(text), _) => {
            sql.bind(&**text);
        }
    }
}

/// A pattern in which nothing escapes: PostgreSQL would else take a backslash for it.
fn pattern(sql: &mut Sql, text: &str) {
    sql.bind(text.replace('~', "~~")).push(" ESCAPE '~'");
}

fn sort(sql: &mut Sql, order: &[Order], target: Target) {
    sql.push(" ORDER BY ");
    for part in order {
        let column = match (part.by, target) {
            (By::Name, Target::Models) => "name",
            (By::Name, Target::Versions) => "m.name",
            (By::Number, _) => "v.version",
            (By::Created, _) => "v.created",
            (By::Updated, Target::Models) => "updated",
            (By::Updated, Target::Versions) => "v.updated",
        };
        sql.push(column).push(if part.descending { " DESC, " } else { " ASC, " });
    }
    sql.push(match (target, order.is_empty()) {
        (Target::Models, _) => "name ASC",
        (Target::Versions, true) => "v.updated DESC, m.name ASC, v.version DESC",
        (Target::Versions, false) => "m.name ASC, v.version DESC",
    });
}

/// One more than the page holds tells whether there is a next one.
fn part(sql: &mut Sql, range: Range) {
    sql.push(" LIMIT ").number(u64::from(range.limit) + 1);
    sql.push(" OFFSET ").number(range.offset.min(i64::MAX as u64));
}
