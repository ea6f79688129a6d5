//! Shadows as they run: copies of calls are answered beside them, compared with what callers got, and written down. What is
//! copied, and when, is the request's path.

mod account;
mod compare;
mod taker;

pub(crate) use account::Accounts;
pub(crate) use taker::{Asked, Taker};
