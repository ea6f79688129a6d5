//! Pictures of a monitor's numbers as SVG that stands in a page: over time, reference against current, groups with their
//! intervals, how values lie. The same numbers give the same bytes.

use std::fmt::Write as _;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 46.0;
const EDGE: f64 = 22.0;
/// Told apart by those who see colours less well, too (Okabe, Ito 2008).
const BEFORE: &str = "#0072b2";
const NOW: &str = "#d55e00";

/// A number at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) at_ms: u64,
    pub(super) value: f64,
    pub(super) threshold: Option<f64>,
    pub(super) breached: bool,
}

/// A picture that begins.
struct Picture {
    out: String,
}

impl Picture {
    fn new(title: &str) -> Self {
        let mut out = String::new();
        // Writing into a string cannot fail.
        writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\
             <title>{0}</title><text x=\"4\" y=\"13\" font-weight=\"bold\">{0}</text>",
            escaped(title)
        )
        .unwrap_or_default();
        Self { out }
    }

    fn add(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        self.add(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
    }

    fn end(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// From numbers to heights.
struct Heights {
    low: f64,
    high: f64,
}

impl Heights {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((0.0_f64, f64::MIN_POSITIVE), |(low, high), x| (low.min(x), high.max(x)));
        Self { low, high }
    }

    fn y(&self, value: f64) -> f64 {
        let span = (self.high - self.low).max(f64::MIN_POSITIVE);
        let part = ((value - self.low) / span).clamp(0.0, 1.0);
        HEIGHT - EDGE - part * (HEIGHT - 2.0 * EDGE)
    }

    fn write(&self, picture: &mut Picture) {
        for value in [self.low, self.high] {
            let y = self.y(value);
            picture.add(&format!("<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"));
            picture.text(LEFT - 4.0, y + 4.0, "end", &super::short(value));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
fn place(nth: usize, of: usize) -> f64 {
    LEFT + (nth as f64 + 0.5) / of.max(1) as f64 * (WIDTH - LEFT)
}

#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
fn step(of: usize) -> f64 {
    (WIDTH - LEFT) / of.max(1) as f64
}

/// Values window by window, with their bounds.
pub(super) fn over_time(title: &str, points: &[Point]) -> String {
    let mut picture = Picture::new(title);
    let heights = Heights::of(points.iter().flat_map(|point| [Some(point.value), point.threshold]).flatten());
    heights.write(&mut picture);
    let line = |of: &dyn Fn(&Point) -> Option<f64>| {
        let known = points.iter().enumerate().filter_map(|(nth, point)| Some((nth, of(point)?)));
        known
            .map(|(nth, y)| format!("{:.1},{:.1}", place(nth, points.len()), heights.y(y)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let (values, bounds) = (line(&|point| Some(point.value)), line(&|point| point.threshold));
    picture.add(&format!("<polyline points=\"{bounds}\" fill=\"none\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>"));
    picture.add(&format!("<polyline points=\"{values}\" fill=\"none\" stroke=\"{BEFORE}\" stroke-width=\"2\"/>"));
    for (nth, point) in points.iter().enumerate() {
        let (x, y) = (place(nth, points.len()), heights.y(point.value));
        let colour = if point.breached { NOW } else { BEFORE };
        let said = format!("{}: {}", crate::cli::when::utc(point.at_ms), super::short(point.value));
        picture.add(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{}</title></circle>",
            escaped(&said)
        ));
    }
    picture.end()
}

/// Shares of the reference beside those of the window, bin by bin.
pub(super) fn beside(title: &str, names: &[String], reference: &[f64], current: &[f64]) -> String {
    let mut picture = Picture::new(title);
    let heights = Heights::of(reference.iter().chain(current).copied());
    heights.write(&mut picture);
    let (count, base) = (reference.len().max(current.len()), heights.y(0.0));
    let width = (step(count) * 0.4).max(0.5);
    for nth in 0..count {
        let bars = [(reference.get(nth), BEFORE, -width), (current.get(nth), NOW, 0.0)];
        for (share, colour, off) in bars.into_iter().filter_map(|(share, colour, off)| Some((*share?, colour, off))) {
            let (x, y) = (place(nth, count) + off, heights.y(share));
            let said = format!("{}: {}", names.get(nth).map_or("", String::as_str), super::short(share));
            picture.add(&format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"><title>{}</title></rect>",
                (base - y).max(0.0),
                escaped(&said)
            ));
        }
    }
    for (nth, x) in [(0, LEFT), (names.len().saturating_sub(1), WIDTH)] {
        let anchor = if nth == 0 { "start" } else { "end" };
        picture.text(x, HEIGHT - 6.0, anchor, names.get(nth).map_or("", String::as_str));
    }
    picture.end()
}

/// A group, its value, and where that may lie.
pub(super) type Group = (String, f64, Option<(f64, f64)>);

/// The same number of several groups.
pub(super) fn groups(title: &str, all: &[Group]) -> String {
    let mut picture = Picture::new(title);
    let ends = all.iter().flat_map(|(_, value, span)| [Some(*value), span.map(|span| span.0), span.map(|span| span.1)]);
    let heights = Heights::of(ends.flatten());
    heights.write(&mut picture);
    let (base, width) = (heights.y(0.0), step(all.len()) * 0.6);
    for (nth, (name, value, span)) in all.iter().enumerate() {
        let (x, y) = (place(nth, all.len()), heights.y(*value));
        picture.add(&format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{BEFORE}\" fill-opacity=\"0.6\"/>",
            x - width / 2.0,
            y.min(base),
            (base - y).abs()
        ));
        if let Some((low, high)) = span {
            let (low, high) = (heights.y(*low), heights.y(*high));
            picture
                .add(&format!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" stroke=\"black\"/>"));
        }
        picture.text(x, HEIGHT - 6.0, "middle", &format!("{name} {}", super::short(*value)));
    }
    picture.end()
}

/// How values lie, in ten bins from the least to the largest.
pub(super) fn distribution(title: &str, values: &[f64]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    // Most such numbers are shares: then all of them are shown from 0 to 1.
    let (low, high) = if low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, high) };
    let mut counts = [0.0_f64; 10];
    for value in finite() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of ten")]
        let bin = (((value - low) / (high - low).max(f64::MIN_POSITIVE)) * 10.0).clamp(0.0, 9.0) as usize;
        counts[bin] += 1.0;
    }
    let mut picture = Picture::new(title);
    let heights = Heights::of(counts.iter().copied());
    heights.write(&mut picture);
    let width = step(counts.len()) * 0.9;
    for (nth, count) in counts.iter().enumerate() {
        let (x, y) = (place(nth, counts.len()) - width / 2.0, heights.y(*count));
        picture.add(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{BEFORE}\"/>",
            heights.y(0.0) - y
        ));
    }
    if low.is_finite() {
        picture.text(LEFT, HEIGHT - 6.0, "start", &super::short(low));
        picture.text(WIDTH, HEIGHT - 6.0, "end", &super::short(high));
    }
    picture.end()
}

/// A text as it may stand in a page, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_what_they_show_and_no_markup_of_names() {
        let point = |value: f64, breached: bool| Point { at_ms: 0, value, threshold: Some(0.1), breached };
        let time = over_time("<psi>", &[point(0.01, false), point(0.3, true)]);
        assert_eq!((time.matches("<circle").count(), time.matches(NOW).count()), (2, 1), "{time}");
        let names = ["a".to_owned(), "b".to_owned()];
        let bars = beside("x", &names, &[0.5, 0.5], &[0.1, 0.9]);
        assert_eq!((bars.matches(BEFORE).count(), bars.matches(NOW).count()), (2, 2), "{bars}");
        let groups = groups("rate", &[("f".to_owned(), 0.4, Some((0.3, 0.5))), ("m".to_owned(), -0.1, None)]);
        assert_eq!(groups.matches("stroke=\"black\"").count(), 1, "{groups}");
        let lies = distribution("score", &[0.0, 0.05, 1.0, f64::NAN]);
        assert_eq!(lies.matches("<rect").count(), 10);
        for one in
            [time, bars, groups, lies, over_time("none", &[]), beside("none", &[], &[], &[]), distribution("none", &[])]
        {
            assert!(one.starts_with("<svg") && one.ends_with("</svg>\n") && !one.contains("<psi>"), "{one}");
            assert!(!one.contains("NaN") && !one.contains("inf"), "{one}");
        }
    }

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(escaped("<a href=\"x\" b='y'>&\u{1b}"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{fffd}");
    }
}
