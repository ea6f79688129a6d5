//! Features that are looked up by the keys of entities before a model is asked. Owns which entities a call is about (`keys`),
//! what is served of what was found (`verdict`), how it joins the inputs (`join`), what is found again without asking
//! (`cache`) and the look-up itself (`lookup`), over the port `core::port::features`; stores are behind it.

mod cache;
mod counts;
mod join;
mod keys;
mod lookup;
mod verdict;
mod view;

pub use lookup::Lookup;
pub use verdict::fitted;
pub use view::View;

/// So many rows of one call are looked up at most.
pub const MOST_ROWS: usize = 4096;

#[cfg(test)]
mod tests;
