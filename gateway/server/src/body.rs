//! The bodies of LLM calls. Owns their validation in one pass, the splices that change a few members and leave every
//! other byte, the places of the texts that filters look at, and the watch over outgoing streams. Reading bytes from a connection and answering are elsewhere.

mod chat;
mod cursor;
mod field;
mod input;
mod places;
mod scan;
mod sniff;
mod splice;
mod tools;

#[cfg(test)]
mod tests;

pub(crate) use cursor::Text;
pub(crate) use places::{Answered, Chosen, Member, Piece, answered, asked};
pub(crate) use scan::{Scan, scan};
pub(crate) use sniff::{Sniffer, data_of, whole_event};
pub(crate) use splice::{Splices, quote};
