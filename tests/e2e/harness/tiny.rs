//! Models of a few hundred numbers, which load in no time: one for embeddings, and a reranker with the same body. Owns
//! their files; what their numbers mean is nothing.

use serde_json::{Map, json};

const SIZE: usize = 8;

/// `config.json`.
pub(crate) fn config() -> String {
    json!({
        "vocab_size": SIZE, "hidden_size": SIZE, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": SIZE, "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "max_position_embeddings": 16,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0, "model_type": "bert",
    })
    .to_string()
}

/// `config.json` of the reranker.
pub(crate) fn reranker_config() -> String {
    let classes = "\"architectures\": [\"BertForSequenceClassification\"], ";
    config().replacen('{', &format!("{{{classes}"), 1)
}

/// `model.safetensors` of the reranker.
pub(crate) fn reranker_weights(seed: u32) -> Vec<u8> {
    made(seed, &[("pooler.dense", SIZE), ("classifier", 1)])
}

/// `tokenizer.json`.
pub(crate) fn tokenizer() -> String {
    let words = ["[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e"];
    let vocabulary: Map<_, _> = words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
    .to_string()
}

/// `model.safetensors`, other ones for each seed.
pub(crate) fn weights(seed: u32) -> Vec<u8> {
    made(seed, &[])
}

/// The body, and beside it these matrices of so many rows with their biases.
fn made(seed: u32, heads: &[(&str, usize)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut tensor = |name: String, shape: &[usize]| {
        let from = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let value = f32::from(u16::try_from(state >> 16).unwrap_or_default()) / 65_536.0 - 0.5;
            data.extend_from_slice(&value.to_le_bytes());
        }
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}));
    };
    for (name, rows) in [("word", SIZE), ("position", 16), ("token_type", 2)] {
        tensor(format!("embeddings.{name}_embeddings.weight"), &[rows, SIZE]);
    }
    let layer = "encoder.layer.0";
    for norm in ["embeddings", &format!("{layer}.attention.output"), &format!("{layer}.output")] {
        tensor(format!("{norm}.LayerNorm.weight"), &[SIZE]);
        tensor(format!("{norm}.LayerNorm.bias"), &[SIZE]);
    }
    for linear in [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ] {
        tensor(format!("{layer}.{linear}.weight"), &[SIZE, SIZE]);
        tensor(format!("{layer}.{linear}.bias"), &[SIZE]);
    }
    for (head, rows) in heads {
        tensor(format!("{head}.weight"), &[*rows, SIZE]);
        tensor(format!("{head}.bias"), &[*rows]);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}
