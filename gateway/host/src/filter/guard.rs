//! Guardrails as filters: each text is asked of one by one, and what it says of them is put together. Owns which texts at
//! which stage, what a redaction leaves, and what a caller is told that is blocked.

use super::vet::{self, Wrong};
use crate::bindings::filters::exports::tidegate::plugin::guardrail as wit;
use tidegate_core::port::filter::{Action, Edit, Message, Opinion, Part, PartKind, Refused};

/// Where the texts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Answer,
}

/// The stage at which a part is looked at; `None` where it is not: what is no text, an empty one, and the route's own prompt.
pub(super) fn stage(side: Side, part: &Part<'_>) -> Option<wit::Stage> {
    let is_looked_at = part.kind != PartKind::Other && !part.text.is_empty();
    if !is_looked_at || (side == Side::Request && !part.is_untrusted) {
        return None;
    }
    Some(match (part.kind, side) {
        (PartKind::ToolArguments, _) => wit::Stage::ToolCall,
        (_, Side::Request) => wit::Stage::Input,
        (_, Side::Answer) => wit::Stage::Output,
    })
}

/// The most annotations that are put together.
const ANNOTATIONS: usize = 16;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    edits: Vec<Edit>,
    annotations: Vec<(String, String)>,
    blocked: Option<Refused>,
}

impl Gathered {
    /// Takes what was said of a text; whether the next shall be asked of.
    pub(super) fn take(&mut self, at: (usize, usize), text: &str, outcome: wit::Outcome) -> Result<bool, Wrong> {
        if !outcome.score.is_finite() {
            return Err("its score is no finite number".to_owned());
        }
        match outcome.verdict {
            wit::Verdict::Allow => {}
            wit::Verdict::Redact(spans) => {
                for span in &spans {
                    vet::word(&span.category, "the category of what it redacts")?;
                    self.annotate("redacted", &span.category);
                }
                if !spans.is_empty() {
                    let (message, part) = at;
                    self.edits.push(Edit { message, part, text: redacted(text, &spans)? });
                }
            }
            wit::Verdict::Block(why) => {
                let message = if why.is_empty() {
                    "A guardrail of this route does not let this text pass.".to_owned()
                } else {
                    why
                };
                let code = "guardrail".to_owned();
                let refusal = crate::bindings::filters::tidegate::plugin::view::Refusal { status: 400, code, message };
                self.blocked = Some(vet::refused(refusal)?);
                return Ok(false);
            }
            wit::Verdict::Annotate(value) => self.annotate("guardrail", &value),
        }
        Ok(true)
    }

    /// Keeps a fact once, as long as there is room.
    fn annotate(&mut self, name: &str, value: &str) {
        let is_new = !self.annotations.iter().any(|(known, of)| known == name && of == value);
        if is_new && self.annotations.len() < ANNOTATIONS {
            self.annotations.push((name.to_owned(), value.to_owned()));
        }
    }

    /// All of it as one opinion on these messages.
    pub(super) fn opinion(self, messages: &[Message<'_>]) -> Result<Opinion, Wrong> {
        let Self { edits, annotations, blocked } = self;
        let action = match blocked {
            Some(refused) => Action::Refuse(refused),
            None => vet::edited(edits, messages)?,
        };
        Ok(Opinion { action, annotations: vet::annotated(annotations)? })
    }
}

/// The text with others in the place of these spans, which are in order, apart, and begin and end between characters.
fn redacted(text: &str, spans: &[wit::Span]) -> Result<String, Wrong> {
    let mut left = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let (start, end) = (span.start as usize, span.end as usize);
        if start < done || start >= end || end > text.len() {
            return Err(format!(
                "it redacts {start} to {end} of a text of {} bytes, after {done}: spans stand in order and apart",
                text.len()
            ));
        }
        let (Some(before), true) = (text.get(done..start), text.is_char_boundary(end)) else {
            return Err(format!("it redacts {start} to {end}, which cuts a character"));
        };
        left.push_str(before);
        match &span.replacement {
            Some(replacement) => left.push_str(replacement),
            None => left.extend(["[", &span.category, "]"]),
        }
        done = end;
    }
    left.push_str(text.get(done..).unwrap_or_default());
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::filters::tidegate::plugin::types::Severity;

    fn span(start: u32, end: u32, replacement: Option<&str>) -> wit::Span {
        wit::Span { start, end, category: "email".to_owned(), replacement: replacement.map(str::to_owned) }
    }

    #[test]
    fn spans_are_cut_out_between_characters() {
        assert_eq!(
            redacted("an a@b or c@d.", &[span(3, 6, None), span(10, 13, Some("x"))]).unwrap(),
            "an [email] or x."
        );
        assert_eq!(redacted("äöü", &[span(0, 2, Some("")), span(2, 6, Some("ß"))]).unwrap(), "ß");
        for (spans, part) in [
            (vec![span(1, 2, None)], "cuts a character"),
            (vec![span(0, 3, None)], "cuts a character"),
            (vec![span(2, 4, None), span(0, 2, None)], "in order"),
            (vec![span(0, 4, None), span(2, 6, None)], "in order"),
            (vec![span(2, 2, None)], "in order"),
            (vec![span(4, 7, None)], "in order"),
            (vec![span(4, u32::MAX, None)], "in order"),
        ] {
            let says = redacted("äöü", &spans).unwrap_err();
            assert!(says.contains(part), "{says}");
        }
    }

    #[test]
    fn the_prompt_of_the_route_is_not_asked_of() {
        let of =
            |side, kind, text: &'static str, is_untrusted| stage(side, &Part { kind, text: text.into(), is_untrusted });
        let all = [
            of(Side::Request, PartKind::Text, "x", true),
            of(Side::Request, PartKind::Text, "x", false),
            of(Side::Request, PartKind::ToolArguments, "x", true),
            of(Side::Answer, PartKind::Reasoning, "x", true),
            of(Side::Answer, PartKind::ToolArguments, "x", true),
            of(Side::Answer, PartKind::Text, "", true),
            of(Side::Answer, PartKind::Other, "", true),
        ];
        use wit::Stage::{Input, Output, ToolCall};
        let wanted = [Some(Input), None, Some(ToolCall), Some(Output), Some(ToolCall), None, None];
        for (found, wanted) in all.iter().zip(wanted) {
            assert_eq!(found.map(|stage| stage as u8), wanted.map(|stage| stage as u8));
        }
    }

    #[test]
    fn what_is_said_of_each_is_put_together() {
        let part = |text: &'static str| Part { kind: PartKind::Text, text: text.into(), is_untrusted: true };
        let messages = [Message { role: "user".into(), parts: vec![part("an a@b"), part("more")] }];
        let say = |verdict, score| wit::Outcome { verdict, severity: Severity::Info, score };
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take((0, 0), "an a@b", say(wit::Verdict::Redact(vec![span(3, 6, None)]), 0.5)), Ok(true));
        for _ in 0..2 {
            assert_eq!(gathered.take((0, 1), "more", say(wit::Verdict::Annotate("long".to_owned()), 0.5)), Ok(true));
        }
        assert!(gathered.take((0, 1), "more", say(wit::Verdict::Allow, f64::NAN)).is_err());
        let opinion = gathered.opinion(&messages).unwrap();
        assert_eq!(opinion.action, Action::Edit(vec![Edit { message: 0, part: 0, text: "an [email]".to_owned() }]));
        let note = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(opinion.annotations, [note("redacted", "email"), note("guardrail", "long")]);

        let mut gathered = Gathered::default();
        assert_eq!(gathered.take((0, 0), "x", say(wit::Verdict::Block(String::new()), 1.0)), Ok(false));
        let Action::Refuse(refused) = gathered.opinion(&messages).unwrap().action else { panic!("not refused") };
        assert_eq!((refused.status, refused.code.as_str()), (400, "guardrail"));
    }
}
