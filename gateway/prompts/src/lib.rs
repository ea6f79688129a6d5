//! Prompts versioned in git: read from a repository, rendered in a sandbox, written back as commits.

mod capped;
mod case;
mod environment;
mod fault;
mod folder;
mod sandbox;
mod source;
mod template;
mod variables;

pub use case::{Case, Expectation, Judge, Similar};
pub use fault::{PromptFault, RenderFault, SourceFault};
pub use folder::{Folder, Skipped};
pub use source::{MessageSource, PromptSource, VariableSource};
pub use template::{Prompt, Rendered};
