//! `features` of a route: what is looked up before its models are asked, and how it joins the inputs. Whether the views are there is
//! `refer`'s question.

use crate::report::Notes;
use crate::scalar::{At, Text};
use crate::shape::{Map, Placed as _, record};
use std::sync::Arc;
use tidegate_core::ViewName;
use tidegate_core::spec::LookupSpec;

record! {
    /// What is looked up before the models of a route are asked.
    LookupFile {
        required {
            /// The views, each of which is looked up by its join keys: an input of that name, or a parameter.
            views: Vec<At<ViewName>>,
        }
        optional {
            /// Where a join key is an input or parameter of another name: `{customer_id: who}`.
            by: Map<At<Text>>,
            /// Which inputs the model gets, in order; by default those of the caller, without the join keys, then the features.
            inputs: Vec<At<Text>>,
            /// The name of the one input of rows × values that they are put together into, where the model has but one.
            join: At<Text>,
        }
    }
}

/// What a route looks up.
pub(super) fn check(raw: &LookupFile, notes: &mut Notes) -> Option<LookupSpec> {
    let given = raw.views.as_ref()?;
    if given.is_empty() {
        notes.fault(raw.at(), "nothing is looked up: there is no view").remedy("write `features: {views: [NAME]}`");
    }
    let mut views: Vec<ViewName> = Vec::new();
    for view in given {
        if views.contains(&view.value) {
            notes.fault(&view.at, format!("the view {} stands here already", view.shown())).remedy("leave it out");
        } else {
            views.push(view.value.clone());
        }
    }
    let text = |given: &At<Text>| -> Arc<str> { given.value.0.as_str().into() };
    let by = raw.by.iter().flat_map(|by| &by.0);
    Some(LookupSpec {
        views,
        by: by.filter_map(|item| Some((item.name.as_str().into(), text(item.value.as_ref()?)))).collect(),
        inputs: raw.inputs.iter().flatten().map(text).collect(),
        join: raw.join.as_ref().map(text),
    })
}
