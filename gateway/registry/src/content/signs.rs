//! The first bytes of files: which are those of models that are taken, and how the others are called.

use super::Refused;
use crate::kind::Format;

/// A form that is taken, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Gguf,
    Safetensors,
    Onnx,
    /// Trees as text, in this format.
    Trees(Format),
}

/// How many bytes tell all forms that are told apart: tar has its sign far behind.
const ENOUGH: usize = 262;
/// How many tell those that are taken.
const FEW: usize = 16;

/// Forms that hold code or other files, and what each is called.
const OTHERS: [(&[u8], &str); 16] = [
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", ZIP),
    (b"\x1f\x8b", "a gzip archive: unpack it and send the model's file itself"),
    (b"BZh", "a bzip2 archive: unpack it and send the model's file itself"),
    (b"\xfd7zXZ\0", "an xz archive: unpack it and send the model's file itself"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it and send the model's file itself"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and send the model's file itself"),
    (b"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes it: convert the model to ONNX"),
    (b"\x93NUMPY", "an array of NumPy: convert the model to safetensors"),
    (b"\x7fELF", "a program: no programs are taken"),
    (b"MZ", "a program: no programs are taken"),
    (b"#!", "a script: no programs are taken"),
    (b"ggml", OLD_GGML),
    (b"lmgg", OLD_GGML),
    (b"tjgg", OLD_GGML),
];
const ZIP: &str = "a zip archive, such as PyTorch's checkpoints, which can run code when they are read: convert the model \
                   to safetensors";
const OLD_GGML: &str = "a form of GGML from before GGUF: convert the model to GGUF";

/// What these first bytes begin; `None` where more must come.
pub(super) fn of(first: &[u8]) -> Result<Option<Sign>, Refused> {
    if first.len() < FEW {
        return Ok(None);
    }
    if let Some(sign) = taken(first) {
        return Ok(Some(sign));
    }
    refuse(first)?;
    if first.len() < ENOUGH { Ok(None) } else { Err(unknown()) }
}

/// What a file is that has no more bytes than these.
pub(super) fn of_whole(first: &[u8]) -> Result<Sign, Refused> {
    if first.is_empty() {
        return Err(Refused::new("it is empty: send the model's file as the body"));
    }
    if let Some(sign) = taken(first) {
        return Ok(sign);
    }
    refuse(first)?;
    Err(unknown())
}

pub(super) fn unknown() -> Refused {
    Refused::new(
        "its first bytes are those of neither GGUF nor safetensors nor ONNX nor XGBoost's JSON nor LightGBM's text, which are the forms taken",
    )
}

fn taken(first: &[u8]) -> Option<Sign> {
    if first.starts_with(b"GGUF") {
        return Some(Sign::Gguf);
    }
    // A length in eight bytes, of which the upper four say nothing, and the JSON of that length.
    if first.get(4..9) == Some(b"\0\0\0\0{") {
        return Some(Sign::Safetensors);
    }
    let json = first.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    if json.is_some_and(|json| json.first() == Some(&b'"')) {
        return Some(Sign::Trees(Format::Xgboost));
    }
    if first.starts_with(b"tree\n") || first.starts_with(b"tree\r\n") {
        return Some(Sign::Trees(Format::Lightgbm));
    }
    // The field `ir_version`, which every writer puts first.
    (first.first() == Some(&8) && first.get(1).is_some_and(|version| (1..=64).contains(version))).then_some(Sign::Onnx)
}

fn refuse(first: &[u8]) -> Result<(), Refused> {
    if let Some((_, what)) = OTHERS.iter().find(|(sign, _)| first.starts_with(sign)) {
        return Err(Refused::new(format!("it is {what}")));
    }
    if first.len() >= 2 && first[0] == 0x80 && (2..=5).contains(&first[1]) {
        return Err(Refused::new(
            "it is a pickle, which can run code when it is read: convert the model to safetensors",
        ));
    }
    if first.get(257..ENOUGH).is_some_and(|sign| sign == b"ustar") {
        return Err(Refused::new("it is a tar archive: unpack it and send the model's file itself"));
    }
    if first.get(8) == Some(&b'{') {
        return Err(Refused::new("it seems to be safetensors, but the length of its header is absurd"));
    }
    Ok(())
}
