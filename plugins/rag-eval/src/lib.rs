//! Pure measures of retrieval and of answers that rest on it. No clock, no chance, no I/O, no model: what needs a judge is
//! reckoned from its verdicts, and asking it belongs to others. Where to begin:
//!
//! - passages with scores and judgements become a [`Ranking`], which has nDCG, reciprocal rank, precision, recall and more;
//!   [`ranked::mean`] takes them together over queries;
//! - [`Contexts`] compares retrieved texts with reference texts by a [`Likeness`], [`contexts`] has the same by ids;
//! - [`verdicts`] has faithfulness, relevancy, and context precision and recall from what a judge said.
//!
//! What has no number is `None`, never NaN.

pub mod contexts;
pub mod ranked;
pub mod ranking;
pub mod strings;
pub mod verdicts;

pub use contexts::{Contexts, id_precision, id_recall};
pub use ranked::Gain;
pub use ranking::{Found, Judgements, Ranking, RankingFault};
pub use strings::Likeness;
