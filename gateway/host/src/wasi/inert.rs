//! Functions of WASI that do nothing: each answers what its type has for that. Lists are empty, options are none, results are
//! refusals by the name that their errors have for it; what has no such answer ends the call. So no list of functions has to
//! be kept: what WASI gets in later versions does nothing either.

use super::served::Stopped;
use crate::cell::Cell;
use wasmtime::component::{LinkerInstance, Type, Val};

/// How errors call what is not allowed or not there, the best name first.
const REFUSALS: [&str; 6] = ["access-denied", "access", "closed", "not-permitted", "not-supported", "unsupported"];

/// Defines one.
pub(super) fn function(into: &mut LinkerInstance<'_, Cell>, interface: &str, name: &str) -> wasmtime::Result<()> {
    let whole = format!("wasi:{interface}#{name}");
    into.func_new(name, move |mut store, function, given, answers| {
        store.data_mut().count_call()?;
        for value in given {
            // What is handed over is owned here, and even what is only lent has to be given back.
            if let Val::Resource(resource) = value {
                resource.resource_drop(&mut store)?;
            }
        }
        for (answer, kind) in answers.iter_mut().zip(function.results()) {
            *answer = nothing(&kind).ok_or_else(|| Stopped::of(format!("called `{whole}`, which nobody granted")))?;
        }
        Ok(())
    })
}

/// The value of a type that means nothing, if it has one.
fn nothing(kind: &Type) -> Option<Val> {
    match kind {
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Result(result) => Some(Val::Result(Err(match result.err() {
            None => None,
            Some(error) => Some(Box::new(refusal(&error)?)),
        }))),
        _ => None,
    }
}

/// The error of a type that refuses, if it has one.
fn refusal(kind: &Type) -> Option<Val> {
    match kind {
        Type::Enum(names) => {
            let has = |refusal: &&&str| names.names().any(|name| name == **refusal);
            REFUSALS.iter().find(has).map(|name| Val::Enum((*name).to_owned()))
        }
        Type::Variant(cases) => {
            let has = |refusal: &&&str| cases.cases().any(|case| case.name == **refusal && case.ty.is_none());
            REFUSALS.iter().find(has).map(|name| Val::Variant((*name).to_owned(), None))
        }
        _ => None,
    }
}
