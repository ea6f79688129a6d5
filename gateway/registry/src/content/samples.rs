//! The smallest files of each form, for tests.

/// A text as GGUF writes it.
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A head of GGUF with these metadata entries and tensors, each written out, and `data` behind its padding.
pub(super) fn gguf_of(entries: &[Vec<u8>], tensors: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((entries.len() as u64).to_le_bytes());
    file.extend(entries.concat());
    file.extend(tensors.concat());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

/// A metadata entry: its key, its kind and its value as written.
pub(super) fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes(), value].concat()
}

pub(super) fn architecture() -> Vec<u8> {
    entry("general.architecture", 8, &text("llama"))
}

/// A tensor's row.
pub(super) fn tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|size| size.to_le_bytes()).collect();
    let dimensions = u32::try_from(shape.len() / 8).unwrap_or_default();
    [&text(name)[..], &dimensions.to_le_bytes(), &shape, &kind.to_le_bytes(), &offset.to_le_bytes()].concat()
}

/// One with values of several kinds, and two tensors with padding between them.
pub(super) fn gguf() -> Vec<u8> {
    let words = [&8u32.to_le_bytes()[..], &2u64.to_le_bytes(), &text("a"), &text("bc")].concat();
    let entries = [
        architecture(),
        entry("general.alignment", 4, &32u32.to_le_bytes()),
        entry("llama.rope", 6, &1f32.to_le_bytes()),
        entry("flag", 7, &[1]),
        entry("tokens", 9, &words),
    ];
    let tensors = [tensor("a", &[2, 2], 1, 0), tensor("b", &[32], 2, 32)];
    gguf_of(&entries, &tensors, &[7; 50])
}

/// Safetensors with this header and data.
pub(super) fn safetensors_of(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

pub(super) fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}   "#;
    safetensors_of(header, &[1, 2, 3, 4, 5])
}

/// A field of protobuf that holds bytes, of one of the first 15 numbers and fewer than 128 bytes.
pub(super) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    assert!(number < 16 && length < 128, "one byte tells each");
    [&[number << 3 | 2, length], content].concat()
}

/// ONNX whose graph holds this.
pub(super) fn onnx_of(graph: &[u8]) -> Vec<u8> {
    [&[8, 9][..], &field(2, b"tests"), &field(7, graph), &field(8, &[16, 20])].concat()
}

/// A node with an attribute that holds a graph, and an initializer.
pub(super) fn onnx() -> Vec<u8> {
    let tensor = [&[8, 1, 16, 1][..], &field(9, &[0, 0, 128, 63])].concat();
    let inner = field(5, &tensor);
    let attribute = [&field(1, b"body")[..], &field(6, &inner), &[0x15, 0, 0, 128, 63]].concat();
    let node = [&field(4, b"If")[..], &field(5, &attribute)].concat();
    onnx_of(&[&field(1, &node)[..], &field(2, b"g"), &field(5, &tensor)].concat())
}
