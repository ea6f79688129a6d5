//! YAML in, checked specs out. Owns what may stand in a configuration, all that can be wrong with it and how that is
//! shown; what is done with a spec is its organ's business.
//!
//! The way of a configuration, in order:
//! 1. `source`: the files are read, one or a folder of them, with a cap on their size.
//! 2. `tree`: each becomes a tree whose nodes know their place; repeated keys, anchors, tags and too much depth are
//!    found here, and `interpolate` puts `${env:NAME}` and `${file:PATH}` in.
//! 3. `shape`: the tree is read into the raw types of `section`, field by field, so that a fault in one field hides
//!    none in another. The JSON Schema comes from the same types.
//! 4. `section` checks each raw entry and makes the spec of it; `refer` checks what goes across entries.
//! 5. `report`: the findings, sorted, with excerpt and remedy.
//!
//! Another file in YAML is read here, since nobody else can: `mlmodel`.

mod describe;
mod interpolate;
mod json;
pub mod keys;
mod load;
pub mod mlmodel;
mod place;
mod refer;
mod report;
mod scalar;
mod section;
mod shape;
mod source;
mod suggest;
mod tree;

pub use describe::describe;
pub use load::{Environment, Loaded, load, load_str};
pub use report::{Finding, Report};

/// The models that need no more than their name as `source`; the program knows where their files lie.
pub const CATALOGUE: [&str; 2] = ["smollm2", "minilm"];

/// The JSON Schema (2020-12) of a configuration file.
#[must_use]
pub fn schema() -> serde_json::Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<section::ConfigFile>();
    schema.to_value()
}
