//! The golden vectors of scikit-learn's calibration, each number within the tolerance of its case.

#[cfg(test)]
mod scores;
