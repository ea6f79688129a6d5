//! The formats that trees are read from. Each parser trusts nothing: a file may come from anywhere.

pub(crate) mod lightgbm;
mod ubjson;
pub(crate) mod xgboost;
