//! A statement that is put together: its text and what is bound to it. Owns the numbering, so that a value can never
//! become text of the statement.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyConnection, AssertSqlSafe, query::Query};

/// A value to be bound.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// A statement under construction.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// Begins with this text.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Adds text of ours.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Adds a number as it is: of a bound limit `SQLite` does not know that it is small, and sorts everything.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// Adds values in brackets, with commas between; none at all is a list that holds nothing.
    pub(crate) fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut is_first = true;
        for value in values {
            if !std::mem::take(&mut is_first) {
                self.push(", ");
            }
            self.bind(value);
        }
        if is_first {
            self.push("NULL");
        }
        self.push(")")
    }

    fn query(self) -> Query<'static, Any, AnyArguments> {
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }

    /// All rows.
    pub(crate) async fn all(self, connection: &mut AnyConnection) -> sqlx::Result<Vec<AnyRow>> {
        self.query().fetch_all(connection).await
    }

    /// The first row, if there is one.
    pub(crate) async fn one(self, connection: &mut AnyConnection) -> sqlx::Result<Option<AnyRow>> {
        self.query().fetch_optional(connection).await
    }

    /// Runs it; tells how many rows it touched.
    pub(crate) async fn run(self, connection: &mut AnyConnection) -> sqlx::Result<u64> {
        Ok(self.query().execute(connection).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_and_never_text() {
        let mut sql = Sql::new("SELECT * FROM models WHERE name = ");
        sql.bind("x' OR 1 = 1 --").push(" AND id IN ").list([1, 2]);
        assert_eq!(sql.text, "SELECT * FROM models WHERE name = $1 AND id IN ($2, $3)");
        let mut sql = Sql::new("id IN ");
        sql.list(Vec::<i64>::new());
        assert_eq!(sql.text, "id IN (NULL)");
    }
}
