//! What several tests of this crate share: the weights of the goldens, and files made of them.

pub(crate) mod weights;

use serde_json::{Value, json};

/// How numbers are written.
#[derive(Clone, Copy)]
pub(crate) enum As {
    F32,
    F16,
    Bf16,
    /// The 32-bit numbers that brain floats keep.
    RoundedToBf16,
}

/// A safetensors file of these tensors.
pub(crate) fn safetensors<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize], Vec<f32>)>, kept: As) -> Vec<u8> {
    let (mut head, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        for v in values {
            match kept {
                As::F32 => data.extend(v.to_le_bytes()),
                As::RoundedToBf16 => data.extend(half::bf16::from_f32(v).to_f32().to_le_bytes()),
                As::F16 => data.extend(half::f16::from_f32(v).to_le_bytes()),
                As::Bf16 => data.extend(half::bf16::from_f32(v).to_le_bytes()),
            }
        }
        let dtype = match kept {
            As::F32 | As::RoundedToBf16 => "F32",
            As::F16 => "F16",
            As::Bf16 => "BF16",
        };
        head.insert(name.to_owned(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}));
    }
    let head = Value::Object(head).to_string();
    [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &data].concat()
}
