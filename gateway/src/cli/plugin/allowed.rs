//! What a component that is tried may take and is granted: the arguments of that, by the names that a configuration has for
//! them. Owns how they are read.

use std::time::Duration;

/// What a component may take, beside the defaults of its world.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "As `limits` and `wasi` of a configuration")]
pub(in crate::cli) struct Allowed {
    /// The memory of an instance, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// How long a call may take, such as 50ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
    /// The largest component, such as 32MiB [default: 4MiB]; what is larger is compiled once, and kept
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<u64>,
    /// How many core modules it may be made of [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=128))]
    modules: Option<u32>,
    /// How many elements a table may have [default: 16384]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1024..=1_048_576))]
    table: Option<u32>,
    /// What it is granted of WASI
    #[arg(long, value_name = "GRANT", default_value = "none")]
    wasi: Grant,
}

/// What a component is granted of WASI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Grant {
    /// Nothing
    #[default]
    None,
    /// Clocks, chance and streams that end in the log
    Minimal,
}

#[cfg(feature = "host")]
impl Allowed {
    /// As the host has it.
    pub(super) fn bounds(self) -> tidegate_host::Bounds {
        let Self { memory, deadline, size, modules, table, wasi } = self;
        tidegate_host::Bounds {
            memory,
            deadline,
            component_bytes: size,
            modules,
            table_elements: table,
            wasi: match wasi {
                Grant::None => tidegate_host::Wasi::None,
                Grant::Minimal => tidegate_host::Wasi::Minimal,
            },
        }
    }
}

/// A size in whole MiB, 1 GiB at most.
fn size(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("MiB").and_then(|number| number.trim_end().parse::<u64>().ok());
    let fits = number.filter(|number| (1..=1024).contains(number));
    fits.map(|number| number << 20).ok_or_else(|| "write whole MiB from 1MiB to 1024MiB, such as `32MiB`".to_owned())
}

/// A time in whole milliseconds or seconds, a minute at most.
fn time(text: &str) -> Result<Duration, String> {
    let of = |unit: &str| text.strip_suffix(unit).and_then(|number| number.trim_end().parse::<u64>().ok());
    let time = of("ms").map(Duration::from_millis).or_else(|| of("s").map(Duration::from_secs));
    let fits = time.filter(|time| (Duration::from_millis(1)..=Duration::from_secs(60)).contains(time));
    fits.ok_or_else(|| "write a time from 1ms to 60s, such as `50ms`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units_and_bounds() {
        assert_eq!((size("32MiB"), size("1 MiB")), (Ok(32 << 20), Ok(1 << 20)));
        for bad in ["32", "32MB", "0MiB", "1025MiB", "-1MiB", "MiB", "1.5MiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!((time("50ms"), time("2s")), (Ok(Duration::from_millis(50)), Ok(Duration::from_secs(2))));
        for bad in ["50", "0ms", "61s", "1m", "99999999999999999999s"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
