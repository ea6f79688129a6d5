//! Governance: cards, evaluations, approvals and tiers recorded, and the gate asked before a governed alias moves. Owns
//! who may do it and what takes approvals back; what the gate asks is `gate`'s.

use super::models::uri;
use super::{Actor, Begun, Registry};
use crate::alias::{AliasMove, AliasName, Approval};
use crate::card::Card;
use crate::db::{Change, Deed};
use crate::evaluation::{Evaluation, RecordedEvaluation};
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::gate::{self, Missing};
use crate::kind::Kind;
use crate::model::RegisteredName;
use crate::store::{governance, models, versions};
use crate::version::ModelVersion;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tidegate_core::port::blobs::BlobPath;
use tidegate_core::spec::{GateSpec, RiskTier};

/// How many evaluations, or moves of an alias, are told of.
const MOST: u64 = 1000;
/// The longest note of an approval, in bytes.
const LONGEST_NOTE: usize = 4096;

impl Registry {
    /// The card of a version, and the version.
    ///
    /// # Errors
    /// There is no such version, or it has no card.
    pub async fn card(&self, name: &RegisteredName, version: i64) -> Result<(ModelVersion, Card), RegistryFault> {
        let mut db = self.db.read().await?;
        let model = existing(&mut db, name, version).await?;
        let card = governance::card(&mut db, model, version).await?;
        let card = card.ok_or_else(|| {
            RegistryFault::missing(format!("version {version} of {name} has no model card: write one"))
        })?;
        Ok((versions::get(&mut db, model, name.as_str(), version).await?, card))
    }

    /// Gives a version its card. Approvals were of the card before, and are taken back. Answers with it.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn set_card(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        card: &Card,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        let is_same = governance::card(change.db(), model, version).await?.as_ref() == Some(card);
        let voided = if is_same { 0 } else { governance::void_approvals(&mut change, model, version).await? };
        governance::set_card(&mut change, model, version, card).await?;
        let detail = json!({"card": card.to_json(), "approvals_void": voided});
        let deed = Deed::new("version.card", format!("{}/{version}", uri(name)), detail);
        self.finish(change, by, deed, card.to_json()).await
    }

    /// Records what a monitor found of a version. Answers with it.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn evaluated(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        found: Evaluation,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        governance::add_evaluation(&mut change, model, version, &found).await?;
        let recorded = RecordedEvaluation { at: change.now(), by: by.principal.clone(), found };
        let deed = Deed::new("version.evaluation", format!("{}/{version}", uri(name)), recorded.found.to_json());
        self.finish(change, by, deed, recorded.to_json()).await
    }

    /// The newest evaluations of a version, the newest first.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn evaluations(
        &self,
        name: &RegisteredName,
        version: i64,
    ) -> Result<Vec<RecordedEvaluation>, RegistryFault> {
        let mut db = self.db.read().await?;
        let model = existing(&mut db, name, version).await?;
        governance::evaluations(&mut db, model, version, MOST).await
    }

    /// Approves of a version for a governed alias.
    ///
    /// # Errors
    /// There is no such version, the alias is not governed, or the caller may not approve or owns the version.
    pub async fn approve(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        alias: &AliasName,
        note: &str,
    ) -> Result<Value, RegistryFault> {
        if note.len() > LONGEST_NOTE {
            return Err(RegistryFault::invalid(format!("note: it is longer than {LONGEST_NOTE} bytes")));
        }
        if self.gate_of(alias.as_str()).is_none() {
            return Err(RegistryFault::invalid(format!(
                "alias: '{alias}' is not governed, so that nothing asks for approvals: name it under `store.governance.\
                 aliases`"
            )));
        }
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        may_approve(by)?;
        let model = self.version_row(&mut change, name, version).await?;
        if versions::get(change.db(), model, name.as_str(), version).await?.owner == by.principal {
            return Err(RegistryFault::new(
                RegistryFaultKind::Forbidden,
                format!("{} made version {version} of {name}: let another principal approve of it", by.principal),
            ));
        }
        governance::approve(&mut change, model, version, alias.as_str(), note).await?;
        let detail = json!({"alias": alias.as_str(), "note": note});
        let deed = Deed::new("version.approve", format!("{}/{version}", uri(name)), detail);
        let answer = json!({"alias": alias.as_str(), "by": by.principal, "note": note, "at": change.now()});
        self.finish(change, by, deed, answer).await
    }

    /// Takes the caller's approval back; one that is not there is taken back already.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn withdraw(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        alias: &AliasName,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        if !governance::withdraw(&mut change, model, version, alias.as_str()).await? {
            return Ok(json!({}));
        }
        let subject = format!("{}/{version}", uri(name));
        let deed = Deed::new("version.withdraw", subject, json!({"alias": alias.as_str()}));
        self.finish(change, by, deed, json!({})).await
    }

    /// The approvals of a version.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn approvals(&self, name: &RegisteredName, version: i64) -> Result<Vec<Approval>, RegistryFault> {
        let mut db = self.db.read().await?;
        let model = existing(&mut db, name, version).await?;
        governance::approvals(&mut db, model, version).await
    }

    /// Says what a model is and how much harm it could do; what is not given stays. A tier is lowered by those alone who
    /// may approve: it decides what the gates ask.
    ///
    /// # Errors
    /// There is no such model, or the caller may not.
    pub async fn classify(
        &self,
        by: &Actor,
        name: &RegisteredName,
        kind: Option<Kind>,
        risk: Option<RiskTier>,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let row = models::get(change.db(), name.as_str()).await?;
        if let (Some(before), Some(after)) = (row.risk, risk)
            && after < before
        {
            may_approve(by)?;
        }
        let (kind, risk) = (kind.or(row.kind), risk.or(row.risk));
        models::classify(&mut change, row.id, kind, risk).await?;
        let word = |before: Option<&'static str>, after: Option<&'static str>| json!({"from": before, "to": after});
        let detail = json!({
            "kind": word(row.kind.map(Kind::as_str), kind.map(Kind::as_str)),
            "risk": word(row.risk.map(RiskTier::as_str), risk.map(RiskTier::as_str)),
        });
        let answer = json!({"name": name.as_str(), "kind": kind.map(Kind::as_str), "risk": risk.map(RiskTier::as_str)});
        self.finish(change, by, Deed::new("model.classify", uri(name), detail), answer).await
    }

    /// The newest moves of an alias, the newest first.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn alias_moves(&self, name: &RegisteredName, alias: &AliasName) -> Result<Vec<AliasMove>, RegistryFault> {
        let mut db = self.db.read().await?;
        let model = models::get(&mut db, name.as_str()).await?.id;
        governance::moves(&mut db, model, alias.as_str(), MOST).await
    }

    /// What a version lacks that `alias` shall stand for; nothing where the alias is not governed.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn lacks(
        &self,
        name: &RegisteredName,
        version: i64,
        alias: &AliasName,
    ) -> Result<Vec<Missing>, RegistryFault> {
        let mut db = self.db.read().await?;
        let model = existing(&mut db, name, version).await?;
        let Some(gate) = self.gate_of(alias.as_str()) else { return Ok(Vec::new()) };
        missing(&mut db, gate, (model, name, version), alias.as_str(), self.now()).await
    }

    /// Whether the files at `path` may change: those of a version that a governed alias stands for, or that somebody
    /// approved of, stay as they are.
    ///
    /// # Errors
    /// They may not; the fault names the version.
    pub(crate) async fn may_change(&self, path: &BlobPath) -> Result<(), RegistryFault> {
        if self.governance.aliases.is_empty() {
            return Ok(());
        }
        let governed = self.governance.aliases.keys().map(|alias| alias.to_ascii_lowercase());
        let held = governance::held(&mut *self.db.read().await?, governed).await?;
        match held.into_iter().find(|(storage, _)| overlap(storage, path.as_str())) {
            None => Ok(()),
            Some((_, version)) => Err(RegistryFault::new(
                RegistryFaultKind::Conflict,
                format!(
                    "{path} belongs to {version}, which was approved or which a governed alias stands for: put the new \
                     file elsewhere and make a new version of it"
                ),
            )),
        }
    }

    /// The gate before an alias; in whatever case it is written, so that `Production` is no way around `production`.
    pub(super) fn gate_of(&self, alias: &str) -> Option<&GateSpec> {
        self.governance.aliases.iter().find(|(governed, _)| governed.eq_ignore_ascii_case(alias)).map(|(_, gate)| gate)
    }

    /// Whether a gate stands before an alias.
    pub(crate) fn is_governed(&self, alias: &AliasName) -> bool {
        self.gate_of(alias.as_str()).is_some()
    }

    /// The governed aliases.
    pub(crate) fn governed_aliases(&self) -> Vec<AliasName> {
        self.governance.aliases.keys().filter_map(|alias| AliasName::new(alias).ok()).collect()
    }

    /// Whether the caller may let `alias` stand for a version, and the version may be stood for.
    pub(super) async fn pass(
        &self,
        by: &Actor,
        change: &mut Change,
        of: (i64, &RegisteredName, i64),
        alias: &str,
    ) -> Result<(), RegistryFault> {
        let Some(gate) = self.gate_of(alias) else { return Ok(()) };
        may_move(by, alias)?;
        let now = change.now();
        let missing = missing(change.db(), gate, of, alias, now).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(RegistryFault::new(
            RegistryFaultKind::Forbidden,
            format!("`{alias}` cannot stand for version {} of {}: {}", of.2, of.1, missing.join("; ")),
        ))
    }

    /// Whether the caller may take away what the governed ones among `aliases` stand for.
    pub(super) fn may_unset<'a>(
        &self,
        by: &Actor,
        aliases: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), RegistryFault> {
        aliases.into_iter().filter(|alias| self.gate_of(alias).is_some()).try_for_each(|alias| may_move(by, alias))
    }
}

/// The number of the model of a version that is there.
pub(super) async fn existing(
    db: &mut AnyConnection,
    name: &RegisteredName,
    version: i64,
) -> Result<i64, RegistryFault> {
    let row = models::find(db, name.as_str()).await?.ok_or_else(|| versions::missing(name.as_str(), version))?;
    if versions::is_there(db, row.id, version).await? {
        return Ok(row.id);
    }
    Err(versions::missing(name.as_str(), version))
}

async fn missing(
    db: &mut AnyConnection,
    gate: &GateSpec,
    (model, name, version): (i64, &RegisteredName, i64),
    alias: &str,
    now: i64,
) -> Result<Vec<Missing>, RegistryFault> {
    let mut evidence = governance::evidence(db, model, version, alias).await?;
    evidence.owner = versions::get(db, model, name.as_str(), version).await?.owner;
    evidence.risk = models::get(db, name.as_str()).await?.risk;
    Ok(gate::missing(gate, &evidence, now))
}

/// Whether a path of the artifact store is at, below or above the place of a version.
fn overlap(storage: &str, path: &str) -> bool {
    let place = storage.strip_prefix("mlflow-artifacts:").unwrap_or(storage).trim_matches('/');
    let is_within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    place == path || is_within(place, path) || is_within(path, place)
}

fn may_approve(by: &Actor) -> Result<(), RegistryFault> {
    if by.approves {
        return Ok(());
    }
    Err(RegistryFault::new(RegistryFaultKind::Forbidden, "this needs a key with the role `approve`"))
}

fn may_move(by: &Actor, alias: &str) -> Result<(), RegistryFault> {
    if by.approves {
        return Ok(());
    }
    Err(RegistryFault::new(
        RegistryFaultKind::Forbidden,
        format!("`{alias}` is governed: this needs a key with the role `approve`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_covers_what_is_below_and_above_it() {
        for (storage, path) in [
            ("mlflow-artifacts:/a/b", "a/b"),
            ("mlflow-artifacts:/a/b", "a/b/c"),
            ("mlflow-artifacts:/a/b", "a"),
            ("models/m.gguf", "models/m.gguf"),
        ] {
            assert!(overlap(storage, path), "{storage} {path}");
        }
        for (storage, path) in [("mlflow-artifacts:/a/b", "a/bc"), ("mlflow-artifacts:/a/b", "b"), ("s3://a/b", "a/b")]
        {
            assert!(!overlap(storage, path), "{storage} {path}");
        }
    }
}
