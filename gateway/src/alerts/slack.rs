//! Slack's incoming webhooks, and those that take the same: a text for who shows no blocks, and blocks. What comes from
//! monitors is escaped, so that no value can call a channel or make a link.

use super::alertmanager::line;
use super::errand::{Errand, Telling};
use super::text::{cut, rfc3339};
use http::Uri;
use serde_json::{Value, json};
use tidegate_core::Secret;
use tidegate_core::port::alerts::Alarm;

/// The most characters of a header.
const HEADER: usize = 150;
/// The most characters of a section's text, and of the text beside the blocks.
const SECTION: usize = 3000;
/// The most characters of one field.
const FIELD: usize = 2000;

/// What tells of it.
///
/// # Errors
/// The address is none.
pub(super) fn errand(url: &Secret, telling: &Telling<'_>) -> Result<Errand, String> {
    let alarm = telling.alarm;
    let url: Uri = url.expose().parse().map_err(|_| "the webhook's address is none".to_owned())?;
    let what = if alarm.firing { "Alarm" } else { "Over" };
    let summary = escaped(&alarm.summary, SECTION);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut(&format!("{what}: {}", alarm.monitor), HEADER), "emoji": false}}),
        section(&summary),
        json!({"type": "section", "fields": fields(alarm)}),
    ];
    if alarm.firing && !alarm.measurements.is_empty() {
        let lines: Vec<String> = alarm.measurements.iter().take(20).map(line).collect();
        // The fences of a block of code are ours alone.
        let lines = escaped(&lines.join("\n").replace('`', "'"), SECTION - 8);
        blocks.push(section(&format!("```\n{lines}\n```")));
    }
    let time = if alarm.firing { alarm.since_ms } else { alarm.at_ms };
    let mut context = rfc3339(time);
    if let Some(link) = telling.link() {
        context = format!("{context} | {}", escaped(&link, FIELD - 40));
    }
    blocks.push(json!({"type": "context", "elements": [mrkdwn(&context)]}));
    let text = escaped(&format!("{what}: {}: {}", alarm.monitor, alarm.summary), SECTION);
    Ok(Errand::post(url, &json!({"text": text, "blocks": blocks})))
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn mrkdwn(text: &str) -> Value {
    // Verbatim: neither links nor names of channels are made of what looks like some.
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn fields(alarm: &Alarm) -> Vec<Value> {
    let model = alarm.model.as_ref().map(|model| match alarm.model_version {
        Some(version) => format!("{model} version {version}"),
        None => model.to_string(),
    });
    let known = [
        ("Route", Some(alarm.route.to_string())),
        ("Variant", alarm.variant.as_ref().map(ToString::to_string)),
        ("Model", model),
    ];
    let field =
        |(name, value): (&str, Option<String>)| Some(mrkdwn(&format!("*{name}*\n{}", escaped(&value?, FIELD - 20))));
    known.into_iter().filter_map(field).collect()
}

/// With `&`, `<` and `>` as Slack wants them, at most `most` characters; no escape is cut apart.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut own = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => &*c.encode_utf8(&mut own),
        };
        let length = piece.chars().count();
        // One is kept for the ellipsis, unless this is the last.
        if count + length + usize::from(rest.peek().is_some()) > most {
            out.push('…');
            break;
        }
        out.push_str(piece);
        count += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};

    fn told(alarm: &Alarm) -> Value {
        let url = Secret::new("https://hooks.slack.com/services/T0/B0/x");
        let errand = telling(alarm, |telling| errand(&url, telling)).unwrap();
        assert_eq!(errand.url, url.expose());
        read(&errand.body)
    }

    #[test]
    fn an_alarm_is_blocks_and_a_text() {
        let expected = json!({
            "text": "Alarm: fraud-drift: amount has drifted: psi 0.31 &gt; 0.2 &amp; &lt;more&gt;",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Alarm: fraud-drift", "emoji": false}},
                {"type": "section", "text": {"type": "mrkdwn", "text": "amount has drifted: psi 0.31 &gt; 0.2 &amp; &lt;more&gt;", "verbatim": true}},
                {"type": "section", "fields": [
                    {"type": "mrkdwn", "text": "*Route*\nfraud", "verbatim": true},
                    {"type": "mrkdwn", "text": "*Variant*\nblue", "verbatim": true},
                    {"type": "mrkdwn", "text": "*Model*\nfraud-v1 version 3", "verbatim": true},
                ]},
                {"type": "section", "text": {"type": "mrkdwn", "text": "```\npsi{feature=amount} = 0.31 (bound 0.2)\nrows = 1000\n```", "verbatim": true}},
                {"type": "context", "elements": [
                    {"type": "mrkdwn", "text": "2026-11-23T00:36:10.123Z | http://127.0.0.1:8081/admin/v1/monitors/fraud-drift", "verbatim": true},
                ]},
            ],
        });
        assert_eq!(told(&alarm(true)), expected);
    }

    #[test]
    fn its_end_says_so() {
        let body = told(&alarm(false));
        assert_eq!(body["blocks"][0]["text"]["text"], "Over: fraud-drift");
        assert_eq!(body["blocks"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn nothing_is_longer_than_slack_takes_and_no_escape_is_cut() {
        let mut long = alarm(true);
        long.summary = "<!channel>&".repeat(2000);
        long.monitor = "m".repeat(128).parse().unwrap();
        long.measurements = vec![long.measurements[0].clone(); 500];
        let body = told(&long);
        for text in [&body["text"], &body["blocks"][1]["text"]["text"], &body["blocks"][3]["text"]["text"]] {
            let text = text.as_str().unwrap();
            assert!(text.chars().count() <= 3000 && !text.contains("<!"), "{}", text.chars().count());
        }
        assert_eq!(escaped("a&b", 7), "a&amp;b");
        assert_eq!(escaped("a&b", 6), "a…");
        assert_eq!(escaped("abc", 3), "abc");
        assert_eq!(escaped("abcd", 3), "ab…");
    }
}
