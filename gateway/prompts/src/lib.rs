//! Prompts versioned in git: read from a repository, rendered in a sandbox, written back as commits.
//!
//! The way of a prompt, in order:
//! 1. `repository` reads commits, trees and files with nothing of the repository trusted; `history` walks the first
//!    parents and finds which commit changed which prompt's folder; `labels` reads the refs.
//! 2. `journal` gives each such commit its number for good; `book` is what follows from it, immutable once published.
//! 3. `source` reads `prompt.yaml`, `sandbox` reads the templates' tags, `template` compiles both; `cache` keeps that.
//! 4. `render` is the port: a reference and variables in, messages out.
//! 5. `write` and `label` go back: `objects` are made durable, then `refs` moves the branch or the label, then the
//!    journal numbers it.
//!
//! What is kept in the git folder lies in `tidegate/`: the lock, the journal and objects on their way.

mod author;
mod book;
mod cache;
mod capped;
mod case;
mod checkout;
mod dev;
mod diff;
mod disk;
mod draft;
mod environment;
mod fault;
mod folder;
mod history;
mod https;
mod journal;
mod label;
mod labels;
mod mirror;
mod mount;
mod objects;
mod once;
mod refs;
mod render;
mod repository;
mod sandbox;
mod shelf;
mod source;
mod store;
mod template;
#[cfg(test)]
mod testing;
mod variables;
mod write;

pub use author::Author;
pub use book::{Book, Entry, Version};
pub use case::{Case, Expectation, Judge, Similar};
pub use draft::{Body, Draft};
pub use fault::{PromptFault, RenderFault, SourceFault};
pub use folder::{Folder, Skipped};
pub use https::{Exchange, Web};
pub use label::LabelMove;
pub use mirror::Mirror;
pub use mount::{Asked, Need, need};
pub use repository::CommitNote;
pub use source::{MessageSource, PromptSource, VariableSource};
pub use store::{Options, PromptStore, init};
pub use template::{Prompt, Rendered};
