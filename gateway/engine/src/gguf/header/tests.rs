//! Damaged and hostile heads: each is read or refused, and none makes the reader panic or take more than it is worth.

use super::*;
use crate::gguf::writer::{Coming, Writer};
use proptest::prelude::*;

fn file() -> Vec<u8> {
    let texts = Value::Texts(vec!["a".into(), "bc".into()]);
    let (name, number) = (Value::Text("llama".into()), Value::Unsigned(7));
    let (floats, flags) = (Value::Floats(vec![0.5, -1.0]), Value::Flags(vec![true, false]));
    let integers = Value::Integers(vec![-1, 1 << 40]);
    let entries = [
        ("general.architecture", &name),
        ("n", &number),
        ("texts", &texts),
        ("floats", &floats),
        ("flags", &flags),
        ("integers", &integers),
    ];
    let tensors = [
        Coming { name: "x", shape: &[3, 32], dtype: GgmlDType::Q8_0 },
        Coming { name: "y", shape: &[5], dtype: GgmlDType::F32 },
    ];
    let mut writer = Writer::begin(Vec::new(), &entries, &tensors).unwrap();
    writer.tensor(&[1; 102]).unwrap();
    writer.tensor(&[2; 20]).unwrap();
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Header, String> {
    Header::read(bytes, bytes.len() as u64)
}

/// The file with the first `from` replaced.
fn changed(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = file();
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    bytes.splice(at..at + from.len(), to.iter().copied());
    bytes
}

#[test]
fn what_is_written_is_read() {
    let bytes = file();
    let header = read(&bytes).unwrap();
    assert_eq!(header.entries["general.architecture"], Value::Text("llama".into()));
    assert_eq!(header.entries["n"].whole(), Some(7));
    assert_eq!(header.entries["texts"], Value::Texts(vec!["a".into(), "bc".into()]));
    assert_eq!(header.entries["floats"], Value::Floats(vec![0.5, -1.0]));
    assert_eq!(header.entries["flags"], Value::Flags(vec![true, false]));
    assert_eq!(header.entries["integers"], Value::Integers(vec![-1, 1 << 40]));
    let (x, y) = (&header.tensors["x"], &header.tensors["y"]);
    assert_eq!((x.shape.clone(), x.dtype, x.bytes), (vec![3, 32], GgmlDType::Q8_0, 102));
    assert_eq!((y.shape.clone(), y.bytes), (vec![5], 20));
    assert_eq!(bytes[x.start as usize..][..102], [1; 102]);
    assert_eq!(bytes[y.start as usize..][..20], [2; 20]);
}

#[test]
fn what_is_wrong_is_said() {
    let eight = |n: u64| n.to_le_bytes();
    let infos = |n: u32, dims: &[u64], dtype: u32, offset: u64| {
        let mut bytes = [&eight(1)[..], b"x", &n.to_le_bytes()].concat();
        dims.iter().for_each(|d| bytes.extend(eight(*d)));
        bytes.extend(dtype.to_le_bytes());
        bytes.extend(eight(offset));
        bytes
    };
    let x = infos(2, &[32, 3], 8, 0);
    let cut = |bytes: Vec<u8>, less: usize| bytes[..bytes.len() - less].to_vec();
    for (bytes, says) in [
        (changed(b"GGUF", b"GGML"), "does not begin"),
        (changed(&3u32.to_le_bytes(), &9u32.to_le_bytes()), "version 9"),
        (changed(&eight(2), &eight(1 << 60)), "tensors, more than it can hold"),
        (changed(&eight(6), &eight(1 << 60)), "entries, more than it can hold"),
        (changed(b"texts", b"n\0xts"), "ends within its head"),
        (cut(file(), 13), "cut short"),
        (cut(file(), 200), "ends within its head"),
        (changed(&x, &infos(2, &[33, 3], 8, 0)), "whole blocks"),
        (changed(&x, &infos(2, &[1 << 63, 3], 0, 0)), "impossible shape"),
        (changed(&x, &infos(2, &[0, 3], 8, 0)), "impossible shape"),
        (changed(&x, &infos(2, &[32, 3], 8, 7)), "not aligned"),
        (changed(&x, &infos(2, &[32, 3], 8, u64::MAX - 31)), "cut short"),
        (changed(&x, &infos(2, &[32, 3], 8, 128)), "overlap"),
        (changed(&x, &infos(2, &[32, 3], 17, 0)), "type 17"),
        (changed(&x, &infos(9, &[32, 3], 8, 0)), "9 dimensions"),
    ] {
        match read(&bytes) {
            Ok(_) => panic!("was read; expected `{says}`"),
            Err(error) => assert!(error.contains(says) || says == "ends within its head", "`{error}` for `{says}`"),
        }
    }
}

#[test]
fn names_that_are_there_twice_are_refused() {
    let value = Value::Unsigned(1);
    let twice = Writer::begin(Vec::new(), &[("a", &value), ("a", &value)], &[]).unwrap().finish().unwrap();
    assert!(read(&twice).unwrap_err().contains("`a` is there twice"));
    let tensor = Coming { name: "t", shape: &[1], dtype: GgmlDType::F32 };
    let mut writer = Writer::begin(Vec::new(), &[], &[tensor.clone(), tensor]).unwrap();
    writer.tensor(&[0; 4]).unwrap();
    writer.tensor(&[0; 4]).unwrap();
    assert!(read(&writer.finish().unwrap()).unwrap_err().contains("`t` is there twice"));
}

#[test]
fn a_list_within_a_list_is_refused() {
    let mut bytes = Writer::begin(Vec::new(), &[("a", &Value::Flags(vec![true; 40]))], &[]).unwrap().finish().unwrap();
    let at = bytes.windows(8).position(|w| w == [9, 0, 0, 0, 7, 0, 0, 0]).unwrap();
    bytes[at + 4] = 9;
    assert!(read(&bytes).unwrap_err().contains("lists of the kind 9"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn no_mutation_reaches_out_of_the_file(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = file();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(header) = read(&bytes) {
            for info in header.tensors.values() {
                prop_assert!(info.start + info.bytes as u64 <= bytes.len() as u64);
            }
        }
    }
}
