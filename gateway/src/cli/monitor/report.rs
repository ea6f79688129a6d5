//! A page about a monitor: one file with its pictures in it, which asks nobody for anything. Owns what stands where; pictures
//! are `chart`'s.

use super::chart::{Group, Point, beside, distribution, escaped, groups, over_time};
use super::short;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most pictures of one kind; those that are out of bounds come first.
const MOST: usize = 60;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n\
body{font:14px/1.5 system-ui,sans-serif;max-width:1160px;margin:2em auto;padding:0 1em;color:#222}\n\
h1,h2,h3{line-height:1.2}svg{font:11px system-ui,sans-serif;margin:0 8px 12px 0}table{border-collapse:collapse}\n\
td,th{padding:2px 10px;border-bottom:1px solid #ddd;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}\n\
.alarm,.breached{color:#b00020;font-weight:bold}.well{color:#00695c}.unknown,.dim{color:#666}\n\
blockquote{border-left:3px solid #ddd;margin:.5em 0;padding-left:1em;white-space:pre-wrap}\n</style>\n";

/// The page.
pub(super) fn page(one: &Value) -> String {
    let name = escaped(one["name"].as_str().unwrap_or_default());
    let mut page = Page(format!("{HEAD}<title>{name}</title></head><body>\n<h1>{name}: {}</h1>\n", state(one)));
    page.head(one);
    for watched in one["watched"].as_array().into_iter().flatten() {
        page.watched(watched);
    }
    page.0.push_str("</body></html>\n");
    page.0
}

struct Page(String);

fn state(one: &Value) -> String {
    let state = escaped(one["state"].as_str().unwrap_or("unknown"));
    format!("<span class=\"{state}\">{state}</span>")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn each<'a>(value: &'a Value, name: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// The newest window that was judged.
fn newest(watched: &Value) -> Option<&Value> {
    each(watched, "windows").rev().find(|window| window["fault"].is_null())
}

impl Page {
    fn add(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.add(&format!("<h3>{}</h3>", escaped(text)));
    }

    fn head(&mut self, one: &Value) {
        if let Some(says) = one["says"].as_str() {
            self.add(&format!("<p class=\"alarm\">{}</p>", escaped(says)));
        }
        let counts = &one["counts"];
        let shown = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let reference = &one["reference"];
        let rows = [
            ("Plugin", shown(&one["plugin"])),
            ("Route", shown(&one["route"])),
            ("Variant", shown(&one["variant"])),
            ("Compared with", format!("{} ({} rows)", shown(&reference["from"]), shown(&reference["rows"]))),
            ("Calls", shown(&counts["rows"])),
            ("Left out", shown(&counts["left_out"])),
            (
                "Windows",
                format!(
                    "{} judged, {} breached, {} failed, {} with too few calls",
                    counts["windows"], counts["breached"], counts["failed"], counts["silent"]
                ),
            ),
        ];
        self.add("<table>");
        for (name, value) in rows {
            self.add(&format!("<tr><th>{name}</th><td>{}</td></tr>", escaped(&value)));
        }
        self.add("</table>");
        if let Some(waits) = reference["waits_for"].as_str() {
            self.add(&format!(
                "<p class=\"unknown\">It waits for what windows are compared with: {}</p>",
                escaped(waits)
            ));
        }
    }

    fn watched(&mut self, watched: &Value) {
        let version = watched["version"].as_u64().map(|version| format!(", version {version}")).unwrap_or_default();
        let model = escaped(text(watched, "model"));
        self.add(&format!("<h2>{model}{version}: {}</h2>", state(watched)));
        self.add(&format!("<p>{}</p>", escaped(text(watched, "says"))));
        let Some(newest) = newest(watched) else {
            return self.add("<p class=\"unknown\">No window was judged yet.</p>");
        };
        self.over_time(watched);
        self.features(newest);
        self.groups(newest);
        self.values(newest);
        self.worst(newest);
        self.numbers(newest);
        self.faults(watched);
    }

    /// Each number window by window; of a test, its p-value against its bound.
    fn over_time(&mut self, watched: &Value) {
        let mut series: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
        for window in each(watched, "windows").filter(|window| window["fault"].is_null()) {
            for one in each(window, "measurements") {
                let value = one["p_value"].as_f64().or_else(|| one["value"].as_f64());
                let Some(value) = value.filter(|value| value.is_finite()) else { continue };
                series.entry(text(one, "name")).or_default().push(Point {
                    at_ms: window["end_ms"].as_u64().unwrap_or_default(),
                    value,
                    threshold: one["threshold"].as_f64(),
                    breached: one["breached"] == true,
                });
            }
        }
        let mut series: Vec<(&str, Vec<Point>)> = series.into_iter().collect();
        series.sort_by_key(|(_, points)| !points.iter().any(|point| point.breached));
        self.heading("Over time (dashed: the bound; of tests, p-values)");
        for (name, points) in series.iter().take(MOST) {
            let picture = over_time(name, points);
            self.add(&picture);
        }
        self.more(series.len());
    }

    /// The reference (blue) against the window (orange), bin by bin.
    fn features(&mut self, window: &Value) {
        let Some(bins) = window["detail"]["bins"].as_object().filter(|bins| !bins.is_empty()) else { return };
        self.heading("Reference (blue) against the newest window (orange)");
        let numbers =
            |value: &Value| -> Vec<f64> { value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect() };
        for (name, one) in bins.iter().take(MOST) {
            let picture = beside(name, &names(one), &numbers(&one["reference"]), &numbers(&one["current"]));
            self.add(&picture);
        }
        self.more(bins.len());
        for skipped in each(&window["detail"], "skipped") {
            let says = format!("{}: {}", text(skipped, "column"), text(skipped, "why"));
            self.add(&format!("<p class=\"dim\">{}</p>", escaped(&says)));
        }
    }

    /// Numbers of groups, with where they may lie.
    fn groups(&mut self, window: &Value) {
        let mut all: BTreeMap<&str, Vec<Group>> = BTreeMap::new();
        for one in each(window, "measurements") {
            let (Some(group), Some(value)) = (one["labels"]["group"].as_str(), one["value"].as_f64()) else { continue };
            let end = |name: &str| one["labels"][name].as_str().and_then(|end| end.parse::<f64>().ok());
            let measure = text(one, "name").split(':').next().unwrap_or_default();
            all.entry(measure).or_default().push((group.to_owned(), value, end("low").zip(end("high"))));
        }
        if all.is_empty() {
            return;
        }
        self.heading("Groups, with their intervals");
        for (name, of) in all.iter().take(MOST) {
            let picture = groups(name, of);
            self.add(&picture);
        }
        self.more(all.len());
    }

    /// How the numbers of single answers lie.
    fn values(&mut self, window: &Value) {
        let Some(values) = window["values"].as_object().filter(|values| !values.is_empty()) else { return };
        self.heading("Answers by their numbers");
        for (name, one) in values.iter().take(MOST) {
            let of: Vec<f64> = one.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            let picture = distribution(name, &of);
            self.add(&picture);
        }
        self.more(values.len());
    }

    fn worst(&mut self, window: &Value) {
        if each(window, "worst").next().is_none() {
            return;
        }
        self.heading("The worst answers");
        for one in each(window, "worst") {
            self.add(&format!("<p class=\"dim\">{}</p>", escaped(text(one, "inference_id"))));
            for (what, said) in [("Asked", text(one, "question")), ("Answered", text(one, "answer"))] {
                self.add(&format!("<p>{what}:</p><blockquote>{}</blockquote>", escaped(said)));
            }
            for passage in each(one, "passages").filter_map(Value::as_str) {
                self.add(&format!("<blockquote class=\"dim\">{}</blockquote>", escaped(passage)));
            }
        }
    }

    fn numbers(&mut self, window: &Value) {
        self.heading("All numbers of the newest window");
        self.add("<table><tr><th>number</th><th>value</th><th>p</th><th>bound</th><th></th></tr>");
        for one in each(window, "measurements") {
            let number = |name: &str| one[name].as_f64().map(short).unwrap_or_default();
            let value = one["value"].as_f64().map_or_else(|| "undefined".to_owned(), short);
            let is = if one["breached"] == true { "<span class=\"breached\">breached</span>" } else { "" };
            let mut row = String::new();
            // Writing into a string cannot fail.
            write!(
                row,
                "<tr><td>{}</td><td class=\"n\">{value}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{is}</td></tr>",
                escaped(text(one, "name")),
                number("p_value"),
                number("threshold")
            )
            .unwrap_or_default();
            self.add(&row);
        }
        self.add("</table>");
    }

    fn faults(&mut self, watched: &Value) {
        for window in each(watched, "windows").filter(|window| !window["fault"].is_null()) {
            let at = crate::cli::when::utc(window["end_ms"].as_u64().unwrap_or_default());
            self.add(&format!("<p class=\"dim\">{at}: {}</p>", escaped(text(window, "fault"))));
        }
    }

    fn more(&mut self, all: usize) {
        if all > MOST {
            self.add(&format!("<p class=\"dim\">and {} more</p>", all - MOST));
        }
    }
}

/// The names of bins: values, or where they begin and end.
fn names(bins: &Value) -> Vec<String> {
    if let Some(values) = bins["values"].as_array() {
        return values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    }
    let edges: Vec<Option<f64>> = each(bins, "edges").map(Value::as_f64).collect();
    let edge = |edge: Option<f64>, none: &str| edge.map_or_else(|| none.to_owned(), short);
    edges.windows(2).map(|pair| format!("{} to {}", edge(pair[0], "least"), edge(pair[1], "most"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn a_page_has_each_picture_and_no_markup_of_others() {
        let page = page(&shown());
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        for part in [
            "<h1>fraud-drift: <span class=\"alarm\">alarm</span></h1>",
            "Over time",
            "Reference (blue) against",
            "least to 1",
            "Groups, with their intervals",
            "Answers by their numbers",
            "The worst answers",
            "&lt;b&gt;why&lt;/b&gt;",
            "psi:amount&lt;",
            "it has 3 calls",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\u{1b}'));
        assert!(!page.contains("http://") && !page.contains("https://"), "it asks nobody for anything");
    }

    #[test]
    fn a_monitor_that_saw_nothing_has_a_page() {
        let page = page(&serde_json::json!({"name": "m", "watched": [{"model": "a", "windows": []}]}));
        assert!(page.contains("No window was judged yet") && page.ends_with("</html>\n"));
    }
}
