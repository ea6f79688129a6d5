//! The golden vectors: what confseq, scipy and obp say, within the tolerance that stands in each case.

#[cfg(test)]
mod anytime;
#[cfg(test)]
mod off_policy;
#[cfg(test)]
mod vectors;
