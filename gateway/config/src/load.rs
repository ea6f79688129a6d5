//! The way of a configuration from its files to the checked spec, a line a step. Owns the order and the merging of a
//! folder's files.

use crate::interpolate::Answers;
use crate::place::Place;
use crate::report::{Finding, Notes, Report};
use crate::section::policy::Rewards;
use crate::section::{self, ConfigFile, Desk};
use crate::shape::{Item, Map, Placed as _, Read as _};
use crate::source::{LARGEST, Sources, yaml_files};
use crate::tree::{self, Entry, Kind, Node};
use crate::{keys, refer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_core::Price;
use tidegate_core::model_ref::{ModelPick, ModelRef};
use tidegate_core::spec::{GatewaySpec, KeysSpec, LearnedSpec, PolicySpec, Source, VariantSpec};

/// Where `${env:NAME}` and the proxies' variables are looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What organs are built from.
    pub spec: GatewaySpec,
    /// Every file that was read, for following their changes.
    pub files: Vec<PathBuf>,
    /// What works but is hardly meant.
    pub warnings: Vec<Finding>,
}

/// Loads a file, or the YAML files of a folder as one.
///
/// # Errors
/// All faults, sorted by their places.
pub fn load(path: &Path, env: Environment<'_>) -> Result<Loaded, Report> {
    let (mut sources, mut notes) = (Sources::default(), Notes::default());
    let is_folder = path.is_dir();
    let files = if is_folder { yaml_files(path) } else { Ok(vec![path.to_owned()]) };
    let files = files.and_then(|files| {
        if files.is_empty() { Err(std::io::Error::other("it has no file that ends in .yaml")) } else { Ok(files) }
    });
    let base = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
    match files {
        Ok(files) => {
            for file in files {
                sources.read(file, &mut notes);
            }
        }
        Err(fault) => {
            let source = sources.add(path.to_owned(), String::new());
            notes
                .fault(&Place::start(source), format!("the folder cannot be read: {fault}"))
                .remedy("give a file, or a folder of files that end in .yaml");
        }
    }
    if notes.has_faults() {
        return Err(notes.settle(&sources).0);
    }
    Loading { sources, notes, env, base, is_folder }.finish()
}

/// Loads a text that was read elsewhere; its paths are relative to the folder of `origin`.
///
/// # Errors
/// All faults, sorted by their places.
pub fn load_str(text: &str, origin: &Path, env: Environment<'_>) -> Result<Loaded, Report> {
    let (sources, mut notes) = (Sources::of(origin, text), Notes::default());
    if text.len() as u64 > LARGEST {
        notes
            .fault(&Place::start(0), "the configuration is larger than 1 MiB")
            .remedy("load it as a folder of several files");
        return Err(notes.settle(&sources).0);
    }
    let base = origin.parent().unwrap_or(Path::new(""));
    Loading { sources, notes, env, base, is_folder: false }.finish()
}

struct Loading<'a> {
    sources: Sources,
    notes: Notes,
    env: Environment<'a>,
    base: &'a Path,
    is_folder: bool,
}

impl Loading<'_> {
    fn finish(mut self) -> Result<Loaded, Report> {
        let spec = self.spec();
        let Self { sources, notes, .. } = self;
        let has_faults = notes.has_faults();
        let (report, warnings) = notes.settle(&sources);
        match spec {
            Some(spec) if !has_faults => Ok(Loaded { spec, files: sources.paths(), warnings }),
            _ => Err(report),
        }
    }

    fn spec(&mut self) -> Option<GatewaySpec> {
        let count = self.sources.count();
        let mut trees: Vec<Node> =
            (0..count).map(|source| tree::parse(source, self.sources.text(source), &mut self.notes)).collect();
        let key_file = self.take_lists(&mut trees);
        let mut root = merge(trees, &mut self.notes);
        conceal(&root, false, &mut self.notes);
        Answers { env: self.env, base: self.base, sources: &mut self.sources, notes: &mut self.notes }.fill(&mut root);
        if matches!(root.kind, Kind::Faulty) {
            return None;
        }
        let raw = ConfigFile::read(&root, &mut self.notes)?;
        let keys = self.keys(&raw, key_file);
        let mut desk = Desk { notes: &mut self.notes, env: self.env, base: self.base, attached: Vec::new() };
        refer::check(&raw, &mut desk);
        let mut spec = check(raw, keys, &mut desk)?;
        let attached = desk.attached;
        self.sources.attach(attached);
        spec.hash = self.sources.hash().into();
        Some(spec)
    }

    /// In a folder, a key file may lie among the configuration's: it is a list, and no part of the map.
    fn take_lists(&self, trees: &mut Vec<Node>) -> Vec<Node> {
        let is_list = |tree: &mut Node| self.is_folder && matches!(tree.kind, Kind::List(_));
        trees.extract_if(.., is_list).collect()
    }

    /// Reads the key file. `lists` are the lists of the folder, of which it may be one; any other is a fault.
    fn keys(&mut self, raw: &ConfigFile, lists: Vec<Node>) -> Option<KeysSpec> {
        let given = raw.keys.as_ref().and_then(|keys| keys.file.as_ref());
        let path = given.map(|given| self.base.join(&given.value.0));
        let mut found = None;
        for list in lists {
            if path.as_deref() == Some(self.sources.path(list.at.source)) {
                found = Some(list);
            } else {
                let note = self.notes.fault(&list.at, "expected a map of sections, found a list");
                note.remedy("if this is the key file, name it: `keys: {file: keys.yaml}`");
            }
        }
        let (given, path) = (given?, path?);
        if found.is_none() && !path.exists() {
            let shown = path.display();
            self.notes.fault(&given.at, format!("there is no key file {shown}")).remedy(format!(
                "make it with its first key: `tidegate key new --principal NAME --tenant NAME --keys-file {shown}`"
            ));
            return None;
        }
        let tree = match found {
            Some(tree) => tree,
            None => {
                let source = self.sources.read(path.clone(), &mut self.notes)?;
                tree::parse(source, self.sources.text(source), &mut self.notes)
            }
        };
        // `key new` and `key revoke` never leave an empty file; one that is cut short may be empty.
        if matches!(tree.kind, Kind::Null) {
            self.notes.fault(&tree.at, "the key file is empty").remedy("write `[]` if there shall be no key");
        }
        let routes = raw.routes.as_ref().map(|routes| routes.names().collect::<Vec<_>>());
        let keys = keys::check(&tree, routes.as_deref(), &mut self.notes);
        if keys.is_empty() && !self.notes.has_faults() {
            self.notes
                .warn(&given.at, "the key file has no key: every call is refused")
                .remedy("make one: `tidegate key new`");
        }
        Some(KeysSpec { file: path, keys })
    }
}

/// What is a secret by the name of its key is never shown, not even where it is misplaced.
fn conceal(node: &Node, is_secret: bool, notes: &mut Notes) {
    const SECRETS: [&str; 9] =
        ["token", "bearer", "basic", "password", "secret", "api_key", "api-key", "authorization", "routing_key"];
    match &node.kind {
        Kind::Scalar(scalar) if is_secret && !scalar.written.contains("${") => notes.conceal(&node.at),
        Kind::List(nodes) => nodes.iter().for_each(|node| conceal(node, is_secret, notes)),
        Kind::Map(entries) => {
            for Entry { key, node } in entries {
                conceal(node, is_secret || SECRETS.contains(&key.to_ascii_lowercase().as_str()), notes);
            }
        }
        _ => {}
    }
}

/// Makes one map of the maps of several files: sections of named entries are joined, lists too, and any other section
/// stands in one file only.
fn merge(trees: Vec<Node>, notes: &mut Notes) -> Node {
    let mut trees = trees.into_iter().filter(|tree| !matches!(tree.kind, Kind::Null));
    let start = Place::start(0);
    let Some(mut first) = trees.next() else { return Node { at: start.clone(), named: start, kind: Kind::Null } };
    for tree in trees {
        match (&mut first.kind, tree.kind) {
            (Kind::Map(sections), Kind::Map(more)) => {
                more.into_iter().for_each(|entry| add_section(sections, entry, notes));
            }
            (_, Kind::Faulty) => first.kind = Kind::Faulty,
            (Kind::Faulty, _) => {}
            (_, kind) => {
                let node = Node { at: tree.at, named: tree.named, kind };
                crate::shape::mismatch(&node, "a map of sections", notes);
            }
        }
    }
    first
}

fn add_section(sections: &mut Vec<Entry>, more: Entry, notes: &mut Notes) {
    let Some(section) = sections.iter_mut().find(|section| section.key == more.key) else { return sections.push(more) };
    let first = &mut section.node;
    match (&mut first.kind, more.node.kind) {
        (Kind::Map(known), Kind::Map(entries)) if is_named(&section.key) => {
            for entry in entries {
                match known.iter().find(|known| known.key == entry.key) {
                    Some(first) => notes.twice(&entry.key, &entry.node.named, &first.node.named),
                    None => known.push(entry),
                }
            }
        }
        (Kind::List(known), Kind::List(more)) => known.extend(more),
        _ => notes.twice(&section.key, &more.node.named, &first.named),
    }
}

/// Whether a section is a map of entries with names.
fn is_named(section: &str) -> bool {
    matches!(
        section,
        "listeners" | "providers" | "models" | "features" | "rewards" | "routes" | "plugins" | "monitors" | "alerts"
    )
}

/// Checks each entry, and makes the spec where nothing is missing for it.
fn check(raw: ConfigFile, keys: Option<KeysSpec>, desk: &mut Desk<'_>) -> Option<GatewaySpec> {
    let has_keys = raw.here().has("keys");
    if raw.listeners.as_ref().is_some_and(|listeners| listeners.0.is_empty()) {
        desk.notes
            .fault(raw.at(), "there is no listener: nothing would be served")
            .remedy("add `listeners: {public: {address: \"127.0.0.1:8080\"}}`");
    }
    let listeners: Vec<_> = raw
        .listeners
        .iter()
        .flat_map(|map| &map.0)
        .filter_map(|item| Some((item.name.as_str(), item.value.as_ref()?)))
        .collect();
    section::listener::check_all(&listeners, raw.admin.as_ref(), has_keys, desk);
    let has_keys_section = keys.is_some();
    // A `store` that is faulty as a whole says so itself.
    let has_registry = raw.store.as_ref().map_or(raw.here().has("store"), |store| store.here().has("registry"));
    let alert_names = names_of(raw.alerts.as_ref(), raw.here().has("alerts"));
    let plugin_names = names_of(raw.plugins.as_ref(), raw.here().has("plugins"));
    let route_names = names_of(raw.routes.as_ref(), raw.here().has("routes"));
    // A section that is faulty as a whole says so itself; no reward of it is missed.
    let is_readable = raw.rewards.is_some() || !raw.here().has("rewards");
    let names: Vec<String> = raw.rewards.iter().flat_map(Map::names).map(str::to_owned).collect();
    let rewards = named(entries(raw.rewards, desk, section::reward::check), |spec| spec.name.clone());
    let known = Rewards { specs: &rewards, names: is_readable.then_some(names.as_slice()) };
    let section::store::Stores { events, registry, shared } = section::store::check(raw.store, desk);
    let models = named(entries(raw.models, desk, section::model::check), |spec| spec.name.clone());
    // Of models that could not be read nobody knows.
    let has_prices = models.is_empty() || models.values().any(|model| model.price.is_some());
    let ground = section::limit::Ground { has_keys, has_prices };
    let parts = section::route::parts_of_experiments(raw.routes.as_ref());
    let routes =
        named(entries(raw.routes, desk, |item, desk| section::route::check(item, has_keys, &known, desk)), |spec| {
            spec.name.clone()
        });
    section::route::check_experiments(&parts, &routes, desk);
    let monitored = section::monitor::Ground {
        routes: &routes,
        route_names: route_names.as_deref(),
        rewards: &known,
        plugins: plugin_names.as_deref(),
        alerts: alert_names.as_deref(),
        has_registry,
        content: events.content,
    };
    let monitors =
        named(entries(raw.monitors, desk, |item, desk| section::monitor::check(item, &monitored, desk)), |spec| {
            spec.name.clone()
        });
    let spec = GatewaySpec {
        hash: "".into(),
        listeners: entries(raw.listeners, desk, section::listener::check),
        admin: raw.admin.and_then(|admin| section::listener::check_admin(admin, desk)),
        events,
        registry,
        shared,
        prompts: section::prompts::check(raw.prompts, desk),
        providers: named(entries(raw.providers, desk, section::provider::check), |spec| spec.name.clone()),
        models,
        routes,
        views: named(entries(raw.features, desk, section::view::check), |spec| spec.name.clone()),
        rewards,
        limits: raw
            .limits
            .into_iter()
            .flatten()
            .filter_map(|limit| section::limit::check(limit, ground, desk))
            .collect(),
        batches: section::batches::check(raw.batches, desk),
        telemetry: section::telemetry::check(raw.telemetry, desk),
        plugins: named(entries(raw.plugins, desk, section::plugin::check), |spec| spec.name.clone()),
        monitors,
        alerts: named(entries(raw.alerts, desk, section::alert::check), |spec| spec.name.clone()),
        keys,
    };
    let spec = governed(weighed(spec));
    // Keys that were named and could not be read must not leave the gateway open.
    (has_keys == has_keys_section).then_some(spec)
}

/// With what calls cost at each variant, for policies that bound it; that each has a price is `refer`'s question.
fn weighed(mut spec: GatewaySpec) -> GatewaySpec {
    for route in spec.routes.values_mut() {
        if let PolicySpec::Learned(LearnedSpec { cost_share: Some(cost), .. }) = &mut route.policy {
            let price = |variant: &VariantSpec| spec.models.get(&variant.model).and_then(|model| model.price);
            cost.weights = route.variants.iter().map(|one| price(one).map_or(0.0, blended)).collect();
        }
    }
    spec
}

/// With which models are those that governed aliases stand for.
fn governed(mut spec: GatewaySpec) -> GatewaySpec {
    let Some(registry) = &spec.registry else { return spec };
    for model in spec.models.values_mut() {
        model.is_governed = matches!(&model.source, Some(Source::Registry(ModelRef { pick: ModelPick::Alias(alias), .. }))
            if registry.governance.aliases.contains_key(alias));
    }
    spec
}

/// What a call costs with three tokens of the prompt for each one produced, as models are commonly compared.
fn blended(price: Price) -> f64 {
    3.0 * price.input + price.output
}

/// The names of a section's entries; `None` where it is faulty as a whole, and nobody knows them.
fn names_of<T>(map: Option<&Map<T>>, is_given: bool) -> Option<Vec<String>> {
    match map {
        Some(map) => Some(map.names().map(str::to_owned).collect()),
        None => (!is_given).then(Vec::new),
    }
}

fn entries<T, S>(
    raw: Option<Map<T>>,
    desk: &mut Desk<'_>,
    mut check: impl FnMut(Item<T>, &mut Desk<'_>) -> Option<S>,
) -> Vec<S> {
    raw.unwrap_or_default().0.into_iter().filter_map(|item| check(item, desk)).collect()
}

fn named<K: Ord, S>(specs: Vec<S>, name: impl Fn(&S) -> K) -> BTreeMap<K, S> {
    specs.into_iter().map(|spec| (name(&spec), spec)).collect()
}

#[cfg(test)]
mod tests;
