//! The head of a safetensors file: a length, and as JSON where each tensor lies, which must cover the rest of the file
//! once and leave no room for anything else.

use super::{Extent, LONGEST_HEAD, Stop, long_head, stop};
use crate::kind::short;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Reads a head as far as it has come.
pub(super) fn read(head: &[u8]) -> Result<Extent, Stop> {
    let (length, rest) = head.split_first_chunk::<8>().ok_or(Stop::More)?;
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().filter(|length| *length <= LONGEST_HEAD).ok_or_else(long_head)?;
    let header = rest.get(..header).ok_or(Stop::More)?;
    let Header(mut tensors) = serde_json::from_slice(header)
        .map_err(|e| stop(format!("its header is not the JSON of safetensors: {}", short(&e.to_string()))))?;
    if tensors.is_empty() {
        return Err(stop("it has no tensors"));
    }
    tensors.sort_by_key(|tensor| tensor.data_offsets);
    let mut end = 0u64;
    for tensor in &tensors {
        let [from, to] = tensor.data_offsets;
        if from != end || to < from {
            return Err(stop("its tensors overlap or have room between them"));
        }
        if tensor.bits() != (to - from).checked_mul(8) {
            return Err(stop(format!(
                "a tensor of type {} and shape {:?} does not have the {} bytes that its offsets say",
                short(&tensor.dtype),
                &tensor.shape[..tensor.shape.len().min(8)],
                to - from
            )));
        }
        end = to;
    }
    let total = end.checked_add(8 + length).ok_or_else(|| stop("it names a length that no file has"))?;
    Ok(Extent { shortest: total, longest: total })
}

/// A tensor, as the header has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Tensor {
    /// How many bits it has; `None` where its type is not known or it is larger than any file.
    fn bits(&self) -> Option<u64> {
        let each = match &*self.dtype {
            "F4" => 4,
            "F6_E2M3" | "F6_E3M2" => 6,
            "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
            "I16" | "U16" | "F16" | "BF16" => 16,
            "I32" | "U32" | "F32" => 32,
            "I64" | "U64" | "F64" | "C64" => 64,
            _ => return None,
        };
        self.shape.iter().try_fold(each, |bits: u64, size| bits.checked_mul(*size))
    }
}

/// The tensors of a header. It is read by hand, since a name that stands twice would else hide a tensor.
struct Header(Vec<Tensor>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut names, mut tensors) = (HashSet::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<BTreeMap<String, String>>()?;
            } else {
                tensors.push(map.next_value()?);
            }
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format!("{twice:?} stands twice in it")));
            }
        }
        Ok(Header(tensors))
    }
}
