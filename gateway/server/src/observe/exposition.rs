//! The text form of metrics (Prometheus exposition 0.0.4). Owns spelling and escaping; which metrics there are is
//! `metrics`'.

use std::fmt::{Display, Write};

/// Writes families of metrics, one after the other.
#[derive(Debug, Default)]
pub struct Exposition {
    out: String,
    family: &'static str,
}

impl Exposition {
    /// An empty page.
    #[must_use]
    pub fn new() -> Self {
        Self { out: String::with_capacity(16 * 1024), family: "" }
    }

    /// Begins the family of a counter.
    pub fn counter(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, help, "counter")
    }

    /// Begins the family of a gauge.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, help, "gauge")
    }

    /// Begins the family of a histogram.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, help, "histogram")
    }

    fn begin(&mut self, name: &'static str, help: &str, kind: &str) -> &mut Self {
        self.family = name;
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self
    }

    /// Adds a series to the family.
    pub fn series(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// Adds a series whose name has a suffix, as those of histograms do.
    pub fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.out.push_str(self.family);
        self.out.push_str(suffix);
        for (nth, (name, text)) in labels.iter().enumerate() {
            self.out.push(if nth == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.escaped(text);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        self.put(format_args!(" {value}\n"));
        self
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                c => self.out.push(c),
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.out.write_fmt(text).unwrap_or_default();
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }
}
