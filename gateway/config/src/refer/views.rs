//! Whether the views that routes look up are there and go together, and whether anybody looks up those that are.

use crate::section::lookup::LookupFile;
use crate::section::view::ViewFile;
use crate::section::{ConfigFile, Desk};
use crate::shape::{Map, Placed as _};
use crate::suggest::nearest;
use std::collections::HashMap;

/// Checks all of them.
pub(super) fn check(raw: &ConfigFile, desk: &mut Desk<'_>) {
    let has_views = raw.here().has("features");
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    let lookups: Vec<&LookupFile> = routes.filter_map(|route| route.features.as_ref()).collect();
    for lookup in &lookups {
        for name in lookup.views.iter().flatten() {
            let known: Vec<&str> = raw.features.iter().flat_map(Map::names).collect();
            // A section that is faulty as a whole says so itself.
            if (raw.features.is_some() || !has_views) && !known.contains(&name.value.as_str()) {
                let add = "add them under `features`";
                let remedy = if known.is_empty() {
                    add.to_owned()
                } else {
                    format!("{add}, or name one of {}", known.join(", "))
                };
                desk.notes
                    .fault(&name.at, format!("there are no features {}", name.shown()))
                    .meant(nearest(name.value.as_str(), known.iter().copied()), || remedy);
            }
        }
        go_together(lookup, raw, desk);
    }
    let is_used =
        |name: &str| lookups.iter().any(|lookup| lookup.views.iter().flatten().any(|view| view.value.as_str() == name));
    for item in raw.features.iter().flat_map(|features| &features.0).filter(|item| !is_used(&item.name)) {
        desk.notes
            .warn(&item.at, format!("no route looks up the features `{}`", item.name))
            .remedy("name them at a route (`features: {views: [NAME]}`), or leave them out");
    }
}

/// A model gets one input of each name, and a route knows each join key that it renames.
fn go_together(lookup: &LookupFile, raw: &ConfigFile, desk: &mut Desk<'_>) {
    let view = |name: &str| -> Option<&ViewFile> {
        raw.features.as_ref()?.0.iter().find(|item| item.name == name)?.value.as_ref()
    };
    let views: Vec<(&str, &ViewFile)> = lookup
        .views
        .iter()
        .flatten()
        .filter_map(|name| Some((name.value.as_str(), view(name.value.as_str())?)))
        .collect();
    let mut of: HashMap<&str, &str> = HashMap::new();
    for (name, view) in &views {
        for column in view.columns.iter().flat_map(Map::names) {
            if let Some(other) = of.insert(column, name).filter(|other| other != name) {
                desk.notes
                    .fault(lookup.at(), format!("both views `{other}` and `{name}` have a feature `{column}`"))
                    .remedy("call one of them otherwise, and write what the store calls it: `feature: NAME`");
            }
        }
    }
    let is_complete = views.len() == lookup.views.iter().flatten().count();
    for item in lookup.by.iter().flat_map(|by| &by.0).filter(|_| is_complete) {
        let is_key = views.iter().any(|(_, view)| view.keys.as_ref().is_none_or(|keys| keys.has(&item.name)));
        if !is_key {
            desk.notes
                .fault(&item.at, format!("no view of this route is looked up by `{}`", item.name))
                .remedy("write the name of a join key before the colon, and what callers call it behind");
        }
    }
}
