//! Models and versions as JSON: MLflow's messages, field by field and in their order. Owns which fields are left out
//! when empty.

use crate::model::RegisteredModel;
use crate::version::ModelVersion;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::collections::BTreeMap;

impl Serialize for RegisteredModel {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("name", self.name.as_str())?;
        map.serialize_entry("creation_timestamp", &self.created)?;
        map.serialize_entry("last_updated_timestamp", &self.updated)?;
        if !self.description.is_empty() {
            map.serialize_entry("description", &self.description)?;
        }
        if !self.latest.is_empty() {
            let latest: Vec<_> = self.latest.iter().map(WithoutAliases).collect();
            map.serialize_entry("latest_versions", &latest)?;
        }
        tags(&mut map, &self.tags)?;
        if !self.aliases.is_empty() {
            let aliases: Vec<_> = self
                .aliases
                .iter()
                .map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}))
                .collect();
            map.serialize_entry("aliases", &aliases)?;
        }
        if !self.deployment_job.is_empty() {
            map.serialize_entry("deployment_job_id", &self.deployment_job)?;
        }
        map.end()
    }
}

impl Serialize for ModelVersion {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        version(&mut map, self)?;
        if !self.aliases.is_empty() {
            map.serialize_entry("aliases", &self.aliases)?;
        }
        map.end()
    }
}

/// A version inside of a listing, where MLflow leaves its aliases out.
pub(crate) struct WithoutAliases<'a>(pub(crate) &'a ModelVersion);

impl Serialize for WithoutAliases<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        version(&mut map, self.0)?;
        map.end()
    }
}

fn version<M: serde::ser::SerializeMap>(map: &mut M, version: &ModelVersion) -> Result<(), M::Error> {
    map.serialize_entry("name", version.name.as_str())?;
    map.serialize_entry("version", &version.version.to_string())?;
    map.serialize_entry("creation_timestamp", &version.created)?;
    map.serialize_entry("last_updated_timestamp", &version.updated)?;
    map.serialize_entry("current_stage", version.stage.as_str())?;
    if let Some(description) = &version.description {
        map.serialize_entry("description", description)?;
    }
    map.serialize_entry("source", &version.source)?;
    map.serialize_entry("run_id", &version.run_id)?;
    map.serialize_entry("status", "READY")?;
    tags(map, &version.tags)?;
    map.serialize_entry("run_link", &version.run_link)
}

fn tags<M: serde::ser::SerializeMap>(map: &mut M, tags: &BTreeMap<String, String>) -> Result<(), M::Error> {
    if tags.is_empty() {
        return Ok(());
    }
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    map.serialize_entry("tags", &tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::VersionFacts;
    use crate::model::RegisteredName;
    use crate::version::Stage;

    #[test]
    fn a_version_has_its_empty_fields_and_a_model_not() {
        let version = ModelVersion {
            name: RegisteredName::new("m").unwrap(),
            version: 2,
            source: "s3://b/x".into(),
            storage: "s3://b/x".into(),
            run_id: String::new(),
            run_link: String::new(),
            logged_model: String::new(),
            facts: VersionFacts::default(),
            owner: "ann".into(),
            description: Some(String::new()),
            stage: Stage::None,
            created: 5,
            updated: 6,
            tags: BTreeMap::from([("a".into(), "b".into())]),
            aliases: vec!["champ".into()],
        };
        assert_eq!(
            serde_json::to_string(&version).unwrap(),
            r#"{"name":"m","version":"2","creation_timestamp":5,"last_updated_timestamp":6,"current_stage":"None","description":"","source":"s3://b/x","run_id":"","status":"READY","tags":[{"key":"a","value":"b"}],"run_link":"","aliases":["champ"]}"#
        );
        let model = RegisteredModel {
            name: version.name.clone(),
            owner: "ann".into(),
            description: String::new(),
            deployment_job: String::new(),
            kind: None,
            risk: None,
            created: 1,
            updated: 2,
            tags: BTreeMap::new(),
            aliases: BTreeMap::from([("champ".into(), 2)]),
            latest: vec![version],
        };
        let text = serde_json::to_string(&model).unwrap();
        assert!(text.starts_with(r#"{"name":"m","creation_timestamp":1,"last_updated_timestamp":2,"latest_versions":[{"name":"m","version":"2","#), "{text}");
        assert!(text.ends_with(r#""run_link":""}],"aliases":[{"alias":"champ","version":"2"}]}"#), "{text}");
    }
}
