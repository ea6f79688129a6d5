//! Writes a safetensors file of 32-bit numbers: whole or not at all.

use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// A tensor to write.
pub(crate) struct Outgoing<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: &'a [f32],
}

/// Writes tensors, and words beside them, into a file that takes its name when it is whole.
pub(crate) fn write(path: &Path, words: &[(&str, String)], tensors: &[Outgoing<'_>]) -> io::Result<()> {
    let mut head = Map::new();
    let words: Map<String, Value> = words.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    head.insert("__metadata__".to_owned(), Value::Object(words));
    let mut end = 0;
    for tensor in tensors {
        let from = end;
        end += tensor.numbers.len() * 4;
        let place = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [from, end]});
        head.insert(tensor.name.clone(), place);
    }
    let mut head = Value::Object(head).to_string();
    // The numbers begin at a multiple of eight.
    head.extend(std::iter::repeat_n(' ', head.len().next_multiple_of(8) - head.len()));
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&part)?);
    out.write_all(&(head.len() as u64).to_le_bytes())?;
    out.write_all(head.as_bytes())?;
    for number in tensors.iter().flat_map(|tensor| tensor.numbers) {
        out.write_all(&number.to_le_bytes())?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors::SafetensorsFile;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.safetensors");
        let tensors = [
            Outgoing { name: "b".into(), shape: vec![2, 1], numbers: &[1.5, -2.0] },
            Outgoing { name: "a".into(), shape: vec![3], numbers: &[0.1, f32::MIN_POSITIVE, 3e38] },
        ];
        write(&path, &[("format", "pt".into())], &tensors).unwrap();
        let mut file = SafetensorsFile::open(&path).unwrap();
        assert_eq!(file.word("format"), Some("pt"));
        for tensor in tensors {
            let info = file.info(&tensor.name).unwrap().clone();
            let mut numbers = Vec::new();
            file.read(&info, 0, tensor.numbers.len(), &mut numbers).unwrap();
            assert_eq!((info.shape, numbers.as_slice()), (tensor.shape, tensor.numbers));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
