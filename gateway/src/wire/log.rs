//! Logs: one line of JSON an event on stderr, or plain lines on a terminal. Owns their form; inputs are escaped in
//! both, so that none can forge a line.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Begins to log at the level of `TIDEGATE_LOG` (as `info` or `tidegate_server=debug`), else `info`.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = if terminal {
        builder.with_ansi(true).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_ansi(false).try_init()
    };
    // It fails where a subscriber stands already, as in a test: that one serves as well.
    drop(begun);
}
