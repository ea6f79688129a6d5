//! Our own Rust files, as git would list them.

use crate::graph::root;
use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct Source {
    /// Its path in the repository.
    pub(crate) path: PathBuf,
    /// What stands in it.
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// All Rust files of the repository; build outputs and hidden folders left out.
pub(crate) fn all() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["gateway", "loadtest", "tests", "plugins"] {
        gather(&root, &root.join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} files were found below {}", found.len(), root.display());
    found
}

fn gather(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("a folder that can be read")) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name.starts_with("target") || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            gather(root, &path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("a Rust file is UTF-8");
            found.push(Source { path: path.strip_prefix(root).expect("it lies below the root").to_owned(), text });
        }
    }
}
