//! The port to a table of data, such as the one that a model was trained on: rows of cells, read from the beginning as
//! often as asked. What a cell means is its reader's business.

use crate::Fault;

/// A cell as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing is there.
    Missing,
    /// A number, of a file that knows numbers.
    Number(f64),
    /// A text, which may spell a number or be empty.
    Text(&'a str),
}

/// A table in some file.
pub trait Table: Send + Sync + std::fmt::Debug {
    /// The names of its columns.
    fn columns(&self) -> &[String];

    /// Hands each row over, from the first on; a row has a cell for each column.
    ///
    /// # Errors
    /// The file cannot be read or is damaged, or `row` ends it with a fault.
    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault>;
}
