//! The call that registers a model and its version, from the body to the registry. Owns its fields, and that what is said
//! of a file fits the file, where it is there already.

use super::fields::{Fields, text};
use super::{Asked, shape, uri};
use crate::content;
use crate::facts::{Lineage, Signature, VersionFacts, VersionId, digest};
use crate::fault::RegistryFault;
use crate::kind::{Format, Kind, read_tier};
use crate::model::RegisteredName;
use crate::registry::Registration;
use crate::request::of_port;
use crate::source::Source;
use crate::tag::Tags;
use serde_json::{Map, Value};
use tidegate_core::FaultKind;
use tidegate_core::port::blobs::{BlobPath, Blobs};

/// Its fields.
const FIELDS: [&str; 12] = [
    "name",
    "version",
    "format",
    "uri",
    "sha256",
    "tags",
    "parent",
    "lineage",
    "signature",
    "kind",
    "risk",
    "description",
];
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 100_000;

/// Registers a version; answers with it.
pub(super) async fn register(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let mut new = read(&asked.body)?;
    agree(asked.blobs, &mut new).await?;
    let VersionId { name, version } = asked.registry.register(&asked.by, new).await?;
    Ok(shape::version(&asked.registry.version(&name, version).await?))
}

fn read(body: &[u8]) -> Result<Registration, RegistryFault> {
    let mut fields = Fields::read(body, &FIELDS)?;
    let name = fields.need("name", |value| name(text(value)?));
    let version = fields.take("version", number);
    let format = fields.need("format", |value| Format::read(text(value)?));
    let source = fields.need("uri", |value| uri::read(text(value)?));
    let sha256 = fields.take("sha256", |value| digest("sha256", text(value)?));
    let tags = fields.take("tags", tags);
    let parent = fields.take("parent", |value| VersionId::read(text(value)?));
    let mut lineage = fields.take("lineage", Lineage::read).unwrap_or_default();
    let signature = fields.take("signature", Signature::read);
    let kind = fields.take("kind", |value| Kind::read(text(value)?));
    let risk = fields.take("risk", |value| read_tier(text(value)?));
    let description = fields.take("description", description);
    if let (Some(_), Some(twice)) = (&parent, &lineage.parent) {
        return Err(RegistryFault::invalid(format!("parent: it is given twice, as `lineage.parent` {twice} too")));
    }
    lineage.parent = parent.or(lineage.parent);
    fields.done()?;
    let (Some(name), Some(format), Some(source)) = (name, format, source) else {
        return Err(RegistryFault::internal("a field that must be there was read, and is not"));
    };
    Ok(Registration {
        name,
        version,
        source,
        description: description.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        facts: VersionFacts { format: Some(format), sha256, signature, lineage },
        kind,
        risk,
    })
}

/// A name that can stand in a path, a label and a configuration as it is; MLflow's grammar takes more.
fn name(text: &str) -> Result<RegisteredName, RegistryFault> {
    tidegate_core::name::check(text).map_err(|fault| RegistryFault::invalid(fault.to_string()))?;
    if text.contains(['/', ':', '@']) {
        return Err(RegistryFault::invalid("a model's name has no / : or @, which stand behind it in a reference"));
    }
    RegisteredName::new(text)
}

fn number(value: &Value) -> Result<i64, RegistryFault> {
    let number = value.as_i64().filter(|number| *number > 0);
    number.ok_or_else(|| RegistryFault::invalid("it is no whole number from 1; leave it out for the next one"))
}

fn tags(value: &Value) -> Result<Tags, RegistryFault> {
    let object: &Map<String, Value> = value
        .as_object()
        .ok_or_else(|| RegistryFault::invalid("they are no object of texts, such as {\"team\": \"search\"}"))?;
    let mut tags = Tags::default();
    for (key, value) in object {
        let value = value
            .as_str()
            .ok_or_else(|| RegistryFault::invalid(format!("'{}' is no text", crate::kind::short(key))))?;
        tags.add(key, value)?;
    }
    Ok(tags)
}

fn description(value: &Value) -> Result<String, RegistryFault> {
    let text = text(value)?;
    if text.len() > LONGEST_DESCRIPTION {
        return Err(RegistryFault::invalid(format!("it is longer than {LONGEST_DESCRIPTION} bytes")));
    }
    Ok(text.to_owned())
}

/// Compares what is said of a file with the file, where it is in the artifact store; what is not said is taken from it.
async fn agree(blobs: &dyn Blobs, new: &mut Registration) -> Result<(), RegistryFault> {
    let Source::Elsewhere(source) = &new.source else { return Ok(()) };
    let Some(path) = source.strip_prefix(uri::STORE).and_then(|path| BlobPath::new(path).ok()) else { return Ok(()) };
    let blob = match blobs.get(&path, None).await {
        Ok(blob) => blob,
        // It may come later; and a folder has files of its own.
        Err(fault) if matches!(fault.kind, FaultKind::NotFound | FaultKind::Conflict) => return Ok(()),
        Err(fault) => return Err(of_port(fault)),
    };
    let has = blob.digest;
    if let Some(said) = new.facts.sha256.replace(has)
        && said != has
    {
        return Err(RegistryFault::invalid(format!("sha256: the file at {path} has {has}")));
    }
    let format = content::examined(blob.frames, blob.length).await;
    let format =
        format.map_err(|fault| RegistryFault { says: format!("uri: at {path}, {}", fault.says).into(), ..fault })?;
    if new.facts.format != Some(format) {
        return Err(RegistryFault::invalid(format!("format: the file at {path} is {format}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_with(key: &str, value: Value) -> Result<Registration, String> {
        let mut body = json!({"name": "m1", "version": 1, "format": "gguf", "uri": "models/m1.gguf"});
        body[key] = value;
        read(body.to_string().as_bytes()).map_err(|fault| fault.says.into_owned())
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (key, values) in [
            (
                "name",
                vec![json!(null), json!(""), json!("a/b"), json!("a\nb"), json!("."), json!("-rf"), json!("%2e%2e")],
            ),
            ("name", vec![json!("<script>"), json!("a;drop table"), json!(1), json!("x".repeat(129)), json!("ü")]),
            ("version", vec![json!(-1), json!(0), json!(1.5), json!("1"), json!(null), json!(true), json!(u64::MAX)]),
            ("format", vec![json!("pickle"), json!("pt"), json!(""), json!(null), json!(["gguf"])]),
            ("uri", vec![json!("../../etc/passwd"), json!(null), json!({}), json!("x".repeat(2000))]),
            ("sha256", vec![json!("abc"), json!(1), json!("z".repeat(64))]),
            ("tags", vec![json!("x"), json!([]), json!({"a": 1}), json!({"a\n": "b"}), json!({"x".repeat(9000): "b"})]),
            ("parent", vec![json!("m1"), json!("m1/0"), json!("/1"), json!(1)]),
            ("lineage", vec![json!("x"), json!({"who": "x"})]),
            ("signature", vec![json!({}), json!(1)]),
            ("kind", vec![json!("gpt"), json!(1)]),
            ("risk", vec![json!("none")]),
            ("description", vec![json!(1), json!("x".repeat(100_001))]),
            ("hook", vec![json!("x")]),
        ] {
            for value in values {
                let said = read_with(key, value.clone()).unwrap_err();
                assert!(said.contains(key) && said.len() < 1000, "{key} {value}: {said}");
            }
        }
        let twice = json!({"name": "m", "format": "gguf", "uri": "m", "parent": "a/1", "lineage": {"parent": "b/1"}});
        assert!(read(twice.to_string().as_bytes()).unwrap_err().says.starts_with("parent: it is given twice"));
    }

    #[test]
    fn what_is_given_is_taken() {
        let new = read_with("parent", json!("base/2")).unwrap();
        assert_eq!((new.name.as_str(), new.version), ("m1", Some(1)));
        assert_eq!(new.source, Source::Elsewhere("mlflow-artifacts:/models/m1.gguf".into()));
        assert_eq!(new.facts.lineage.parent.unwrap().to_string(), "base/2");
        assert_eq!(read_with("tags", json!({"a": "b"})).unwrap().tags.get("a"), Some("b"));
        assert_eq!(read_with("kind", json!("lora-adapter")).unwrap().kind, Some(Kind::LoraAdapter));
    }
}
