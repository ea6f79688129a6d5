//! A stream on its way through the filters, delta by delta. Owns its events: what is not touched goes on byte for byte, what
//! is replaced is written into its chunk, what comes out later into chunks of the same stream. A chunk that has nothing left
//! is not sent; roles, names of tools, finish reasons and tokens are never lost.

use super::chain::{Chain, Fed};
use crate::body::{self, Answered, Chosen, Member, Piece, Splices};
use bytes::Bytes;
use std::ops::Range;
use tidegate_core::port::filter::{PartKind, Place};
use tidegate_core::{Api, Fault, Ledger};

/// The finish reason of a choice whose stream ends without one.
const UNSAID: &str = "stop";

/// One stream.
#[derive(Debug)]
pub(crate) struct Deltas {
    chain: Chain,
    api: Api,
    /// The beginning of an event whose end is not there yet.
    rest: Vec<u8>,
    /// By what its chunks are known, as the first one says it: `"id":…,"model":…`.
    head: Option<Vec<u8>>,
    /// Under which names it has its reasoning and the arguments of tools.
    names: [Member; 2],
    choices: Vec<State>,
}

/// How a choice stands.
#[derive(Debug)]
struct State {
    index: u32,
    /// Whether it has begun, and not ended.
    is_open: bool,
    /// Whether a filter ended it: nothing more of it goes out.
    is_stopped: bool,
}

/// What goes on of a frame.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Its events, as far as the stream goes on.
    pub(crate) bytes: Bytes,
    /// Why the stream ends behind them, where it does.
    pub(crate) fault: Option<Fault>,
}

/// What becomes of an event.
#[derive(Debug, Default)]
struct Made {
    before: Vec<u8>,
    /// What is left of its choices.
    choices: Vec<Vec<u8>>,
    after: Vec<u8>,
    is_changed: bool,
}

/// A change of a chunk: another text, or null.
type Change = (Range<usize>, Option<String>);

impl Deltas {
    /// A stream through these filters.
    pub(crate) fn new(chain: Chain, api: Api) -> Self {
        Self { chain, api, rest: Vec::new(), head: None, names: [Member::Usual; 2], choices: Vec::new() }
    }

    /// Takes the next events, and hands on what is left of them. Events may be cut anywhere; behind the last frame nothing
    /// is waited for.
    pub(crate) fn pass(&mut self, frame: Bytes, is_last: bool) -> Passed {
        let whole = match self.rest.is_empty() {
            true => frame,
            false => Bytes::from([&std::mem::take(&mut self.rest)[..], &frame[..]].concat()),
        };
        if self.chain.is_idle() && !self.choices.iter().any(|choice| choice.is_stopped) {
            return Passed { bytes: whole, fault: None };
        }
        let (mut at, mut out) = (0, None::<Vec<u8>>);
        let mut fault = None;
        while at < whole.len() {
            let end = match body::whole_event(&whole, at) {
                Some(end) => end,
                None if is_last => whole.len(),
                None => break,
            };
            match (self.event(&whole[at..end]), &mut out) {
                (Ok(None), None) => {}
                (Ok(None), Some(out)) => out.extend_from_slice(&whole[at..end]),
                (Ok(Some(other)), out) => out.get_or_insert_with(|| whole[..at].to_vec()).extend(other),
                (Err(refused), _) => {
                    fault = Some(refused);
                    break;
                }
            }
            at = end;
        }
        if fault.is_none() {
            self.rest.extend_from_slice(&whole[at..]);
        }
        Passed { bytes: out.map_or_else(|| whole.slice(..at), Bytes::from), fault }
    }

    /// Notes what each filter did.
    pub(crate) fn note(&self, ledger: &mut Ledger) {
        self.chain.note(ledger);
    }

    /// What goes on of an event; `None` where it goes on as it came.
    fn event(&mut self, event: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let Some(data) = body::data_of(event) else { return Ok(None) };
        match data.trim_ascii() {
            b"" => return Ok(None),
            b"[DONE]" => {
                let mut out = self.flush()?;
                if out.is_empty() {
                    return Ok(None);
                }
                out.extend_from_slice(event);
                return Ok(Some(out));
            }
            _ => {}
        }
        let Some(chunk) = body::answered(&data) else {
            self.chain.unreadable()?;
            let out = self.freed();
            return Ok((!out.is_empty()).then(|| [&out[..], event].concat()));
        };
        let Some(array) = chunk.array.clone().filter(|_| !chunk.choices.is_empty()) else { return Ok(None) };
        self.head.get_or_insert_with(|| head(&data, &chunk));
        let mut made = Made::default();
        for choice in &chunk.choices {
            self.choice(&data, choice, &mut made)?;
        }
        if !made.is_changed {
            return Ok(None);
        }
        let mut out = made.before;
        if !made.choices.is_empty() || chunk.has_usage {
            let choices = made.choices.join(&b',');
            let json = [&data[..=array.start], &choices[..], &data[array.end - 1..]].concat();
            write_event(&json, &mut out);
        }
        out.extend(made.after);
        Ok(Some(out))
    }

    fn choice(&mut self, data: &[u8], choice: &Chosen, made: &mut Made) -> Result<(), Fault> {
        let state = self.state(choice.index);
        if state.is_stopped {
            made.is_changed = true;
            return Ok(());
        }
        state.is_open = true;
        let (mut changes, mut is_left) = (Vec::<Change>::new(), choice.has_facts);
        let mut stopped = None;
        for piece in &choice.spoken.pieces {
            let Some(text) = piece.text else { continue };
            let said = text.decode(data);
            if said.is_empty() {
                continue;
            }
            if stopped.is_some() {
                changes.push((text.literal(), Some(String::new())));
                continue;
            }
            self.learn(piece);
            match self.chain.feed(0, place(choice, piece), &said)? {
                Fed::Same => is_left = true,
                Fed::Text(other) => {
                    is_left = true;
                    changes.push((text.literal(), Some(other)));
                }
                Fed::Held => changes.push((text.literal(), Some(String::new()))),
                Fed::Stopped(reason, out) => {
                    changes.push((text.literal(), Some(String::new())));
                    stopped = Some((reason, out));
                }
            }
        }
        let freed = self.freed();
        made.is_changed |= !freed.is_empty();
        made.before.extend(freed);
        if let Some((reason, out)) = stopped {
            out.iter().for_each(|(place, text)| self.write(*place, text, &mut made.after));
            self.finish(choice.index, &reason, &mut made.after);
            changes.extend(choice.finish.map(|finish| (finish.literal(), None)));
        } else if let Some(finish) = choice.finish {
            is_left = true;
            self.ends(data, choice, &finish.decode(data), &mut changes, made)?;
        }
        if changes.is_empty() {
            made.choices.push(data[choice.at.clone()].to_vec());
            return Ok(());
        }
        made.is_changed = true;
        if is_left {
            // The probabilities say the text once more.
            changes.extend(choice.logprobs.clone().map(|at| (at, None)));
            made.choices.push(changed(data, choice.at.clone(), &changes));
        }
        Ok(())
    }

    /// A choice ends: what filters held of it goes into its last chunk where that has such a text, else before it.
    fn ends(
        &mut self,
        data: &[u8],
        choice: &Chosen,
        reason: &str,
        changes: &mut Vec<Change>,
        made: &mut Made,
    ) -> Result<(), Fault> {
        let mut out = Vec::new();
        let other = self.chain.end(0, choice.index, reason, &mut out)?;
        for (at, more) in out {
            let last =
                choice.spoken.pieces.iter().rev().filter(|piece| place(choice, piece) == at).find_map(|p| p.text);
            let Some(text) = last else {
                made.is_changed = true;
                self.write(at, &more, &mut made.before);
                continue;
            };
            match changes.iter_mut().find(|(range, _)| *range == text.literal()) {
                Some((_, Some(said))) => said.push_str(&more),
                _ => changes.push((text.literal(), Some(text.decode(data).into_owned() + &more))),
            }
        }
        let finish = choice.finish.map(body::Text::literal);
        changes.extend(other.and_then(|other| Some((finish?, Some(other)))));
        self.state(choice.index).is_open = false;
        Ok(())
    }

    /// The stream ends: what filters hold of choices that nobody ended.
    fn flush(&mut self) -> Result<Vec<u8>, Fault> {
        let open: Vec<u32> = self.choices.iter().filter(|choice| choice.is_open).map(|choice| choice.index).collect();
        let mut made = Vec::new();
        for choice in open {
            let mut out = Vec::new();
            let other = self.chain.end(0, choice, UNSAID, &mut out)?;
            out.iter().for_each(|(place, text)| self.write(*place, text, &mut made));
            match other {
                Some(other) => self.finish(choice, &other, &mut made),
                None => self.state(choice).is_open = false,
            }
        }
        Ok(made)
    }

    /// Chunks of what came out beside what was fed.
    fn freed(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for (place, text) in self.chain.freed() {
            self.write(place, &text, &mut out);
        }
        out
    }

    fn state(&mut self, index: u32) -> &mut State {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(State { index, is_open: false, is_stopped: false });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }

    /// Learns under which names this stream has its texts.
    fn learn(&mut self, piece: &Piece) {
        match piece.kind {
            PartKind::Reasoning => self.names[0] = piece.member,
            PartKind::ToolArguments => self.names[1] = piece.member,
            _ => {}
        }
    }

    /// Writes a chunk with a text.
    fn write(&self, place: Place, text: &str, out: &mut Vec<u8>) {
        let mut quoted = Vec::with_capacity(text.len() + 2);
        body::quote(text, &mut quoted);
        let index = place.index.to_string();
        let [before, behind]: [&[&str]; 2] = match (place.kind, self.names) {
            _ if self.api == Api::Completions => [&["\"text\":"], &[",\"logprobs\":null,\"finish_reason\":null"]],
            (PartKind::Refusal, _) => [&["\"delta\":{\"refusal\":"], &["},\"finish_reason\":null"]],
            (PartKind::Reasoning, [Member::Reasoning, _]) => {
                [&["\"delta\":{\"reasoning\":"], &["},\"finish_reason\":null"]]
            }
            (PartKind::Reasoning, _) => [&["\"delta\":{\"reasoning_content\":"], &["},\"finish_reason\":null"]],
            (PartKind::ToolArguments, [_, Member::Function]) => {
                [&["\"delta\":{\"function_call\":{\"arguments\":"], &["}},\"finish_reason\":null"]]
            }
            (PartKind::ToolArguments, _) => [
                &["\"delta\":{\"tool_calls\":[{\"index\":", index.as_str(), ",\"function\":{\"arguments\":"],
                &["}}]},\"finish_reason\":null"],
            ],
            _ => [&["\"delta\":{\"content\":"], &["},\"finish_reason\":null"]],
        };
        let mut members = Vec::new();
        before.iter().for_each(|part| members.extend_from_slice(part.as_bytes()));
        members.extend_from_slice(&quoted);
        behind.iter().for_each(|part| members.extend_from_slice(part.as_bytes()));
        self.chunk(place.choice, &members, out);
    }

    /// Writes the chunk with which a choice ends that a filter stops.
    fn finish(&mut self, index: u32, reason: &str, out: &mut Vec<u8>) {
        let state = self.state(index);
        (state.is_open, state.is_stopped) = (false, true);
        let (text, mut members) = ("\"text\":\"\",\"logprobs\":null", Vec::new());
        let said = if self.api == Api::Completions { text } else { "\"delta\":{}" };
        members.extend_from_slice(said.as_bytes());
        members.extend_from_slice(b",\"finish_reason\":");
        body::quote(reason, &mut members);
        self.chunk(index, &members, out);
    }

    fn chunk(&self, choice: u32, members: &[u8], out: &mut Vec<u8>) {
        let head = self.head.as_deref().unwrap_or_default();
        out.extend_from_slice(b"data: {");
        out.extend_from_slice(head);
        out.extend_from_slice(if head.is_empty() { b"\"choices\":[{\"index\":" } else { b",\"choices\":[{\"index\":" });
        out.extend_from_slice(choice.to_string().as_bytes());
        out.push(b',');
        out.extend_from_slice(members);
        out.extend_from_slice(b"}]}\n\n");
    }
}

/// Where a text belongs.
pub(super) fn place(choice: &Chosen, piece: &Piece) -> Place {
    Place { choice: choice.index, kind: piece.kind, index: piece.index }
}

fn head(data: &[u8], chunk: &Answered) -> Vec<u8> {
    let members: Vec<&[u8]> = chunk.head.iter().filter_map(|at| data.get(at.clone())).collect();
    // A line break between tokens would end the event's line.
    members.join(&b',').into_iter().map(|byte| if byte == b'\n' { b' ' } else { byte }).collect()
}

/// A part of a chunk with these changes.
fn changed(data: &[u8], part: Range<usize>, changes: &[Change]) -> Vec<u8> {
    let mut splices = Splices::new();
    for (range, text) in changes {
        match text {
            Some(text) => splices.text(range.clone(), text),
            None => splices.replace(range.clone(), "null"),
        }
    }
    splices.within(data, part)
}

/// Writes an event; data of several lines has one line of the event each.
fn write_event(json: &[u8], out: &mut Vec<u8>) {
    for line in json.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
