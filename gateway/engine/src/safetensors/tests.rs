//! Damaged and hostile files: each is read or refused, and none makes the reader panic or take more than it is worth.

use super::*;
use proptest::prelude::*;

fn file(head: &str, data: usize) -> Vec<u8> {
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(head.as_bytes());
    bytes.resize(bytes.len() + data, 7);
    bytes
}

fn read(bytes: &[u8]) -> Result<HashMap<String, Info>, String> {
    head(&mut &bytes[..], bytes.len() as u64).map(|(tensors, _)| tensors)
}

const SOUND: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
    "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}"#;

#[test]
fn a_sound_file_is_read() {
    let tensors = read(&file(SOUND, 32)).unwrap();
    assert_eq!(tensors.len(), 2);
    assert_eq!((tensors["a"].shape.clone(), tensors["b"].width, tensors["b"].count), (vec![2, 3], Width::Bf16, 4));
}

#[test]
fn what_is_wrong_is_said() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (head, data, says) in [
        (SOUND.into(), 31, "cut short"),
        (one("F8_E4M3", "[4]", "[0,4]"), 4, "type F8_E4M3"),
        (one("F32", "[4]", "[0,8]"), 16, "takes 16"),
        (one("F32", "[4]", "[16,0]"), 16, "impossible"),
        (one("F32", "[18446744073709551615,4]", "[0,16]"), 16, "impossible"),
        (one("F32", "[4611686018427387904]", "[0,16]"), 16, "impossible"),
        (one("F32", "[4]", "[18446744073709551600,18446744073709551615]"), 16, "has 15 bytes"),
        (one("F32", "[-1]", "[0,16]"), 16, "cannot be read"),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#.into(), 8, "twice"),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#.into(), 8, "overlap"),
        ("[".repeat(100_000), 0, "cannot be read"),
    ] {
        let error = read(&file(&head, data)).unwrap_err();
        assert!(error.contains(says), "`{error}` for `{says}`");
    }
    let mut huge = file(SOUND, 32);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(read(&huge).unwrap_err().contains("more than it can hold"));
    assert!(read(&[1, 2, 3]).unwrap_err().contains("shorter"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_mutation_reaches_out_of_the_file(at in 0usize..200, byte in any::<u8>(), cut in 0usize..250) {
        let mut bytes = file(SOUND, 32);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1).min(bytes.len()));
        if let Ok(tensors) = read(&bytes) {
            for info in tensors.values() {
                prop_assert!(info.start + (info.count * info.width.bytes()) as u64 <= bytes.len() as u64);
            }
        }
    }
}
