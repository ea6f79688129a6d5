//! The file `MLmodel` that MLflow lays beside a model's own: YAML, of which the signature is read.

use crate::report::Notes;
use crate::tree::{self, Kind, Node};
use serde_json::{Map, Value};

/// The signature in a file `MLmodel`, as the registry has it: an object with the lists `inputs` and `outputs`. None where it
/// has none.
///
/// # Errors
/// The file is no YAML, or its signature no JSON; in words.
pub fn signature(text: &str) -> Result<Option<Value>, String> {
    let mut notes = Notes::default();
    let root = tree::parse(0, text, &mut notes);
    if matches!(root.kind, Kind::Faulty) {
        return Err("it is no YAML".to_owned());
    }
    let Some(signature) = root.get("signature") else { return Ok(None) };
    let mut read = Map::new();
    for part in ["inputs", "outputs"] {
        if let Some(json) = signature.get(part).and_then(text_of) {
            let value = serde_json::from_str(json).map_err(|fault| format!("signature.{part} is no JSON: {fault}"))?;
            read.insert(part.to_owned(), value);
        }
    }
    Ok(read.contains_key("inputs").then_some(Value::Object(read)))
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(&scalar.written),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_signature_is_json_within_yaml() {
        let text = "artifact_path: model\nflavors:\n  python_function:\n    env: {conda: conda.yaml}\nsignature:\n  inputs: '[{\"type\": \"double\", \"name\": \"mean radius\",\n    \"required\": true}]'\n  outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"int64\", \"shape\": [-1]}}]'\n  params: null\n";
        let read = signature(text).unwrap().unwrap();
        assert_eq!(read["inputs"], json!([{"type": "double", "name": "mean radius", "required": true}]));
        assert_eq!(read["outputs"][0]["tensor-spec"]["dtype"], "int64");
        assert_eq!(signature("artifact_path: model\n"), Ok(None));
        assert_eq!(signature("signature:\n  outputs: '[]'\n"), Ok(None));
        assert!(signature("signature: {inputs: 'no'}\n").is_err());
        assert!(signature("a: [\n").is_err());
    }
}
