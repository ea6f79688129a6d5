//! Models and versions that come from another registry, each in a change of its own, so that an import that was cut goes
//! on where it stopped. Owns what is written and what stays: numbers are kept, what was changed here since is too, and a
//! governed alias is nothing that an import could set.

use super::Registry;
use super::models::uri;
use crate::content;
use crate::db::{Change, Deed};
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::import::{self, Imported, ImportedModel, ImportedVersion, Known};
use crate::model::RegisteredName;
use crate::request::of_port;
use crate::store::{governance, imports, models, versions};
use crate::version::{ModelVersion, Stage};
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{BlobPath, Blobs};
use tidegate_core::port::mount::Frames;

/// Where an import comes from, and who does it.
#[derive(Debug, Clone)]
pub struct Import {
    /// The other registry, as the log shall name it.
    pub origin: String,
    /// Who imports.
    pub by: String,
}

/// What both sides made of something since it was imported last.
enum Since {
    /// It was not imported, or the other side changed it alone.
    Write,
    Nothing,
    /// This side changed it.
    ChangedHere,
}

impl Registry {
    /// Writes a model of another registry.
    ///
    /// # Errors
    /// The database fails.
    pub async fn import_model(&self, import: &Import, model: &ImportedModel) -> Result<Imported, RegistryFault> {
        let (mut change, subject) = (self.importing(import).await?, uri(&model.name));
        let (there, before) = (import::of_model(model), imports::find(change.db(), &import.origin, &subject).await?);
        let (id, outcome) = match (models::find(change.db(), model.name.as_str()).await?, &before) {
            (None, Some(_)) => return Ok(Imported::Kept("it was deleted or renamed here since".to_owned())),
            (None, None) => {
                let new = super::NewModel {
                    name: model.name.clone(),
                    description: String::new(),
                    deployment_job: String::new(),
                    tags: crate::tag::Tags::default(),
                    kind: None,
                    risk: None,
                };
                (models::insert(&mut change, &new).await?, Imported::Created)
            }
            (Some(row), before) => {
                let here = super::models::whole(change.db(), &model.name).await?;
                match since(before.as_deref(), &there, &import::of_local_model(&here)) {
                    Since::Nothing => return Ok(Imported::Same),
                    Since::ChangedHere => return Ok(kept(before.is_some())),
                    Since::Write => (row.id, Imported::Changed),
                }
            }
        };
        imports::write_model(&mut change, id, model).await?;
        imports::set(&mut change, &import.origin, &subject, &there).await?;
        let detail = json!({"from": import.origin, "description": model.description});
        change.commit(Deed::new("model.import", subject, detail)).await?;
        Ok(outcome)
    }

    /// What is here of a version, before its files are fetched.
    ///
    /// # Errors
    /// The database fails.
    pub async fn known(&self, name: &RegisteredName, version: i64) -> Result<Known, RegistryFault> {
        let mut db = self.db.read().await?;
        let Some(row) = models::find(&mut db, name.as_str()).await? else { return Ok(Known::New) };
        match versions::get(&mut db, row.id, name.as_str(), version).await {
            Ok(here) => Ok(Known::Here(here.storage)),
            Err(fault) if fault.kind == RegistryFaultKind::Missing => Ok(Known::New),
            Err(fault) => Err(fault),
        }
    }

    /// Writes a version of another registry, whose model is here; a stage that is governed as an alias is not set.
    ///
    /// # Errors
    /// The model is not here, or the database fails.
    pub async fn import_version(&self, import: &Import, version: &ImportedVersion) -> Result<Imported, RegistryFault> {
        let mut version = version.clone();
        if self.gate_of(version.stage.as_str()).is_some() {
            version.stage = Stage::None;
        }
        let mut change = self.importing(import).await?;
        let subject = format!("{}/{}", uri(&version.name), version.version);
        let row = models::get(change.db(), version.name.as_str()).await?;
        if !is_from(&mut change, import, &version.name).await? {
            return Ok(foreign());
        }
        let there = import::of_version(&version);
        let before = imports::find(change.db(), &import.origin, &subject).await?;
        let outcome = match self.local(&mut change, row.id, &version).await? {
            None if before.is_some() => return Ok(Imported::Kept("it was deleted here since".to_owned())),
            // Numbers are never used again; one below the highest that nobody had was left out by an import before.
            None if version.version <= row.last_version && crate::audit::mentions(change.db(), &subject).await? => {
                return Ok(Imported::Kept("its number was used here before".to_owned()));
            }
            None => {
                imports::insert_version(&mut change, row.id, &version).await?;
                Imported::Created
            }
            Some(here) if !import::is_same_making(&version, &here) => {
                return Ok(Imported::Kept("another version has its number here".to_owned()));
            }
            Some(here) => {
                match since(before.as_deref(), &there, &import::of_local_version(&here)) {
                    Since::Nothing if here.storage == version.storage => return Ok(Imported::Same),
                    Since::ChangedHere => return Ok(kept(before.is_some())),
                    Since::Nothing | Since::Write => {}
                }
                imports::write_version(&mut change, row.id, &version).await?;
                Imported::Changed
            }
        };
        imports::set(&mut change, &import.origin, &subject, &there).await?;
        let detail = json!({"from": import.origin, "source": version.source, "storage": version.storage});
        change.commit(Deed::new("version.import", subject, detail)).await?;
        Ok(outcome)
    }

    /// Lets the aliases of a model that is here stand for what they stand for in another registry. Those that are
    /// governed, and those of versions that are not here, are left out: they are the second part of the answer.
    ///
    /// # Errors
    /// The model is not here, or the database fails.
    pub async fn import_aliases(
        &self,
        import: &Import,
        name: &RegisteredName,
        aliases: &BTreeMap<String, i64>,
    ) -> Result<(Imported, Vec<String>), RegistryFault> {
        let mut change = self.importing(import).await?;
        let subject = format!("{}@", uri(name));
        let row = models::get(change.db(), name.as_str()).await?;
        if !is_from(&mut change, import, name).await? {
            return Ok((foreign(), Vec::new()));
        }
        let (mut wanted, mut left) = (BTreeMap::new(), Vec::new());
        for (alias, version) in aliases {
            if self.gate_of(alias).is_some() {
                left.push(format!("{alias} of version {version} is governed here"));
            } else if versions::is_there(change.db(), row.id, *version).await? {
                wanted.insert(alias.clone(), *version);
            } else {
                left.push(format!("{alias} stands for version {version}, which is not here"));
            }
        }
        let mut here = super::models::whole(change.db(), name).await?.aliases;
        here.retain(|alias, _| self.gate_of(alias).is_none());
        let there = import::of_aliases(&wanted);
        let before = imports::find(change.db(), &import.origin, &subject).await?;
        if before.is_none() && wanted.is_empty() && here.is_empty() {
            return Ok((Imported::Same, left));
        }
        match since(before.as_deref(), &there, &import::of_aliases(&here)) {
            Since::Nothing => return Ok((Imported::Same, left)),
            // What was made here before the first import stays, and no alias of there is in its way.
            Since::ChangedHere if before.is_some() || !here.is_empty() => {
                return Ok((Imported::Kept("its aliases were changed here".to_owned()), left));
            }
            Since::ChangedHere | Since::Write => {}
        }
        let (set, gone): (Vec<_>, Vec<_>) = (
            wanted.iter().filter(|(alias, version)| here.get(*alias) != Some(version)).collect(),
            here.iter().filter(|(alias, _)| !wanted.contains_key(*alias)).collect(),
        );
        for (alias, version) in set {
            models::set_alias(&mut change, row.id, alias, *version).await?;
            governance::moved(&mut change, row.id, alias, here.get(alias).copied(), Some(*version)).await?;
        }
        for (alias, version) in gone {
            models::delete_alias(&mut change, row.id, alias).await?;
            governance::moved(&mut change, row.id, alias, Some(*version), None).await?;
        }
        imports::set(&mut change, &import.origin, &subject, &there).await?;
        let detail = json!({"from": import.origin, "before": here, "aliases": wanted});
        change.commit(Deed::new("alias.import", uri(name), detail)).await?;
        Ok((if before.is_some() { Imported::Changed } else { Imported::Created }, left))
    }

    async fn importing(&self, import: &Import) -> Result<Change, RegistryFault> {
        self.db.change(&import.by, self.now()).await
    }

    async fn local(
        &self,
        change: &mut Change,
        model: i64,
        version: &ImportedVersion,
    ) -> Result<Option<ModelVersion>, RegistryFault> {
        match versions::get(change.db(), model, version.name.as_str(), version.version).await {
            Ok(here) => Ok(Some(here)),
            Err(fault) if fault.kind == RegistryFaultKind::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// Keeps a file of a version that is imported; one whose name promises weights must be such.
///
/// # Errors
/// It is refused by its content or its length, or cannot be kept.
pub async fn import_file(blobs: &dyn Blobs, path: &BlobPath, body: Frames, most: u64) -> Result<(), RegistryFault> {
    let body = content::as_promised(path.name(), body).await?;
    blobs.put(path, body, most).await.map(drop).map_err(of_port)
}

/// Whether a model of this name came from there.
async fn is_from(change: &mut Change, import: &Import, name: &RegisteredName) -> Result<bool, RegistryFault> {
    Ok(imports::find(change.db(), &import.origin, &uri(name)).await?.is_some())
}

fn foreign() -> Imported {
    Imported::Kept("a model of this name is here that did not come from there".to_owned())
}

/// `before`: how it was there at the last import; `there` and `here`: how it is now.
fn since(before: Option<&str>, there: &Digest, here: &Digest) -> Since {
    if there == here {
        return if before == Some(&*there.to_string()) { Since::Nothing } else { Since::Write };
    }
    match before {
        Some(before) if before == there.to_string() => Since::Nothing,
        Some(before) if before == here.to_string() => Since::Write,
        _ => Since::ChangedHere,
    }
}

fn kept(was_imported: bool) -> Imported {
    Imported::Kept(if was_imported {
        "both sides changed it since it was imported".to_owned()
    } else {
        "it is here already, and differs".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_side_changed_is_never_written_over() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|content| Digest::of(content));
        let word =
            |before: Option<&Digest>, there, here| match since(before.map(ToString::to_string).as_deref(), there, here)
            {
                Since::Write => "write",
                Since::Nothing => "nothing",
                Since::ChangedHere => "changed here",
            };
        assert_eq!(word(Some(&a), &a, &a), "nothing");
        assert_eq!(word(Some(&a), &b, &a), "write", "changed there");
        assert_eq!(word(Some(&a), &a, &b), "nothing", "changed here alone: it stays");
        assert_eq!(word(Some(&a), &b, &c), "changed here", "changed on both sides");
        assert_eq!(word(Some(&a), &b, &b), "write", "both to the same: that is noted");
        assert_eq!(word(None, &a, &a), "write", "made here alike: that is noted");
        assert_eq!(word(None, &a, &b), "changed here");
    }
}
