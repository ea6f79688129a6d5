//! `tidegate plugin bench`: one input again and again, and how long that took. Owns what is counted and printed.

use super::allowed::Allowed;
use super::doing::{config_of, micros, read_json};
use super::subject::Subject;
use crate::cli::print;
use crate::terminal::size;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// No bench takes longer than this, however many calls it was to make; those that were made count.
const LONGEST: Duration = Duration::from_secs(60);

/// Asks it so often without and with counting.
pub(super) fn bench(
    file: &Path,
    allowed: Allowed,
    input: &Path,
    config: Option<&Path>,
    [warm_up, calls]: [u32; 2],
) -> anyhow::Result<()> {
    let subject = Subject::load(file, allowed)?;
    let (given, configured) = input_of(read_json(input)?);
    let config = config_of(config, configured)?;
    let failed = |nothing| subject.error(input, &nothing);
    let prepared = subject.prepare(&config, given).map_err(failed)?;
    let began = Instant::now();
    for _ in 0..warm_up {
        prepared.ask().map_err(failed)?;
        if began.elapsed() > LONGEST / 2 {
            break;
        }
    }
    let (began, mut times, mut last) = (Instant::now(), Vec::new(), None);
    for _ in 0..calls {
        let answered = prepared.ask().map_err(failed)?;
        times.push(answered.took);
        last = answered.heard;
        if began.elapsed() > LONGEST {
            break;
        }
    }
    times.sort_unstable();
    let mut text = format!("{}: {}, {} calls\n", file.display(), subject.about().world, times.len());
    let [least, median, p99, most] = [0.0, 0.5, 0.99, 1.0].map(|share| micros(quantile(&times, share)));
    writeln!(text, "min {least}  median {median}  p99 {p99}  max {most}").unwrap_or_default();
    match last {
        Some(heard) => {
            let memory = size(heard.memory_bytes as u64);
            writeln!(text, "an instance a call: {memory} of memory, {} call(s) of the host", heard.host_calls)
        }
        None => writeln!(text, "one warm instance for all calls"),
    }
    .unwrap_or_default();
    print(&text)
}

/// The input of a file, which may be a fixture; then it has a configuration, too.
pub(super) fn input_of(mut json: serde_json::Value) -> (serde_json::Value, Option<serde_json::Value>) {
    let is_fixture = json.get("input").is_some_and(|_| json.get("output").or_else(|| json.get("refused")).is_some());
    if !is_fixture {
        return (json, None);
    }
    let config = json.get_mut("config").map(serde_json::Value::take);
    (json["input"].take(), config)
}

/// The smallest of some sorted times that so many are not above.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among the calls of a minute, rounded up"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let of = |share| quantile(&times, share).as_micros();
        assert_eq!([of(0.0), of(0.5), of(0.99), of(1.0)], [1, 100, 198, 200]);
        assert_eq!(quantile(&times[..1], 0.99).as_micros(), 1);
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_fixture_is_an_input_too() {
        let fixture = json!({"about": "x", "config": {"a": 1}, "input": {"b": 2}, "output": {}});
        assert_eq!(input_of(fixture), (json!({"b": 2}), Some(json!({"a": 1}))));
        assert_eq!(input_of(json!({"input": {}, "refused": "no"})), (json!({}), None));
        assert_eq!(input_of(json!({"messages": []})), (json!({"messages": []}), None));
    }
}
