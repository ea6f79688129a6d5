//! What is taken and what is refused, in whatever parts it comes.

use super::*;
use proptest::prelude::*;
use samples::{architecture, entry, gguf_of, safetensors_of, tensor};

fn judge(file: &[u8], part: usize) -> Result<Format, String> {
    let mut judge = Judge::new();
    let mut all = || {
        file.chunks(part.max(1)).try_for_each(|bytes| judge.take(bytes))?;
        std::mem::replace(&mut judge, Judge::new()).end()
    };
    all().map_err(|refused: Refused| refused.0.into_owned())
}

fn whole(file: &[u8]) -> Result<Format, String> {
    judge(file, file.len())
}

fn good() -> [(Format, Vec<u8>); 5] {
    [
        (Format::Gguf, samples::gguf()),
        (Format::Safetensors, samples::safetensors()),
        (Format::Onnx, samples::onnx()),
        (Format::Xgboost, br#"{"learner":{"objective":{"name":"reg:squarederror"}},"version":[3,2,0]}"#.to_vec()),
        (Format::Lightgbm, b"tree\nversion=v4\nnum_class=1\n\nTree=0\nend of trees\n".to_vec()),
    ]
}

#[test]
fn files_are_told_by_their_bytes_in_whatever_parts_they_come() {
    for (format, file) in good() {
        for part in [1, 2, 7, 16, 100, file.len()] {
            assert_eq!(judge(&file, part), Ok(format), "{part}");
        }
    }
}

#[test]
fn no_beginning_of_a_file_is_a_file() {
    for (format, file) in good() {
        for end in 0..file.len() {
            let said = whole(&file[..end]).unwrap_err();
            assert!(end == 0 || !said.is_empty(), "{format} {end}");
        }
    }
}

#[test]
fn nothing_can_be_appended() {
    let zip = b"PK\x03\x04\x14\0\0\0\x08\0";
    for (format, file) in good() {
        let more = [&file[..], zip].concat();
        // GGUF may be padded to its alignment, and this one ends 14 bytes before it.
        let more = if format == Format::Gguf { [&more[..], &[0; 40]].concat() } else { more };
        for part in [1, 9, more.len()] {
            assert!(judge(&more, part).is_err(), "{format}");
        }
    }
    let padded = [samples::gguf(), vec![0; 14]].concat();
    assert_eq!(whole(&padded), Ok(Format::Gguf));
}

#[test]
fn other_files_are_called_by_their_names() {
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &str); 12] = [
        (b"", "it is empty"),
        (b"PK\x03\x04 and more than sixteen bytes", "zip"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03 and more", "gzip"),
        (b"\x80\x04\x95\n\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", "pickle"),
        (b"\x80\x02}q\0.", "pickle"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0", "HDF5"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "program"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\":{}}", "absurd"),
        (b"cos\nsystem\n(S'id'\ntR.", "first bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "first bytes"),
        (&[0; 64], "first bytes"),
        (&tar, "tar"),
    ];
    for (file, says) in cases {
        for part in [1, file.len()] {
            let said = judge(file, part).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}

#[test]
fn a_gguf_that_lies_is_refused() {
    let one = |tensor: Vec<u8>| gguf_of(&[architecture()], &[tensor], &[0; 32]);
    let with = |entry: Vec<u8>| gguf_of(&[architecture(), entry], &[tensor("a", &[8], 0, 0)], &[0; 32]);
    let counts = |tensors: u64, entries: u64| {
        [b"GGUF\x03\0\0\0".to_vec(), tensors.to_le_bytes().to_vec(), entries.to_le_bytes().to_vec()].concat()
    };
    assert_eq!(whole(&one(tensor("a", &[8], 0, 0))), Ok(Format::Gguf));
    for (file, says) in [
        (counts(1 << 63, 1), "it counts"),
        (counts(1, 1 << 63), "it counts"),
        (counts(0, 0), "it has no tensors"),
        ([b"GGUF\0\0\0\x03".to_vec(), vec![0; 16]].concat(), "big-endian"),
        ([b"GGUF\x01\0\0\0".to_vec(), vec![0; 16]].concat(), "another version"),
        ([counts(1, 1), (1u64 << 62).to_le_bytes().to_vec()].concat(), "a length that no file has"),
        (one(tensor("a", &[7], 2, 0)), "a shape that cannot be"),
        (one(tensor("a", &[u64::MAX, 8], 0, 0)), "a shape that cannot be"),
        (one(tensor("a", &[0], 0, 0)), "a shape that cannot be"),
        (one(tensor("a", &[8], 99, 0)), "a type that is not known"),
        (one(tensor("a", &[1, 1, 1, 1, 1], 0, 0)), "5 dimensions"),
        (one(tensor("a", &[8], 0, 32)), "overlap"),
        (one(tensor("a", &[8], 0, 8)), "overlap"),
        (one(tensor("", &[8], 0, 0)), "has 0 bytes"),
        (with(architecture()), "stands twice"),
        (with(entry("flag", 7, &[2])), "neither true nor false"),
        (with(entry("odd", 13, &[])), "a kind that is not taken"),
        (with(entry("deep", 9, &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])), "a kind that is not taken"),
        (with(entry("general.alignment", 4, &[3, 0, 0, 0])), "no power of two"),
        (with(entry("general.alignment", 4, &[0; 4])), "no power of two"),
        (gguf_of(&[], &[tensor("a", &[8], 0, 0)], &[0; 32]), "`general.architecture` is missing"),
        (gguf_of(&[architecture()], &[tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)], &[0; 64]), "stands twice"),
        (gguf_of(&[architecture()], &[tensor("a", &[8], 0, 0), tensor("b", &[8], 0, 0)], &[0; 32]), "overlap"),
    ] {
        let said = whole(&file).unwrap_err();
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn safetensors_that_lie_are_refused() {
    let tensor = r#"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#;
    for (header, says) in [
        ("{}", "no tensors"),
        (r#"{"a":1}"#, "not the JSON of safetensors"),
        (r#"{"a":{"dt"#, "not the JSON of safetensors"),
        (&format!(r#"{{"a":{tensor},"a":{tensor}}}"#), "stands twice"),
        (&format!(r#"{{"a":{tensor},"b":{tensor}}}"#), "overlap"),
        (r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, "room between"),
        (r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}"#, "does not have the 2 bytes"),
        (r#"{"a":{"dtype":"X8","shape":[2],"data_offsets":[0,2]}}"#, "does not have the 2 bytes"),
        (r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1}}"#, "not the JSON of safetensors"),
        (r#"{"a":{"dtype":"F64","shape":[9223372036854775807,9],"data_offsets":[0,2]}}"#, "does not have the 2 bytes"),
        (r#"{"__metadata__":{"a":1},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, "not the JSON"),
    ] {
        let said = whole(&safetensors_of(header, &[0; 2])).unwrap_err();
        assert!(said.contains(says), "{header}: {said}");
    }
    let long = [&(u64::from(u32::MAX)).to_le_bytes()[..], b"{\"a\":  "].concat();
    assert!(whole(&long).unwrap_err().contains("longer than the 32 MiB"), "{:?}", whole(&long));
}

#[test]
fn onnx_that_leads_elsewhere_is_refused() {
    let place = samples::field(13, b"\n\x08location\x12\x0b/etc/passwd");
    for (file, says) in [
        (samples::onnx_of(&samples::field(5, &place)), "in another file"),
        (samples::onnx_of(&samples::field(5, &[14 << 3, 1])), "in another file"),
        (samples::onnx_of(&samples::field(1, &samples::field(5, &samples::field(5, &place)))), "in another file"),
        ([samples::onnx(), samples::field(7, b"")].concat(), "two graphs"),
        ([&samples::onnx()[..], &[80, 0]].concat(), "a field that ONNX does not have"),
        ([&samples::onnx()[..], &[0, 0]].concat(), "a field that ONNX does not have"),
        (samples::onnx_of(&[0x0a, 100, 1]), "longer than the message"),
        ([&[8, 9][..], &samples::field(2, b"no graph at all")].concat(), "is missing"),
        ([8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0].to_vec(), "first bytes"),
        ([8, 9, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0].to_vec(), "as none of ONNX's"),
    ] {
        for part in [1, file.len()] {
            let said = judge(&file, part).unwrap_err();
            assert!(said.contains(says), "{says}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_ends_with_a_fault_and_the_rest_passes_unchanged() {
    let frames = |file: &[u8]| -> Frames {
        let parts: Vec<_> = file.chunks(5).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        Box::pin(stream::iter(parts))
    };
    for (format, file) in good() {
        let (told, passed) = judged(frames(&file)).await.unwrap();
        let passed: Vec<Bytes> = passed.map(|frame| frame.unwrap()).collect().await;
        assert_eq!((told, passed.concat()), (format, file.clone()));
        assert_eq!(examined(frames(&file), file.len() as u64).await.unwrap(), format);
        let (_, passed) = judged(frames(&file[..file.len() - 1])).await.unwrap();
        let last = passed.collect::<Vec<_>>().await.pop().unwrap();
        assert_eq!(last.unwrap_err().kind, FaultKind::InvalidRequest);
    }
    let short = samples::gguf().len() as u64 - 1;
    assert!(examined(frames(&samples::gguf()), short).await.is_err());
    assert!(judged(frames(b"PK\x03\x04 this is an archive")).await.is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_the_verdict_does_not_hang_on_the_parts(
        sign in 0usize..4,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        part in 1usize..40,
    ) {
        let begin: &[u8] = [&b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"[..], b"\x20\0\0\0\0\0\0\0{", &[8, 8], b""][sign];
        let file = [begin, &bytes].concat();
        prop_assert_eq!(judge(&file, part).is_ok(), whole(&file).is_ok());
    }

    #[test]
    fn a_changed_byte_makes_no_panic_and_the_same_verdict_in_any_parts(
        which in 0usize..3,
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        part in 1usize..40,
    ) {
        let mut file = good()[which].1.clone();
        let at = at.index(file.len());
        file[at] = byte;
        prop_assert_eq!(judge(&file, part).is_ok(), whole(&file).is_ok());
    }
}
