//! Classic models as callers meet them. Owns which path means what, how a call's tensors are read and its answer is written
//! back, and what is said of models; the translations themselves are `tidegate-dialect`'s, and the call walks `path` as any.

mod about;
mod asked;
mod target;

pub(crate) use about::{
    EXTENSIONS, NAME, answer, index, is_model_ready, metadata, order, repository, signatures, status,
};
pub(crate) use asked::{Asked, HEADER_LENGTH, picked, read, takes};
pub(crate) use target::{About, Target, picked as path_of};
