//! Whether a contract can be kept where its model runs.

use crate::place::Place;
use crate::report::Notes;
use crate::section::classic::ContractFile;
use std::fmt::Display;

/// Of a model elsewhere: what its inputs are held to has to be said, since nobody knows its signature.
pub(super) fn check(
    contract: &ContractFile,
    (provider, is_classic): (&dyn Display, bool),
    has_registry: bool,
    at: &Place,
    notes: &mut Notes,
) {
    if !is_classic {
        notes
            .fault(at, format!("this model has a `contract`, and its provider `{provider}` serves no classic models"))
            .remedy("leave `contract` out, or name a provider of classic models");
    } else if let Some(signature) = &contract.signature {
        notes
            .fault(&signature.at, "whether the version's signature counts is said of models that run in this process")
            .remedy("leave `signature` out; `of: \"models:/NAME@ALIAS\"` or `of: FILE` says where this model's stands");
    } else if contract.of.is_none() && contract.suite.is_none() {
        notes
            .fault(at, "this contract says nothing that inputs are held to")
            .remedy("add `of: \"models:/NAME@ALIAS\"`, `of: FILE`, or `suite: FILE`");
    }
    if let Some(of) = contract.of.as_ref().filter(|of| of.value.0.starts_with("models:") && !has_registry) {
        notes
            .fault(&of.at, "this signature comes from the registry, and there is none")
            .remedy("add `store: {registry: \"sqlite:.tidegate/registry.db\"}`");
    }
}

/// Of a model in this process, whose version has its signature.
pub(super) fn local(contract: Option<&ContractFile>, notes: &mut Notes) {
    if let Some(of) = contract.and_then(|contract| contract.of.as_ref()) {
        notes
            .fault(&of.at, "a model that runs in this process is held to the signature of its own version")
            .remedy("leave `of` out");
    }
}
