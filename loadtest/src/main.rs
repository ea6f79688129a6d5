//! Load for the gateway: an open-loop sender, and a mock upstream with faults on request. What they measure is in
//! README.md beside this crate.

mod client;
mod histogram;
mod report;
mod script;
mod sender;
mod tensors;
mod upstream;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "loadtest", about = "Load for an OpenAI-compatible gateway, on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send calls at a rate, or as fast as so many callers can, and print one line of JSON
    Sender(sender::Sender),
    /// Serve as a mock model server until stopped
    Upstream(upstream::Upstream),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Sender(sender) => sender.run(),
        Command::Upstream(upstream) => upstream.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("error: {error:#}\n");
            // Nobody is left to be told where standard error is closed.
            std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}
