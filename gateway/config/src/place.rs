//! Where something stands: file, line, column and the path of keys to it. Owns no text.

use std::fmt;
use std::sync::Arc;

/// The keys and indices that lead to a node. A linked list: its length is bounded by the depth of the tree, and a
/// node costs one allocation however long its path is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Option<Arc<Step>>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(Path, Box<str>),
    Index(Path, usize),
}

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(Some(Arc::new(Step::Key(self.clone(), key.into()))))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self(Some(Arc::new(Step::Index(self.clone(), index))))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            None => Ok(()),
            Some(Step::Key(Self(None), key)) => f.write_str(key),
            Some(Step::Key(path, key)) => write!(f, "{path}.{key}"),
            Some(Step::Index(path, index)) => write!(f, "{path}[{index}]"),
        }
    }
}

/// A stretch of a line of one of the files. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The index of the file among those read.
    pub(crate) source: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// How many characters of the line it covers, at least 1.
    pub(crate) width: usize,
    pub(crate) path: Path,
}

impl Place {
    /// The start of a file.
    pub(crate) fn start(source: usize) -> Self {
        Self { source, line: 1, column: 1, width: 1, path: Path::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = Path::default().key("limits").index(0).key("per");
        assert_eq!(path.to_string(), "limits[0].per");
        assert_eq!(Path::default().to_string(), "");
    }
}
