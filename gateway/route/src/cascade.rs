//! Whether an answer is too poor for its caller, so that the next variant of a cascade is asked. Owns the tests that need
//! nobody's opinion; judges are behind a port, and what comes next is the plan's.

use tidegate_core::Said;
use tidegate_core::event::Poor;
use tidegate_core::said::Choice;
use tidegate_core::spec::Weakness;

/// Why an answer to `request`, which is the caller's body, is too poor: the first of these that it has in one of its choices.
/// One that has no choice at all is empty.
#[must_use]
pub fn weakness(of: &[Weakness], said: &Said, request: &[u8]) -> Option<Poor> {
    of.iter().find_map(|weakness| has(weakness, said, request))
}

fn has(weakness: &Weakness, said: &Said, request: &[u8]) -> Option<Poor> {
    let any = |is: &dyn Fn(&Choice) -> bool| said.choices.iter().any(is);
    let ended_by = |reason: &str| any(&|choice| choice.finish.as_deref() == Some(reason));
    let (is, why) = match weakness {
        Weakness::Length => (ended_by("length"), Poor::Length),
        Weakness::ContentFilter => (ended_by("content_filter"), Poor::ContentFilter),
        Weakness::Refusal => (any(&|choice| !choice.refusal.is_empty()), Poor::Refusal),
        Weakness::Empty => (said.choices.is_empty() || any(&is_empty), Poor::Empty),
        Weakness::InvalidJson => (said.is_json() == Some(false), Poor::InvalidJson),
        Weakness::InvalidToolCall => (said.calls_offered_tools(request) == Some(false), Poor::InvalidToolCall),
        Weakness::ShorterThan(least) => (any(&|choice| is_shorter(choice, *least)), Poor::TooShort),
        Weakness::Contains(texts) => (any(&|choice| contains(choice, texts)), Poor::Contains),
        Weakness::ConfidenceBelow(least) => (any(&|choice| is_unsure(choice, *least)), Poor::Unsure),
        Weakness::EntropyAbove(most) => (any(&|choice| is_scattered(choice, *most)), Poor::Unsure),
    };
    is.then_some(why)
}

fn is_empty(choice: &Choice) -> bool {
    choice.text.trim().is_empty() && choice.refusal.is_empty() && choice.tool_calls.is_empty()
}

fn is_shorter(choice: &Choice, least: u32) -> bool {
    choice.tool_calls.is_empty() && choice.text.trim().chars().count() < least as usize
}

fn contains(choice: &Choice, texts: &[String]) -> bool {
    let text = choice.text.to_lowercase();
    texts.iter().any(|part| text.contains(part))
}

fn is_unsure(choice: &Choice, least: f64) -> bool {
    let (sum, tokens) = choice.likelihood;
    tokens > 0 && (sum / f64::from(tokens)).exp() < least
}

fn is_scattered(choice: &Choice, most: f64) -> bool {
    let (sum, tokens) = choice.entropy;
    tokens > 0 && sum / f64::from(tokens) > most
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::said::ToolCall;

    fn said(choice: Choice) -> Said {
        Said { choices: vec![choice], usage: None }
    }

    #[test]
    fn each_weakness_is_found_and_only_where_it_is() {
        let text = |text: &str| Choice { text: text.to_owned(), finish: Some("stop".to_owned()), ..Choice::default() };
        let ended = |by: &str| Choice { finish: Some(by.to_owned()), ..text("x") };
        let called = |name: &str| {
            let call = ToolCall { name: name.to_owned(), arguments: "{}".to_owned() };
            Choice { tool_calls: vec![call], ..text("") }
        };
        let sure = |likelihood: (f64, u32)| Choice { likelihood, ..text("x") };
        let scattered = |entropy: (f64, u32)| Choice { entropy, ..text("x") };
        let refused = Choice { refusal: "I cannot".to_owned(), ..text("") };
        let request = br#"{"tools":[{"function":{"name":"f"}}]}"#;
        let i_do_not = Weakness::Contains(vec!["i don't know".to_owned(), "\u{e4}hm".to_owned()]);
        for (weakness, choice, why) in [
            (Weakness::Length, ended("length"), Some(Poor::Length)),
            (Weakness::Length, ended("stop"), None),
            (Weakness::ContentFilter, ended("content_filter"), Some(Poor::ContentFilter)),
            (Weakness::Refusal, refused.clone(), Some(Poor::Refusal)),
            (Weakness::Refusal, text("no"), None),
            (Weakness::Empty, text(" \n"), Some(Poor::Empty)),
            (Weakness::Empty, called("f"), None),
            (Weakness::Empty, refused, None),
            (Weakness::InvalidJson, text("{"), Some(Poor::InvalidJson)),
            (Weakness::InvalidJson, text("{}"), None),
            (Weakness::InvalidJson, called("f"), None),
            (Weakness::InvalidToolCall, called("g"), Some(Poor::InvalidToolCall)),
            (Weakness::InvalidToolCall, called("f"), None),
            (Weakness::ShorterThan(3), text(" \u{e4}\u{f6} "), Some(Poor::TooShort)),
            (Weakness::ShorterThan(2), text("\u{e4}\u{f6}"), None),
            (Weakness::ShorterThan(3), called("f"), None),
            (i_do_not.clone(), text("Well, I DON'T know."), Some(Poor::Contains)),
            (i_do_not.clone(), text("\u{c4}hm"), Some(Poor::Contains)),
            (i_do_not, text("I know"), None),
            (Weakness::ConfidenceBelow(0.5), sure((-1.5, 2)), Some(Poor::Unsure)),
            (Weakness::ConfidenceBelow(0.5), sure((-1.0, 2)), None),
            (Weakness::ConfidenceBelow(0.5), text("tells none"), None),
            (Weakness::EntropyAbove(1.5), scattered((3.5, 2)), Some(Poor::Unsure)),
            (Weakness::EntropyAbove(1.5), scattered((3.0, 2)), None),
            (Weakness::EntropyAbove(1.5), text("tells none"), None),
        ] {
            assert_eq!(
                super::weakness(std::slice::from_ref(&weakness), &said(choice.clone()), request),
                why,
                "{weakness:?} {choice:?}"
            );
        }
        let several = [Weakness::Empty, Weakness::Length, Weakness::InvalidJson];
        assert_eq!(
            super::weakness(&several, &said(ended("length")), request),
            Some(Poor::Length),
            "the first one counts"
        );
        let two = Said { choices: vec![text("{}"), ended("length")], usage: None };
        assert_eq!(super::weakness(&several, &two, request), Some(Poor::Length), "each choice counts");
        assert_eq!(super::weakness(&several, &Said::default(), request), Some(Poor::Empty), "no answer at all");
    }
}
