//! The golden vectors of Fairlearn and AIF360, each number within the tolerance of its case.

#[cfg(test)]
mod groups;
