//! `OpenAiBackend` and downloads against servers on loopback that do as they are told, byte for byte.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests fail as tests do")]

mod balance;
mod download;
mod encrypted;
mod events;
mod mock;
mod whole;
