//! `prompts`: the git repository that they are versioned in.

use super::Desk;
use crate::scalar::{At, Text};
use crate::shape::record;
use tidegate_core::spec::PromptsSpec;

record! {
    /// The git repository that prompts are versioned in.
    PromptsFile {
        required {
            /// The repository's folder, bare or with a work tree.
            repository: At<Text>,
        }
        optional {
            /// The folder of prompts in the repository; `prompts` by default.
            path: At<Text>,
            /// The branch that is followed and written; the one that `HEAD` names by default.
            branch: At<Text>,
        }
        later { "remote", "poll", "webhook" }
    }
}

/// The repository of prompts.
pub(crate) fn check(raw: Option<PromptsFile>, desk: &mut Desk<'_>) -> Option<PromptsSpec> {
    let raw = raw?;
    let given = raw.repository?;
    let repository = desk.path(&given.value);
    if !repository.is_dir() {
        let shown = repository.display();
        desk.notes.fault(&given.at, format!("there is no folder {shown}")).remedy(
            "a path is relative to the folder of the configuration; `git init --bare FOLDER` makes a repository",
        );
    }
    let path = match raw.path {
        None => "prompts".to_owned(),
        Some(path) => {
            let text = path.value.0.trim_end_matches('/').to_owned();
            if text.split('/').any(|part| matches!(part, "" | "." | ".." | ".git")) {
                desk.notes
                    .fault(&path.at, "this is no folder of a repository")
                    .remedy("write its path from the repository's root, such as `prompts`");
            }
            text
        }
    };
    Some(PromptsSpec { repository, path, branch: raw.branch.map(|branch| branch.value.0) })
}
