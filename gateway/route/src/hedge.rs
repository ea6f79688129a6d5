//! Hedging: a second request beside one that is slow, so that one slow endpoint in many makes few calls slow (Dean and
//! Barroso: The Tail at Scale, CACM 2013). Owns when a request is slow ([`Pace`]) and how many second ones there may be
//! ([`Allowance`]); sending both and giving one up is the server's.

pub mod allowance;
pub mod pace;

pub use allowance::Allowance;
pub use pace::Pace;
