//! Ensembles of decision trees: how they are planted (checked and laid out flat), walked, turned into answers and explained.
//! Knows no file format.

pub(crate) mod ensemble;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod plant;
pub(crate) mod shap;
#[cfg(feature = "onnx")]
pub(crate) mod votes;

pub(crate) use ensemble::{Ensemble, Precision, Tree};
pub(crate) use link::{Head, Link};
pub(crate) use node::{MOST_FEATURES, Rule, Sets};
pub(crate) use plant::{Planting, Sprout};
#[cfg(feature = "onnx")]
pub(crate) use votes::{Ballot, Branch, Together, Votes};
