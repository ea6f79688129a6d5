//! The port `PromptShelf`: the book and the versions as a registry lists them. Owns what a commit's message and a
//! journal's record say of a version there.

use crate::author::Author;
use crate::book::{Entry, Version};
use crate::draft::{Body, Draft};
use crate::fault::PromptFault;
use crate::repository::CommitNote;
use crate::store::PromptStore;
use std::collections::BTreeMap;
use tidegate_core::once::Once;
use tidegate_core::port::prompts::PromptMessage;
use tidegate_core::port::shelf::{NewShelved, PromptShelf, ShelvedBody, ShelvedPrompt, ShelvedVersion, Writer};
use tidegate_core::{Fault, PromptLabel, PromptName, PromptPick};

fn named(name: &str) -> Result<PromptName, PromptFault> {
    name.parse().map_err(|why| PromptFault::invalid("name", why))
}

fn labelled(label: &str) -> Result<PromptLabel, PromptFault> {
    label.parse().map_err(|why| PromptFault::invalid("alias", why))
}

fn author(by: &Writer) -> Author {
    let who = by.principal.as_str();
    Author::new(who, &format!("{who}@localhost")).with(by.once)
}

/// When a version was made, in milliseconds since 1970.
fn created(version: &Version, note: Option<&CommitNote>) -> Option<i64> {
    let own = version.created_unix_ms.and_then(|ms| i64::try_from(ms).ok());
    own.or_else(|| note.map(|note| note.unix_s.saturating_mul(1000)))
}

/// What a commit says that was written without a message.
pub(crate) fn unsaid(name: &PromptName) -> String {
    format!("prompt {name}: a new version")
}

impl PromptStore {
    fn live(&self, name: &str) -> Result<std::sync::Arc<Entry>, PromptFault> {
        let name = named(name)?;
        let book = self.book();
        let entry = book.entry(&name)?;
        if entry.is_live() {
            return Ok(std::sync::Arc::clone(entry));
        }
        Err(PromptFault::NotFound(format!("there is no prompt `{name}` any more")))
    }

    fn shelved(&self, entry: &Entry) -> Result<ShelvedPrompt, PromptFault> {
        let made = |version: Option<&Version>| {
            let Some(version) = version else { return Ok(None) };
            Ok::<_, PromptFault>(created(version, self.note(version.sha)?.as_ref()))
        };
        let first = entry.created_unix_ms.and_then(|ms| i64::try_from(ms).ok());
        let created = match first {
            Some(ms) => ms,
            None => made(entry.versions.first())?.unwrap_or_default(),
        };
        let updated = made(entry.version(entry.newest))?.unwrap_or(created).max(created);
        let newest = entry.version(entry.newest).map(|version| self.prompt(version)).transpose().ok().flatten();
        let described = newest.and_then(|prompt| prompt.source().description.clone());
        Ok(ShelvedPrompt {
            name: entry.name.as_str().to_owned(),
            description: entry.description.clone().or(described).unwrap_or_default(),
            created,
            updated,
            tags: entry.tags.clone(),
            labels: entry.labels.iter().map(|(label, n)| (label.as_str().to_owned(), *n)).collect(),
        })
    }

    fn shelved_version(&self, entry: &Entry, version: &Version) -> Result<ShelvedVersion, PromptFault> {
        let prompt = self.prompt(version)?;
        let (source, note) = (prompt.source(), self.note(version.sha)?);
        let mut tags = source.tags.clone();
        for (key, value) in &version.tags {
            match value {
                Some(value) => drop(tags.insert(key.clone(), value.clone())),
                None => drop(tags.remove(key)),
            }
        }
        let said = note.as_ref().map(|note| note.message.trim_end().to_owned());
        let said = said.filter(|said| !said.is_empty() && *said != unsaid(&entry.name));
        let body = match source.messages.first() {
            Some(only) if source.is_text => ShelvedBody::Text(only.template.clone()),
            _ => ShelvedBody::Chat(
                source.messages.iter().map(|m| PromptMessage { role: m.role, content: m.template.clone() }).collect(),
            ),
        };
        Ok(ShelvedVersion {
            name: entry.name.as_str().to_owned(),
            n: version.n,
            created: created(version, note.as_ref()).unwrap_or_default(),
            description: version.description.clone().or(said),
            tags,
            labels: entry.labels.iter().filter(|(_, n)| **n == version.n).map(|(l, _)| l.as_str().to_owned()).collect(),
            body,
        })
    }
}

impl PromptShelf for PromptStore {
    fn has(&self, name: &str) -> bool {
        self.live(name).is_ok()
    }

    fn prompts(&self) -> Result<Vec<ShelvedPrompt>, Fault> {
        let book = self.book();
        Ok(book.prompts().map(|entry| self.shelved(entry)).collect::<Result<_, _>>()?)
    }

    fn prompt(&self, name: &str) -> Result<ShelvedPrompt, Fault> {
        Ok(self.shelved(&*self.live(name)?)?)
    }

    fn versions(&self, name: &str) -> Result<Vec<ShelvedVersion>, Fault> {
        let entry = self.live(name)?;
        let there = entry.versions.iter().rev().filter(|version| !version.is_deleted);
        Ok(there.map(|version| self.shelved_version(&entry, version)).collect::<Result<_, _>>()?)
    }

    fn version(&self, name: &str, n: u32) -> Result<ShelvedVersion, Fault> {
        let entry = self.live(name)?;
        let version = entry.pick(&PromptPick::Number(n))?;
        Ok(self.shelved_version(&entry, version)?)
    }

    fn create(
        &self,
        name: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
        by: &Writer,
    ) -> Result<ShelvedPrompt, Fault> {
        let described = Some(description).filter(|text| !text.is_empty());
        Self::create(self, &named(name)?, described, tags, by.once.as_ref())?;
        PromptShelf::prompt(self, name)
    }

    fn register(&self, name: &str, new: NewShelved, by: &Writer) -> Result<ShelvedVersion, Fault> {
        let body = match new.body {
            ShelvedBody::Text(text) => Body::Text(text),
            ShelvedBody::Chat(messages) => Body::Chat(messages.into_iter().map(|m| (m.role, m.content)).collect()),
        };
        let draft = Draft { tags: new.tags, ..Draft::of(body) };
        let stamp = Self::register(self, &named(name)?, &draft, &author(by), &new.description)?;
        PromptShelf::version(self, name, stamp.n)
    }

    fn tag(&self, name: &str, n: Option<u32>, key: &str, value: Option<&str>, by: &Writer) -> Result<(), Fault> {
        let tags = BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]);
        Ok(Self::tag(self, &named(name)?, n, &tags, by.once.as_ref())?)
    }

    fn point(&self, name: &str, label: &str, to: Option<u32>, by: &Writer) -> Result<(), Fault> {
        let (entry, name) = (self.live(name)?, named(name)?);
        match to {
            Some(n) => {
                self.set_label(&name, &labelled(label)?, &PromptPick::Number(n), (&author(by), ""), None)?;
            }
            None => match label.parse::<PromptLabel>() {
                Ok(label) if entry.labels.contains_key(&label) => self.delete_label(&name, &label, &author(by), "")?,
                _ => {}
            },
        }
        Ok(())
    }

    fn describe(&self, name: &str, n: Option<u32>, text: Option<&str>, by: &Writer) -> Result<(), Fault> {
        Ok(Self::describe(self, &named(name)?, n, text, by.once.as_ref())?)
    }

    fn delete(&self, name: &str, n: Option<u32>, by: &Writer) -> Result<(), Fault> {
        let name = named(name)?;
        match n {
            Some(n) => self.delete_version(&name, n, by.once.as_ref())?,
            None => Self::delete(self, &name, &author(by))?,
        }
        Ok(())
    }

    fn was_done(&self, once: &Once) -> Result<bool, Fault> {
        Ok(self.book().was_done(once)?)
    }
}
