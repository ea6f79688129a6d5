//! `tidegate plugin new`: a folder that builds to a plugin wherever it lies, since the contract comes along and the bindings
//! are made of it by wit-bindgen. Owns what stands in it and where; how it is built is `build`'s.

mod world;

pub(in crate::cli) use world::World;

use super::super::{Wrong, print};
use anyhow::Context as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The contract as this program knows it.
pub(super) const CONTRACT: [(&str, &str); 3] = [
    ("wit/types.wit", include_str!("../../../../wit/types.wit")),
    ("wit/host.wit", include_str!("../../../../wit/host.wit")),
    ("wit/worlds.wit", include_str!("../../../../wit/worlds.wit")),
];

/// The longest name of a plugin.
const NAME_BYTES: usize = 64;

/// Names that cargo takes for no package, or that would hide a crate that the scaffold needs.
const TAKEN: [&str; 9] = ["alloc", "core", "proc-macro", "self", "serde", "serde-json", "std", "test", "wit-bindgen"];

/// The words of Rust that no crate can be called.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final fn \
    for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait \
    true try type typeof unsafe unsized use virtual where while yield";

/// A file of a scaffold, by its path in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Laid {
    pub(super) path: String,
    pub(super) text: String,
}

pub(super) fn new(world: World, name: &str, folder: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = folder.unwrap_or_else(|| PathBuf::from(name));
    let files = files(world, name).map_err(Wrong)?;
    lay(&folder, &files)?;
    let shown = folder.display();
    print(&format!(
        "{shown}: a plugin of the world `{world}`, {} files\n\nNext:\n  cd {shown}\n  cargo test\n  tidegate plugin build\n  tidegate plugin test\n",
        files.len()
    ))
}

/// The files of a new plugin, or what is wrong with its name.
pub(super) fn files(world: World, name: &str) -> Result<Vec<Laid>, String> {
    check_name(name)?;
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{world}}", &world.to_string())
            .replace("{{about}}", world.about())
            .replace("{{fixture}}", world.fixtures()[0].0)
            .replace("{{use}}", &world.usage(name))
    };
    let mut files = vec![
        ("Cargo.toml".to_owned(), fill(include_str!("template/Cargo.toml.in"))),
        ("README.md".to_owned(), fill(include_str!("template/README.md.in"))),
        (".gitignore".to_owned(), include_str!("template/gitignore").to_owned()),
    ];
    let as_they_are = world.sources().into_iter().chain(CONTRACT);
    files.extend(as_they_are.map(|(path, text)| (path.to_owned(), text.to_owned())));
    files.extend(world.fixtures().iter().map(|(stem, text)| (format!("fixtures/{stem}.json"), (*text).to_owned())));
    Ok(files.into_iter().map(|(path, text)| Laid { path, text }).collect())
}

/// A name that a package, a file and a metric can have.
fn check_name(name: &str) -> Result<(), String> {
    let is_begun = name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_spelt = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_begun || !is_spelt || name.ends_with('-') || name.contains("--") || name.len() > NAME_BYTES {
        return Err(format!(
            "`{name}` is no name for a plugin: small letters, digits and single hyphens, a letter first, {NAME_BYTES} bytes at most, such as `word-count`"
        ));
    }
    if TAKEN.contains(&name) || KEYWORDS.split_whitespace().any(|keyword| keyword == name) {
        return Err(format!("a crate cannot be called `{name}`: take another name, such as `my-{name}`"));
    }
    Ok(())
}

/// Writes the files into a folder that is not there yet, or is empty. Nothing is written over.
fn lay(folder: &Path, files: &[Laid]) -> anyhow::Result<()> {
    let shown = folder.display();
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(Wrong(format!("{shown} is there and not empty: name another folder by --dir")).into()),
        Ok(false) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Wrong(format!("{shown} cannot be a plugin's folder: {error}")).into()),
    }
    for Laid { path, text } in files {
        let path = folder.join(path);
        let written = || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::File::create_new(&path)?.write_all(text.as_bytes())
        };
        written().with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_world_has_all_its_files_and_the_contract() {
        for world in World::ALL {
            let files = files(world, "my-plugin").unwrap();
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(paths.len(), files.len(), "{world}: two files of one path");
            let wanted = ["Cargo.toml", "README.md", ".gitignore", "config.schema.json", "src/lib.rs", "src/guest.rs"];
            for path in wanted.into_iter().chain(CONTRACT.map(|(path, _)| path)) {
                assert!(paths.contains(path), "{world} has no {path}");
            }
            let text = |path: &str| files.iter().find(|file| file.path == path).unwrap().text.as_str();
            for (path, contract) in CONTRACT {
                assert_eq!(text(path), contract);
            }
            assert!(CONTRACT[2].1.contains(&format!("world {world} {{")), "the contract has no world {world}");
            assert!(text("src/guest.rs").contains(&format!("world: \"{world}\"")));
            let left = files.iter().filter(|file| file.path != "wit/worlds.wit" && file.text.contains("{{name"));
            assert_eq!(left.count(), 0, "{world} has something that was not filled in");
            let schema: serde_json::Value = serde_json::from_str(text("config.schema.json")).unwrap();
            assert_eq!(schema["additionalProperties"], false);
            let fixtures: Vec<_> = files.iter().filter(|file| file.path.starts_with("fixtures/")).collect();
            assert!(!fixtures.is_empty(), "{world} has no fixture");
        }
    }

    #[test]
    fn the_contract_is_whole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("wit/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|path| path.ends_with(".wit"))
            .collect();
        there.sort();
        let mut ours = CONTRACT.map(|(path, _)| path.to_owned());
        ours.sort();
        assert_eq!(there, ours);
    }

    #[test]
    fn the_manifest_is_one_that_cargo_takes() {
        let folder = tempfile::tempdir().unwrap();
        for world in World::ALL {
            let plugin = folder.path().join(world.to_string());
            lay(&plugin, &files(world, "my-plugin").unwrap()).unwrap();
            let cargo = std::process::Command::new(env!("CARGO"))
                .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
                .arg(plugin.join("Cargo.toml"))
                .output()
                .unwrap();
            assert!(cargo.status.success(), "{world}: {}", String::from_utf8_lossy(&cargo.stderr));
            let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
            assert_eq!(metadata["packages"][0]["name"], "my-plugin");
            assert_eq!(metadata["packages"][0]["targets"][0]["crate_types"][0], "cdylib");
        }
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "word-count", "pii2"] {
            assert_eq!(check_name(good), Ok(()));
        }
        let long = "x".repeat(65);
        for bad in ["", "-a", "a-", "a--b", "A", "2x", "a_b", "a/b", "../x", "ä", "std", "self", "match", long.as_str()]
        {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let laid = files(World::Drift, "mine").unwrap();
        let at = folder.path().join("mine");
        lay(&at, &laid).unwrap();
        assert!(lay(&at, &laid).unwrap_err().to_string().contains("not empty"));
        assert!(lay(&at.join("Cargo.toml"), &laid).is_err());
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        lay(&folder.path().join("empty"), &laid).unwrap();
    }
}
