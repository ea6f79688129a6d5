//! The calls of governance: what a model is, cards, evaluations, approvals, aliases and their gates.

use super::Asked;
use super::fields::{Fields, number, object, text};
use crate::alias::AliasName;
use crate::card::{Card, render};
use crate::evaluation::Evaluation;
use crate::fault::RegistryFault;
use crate::kind::{Kind, read_tier};
use serde_json::{Value, json};

/// Says what a model is and how much harm it could do.
pub(super) async fn classify(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let mut fields = Fields::read(&asked.body, &["kind", "risk"])?;
    let kind = fields.take("kind", |value| Kind::read(text(value)?));
    let risk = fields.take("risk", |value| read_tier(text(value)?));
    fields.done()?;
    asked.registry.classify(&asked.by, &asked.name()?, kind, risk).await
}

/// What an alias stands for, and its moves.
pub(super) async fn alias(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let (name, alias) = (asked.name()?, AliasName::new(asked.part(2))?);
    let model = asked.registry.model(&name).await?;
    let moves = asked.registry.alias_moves(&name, &alias).await?;
    Ok(json!({
        "name": name.as_str(),
        "alias": alias.as_str(),
        "version": model.aliases.get(alias.as_str()),
        "governed": asked.registry.is_governed(&alias),
        "moves": moves,
    }))
}

/// Lets an alias stand for a version.
pub(super) async fn move_alias(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let (name, alias) = (asked.name()?, AliasName::new(asked.part(2))?);
    let mut fields = Fields::read(&asked.body, &["version", "expected"])?;
    let version = fields.need("version", number);
    // 0 is no version: it says that the alias must stand for none.
    let expected = fields.take("expected", number).map(|expected| (expected != 0).then_some(expected));
    let version = fields.given(version)?;
    asked.registry.move_alias(&asked.by, &name, &alias, version, expected).await?;
    Ok(json!({"name": name.as_str(), "alias": alias.as_str(), "version": version}))
}

/// Removes an alias.
pub(super) async fn remove_alias(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    asked.registry.delete_alias(&asked.by, &asked.name()?, asked.part(2)).await
}

/// The card of a version, as it was written and as a page.
pub(super) async fn card(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let (version, card) = asked.registry.card(&asked.name()?, asked.version()?).await?;
    Ok(json!({"card": card.to_json(), "markdown": render::markdown(&version, &card)}))
}

/// Gives a version its card.
pub(super) async fn set_card(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let card = Card::read(&object(&asked.body)?)?;
    Ok(json!({"card": asked.registry.set_card(&asked.by, &asked.name()?, asked.version()?, &card).await?}))
}

/// The newest evaluations of a version, the newest first.
pub(super) async fn evaluations(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let found = asked.registry.evaluations(&asked.name()?, asked.version()?).await?;
    let data: Vec<Value> = found.iter().map(crate::evaluation::RecordedEvaluation::to_json).collect();
    Ok(json!({"object": "list", "data": data}))
}

/// Records an evaluation.
pub(super) async fn evaluate(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let found = Evaluation::read(&object(&asked.body)?)?;
    asked.registry.evaluated(&asked.by, &asked.name()?, asked.version()?, found).await
}

/// The approvals of a version.
pub(super) async fn approvals(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let data = asked.registry.approvals(&asked.name()?, asked.version()?).await?;
    Ok(json!({"object": "list", "data": data}))
}

/// Approves of a version for an alias.
pub(super) async fn approve(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let mut fields = Fields::read(&asked.body, &["alias", "note"])?;
    let alias = fields.need("alias", |value| AliasName::new(text(value)?));
    let note = fields.take("note", |value| text(value).map(str::to_owned)).unwrap_or_default();
    let alias = fields.given(alias)?;
    asked.registry.approve(&asked.by, &asked.name()?, asked.version()?, &alias, &note).await
}

/// Takes the caller's approval back.
pub(super) async fn withdraw(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let alias = AliasName::new(asked.part(4))?;
    asked.registry.withdraw(&asked.by, &asked.name()?, asked.version()?, &alias).await
}

/// What is found of a version's files, and what each gate asks of it still.
pub(super) async fn verify(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let (name, number) = (asked.name()?, asked.version()?);
    let version = asked.registry.version(&name, number).await?;
    let mut gates = Vec::new();
    for alias in asked.registry.governed_aliases() {
        let missing = asked.registry.lacks(&name, number, &alias).await?;
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let is_in_force = version.aliases.iter().any(|own| own.eq_ignore_ascii_case(alias.as_str()));
        gates.push(json!({"alias": alias.as_str(), "in_force": is_in_force, "missing": missing}));
    }
    let files = crate::verify::files(&version, asked.blobs).await?;
    let files: Vec<Value> =
        files.iter().map(|file| json!({"path": file.path, "ok": file.fault.is_none(), "why": file.fault})).collect();
    Ok(json!({"files": files, "gates": gates}))
}
