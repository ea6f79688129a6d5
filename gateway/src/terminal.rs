//! What a person sees: colours only where a terminal shows them, progress as a bar there and as plain lines elsewhere.
//! Owns the look alone; what is said belongs to the commands.

use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Colours, or none: plain text comes out as it went in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self { colour: io::stdout().is_terminal() && colour_is_wanted() }
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self { colour: io::stderr().is_terminal() && colour_is_wanted() }
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Names and headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be skipped when reading.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What deserves a look.
    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }
}

/// The convention of <https://no-color.org>, and terminals that know no colours.
fn colour_is_wanted() -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text of others made safe for a terminal: control characters but tab and line feed become `\u{…}`, so no model, caller
/// or server can move the cursor, rename the window or forge a line above its own.
pub(crate) fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    let hostile = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hostile) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out.into()
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// Where long work says how far it is.
pub(crate) trait Progress: Send + Sync + fmt::Debug {
    /// Begins a piece of work; `total` where it is known. The display ends when the meter is dropped.
    fn meter(&self, what: &str, total: Option<u64>) -> Box<dyn Meter>;
    /// Begins work of so many steps.
    fn steps(&self, what: &str, total: u64) -> Box<dyn Meter>;
    /// Says one thing once.
    fn note(&self, text: &str);
}

/// One piece of work.
pub(crate) trait Meter: Send + fmt::Debug {
    /// How much of it is done, from its start.
    fn at(&mut self, done: u64);
    /// What is shown beside it from now on.
    fn beside(&mut self, _text: &str) {}
}

/// Progress on standard error: bars on a terminal, a line for each tenth elsewhere.
pub(crate) fn progress() -> Arc<dyn Progress> {
    if io::stderr().is_terminal() { Arc::new(Bars) } else { Arc::new(Lines::to(Box::new(io::stderr()))) }
}

#[derive(Debug)]
struct Bars;

#[derive(Debug)]
struct Bar(ProgressBar);

/// Counts rows on standard error: a bar on a terminal, a line for each tenth elsewhere.
pub(crate) fn counted(what: &str, total: u64) -> Box<dyn Meter> {
    if !io::stderr().is_terminal() {
        let out: Out = Arc::new(Mutex::new(Box::new(io::stderr())));
        return Box::new(Tenths::new(out, what, total, Tenths::rows));
    }
    let bar = ProgressBar::new(total);
    let template = "{msg:.bold} {bar:28.cyan/dim} {human_pos:>10} of {human_len} rows, {per_sec}, {eta} left";
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    Box::new(Bar(bar))
}

impl Progress for Bars {
    fn meter(&self, what: &str, total: Option<u64>) -> Box<dyn Meter> {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:.bold} {bar:28.cyan/dim} {bytes:>10} of {total_bytes}, {bytes_per_sec}, {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{msg:.bold} {spinner:.cyan} {bytes:>10}, {elapsed}"),
        };
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar(bar))
    }

    fn steps(&self, what: &str, total: u64) -> Box<dyn Meter> {
        let template = "{msg:.bold} {bar:28.cyan/dim} {pos:>5} of {len} steps, {prefix}, {eta} left";
        let bar = ProgressBar::new(total);
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar(bar))
    }

    fn note(&self, text: &str) {
        // Progress is a courtesy: where standard error is closed, the work goes on.
        writeln!(io::stderr(), "{text}").unwrap_or_default();
    }
}

impl Meter for Bar {
    fn at(&mut self, done: u64) {
        self.0.set_position(done);
    }

    fn beside(&mut self, text: &str) {
        self.0.set_prefix(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

type Out = Arc<Mutex<Box<dyn Write + Send>>>;

/// Progress as lines, for logs and pipes.
pub(crate) struct Lines(Out);

impl Lines {
    /// Lines that go to `out`.
    pub(crate) fn to(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

fn say(out: &Out, text: &str) {
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    // As above: a closed log must not stop a download.
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap_or_default();
}

struct Line {
    out: Out,
    what: String,
    total: Option<u64>,
    next: u64,
}

/// Without a total a line comes each so many bytes.
const STEP_WITHOUT_TOTAL: u64 = 20_000_000;
/// What is smaller is done before a line could be read.
const SHORT: u64 = 5_000_000;

impl Progress for Lines {
    fn meter(&self, what: &str, total: Option<u64>) -> Box<dyn Meter> {
        say(&self.0, what);
        let next = match total {
            None => STEP_WITHOUT_TOTAL,
            Some(total) if total < SHORT => u64::MAX,
            Some(total) => total.div_ceil(10),
        };
        Box::new(Line { out: Arc::clone(&self.0), what: what.to_owned(), total, next })
    }

    fn steps(&self, what: &str, total: u64) -> Box<dyn Meter> {
        Box::new(Tenths::new(Arc::clone(&self.0), what, total, Tenths::steps))
    }

    fn note(&self, text: &str) {
        say(&self.0, text);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&self.what).finish()
    }
}

impl Meter for Line {
    fn at(&mut self, done: u64) {
        if done < self.next {
            return;
        }
        let (text, step) = match self.total {
            Some(total) => (
                format!(
                    "{}: {} % ({} of {})",
                    self.what,
                    done.min(total) * 100 / total.max(1),
                    size(done),
                    size(total)
                ),
                total.div_ceil(10).max(1),
            ),
            None => (format!("{}: {}", self.what, size(done)), STEP_WITHOUT_TOTAL),
        };
        say(&self.out, &text);
        self.next = (done / step + 1) * step;
    }
}

/// What is counted as lines: one for each tenth, and the last.
struct Tenths {
    out: Out,
    what: String,
    beside: String,
    total: u64,
    next: u64,
    says: fn(&Self, u64) -> String,
}

impl Tenths {
    fn new(out: Out, what: &str, total: u64, says: fn(&Self, u64) -> String) -> Self {
        let next = Self::tenth(total);
        Self { out, what: what.to_owned(), beside: String::new(), total, next, says }
    }

    fn tenth(total: u64) -> u64 {
        total.div_ceil(10).max(1)
    }

    fn rows(&self, done: u64) -> String {
        format!("{}: {} % ({done} of {} rows)", self.what, done * 100 / self.total.max(1), self.total)
    }

    fn steps(&self, done: u64) -> String {
        format!("{}: {done} of {} steps, {}", self.what, self.total, self.beside)
    }
}

impl fmt::Debug for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenths").field(&self.what).finish()
    }
}

impl Meter for Tenths {
    fn at(&mut self, done: u64) {
        if done < self.next {
            return;
        }
        say(&self.out, &(self.says)(self, done));
        let tenth = Self::tenth(self.total);
        self.next = if done >= self.total { u64::MAX } else { ((done / tenth + 1) * tenth).min(self.total) };
    }

    fn beside(&mut self, text: &str) {
        text.clone_into(&mut self.beside);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A writer whose text can be read afterwards.
    #[derive(Clone, Default)]
    pub(crate) struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Seen {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Seen {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(buf);
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_about_each_tenth_and_never_twice() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        let mut meter = lines.meter("weights", Some(10_000_000));
        for done in (0..=10_000_000).step_by(1_000) {
            meter.at(done);
        }
        let text = seen.text();
        assert_eq!(text.lines().count(), 11, "{text}");
        assert_eq!(text.lines().nth(1), Some("weights: 10 % (1.0 MB of 10.0 MB)"));
        assert_eq!(text.lines().last(), Some("weights: 100 % (10.0 MB of 10.0 MB)"));
    }

    #[test]
    fn steps_are_told_each_tenth_with_what_stands_beside_them() {
        let seen = Seen::default();
        let mut meter = Lines::to(Box::new(seen.clone())).steps("fine-tuning", 25);
        for done in 4..=25 {
            meter.beside(&format!("loss {done}"));
            meter.at(done);
        }
        let text = seen.text();
        assert_eq!(text.lines().next(), Some("fine-tuning: 4 of 25 steps, loss 4"));
        assert_eq!(text.lines().last(), Some("fine-tuning: 25 of 25 steps, loss 25"));
        assert_eq!(text.lines().count(), 9, "{text}");
    }

    #[test]
    fn small_work_is_one_line() {
        let seen = Seen::default();
        for total in [0, 4_000_000] {
            let mut meter = Lines::to(Box::new(seen.clone())).meter("small", Some(total));
            meter.at(0);
            meter.at(4_000_000);
        }
        assert_eq!(seen.text(), "small\nsmall\n");
    }

    #[test]
    fn text_of_others_cannot_drive_the_terminal() {
        assert_eq!(harmless("plain\n\tüñ"), "plain\n\tüñ");
        assert_eq!(harmless("\x1b]0;owned\x07\r"), "\\u{1b}]0;owned\\u{7}\\u{d}");
        assert_eq!(harmless("\u{9b}2J\u{202e}"), "\\u{9b}2J\\u{202e}");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(0), size(999), size(98_362_432), size(1_500_000_000)], ["0 B", "999 B", "98.3 MB", "1.5 GB"]);
    }

    #[test]
    fn a_pipe_gets_no_colours() {
        assert_eq!(Style::plain().bad("x"), "x");
        assert_eq!(Style { colour: true }.good("x"), "\x1b[32mx\x1b[0m");
    }
}
