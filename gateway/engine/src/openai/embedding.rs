//! Embeddings as JSON: numbers, or base64 of little-endian 32-bit floats, which SDKs ask for by themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A whole answer.
pub(super) fn answer(model: &str, vectors: &[Vec<f32>], base64: bool, tokens: usize) -> String {
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": if base64 { json!(encode(vector)) } else { json!(vector) }}))
        .collect();
    json!({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
        .to_string()
}

fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_little_endian_floats() {
        assert_eq!(encode(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
