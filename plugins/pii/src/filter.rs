//! From a view of a call to what is said of it. Owns which texts are looked at, what is told of finds, and a stream's texts by
//! their places.

use crate::config::{Config, Mode};
use crate::find::Kind;
use crate::redactor::Redactor;
use std::collections::BTreeMap;
use tidegate_view::{Action, DeltaAction, Edit, Message, Outcome, PartKind, Place, Refusal, untrusted};

/// Looks at a request.
#[must_use]
pub fn request(config: &Config, messages: &[Message]) -> Outcome {
    looked_at(config, messages, "the request contains", "take it out and ask again")
}

/// Looks at a whole answer.
#[must_use]
pub fn answer(config: &Config, choices: &[Message]) -> Outcome {
    looked_at(config, choices, "the answer contains", "ask for it in another way")
}

fn looked_at(config: &Config, messages: &[Message], what: &str, mend: &str) -> Outcome {
    let (mut edits, mut found) = (Vec::new(), Vec::new());
    for (message, part, of) in untrusted(messages) {
        let mut redactor = redactor(of.kind);
        let text = redactor.push(config, &of.text) + &redactor.end(config);
        if !redactor.found().is_empty() {
            found.extend_from_slice(redactor.found());
            edits.push(Edit { message, part, text });
        }
    }
    if found.is_empty() {
        return Outcome::pass();
    }
    let action = match config.mode {
        Mode::Redact => Action::Edit(edits),
        Mode::Refuse => Action::Refuse(refusal(&found, what, mend)),
    };
    Outcome { action, annotations: annotations(&found) }
}

fn redactor(kind: PartKind) -> Redactor {
    if kind == PartKind::ToolArguments { Redactor::json() } else { Redactor::text() }
}

/// How many of each kind were found, and none of them.
fn annotations(found: &[Kind]) -> Vec<(String, String)> {
    let mut counts: BTreeMap<Kind, u32> = BTreeMap::new();
    for kind in found {
        *counts.entry(*kind).or_default() += 1;
    }
    counts.into_iter().map(|(kind, n)| (format!("pii.{}", kind.name()), n.to_string())).collect()
}

fn refusal(found: &[Kind], what: &str, mend: &str) -> Refusal {
    let mut called: Vec<&str> = found.iter().map(|kind| kind.called()).collect();
    called.sort_unstable();
    called.dedup();
    Refusal { status: 400, code: "pii".to_owned(), message: format!("{what} {}: {mend}", called.join(", ")) }
}

/// The texts of one stream.
#[derive(Debug, Default)]
pub struct Stream {
    places: BTreeMap<Place, Redactor>,
}

impl Stream {
    /// The next delta of a text. Where finds are refused, what was held back of one never went out.
    #[must_use]
    pub fn delta(&mut self, config: &Config, place: Place, text: &str) -> DeltaAction {
        if place.kind == PartKind::Other {
            return DeltaAction::Pass;
        }
        let redactor = self.places.entry(place).or_insert_with(|| redactor(place.kind));
        let before = redactor.held();
        let out = redactor.push(config, text);
        if config.mode == Mode::Refuse && !redactor.found().is_empty() {
            return DeltaAction::Refuse(refusal(redactor.found(), "the answer contains", "ask for it in another way"));
        }
        if before == 0 && out == text {
            DeltaAction::Pass
        } else if out.is_empty() {
            DeltaAction::Hold
        } else {
            DeltaAction::Replace(out)
        }
    }

    /// The end of a choice: what was held back of it, by places. What is found only now is taken out, also where finds are
    /// refused: by now there is nothing to refuse.
    #[must_use]
    pub fn end(&mut self, config: &Config, choice: u32) -> Vec<(Place, String)> {
        let mut ended = Vec::new();
        self.places.retain(|place, redactor| {
            if place.choice == choice {
                let out = redactor.end(config);
                if !out.is_empty() {
                    ended.push((*place, out));
                }
            }
            place.choice != choice
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_view::Part;

    fn message(parts: &[(PartKind, &str, bool)]) -> Message {
        let part = |&(kind, text, untrusted): &(PartKind, &str, bool)| Part { kind, text: text.to_owned(), untrusted };
        Message { role: "user".to_owned(), parts: parts.iter().map(part).collect() }
    }

    fn config(json: &str) -> Config {
        Config::read(json).expect("settings")
    }

    const MAIL: &str = "I am max@example.org";

    #[test]
    fn what_the_caller_says_is_redacted_and_what_the_route_says_is_not() {
        let messages = [
            message(&[(PartKind::Text, "Write to help@example.org", false)]),
            message(&[(PartKind::Text, "hello", true), (PartKind::Text, MAIL, true)]),
            message(&[(PartKind::ToolArguments, r#"{"card":4111111111111111}"#, true), (PartKind::Other, "", true)]),
        ];
        let outcome = request(&config(""), &messages);
        let edit = |message, part, text: &str| Edit { message, part, text: text.to_owned() };
        let edits = vec![edit(1, 1, "I am [EMAIL]"), edit(2, 0, r#"{"card":"[CARD]"}"#)];
        assert_eq!(outcome.action, Action::Edit(edits));
        let annotations = [("pii.email", "1"), ("pii.card", "1")];
        assert_eq!(outcome.annotations, annotations.map(|(name, n)| (name.to_owned(), n.to_owned())));
        assert_eq!(request(&config(""), &messages[..1]), Outcome::pass());
    }

    #[test]
    fn a_refusal_names_kinds_and_not_what_was_found() {
        let outcome = answer(&config(r#"{"mode": "refuse"}"#), &[message(&[(PartKind::Text, MAIL, true)])]);
        let Action::Refuse(why) = outcome.action else { panic!("{outcome:?}") };
        assert_eq!((why.status, why.code.as_str()), (400, "pii"));
        assert_eq!(why.message, "the answer contains an e-mail address: ask for it in another way");
    }

    #[test]
    fn texts_of_a_stream_are_apart_by_their_places() {
        let (config, mut stream) = (config(""), Stream::default());
        let place = |choice, index| Place {
            choice,
            kind: if index > 0 { PartKind::ToolArguments } else { PartKind::Text },
            index,
        };
        assert_eq!(stream.delta(&config, place(0, 0), "Hello, "), DeltaAction::Pass);
        assert_eq!(stream.delta(&config, place(0, 0), "max@"), DeltaAction::Hold);
        assert_eq!(stream.delta(&config, place(1, 0), "moritz "), DeltaAction::Pass);
        assert_eq!(stream.delta(&config, place(0, 1), "{\"to\":\"x@y"), DeltaAction::Replace("{\"to\":\"".to_owned()));
        assert_eq!(stream.delta(&config, place(0, 0), "example.org and"), DeltaAction::Replace("[EMAIL] ".to_owned()));
        assert_eq!(stream.delta(&config, place(0, 1), ".de\"}"), DeltaAction::Replace("[EMAIL]\"}".to_owned()));
        assert_eq!(stream.end(&config, 0), [(place(0, 0), "and".to_owned())]);
        assert_eq!((stream.end(&config, 0), stream.end(&config, 1)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_refused_stream_lets_nothing_of_a_find_out() {
        let (config, mut stream) = (config(r#"{"mode": "refuse"}"#), Stream::default());
        let place = Place { choice: 0, kind: PartKind::Text, index: 0 };
        assert_eq!(stream.delta(&config, place, "It is max@example"), DeltaAction::Replace("It is ".to_owned()));
        assert_eq!(stream.delta(&config, place, ".org"), DeltaAction::Hold);
        assert!(matches!(stream.delta(&config, place, "!"), DeltaAction::Refuse(why) if why.code == "pii"));
        let mut late = Stream::default();
        assert_eq!(late.delta(&config, place, "max@example.org"), DeltaAction::Hold);
        assert_eq!(late.end(&config, 0), [(place, "[EMAIL]".to_owned())]);
    }
}
