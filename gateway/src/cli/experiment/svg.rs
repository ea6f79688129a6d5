//! The means of an experiment's arms over time, with where they may lie at every look, as a picture. The same experiment
//! gives the same bytes.

use crate::replay::Experiment;
use std::fmt::Write as _;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const EDGE: f64 = 60.0;
/// Told apart by those who see colours less well, too (Okabe, Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// Where numbers lie in the picture.
struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    fn of(found: &Experiment) -> Option<Self> {
        let known = found.over_time.iter().flat_map(|moment| moment.arms.iter().flatten().map(|at| (moment.at_ms, at)));
        let mut scale: Option<Self> = None;
        for (at_ms, (_, span)) in known {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
            let x = at_ms as f64;
            let now = scale.get_or_insert(Self { from: (x, span.low), to: (x, span.high) });
            now.from = (now.from.0.min(x), now.from.1.min(span.low));
            now.to = (now.to.0.max(x), now.to.1.max(span.high));
        }
        scale
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
    fn x(&self, at_ms: u64) -> f64 {
        let span = (self.to.0 - self.from.0).max(1.0);
        EDGE + (at_ms as f64 - self.from.0) / span * (WIDTH - 2.0 * EDGE)
    }

    fn y(&self, value: f64) -> f64 {
        let span = (self.to.1 - self.from.1).max(f64::MIN_POSITIVE);
        HEIGHT - EDGE - (value - self.from.1) / span * (HEIGHT - 2.0 * EDGE)
    }
}

/// The picture.
pub(super) fn picture(found: &Experiment) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{EDGE}\" y=\"24\" font-size=\"16\">{}: mean of {}, 95 % at every look</text>\n",
        escaped(&found.route),
        escaped(&found.reward)
    );
    // Writing into a string cannot fail.
    let mut add = |text: String| writeln!(out, "{text}").unwrap_or_default();
    let Some(scale) = Scale::of(found) else {
        add(format!("<text x=\"{EDGE}\" y=\"{}\">nothing is known yet</text>\n</svg>", HEIGHT / 2.0));
        return out;
    };
    for value in [scale.from.1, f64::midpoint(scale.from.1, scale.to.1), scale.to.1] {
        let y = scale.y(value);
        add(format!("<line x1=\"{EDGE}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>", WIDTH - EDGE));
        add(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.4}</text>", EDGE - 6.0, y + 4.0));
    }
    for (nth, arm) in found.arms.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let known: Vec<_> = found
            .over_time
            .iter()
            .filter_map(|moment| Some((scale.x(moment.at_ms), moment.arms.get(nth)?.as_ref()?)))
            .collect();
        let point = |x: f64, value: f64| format!("{x:.1},{:.1}", scale.y(value));
        let upper = known.iter().map(|(x, (_, span))| point(*x, span.high));
        let lower = known.iter().rev().map(|(x, (_, span))| point(*x, span.low));
        let band: Vec<String> = upper.chain(lower).collect();
        let means: Vec<String> = known.iter().map(|(x, (mean, _))| point(*x, *mean)).collect();
        add(format!("<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.15\"/>", band.join(" ")));
        add(format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", means.join(" ")));
        #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
        let x = EDGE + nth as f64 * 120.0;
        add(format!("<text x=\"{x:.0}\" y=\"{}\" fill=\"{colour}\">{}</text>", HEIGHT - 20.0, escaped(&arm.name)));
    }
    add("</svg>".to_owned());
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::found;
    use super::*;

    #[test]
    fn a_picture_has_a_band_for_each_arm_and_no_markup_of_names() {
        let shown = picture(&found());
        assert_eq!((shown.matches("<polygon").count(), shown.matches("<polyline").count()), (2, 2));
        assert!(shown.contains("b&lt;") && shown.ends_with("</svg>\n") && !shown.contains("NaN"), "{shown}");
        assert_eq!(shown, picture(&found()));
        let mut none = found();
        none.over_time.clear();
        assert!(picture(&none).contains("nothing is known yet"));
    }
}
