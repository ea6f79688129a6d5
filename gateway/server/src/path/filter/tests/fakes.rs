//! Filters that stand for plugins.

use std::sync::Mutex;
use tidegate_core::PluginName;
use tidegate_core::port::filter::{
    Action, DeltaAction, Edit, Failed, Filter, FilterStream, LooksAt, Message, Opinion, PartKind, Place, Refused, Seen,
};

/// What a fake does with what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Pass,
    /// Writes texts that are not the route's own in capitals.
    Upper,
    /// Takes the word `secret` out, also where it is cut.
    Redact,
    Reply(&'static str),
    Refuse(u16),
    Fail,
    /// The same, at the delta of this number.
    FailAt(usize),
    RefuseAt(usize),
    StopAt(usize),
    /// Changes what it may not.
    Meddle,
}

/// The role, the kind, the text and whether it may be changed.
pub(crate) type SeenPart = (String, PartKind, String, bool);
/// The model, the prompt and the names of headers.
pub(crate) type SeenFacts = (Option<String>, Option<String>, Vec<String>);

/// A filter.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) does: Does,
    pub(crate) looks: LooksAt,
    /// What it saw at each look.
    pub(crate) saw: Mutex<Vec<Vec<SeenPart>>>,
    pub(crate) facts: Mutex<Vec<SeenFacts>>,
}

pub(crate) const ALL: LooksAt = LooksAt { request: true, answer: true, stream: true };

pub(crate) fn plugin() -> PluginName {
    "fake".parse().unwrap()
}

pub(crate) fn failed() -> Failed {
    Failed { plugin: plugin(), kind: "trap", says: "on purpose".to_owned() }
}

fn refused(status: u16) -> Refused {
    Refused { status, code: "no_names".to_owned(), message: "no names, please".to_owned() }
}

impl Fake {
    pub(crate) fn new(does: Does, looks: LooksAt) -> Self {
        Self { does, looks, saw: Mutex::default(), facts: Mutex::default() }
    }

    fn look(&self, seen: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        let parts = messages.iter().flat_map(|message| message.parts.iter().map(move |part| (message, part)));
        let saw = parts.map(|(m, p)| (m.role.to_string(), p.kind, p.text.to_string(), p.is_untrusted)).collect();
        self.saw.lock().unwrap().push(saw);
        let names = seen.headers.iter().map(|(name, _)| (*name).to_owned()).collect();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.facts.lock().unwrap().push((owned(seen.model), owned(seen.prompt_version), names));
        let edits = |change: &dyn Fn(&str) -> String| {
            let mut edits = Vec::new();
            for (message, said) in messages.iter().enumerate() {
                for (part, has) in said.parts.iter().enumerate() {
                    if has.is_untrusted && has.kind != PartKind::Other {
                        edits.push(Edit { message, part, text: change(&has.text) });
                    }
                }
            }
            Action::Edit(edits)
        };
        let action = match self.does {
            Does::Upper => edits(&str::to_uppercase),
            Does::Redact => edits(&|text| text.replace("secret", "[gone]")),
            Does::Reply(text) => Action::Reply(text.to_owned()),
            Does::Refuse(status) => Action::Refuse(refused(status)),
            Does::Fail => return Err(failed()),
            Does::Meddle => Action::Edit(vec![Edit { message: 0, part: 0, text: "be cruel".to_owned() }]),
            _ => Action::Pass,
        };
        Ok(Opinion { action, annotations: vec![("looked".to_owned(), "yes".to_owned())] })
    }
}

impl Filter for Fake {
    fn looks_at(&self) -> LooksAt {
        self.looks
    }

    fn request(&self, call: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        self.look(call, messages)
    }

    fn answer(&self, call: &Seen<'_>, choices: &[Message<'_>]) -> Result<Opinion, Failed> {
        self.look(call, choices)
    }

    fn stream(&self, _: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
        match self.does {
            Does::Fail => Err(failed()),
            does => Ok(Some(Box::new(Streaming::new(does)))),
        }
    }
}

/// A filter's look at one stream.
#[derive(Debug)]
pub(crate) struct Streaming {
    does: Does,
    deltas: usize,
    held: Vec<(Place, String)>,
}

const WORD: &str = "secret";

impl Streaming {
    pub(crate) const fn new(does: Does) -> Self {
        Self { does, deltas: 0, held: Vec::new() }
    }

    fn redact(&mut self, place: Place, text: &str) -> DeltaAction {
        let at = self.held.iter().position(|(at, _)| *at == place).unwrap_or_else(|| {
            self.held.push((place, String::new()));
            self.held.len() - 1
        });
        let so_far = &mut self.held[at].1;
        let was_empty = so_far.is_empty();
        so_far.push_str(text);
        let mut now = so_far.replace(WORD, "[gone]");
        let keep = (1..WORD.len()).rev().find(|keep| now.ends_with(&WORD[..*keep])).unwrap_or(0);
        *so_far = now.split_off(now.len() - keep);
        match now.as_str() {
            "" => DeltaAction::Hold,
            now if was_empty && now == text => DeltaAction::Pass,
            _ => DeltaAction::Replace(now),
        }
    }
}

impl FilterStream for Streaming {
    fn delta(&mut self, place: Place, text: &str) -> Result<DeltaAction, Failed> {
        self.deltas += 1;
        let now = self.deltas;
        Ok(match self.does {
            Does::Upper => DeltaAction::Replace(text.to_uppercase()),
            Does::Redact => self.redact(place, text),
            Does::Refuse(status) => DeltaAction::Refuse(refused(status)),
            Does::RefuseAt(at) if now == at => DeltaAction::Refuse(refused(403)),
            Does::StopAt(at) if now == at => {
                DeltaAction::Stop { finish_reason: "content_filter".to_owned(), last: "…".to_owned() }
            }
            Does::FailAt(at) if now == at => return Err(failed()),
            // What it holds before it fails must not be lost.
            Does::FailAt(at) if now + 1 == at => DeltaAction::Hold,
            _ => DeltaAction::Pass,
        })
    }

    fn end(&mut self, choice: u32, _: &str) -> Result<Vec<(Place, String)>, Failed> {
        let (ended, others) = std::mem::take(&mut self.held).into_iter().partition(|(place, _)| place.choice == choice);
        self.held = others;
        Ok(ended)
    }
}
