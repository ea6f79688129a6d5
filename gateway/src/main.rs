//! The program `tidegate`: reads its arguments and does what they say. What it can do is in `cli`, how it serves in
//! `serve`, and how organs are built from the configuration in `wire`.

mod agreed;
mod alerts;
mod batches;
#[cfg(feature = "engine")]
mod classic;
mod cli;
#[cfg(feature = "host")]
mod components;
#[cfg(feature = "host")]
mod giving_way;
mod granted;
mod graph;
mod learning;
mod monitors;
mod pull;
mod push;
mod replay;
mod rollouts;
mod second;
mod serve;
mod shadows;
mod terminal;
mod wire;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything is allocated that a huge page would be taken for.
    wire::pages::small();
    cli::run()
}
