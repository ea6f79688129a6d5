//! What `tidegate plugin inspect|run|pack` do, and what they print.

use super::super::{Wrong, print};
use super::allowed::Allowed;
use super::bench::input_of;
use super::subject::{Prepared, Subject};
use crate::terminal::{Style, harmless, size};
use crate::wire::plugins::Workshop;
use anyhow::Context as _;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::port::filter::LooksAt;
use tidegate_core::spec::ComponentAt;
use tidegate_host::{About, Done, Fault, Finding, Heard, Host, Kind, Limits, Measurement, Output, Outside, Report};

/// The largest window and configuration that are read.
const MOST_JSON: u64 = 256 << 20;

pub(super) fn inspect(component: &str, allowed: Allowed, json: bool) -> anyhow::Result<()> {
    let at: ComponentAt =
        component.parse().map_err(|fault| Wrong(format!("{component} is no place of a component: {fault}")))?;
    let bytes = super::far::bytes(&at, most(allowed))?;
    let plugin = loaded(&bytes, allowed, &at.to_string())?;
    if json {
        print(&format!("{:#}\n", serde_json::to_value(plugin.about())?))
    } else {
        print(&described(plugin.about()))
    }
}

pub(super) fn run(
    file: &Path,
    allowed: Allowed,
    input: &Path,
    config: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    let subject = Subject::load(file, allowed)?;
    let (given, configured) = input_of(read_json(input)?);
    let config = config_of(config, configured)?;
    let failed = |nothing| subject.error(input, &nothing);
    let prepared = subject.prepare(&config, given).map_err(failed)?;
    if let Prepared::Window { plugin, config, input } = &prepared {
        let done = plugin.call(config, input).map_err(|fault| wrong(&file.display().to_string(), &fault))?;
        return if json { print(&format!("{:#}\n", serde_json::to_value(&done)?)) } else { print(&said(&done)) };
    }
    let answered = prepared.ask().map_err(failed)?;
    if json {
        let took = u64::try_from(answered.took.as_micros()).unwrap_or(u64::MAX);
        return print(&format!("{:#}\n", serde_json::json!({"opinion": answered.output, "took_us": took})));
    }
    print(&format!("{}\ntook {}\n", harmless(&format!("{:#}", answered.output)), micros(answered.took)))
}

pub(super) fn pack(core: &Path, output: &Path) -> anyhow::Result<()> {
    let bytes = packed(core, output)?;
    print(&format!("{}: {}\n", output.display(), weighed(&bytes)))
}

/// Makes a component of a core module, and gives its bytes back.
pub(super) fn packed(core: &Path, output: &Path) -> anyhow::Result<Vec<u8>> {
    let module = read(core, MOST_JSON)?;
    let component = tidegate_host::pack(&module).map_err(|fault| wrong(&core.display().to_string(), &fault))?;
    write_whole(output, &component).with_context(|| format!("{} cannot be written", output.display()))?;
    Ok(component)
}

/// The size and the digest of a component, in a line.
pub(super) fn weighed(component: &[u8]) -> String {
    format!("{}, sha256 {}", size(component.len() as u64), tidegate_core::digest::Digest::of(component))
}

/// Writes a file that is whole or not there, beside what it replaces until then.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// A component that is loaded, and its bytes.
pub(super) fn load(file: &Path, allowed: Allowed) -> anyhow::Result<(tidegate_host::Plugin, Vec<u8>)> {
    // One byte more than is taken, so that the host says what is too large.
    let bytes = read(file, (most(allowed) as u64).saturating_add(1))?;
    Ok((loaded(&bytes, allowed, &file.display().to_string())?, bytes))
}

/// The largest component that is allowed.
fn most(allowed: Allowed) -> usize {
    let size = allowed.bounds().component_bytes.and_then(|size| usize::try_from(size).ok());
    size.unwrap_or(Limits::default().component_bytes)
}

/// The same of bytes that are there.
fn loaded(bytes: &[u8], allowed: Allowed, named: &str) -> anyhow::Result<tidegate_host::Plugin> {
    let bounds = allowed.bounds();
    let limits = Limits::default().with_room_for(&[bounds]);
    let usual = limits.component_bytes;
    let host = Host::new(limits, Outside::default())?;
    // What takes long is compiled once, as a gateway does it.
    let loaded = if bounds.component_bytes.is_some() && bytes.len() > usual {
        Workshop::of_this_program().load(&host, bytes, Digest::of(bytes), bounds)
    } else {
        host.load(bytes, bounds)
    };
    loaded.map_err(|fault| wrong(named, &fault))
}

/// The configuration of a file, else what stands beside the input, else none.
pub(super) fn config_of(file: Option<&Path>, beside: Option<Value>) -> anyhow::Result<Value> {
    match file {
        Some(file) => read_json(file),
        None => Ok(beside.unwrap_or_else(|| Value::Object(serde_json::Map::new()))),
    }
}

/// A time as people read it.
pub(super) fn micros(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1000.0 { format!("{micros:.1} µs") } else { format!("{:.2} ms", micros / 1000.0) }
}

/// At most so many bytes of a file.
pub(super) fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let absent = |error| Wrong(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(absent)?.take(most).read_to_end(&mut bytes).map_err(absent)?;
    Ok(bytes)
}

pub(super) fn read_json(path: &Path) -> anyhow::Result<Value> {
    let bytes = read(path, MOST_JSON)?;
    let wrong = |error| Wrong(format!("{} is no JSON: {error}", path.display()));
    Ok(serde_json::from_slice(&bytes).map_err(wrong)?)
}

/// What is wrong with a file that was given.
pub(super) fn wrong_file(path: &Path, says: &str) -> anyhow::Error {
    Wrong(format!("{}: {}", path.display(), harmless(says))).into()
}

/// A fault that names its file. What a plugin does while it runs is no fault of the arguments.
pub(super) fn wrong(of: &str, fault: &Fault) -> anyhow::Error {
    let text = format!("{of}: {} ({})", harmless(&fault.says), fault.kind);
    match fault.kind {
        Kind::TooLarge
        | Kind::NotAComponent
        | Kind::Damaged
        | Kind::WrongWorld
        | Kind::Import
        | Kind::BadInput
        | Kind::Refused(_) => Wrong(text).into(),
        Kind::Busy
        | Kind::Tripped
        | Kind::Deadline
        | Kind::Memory
        | Kind::Stack
        | Kind::Trap
        | Kind::HostCalls
        | Kind::BadOutput
        | Kind::Host => anyhow::anyhow!(text),
    }
}

pub(super) fn described(about: &About) -> String {
    let About { name, version, world, looks_at, imports, bytes, sha256, config_schema } = about;
    let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join("\n          ") };
    let LooksAt { request, answer, stream } = looks_at;
    let looks: Vec<_> = [(request, "requests"), (answer, "whole answers"), (stream, "streams")]
        .into_iter()
        .filter_map(|(is_looked_at, what)| is_looked_at.then_some(what))
        .collect();
    let looks = if looks.is_empty() { String::new() } else { format!("\nlooks at  {}", looks.join(", ")) };
    format!(
        "{name} {version}\nworld     {world}{looks}\nasks for  {imports}\nsize      {}\nsha256    {sha256}\nconfigured by\n{config_schema:#}\n",
        size(*bytes as u64)
    )
}

/// What a call gave back, as text. Nothing can be done about a text that cannot grow.
fn said(done: &Done) -> String {
    let Done { output, heard, took } = done;
    let mut text = String::new();
    match output {
        Output::Report(report) => reported(&mut text, report),
        Output::Reports(reports) => {
            for (at, report) in reports.iter().enumerate() {
                writeln!(text, "sample {at}").unwrap_or_default();
                reported(&mut text, report);
            }
        }
        Output::Findings(findings) if findings.is_empty() => text.push_str("nothing was found\n"),
        Output::Findings(findings) => findings.iter().for_each(|finding| found(&mut text, finding)),
    }
    overheard(&mut text, heard);
    let Heard { host_calls, memory_bytes, .. } = heard;
    let memory = size(*memory_bytes as u64);
    writeln!(text, "took {} µs, {memory} of memory, {host_calls} call(s) of the host", took.as_micros())
        .unwrap_or_default();
    text
}

fn reported(text: &mut String, report: &Report) {
    let rows: Vec<[String; 6]> = report.measurements.iter().map(row).collect();
    let head = ["measurement", "of", "value", "p", "threshold", ""].map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>();
        writeln!(text, "{}", cells.join("  ").trim_end()).unwrap_or_default();
    }
    if let Some(detail) = &report.detail {
        writeln!(text, "detail: {detail}").unwrap_or_default();
    }
}

/// Name, labels, value, p-value, threshold, verdict.
fn row(measurement: &Measurement) -> [String; 6] {
    let style = Style::stdout();
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.6}"));
    let labels: Vec<_> = measurement.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value = match (&measurement.value, &measurement.undefined) {
        (None, Some(why)) => format!("undefined: {why}"),
        (value, _) => number(*value),
    };
    let verdict = if measurement.breached { style.bad("breached") } else { String::new() };
    [
        harmless(&measurement.name).into_owned(),
        harmless(&labels.join(" ")).into_owned(),
        harmless(&value).into_owned(),
        number(measurement.p_value),
        number(measurement.threshold),
        verdict,
    ]
}

fn found(text: &mut String, finding: &Finding) {
    let Finding { rule, column, failed, message, .. } = finding;
    let column = column.as_deref().unwrap_or("-");
    writeln!(text, "{}  {}  {failed} row(s)  {}", harmless(rule), harmless(column), harmless(message))
        .unwrap_or_default();
}

/// The plugin's log and metrics, and how much of them was dropped.
fn overheard(text: &mut String, heard: &Heard) {
    for line in &heard.lines {
        writeln!(text, "log {:<5} {}", line.level, harmless(&line.text)).unwrap_or_default();
    }
    for metric in &heard.metrics {
        writeln!(text, "metric {} {}", metric.name, metric.value).unwrap_or_default();
    }
    if heard.dropped_lines + heard.dropped_metrics > 0 {
        let (lines, metrics) = (heard.dropped_lines, heard.dropped_metrics);
        writeln!(text, "dropped: {lines} log line(s), {metrics} metric(s)").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_host::Severity;

    #[test]
    fn a_report_is_a_table() {
        let measurement = |name: &str, value: Option<f64>| Measurement {
            name: name.to_owned(),
            value,
            undefined: value.is_none().then(|| "no rows".to_owned()),
            threshold: Some(0.1),
            p_value: None,
            breached: false,
            severity: Severity::Info,
            labels: vec![("column".to_owned(), "x".to_owned())],
        };
        let report =
            Report { measurements: vec![measurement("psi", Some(0.25)), measurement("ks", None)], detail: None };
        let took = Duration::from_micros(42);
        let text = said(&Done { output: Output::Report(report), heard: Heard::default(), took });
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["psi", "column=x", "0.250000", "-", "0.100000"]);
        assert_eq!(lines[2][2..5], ["undefined:", "no", "rows"]);
        assert_eq!(lines[3][..3], ["took", "42", "µs,"]);
    }

    #[test]
    fn a_file_that_is_no_component_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.wasm");
        std::fs::write(&file, b"hello").unwrap();
        let fault = load(&file, Allowed::default()).map(|_| ()).unwrap_err();
        assert!(fault.to_string().contains("x.wasm: it is no WebAssembly component"), "{fault}");
        assert!(fault.downcast_ref::<Wrong>().is_some());
        let none = load(&folder.path().join("none"), Allowed::default()).map(|_| ()).unwrap_err();
        assert!(none.to_string().contains("cannot be read"));
        let out = folder.path().join("out.wasm");
        assert!(pack(&file, &out).is_err() && !out.exists());
    }
}
