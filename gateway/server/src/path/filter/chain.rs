//! The filters that look at one stream, one behind the other. Owns what goes through them: each sees what those before it
//! let go on, what one holds comes out later, and one that failed is passed by, or ends the stream.

use super::{bad_output, failure, micros, refusal};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::event::{FilterDid, Filtered};
use tidegate_core::port::filter::{DeltaAction, Failed, FilterStream, PartKind, Place};
use tidegate_core::spec::OnFailure;
use tidegate_core::{Clock, Fault, Ledger, PluginName};

/// The filters of one stream.
#[derive(Debug)]
pub(crate) struct Chain {
    links: Vec<Link>,
    clock: Arc<dyn Clock>,
    /// What came out beside what was fed, at other places.
    freed: Vec<(Place, String)>,
}

/// What came of a text that was fed.
#[derive(Debug)]
pub(crate) enum Fed {
    /// It goes on as it is.
    Same,
    /// This goes on.
    Text(String),
    /// Nothing goes on.
    Held,
    /// Its choice ends with this finish reason, behind these texts.
    Stopped(String, Vec<(Place, String)>),
}

/// One filter.
#[derive(Debug)]
pub(crate) struct Link {
    plugin: PluginName,
    /// Whether its look stands in the record; not where it does again what stands there already.
    is_noted: bool,
    failure: OnFailure,
    /// What looks, while it does.
    stream: Option<Box<dyn FilterStream>>,
    /// What it took and has not given yet.
    owed: Vec<Owed>,
    is_edited: bool,
    is_refused: bool,
    failed: Option<(&'static str, bool)>,
    took: Duration,
}

/// What a filter took of a place and has not given yet.
#[derive(Debug)]
struct Owed {
    place: Place,
    text: String,
    /// How many of its last bytes were held, and nothing given since.
    held: usize,
}

impl Link {
    /// A filter that looks; `took` is what it took to begin.
    pub(crate) const fn new(
        plugin: PluginName,
        failure: OnFailure,
        stream: Option<Box<dyn FilterStream>>,
        took: Duration,
    ) -> Self {
        Self {
            plugin,
            is_noted: true,
            failure,
            stream,
            owed: Vec::new(),
            is_edited: false,
            is_refused: false,
            failed: None,
            took,
        }
    }

    /// What does again, event by event, what a filter did with the whole answer.
    pub(crate) fn again(plugin: PluginName, stream: Box<dyn FilterStream>) -> Self {
        Self { is_noted: false, ..Self::new(plugin, OnFailure::Closed, Some(stream), Duration::ZERO) }
    }

    /// A filter that could not begin to look, and is passed by.
    pub(crate) fn failed(plugin: PluginName, kind: &'static str, took: Duration) -> Self {
        Self { failed: Some((kind, false)), ..Self::new(plugin, OnFailure::Open, None, took) }
    }

    /// It took a text and keeps it for now.
    fn holds(&mut self, place: Place, text: &str) {
        let owed = self.owed(place);
        owed.text.push_str(text);
        owed.held += text.len();
    }

    /// It took a text, and gave one.
    fn gives(&mut self, place: Place, took: &str, gave: &str) {
        let owed = self.owed(place);
        owed.text.push_str(took);
        owed.held = 0;
        let is_same = owed.text.starts_with(gave);
        owed.text.drain(..if is_same { gave.len() } else { owed.text.len() });
        self.is_edited |= !is_same;
    }

    fn owed(&mut self, place: Place) -> &mut Owed {
        let at = self.owed.iter().position(|owed| owed.place == place).unwrap_or_else(|| {
            self.owed.push(Owed { place, text: String::new(), held: 0 });
            self.owed.len() - 1
        });
        &mut self.owed[at]
    }

    /// A choice has ended: what it did not give of it is gone.
    fn ends(&mut self, choice: u32) {
        let is_left = |owed: &Owed| owed.place.choice == choice && !owed.text.is_empty();
        self.is_edited |= self.owed.iter().any(is_left);
        self.owed.retain(|owed| owed.place.choice != choice);
    }

    /// What it held when it failed.
    fn lost(&mut self) -> impl Iterator<Item = (Place, String)> {
        std::mem::take(&mut self.owed).into_iter().filter_map(|mut owed| {
            let from = owed.text.len().checked_sub(owed.held)?;
            let held = owed.text.split_off(from);
            (!held.is_empty()).then_some((owed.place, held))
        })
    }

    /// It failed and is not asked again.
    ///
    /// # Errors
    /// Nothing may pass it unseen.
    fn fails(&mut self, failed: &Failed) -> Result<(), Fault> {
        self.stream = None;
        let fault = failure(self.failure, failed);
        self.failed = Some((failed.kind, fault.is_some()));
        fault.map_or(Ok(()), Err)
    }
}

impl Chain {
    /// These filters, in order.
    pub(crate) fn new(links: Vec<Link>, clock: Arc<dyn Clock>) -> Self {
        Self { links, clock, freed: Vec::new() }
    }

    /// Whether none of them looks any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.links.iter().all(|link| link.stream.is_none())
    }

    /// What came out beside what was fed.
    pub(crate) fn freed(&mut self) -> Vec<(Place, String)> {
        std::mem::take(&mut self.freed)
    }

    /// Feeds a text to the filters from `from` on.
    ///
    /// # Errors
    /// One refused the stream, or failed although nothing may pass it unseen.
    pub(crate) fn feed(&mut self, from: usize, place: Place, text: &str) -> Result<Fed, Fault> {
        let mut now = Cow::Borrowed(text);
        for at in from..self.links.len() {
            if now.is_empty() {
                return Ok(Fed::Held);
            }
            let link = &mut self.links[at];
            let Some(stream) = &mut link.stream else { continue };
            let began = self.clock.now();
            let said = stream.delta(place, &now);
            link.took += self.clock.now().saturating_duration_since(began);
            match said {
                Ok(DeltaAction::Pass) => {}
                Ok(DeltaAction::Replace(other)) => {
                    link.gives(place, &now, &other);
                    now = Cow::Owned(other);
                }
                Ok(DeltaAction::Hold) => {
                    link.holds(place, &now);
                    return Ok(Fed::Held);
                }
                Ok(DeltaAction::Stop { finish_reason, last }) => {
                    link.is_edited = true;
                    let mut out = Vec::new();
                    let reason = match self.onward(at + 1, place, last, &mut out)? {
                        Some(reason) => Some(reason),
                        None => self.end(at + 1, place.choice, &finish_reason, &mut out)?,
                    };
                    return Ok(Fed::Stopped(reason.unwrap_or(finish_reason), out));
                }
                Ok(DeltaAction::Refuse(refused)) => match refusal(refused) {
                    Ok(fault) => {
                        link.is_refused = true;
                        return Err(fault);
                    }
                    Err(says) => now = self.passed_by(at, place, now, &bad_output(&self.links[at].plugin, says))?,
                },
                Err(failed) => now = self.passed_by(at, place, now, &failed)?,
            }
        }
        Ok(match now {
            Cow::Borrowed(_) => Fed::Same,
            Cow::Owned(now) if now.is_empty() => Fed::Held,
            Cow::Owned(now) if now == text => Fed::Same,
            Cow::Owned(now) => Fed::Text(now),
        })
    }

    /// A choice has ended: what the filters from `from` on held of it, and another finish reason where one of them stops it.
    ///
    /// # Errors
    /// One refused the stream, or failed although nothing may pass it unseen.
    pub(crate) fn end(
        &mut self,
        from: usize,
        choice: u32,
        reason: &str,
        out: &mut Vec<(Place, String)>,
    ) -> Result<Option<String>, Fault> {
        for at in from..self.links.len() {
            let link = &mut self.links[at];
            let Some(stream) = &mut link.stream else { continue };
            let began = self.clock.now();
            let said = stream.end(choice, reason);
            link.took += self.clock.now().saturating_duration_since(began);
            let fits =
                |place: Place| place.choice == choice && !matches!(place.kind, PartKind::ToolResult | PartKind::Other);
            let said = said.and_then(|held| match held.iter().all(|(place, _)| fits(*place)) {
                true => Ok(held),
                false => Err(bad_output(&link.plugin, "what was held is of another choice, or no text")),
            });
            let held = match said {
                Ok(held) => {
                    held.iter().for_each(|(place, text)| link.gives(*place, "", text));
                    link.ends(choice);
                    held
                }
                Err(failed) => {
                    link.fails(&failed)?;
                    link.lost().collect()
                }
            };
            for (place, text) in held {
                if let Some(reason) = self.onward(at + 1, place, text, out)? {
                    return Ok(Some(reason));
                }
            }
        }
        Ok(None)
    }

    /// What came cannot be read: each filter that still looks fails by it.
    ///
    /// # Errors
    /// Nothing may pass one of them unseen.
    pub(crate) fn unreadable(&mut self) -> Result<(), Fault> {
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            if link.stream.is_some() {
                let plugin = link.plugin.clone();
                let says = "an event of the stream cannot be read".to_owned();
                link.fails(&Failed { plugin, kind: super::UNREADABLE, says })?;
                for (place, text) in link.lost().collect::<Vec<_>>() {
                    self.free(at + 1, place, text)?;
                }
            }
        }
        Ok(())
    }

    /// Notes what each of them did.
    pub(crate) fn note(&self, ledger: &mut Ledger) {
        for link in self.links.iter().filter(|link| link.is_noted) {
            let plugin = link.plugin.clone();
            let did = match link.failed {
                Some((_, true)) => FilterDid::FailedClosed,
                Some((_, false)) => FilterDid::FailedOpen,
                None if link.is_refused => FilterDid::Refused,
                None if link.is_edited => FilterDid::Edited,
                None => FilterDid::Passed,
            };
            let (failed, us) = (link.failed.map(|(kind, _)| kind.into()), micros(link.took));
            let looked = Filtered { plugin, answer: true, did, failed, annotations: BTreeMap::new(), us };
            ledger.note(|event| event.filtered.push(looked));
        }
    }

    /// A filter failed and is passed by: what it held of this place goes before what it was shown.
    fn passed_by<'t>(
        &mut self,
        at: usize,
        place: Place,
        now: Cow<'t, str>,
        failed: &Failed,
    ) -> Result<Cow<'t, str>, Fault> {
        let link = &mut self.links[at];
        link.fails(failed)?;
        let (own, others): (Vec<_>, Vec<_>) = link.lost().partition(|(of, _)| *of == place);
        for (of, text) in others {
            self.free(at + 1, of, text)?;
        }
        Ok(match own.into_iter().next() {
            Some((_, own)) => Cow::Owned(own + &now),
            None => now,
        })
    }

    fn free(&mut self, from: usize, place: Place, text: String) -> Result<(), Fault> {
        let mut out = Vec::new();
        // That a filter stops a choice here is heard at its next delta.
        self.onward(from, place, text, &mut out)?;
        self.freed.append(&mut out);
        Ok(())
    }

    /// Feeds a text that goes out beside what is shown; tells the finish reason where its choice ends by it.
    fn onward(
        &mut self,
        from: usize,
        place: Place,
        text: String,
        out: &mut Vec<(Place, String)>,
    ) -> Result<Option<String>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        match self.feed(from, place, &text)? {
            Fed::Same => out.push((place, text)),
            Fed::Text(text) => out.push((place, text)),
            Fed::Held => {}
            Fed::Stopped(reason, more) => {
                out.extend(more);
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }
}
