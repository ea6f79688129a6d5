//! Tables by columns, as plugins take them. Owns their form alone; what fills them is its owner's business.

/// A table by columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// How many rows each column has.
    pub rows: u32,
    /// The columns.
    pub columns: Vec<Column>,
}

/// A column. It has an entry for each row; at missing rows the entry means nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values.
    pub data: Data,
    /// The rows without a value, ascending.
    pub missing: Vec<u32>,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Categories, by their places among the levels.
    Categories {
        /// The level of each row.
        codes: Vec<u32>,
        /// The categories, each once.
        levels: Vec<String>,
    },
    /// Texts.
    Texts(Vec<String>),
}

impl Table {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
