//! The golden vectors of pytrec_eval, ranx and ragas, each number within the tolerance of its case.

#[cfg(test)]
mod ragas;
#[cfg(test)]
mod ranking;
