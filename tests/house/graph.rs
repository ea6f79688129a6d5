//! The graph of packages: what our manifests name (`cargo metadata`), and what is really built for this platform
//! (`cargo tree`, since the resolution that metadata shows holds optional packages that no feature asks for).

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// Our packages and what each names.
pub(crate) struct Graph {
    declared: BTreeMap<String, BTreeSet<String>>,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the package lies in the repository").to_owned()
}

impl Graph {
    pub(crate) fn read() -> Self {
        let metadata: Value =
            serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]))
                .expect("cargo writes JSON");
        let declared = list(&metadata["packages"]).iter().map(|package| (text(&package["name"]), declared(package)));
        Self { declared: declared.collect() }
    }

    /// Our own packages.
    pub(crate) fn members(&self) -> BTreeSet<String> {
        self.declared.keys().cloned().collect()
    }

    /// What a package of ours names in its manifest, optional or not, for whatever platform; tests' own left out.
    pub(crate) fn named_by(&self, member: &str) -> BTreeSet<String> {
        self.declared[member].clone()
    }
}

/// The names of all packages that are built for `member`, itself included; tests' own left out.
pub(crate) fn below(member: &str) -> BTreeSet<String> {
    tree(&["-p", member])
}

/// The names of all packages that are built for any of ours, tests' own included.
pub(crate) fn built() -> BTreeSet<String> {
    let mut built = tree(&["--workspace"]);
    built.extend(tree(&["--workspace", "-e", "normal,build,dev"]));
    built
}

fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let edges: &[&str] = if arguments.contains(&"-e") { &[] } else { &["-e", "normal,build"] };
    let listed = cargo(&[&["tree", "--locked", "--prefix", "none", "--format", "{p}"], edges, arguments].concat());
    listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let done = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(done.status.success(), "cargo {arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("cargo writes UTF-8")
}

fn declared(package: &Value) -> BTreeSet<String> {
    list(&package["dependencies"])
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().expect("cargo writes a text here").to_owned()
}
