//! A fixture: what a plugin is given, and what has to come back. Owns the form of the file and where fixtures are looked
//! for; how the two are compared is in `compare`.

use super::compare;
use super::doing::{read_json, wrong_file};
use crate::cli::Wrong;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// One of `fixtures/*.json`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixture {
    /// What it shows.
    pub(super) about: Option<String>,
    /// The plugin's configuration.
    pub(super) config: Value,
    /// What it is called with, by its world.
    pub(super) input: Value,
    /// What has to come back.
    pub(super) wanted: Wanted,
}

/// What has to come back.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// This output.
    Output(Value),
    /// No output: the plugin, or the host for it, says something in which this text stands.
    Refused(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    about: Option<String>,
    #[serde(default = "nothing")]
    config: Value,
    input: Value,
    #[serde(default, deserialize_with = "present")]
    output: Option<Value>,
    #[serde(default)]
    refused: Option<String>,
}

fn nothing() -> Value {
    Value::Object(Map::new())
}

/// An output that is `null` is one.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Fixture {
    /// Reads it, or says what is wrong with it.
    fn of(json: Value) -> Result<Self, String> {
        let File { about, config, input, output, refused } =
            serde_json::from_value(json).map_err(|error| error.to_string())?;
        let wanted = match (output, refused) {
            (Some(output), None) => Wanted::Output(output),
            (None, Some(says)) => Wanted::Refused(says),
            _ => return Err("it has either `output` or `refused`".to_owned()),
        };
        if let Wanted::Output(output) = &wanted {
            compare::check(output)?;
        }
        Ok(Self { about, config, input, wanted })
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::of(read_json(path)?).map_err(|says| wrong_file(path, &says))
    }
}

/// The fixtures of a folder by their names, in the order of the alphabet. That there is none is an error: a test of nothing
/// passes too easily.
pub(super) fn found_in(folder: &Path) -> anyhow::Result<Vec<(String, Fixture)>> {
    let mut paths = files_in(folder, "json")?;
    paths.sort();
    if paths.is_empty() {
        return Err(Wrong(format!(
            "{} has no fixtures: add one as NAME.json, with `input` and `output`",
            folder.display()
        ))
        .into());
    }
    let read = |path: PathBuf| {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((name, Fixture::read(&path)?))
    };
    paths.into_iter().map(read).collect()
}

/// The files of a folder that end so.
pub(super) fn files_in(folder: &Path, end: &str) -> anyhow::Result<Vec<PathBuf>> {
    let unread = |error| Wrong(format!("{} cannot be read: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|extension| extension == end) && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::scaffold;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fixture_wants_one_thing() {
        let read = |json: Value| Fixture::of(json).map(|fixture| fixture.wanted);
        assert_eq!(read(json!({"input": {}, "output": null})), Ok(Wanted::Output(Value::Null)));
        assert_eq!(read(json!({"input": {}, "refused": "no"})), Ok(Wanted::Refused("no".to_owned())));
        for bad in [
            json!({"input": {}}),
            json!({"output": {}}),
            json!({"input": {}, "output": 1, "refused": "no"}),
            json!({"input": {}, "outputs": 1}),
            json!({"input": {}, "output": {"$about": 1}}),
            json!([]),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn those_of_scaffolds_are_right() {
        for world in scaffold::World::ALL {
            for file in scaffold::files(world, "mine").unwrap() {
                if file.path.starts_with("fixtures/") {
                    let json = serde_json::from_str(&file.text).unwrap();
                    let fixture = Fixture::of(json).unwrap_or_else(|says| panic!("{world}, {}: {says}", file.path));
                    assert!(fixture.about.is_some(), "{world}, {}", file.path);
                }
            }
        }
    }

    #[test]
    fn a_folder_without_fixtures_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(found_in(folder.path()).unwrap_err().to_string().contains("no fixtures"));
        std::fs::write(folder.path().join("b.json"), "{\"input\": {}, \"output\": {}}").unwrap();
        std::fs::write(folder.path().join("a.json"), "{\"input\": {}, \"output\": {}}").unwrap();
        std::fs::write(folder.path().join("c.txt"), "").unwrap();
        let found = found_in(folder.path()).unwrap();
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        std::fs::write(folder.path().join("c.json"), "{}").unwrap();
        assert!(found_in(folder.path()).unwrap_err().to_string().contains("c.json"));
    }
}
