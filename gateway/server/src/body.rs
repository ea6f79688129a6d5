//! The bodies of LLM calls. Owns their validation in one pass, the splices that change a few members and leave every
//! other byte, and the watch over outgoing streams. Reading bytes from a connection and answering are elsewhere.

mod chat;
mod cursor;
mod field;
mod input;
mod scan;
mod sniff;
mod splice;
mod tools;

#[cfg(test)]
mod tests;

pub(crate) use scan::{Scan, scan};
pub(crate) use sniff::Sniffer;
pub(crate) use splice::Splices;
