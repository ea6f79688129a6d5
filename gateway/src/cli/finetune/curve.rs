//! The loss of each step as a picture, with its mean over a tenth of the steps. The same losses give the same bytes.

use std::fmt::Write as _;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const EDGE: f64 = 60.0;

/// The picture.
pub(super) fn picture(base: &str, losses: &[f32]) -> String {
    let base = base.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{EDGE}\" y=\"24\" font-size=\"16\">{base}: loss of {} steps</text>\n",
        losses.len()
    );
    // Writing into a string cannot fail.
    let mut add = |text: String| writeln!(out, "{text}").unwrap_or_default();
    let (low, high) =
        losses.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min((*v).into()), b.max((*v).into())));
    if low <= high {
        let y =
            |value: f64| HEIGHT - EDGE - (value - low) / (high - low).max(f64::MIN_POSITIVE) * (HEIGHT - 2.0 * EDGE);
        for value in [low, f64::midpoint(low, high), high] {
            let y = y(value);
            add(format!("<line x1=\"{EDGE}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>", WIDTH - EDGE));
            add(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.4}</text>", EDGE - 6.0, y + 4.0));
        }
        add(format!("<text x=\"{EDGE}\" y=\"{}\">1</text>", HEIGHT - EDGE + 20.0));
        let right = WIDTH - EDGE;
        add(format!("<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>", HEIGHT - EDGE + 20.0, losses.len()));
        let each: Vec<f64> = losses.iter().map(|loss| f64::from(*loss)).collect();
        for (values, look) in [
            (&each, "stroke=\"#0072b2\" stroke-opacity=\"0.35\""),
            (&means(&each), "stroke=\"#d55e00\" stroke-width=\"2\""),
        ] {
            let points: Vec<String> =
                values.iter().enumerate().map(|(at, v)| format!("{:.1},{:.1}", x(at, each.len()), y(*v))).collect();
            add(format!("<polyline points=\"{}\" fill=\"none\" {look}/>", points.join(" ")));
        }
    }
    add("</svg>".to_owned());
    out
}

#[expect(clippy::cast_precision_loss, reason = "steps are below 2^53")]
fn x(at: usize, count: usize) -> f64 {
    EDGE + at as f64 / (count.saturating_sub(1)).max(1) as f64 * (WIDTH - 2.0 * EDGE)
}

/// The mean of each value and those before it, a tenth of all.
#[expect(clippy::cast_precision_loss, reason = "steps are below 2^53")]
fn means(values: &[f64]) -> Vec<f64> {
    let most = values.len().div_ceil(10).max(1);
    let mean = |at: usize| {
        let some = &values[(at + 1).saturating_sub(most)..=at];
        some.iter().sum::<f64>() / some.len() as f64
    };
    (0..values.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_each_loss_and_their_means() {
        let losses: Vec<f32> = (0..20u8).map(|i| 3.0 / (1.0 + f32::from(i))).collect();
        let shown = picture("a<b", &losses);
        assert_eq!(shown.matches("<polyline").count(), 2);
        assert!(shown.contains("a&lt;b: loss of 20 steps") && shown.contains("60.0,60.0 "), "{shown}");
        assert!(shown.ends_with("</svg>\n") && !shown.contains("NaN"));
        for few in [&[][..], &[1.5][..], &[2.0, 2.0][..]] {
            assert!(!picture("x", few).contains("NaN"), "{few:?}");
        }
    }

    #[test]
    fn means_are_of_a_tenth_and_of_what_there_is() {
        let values: Vec<f64> = (0..20u8).map(f64::from).collect();
        assert_eq!(means(&values)[..3], [0.0, 0.5, 1.5]);
    }
}
