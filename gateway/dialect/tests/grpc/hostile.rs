//! Messages that are none, and those whose parts do not go together: named, and never more than a moment's work.

use crate::messages::{InferTensor, InferTensorContents, ModelInferRequest};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use tidegate_dialect::Wrong;
use tidegate_dialect::grpc::{self, Head, Message};

fn good() -> ModelInferRequest {
    let input = InferTensor {
        name: "x".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 3],
        contents: Some(InferTensorContents { fp32_contents: vec![1.0, 2.0, 3.0], ..Default::default() }),
        ..Default::default()
    };
    ModelInferRequest { model_name: "m".to_owned(), inputs: vec![input], ..Default::default() }
}

fn raw() -> ModelInferRequest {
    let mut message = good();
    message.inputs[0].contents = None;
    message.raw_input_contents = vec![vec![0; 12]];
    message
}

fn read(message: &ModelInferRequest) -> Result<Message, Wrong> {
    Message::read(&message.encode_to_vec().into(), false)
}

fn of_bytes(bytes: &[u8]) -> Wrong {
    Message::read(&Bytes::copy_from_slice(bytes), false).unwrap_err()
}

#[test]
fn parts_that_do_not_go_together_are_named() {
    type Spoil = fn(&mut ModelInferRequest);
    let cases: [(Spoil, &str, &str); 22] = [
        (|m| m.model_name.clear(), "model_name", "missing"),
        (|m| m.inputs.clear(), "inputs", "empty"),
        (|m| m.inputs[0].datatype = "FP99".into(), "inputs[0].datatype", "FP99"),
        (|m| m.inputs[0].datatype.clear(), "inputs[0].datatype", "is none"),
        (|m| m.inputs[0].shape = vec![-1, 3], "inputs[0].shape", "-1"),
        (|m| m.inputs[0].shape = vec![i64::MAX, i64::MAX], "inputs[0].shape", "counted"),
        (|m| m.inputs[0].shape = vec![1 << 40, 1 << 40], "inputs[0].shape", "counted"),
        (|m| m.inputs[0].shape = vec![0, i64::MAX, i64::MAX], "inputs[0].shape", "counted"),
        (|m| m.inputs[0].shape = vec![1; 17], "inputs[0].shape", "17 dimensions"),
        (|m| m.inputs[0].shape = vec![1; 100_000], "inputs[0].shape", "100000 dimensions"),
        (|m| m.inputs[0].shape = vec![2, 3], "inputs[0].contents", "6 elements"),
        (|m| m.inputs[0].shape = vec![1, 2], "inputs[0].contents", "more than the 2"),
        (|m| m.inputs[0].shape = vec![1 << 40], "inputs[0].contents", "1099511627776 elements"),
        (|m| m.inputs[0].contents = None, "inputs[0].contents", "are of 0"),
        (|m| m.inputs[0].datatype = "INT32".into(), "inputs[0].contents.fp32_contents", "int_contents"),
        (|m| m.inputs[0].datatype = "FP16".into(), "inputs[0].contents", "raw"),
        (|m| m.inputs[0].datatype = "BYTES".into(), "inputs[0].contents.fp32_contents", "bytes_contents"),
        (|m| m.inputs.push(m.inputs[0].clone()), "inputs[1].name", "twice"),
        (|m| m.inputs = vec![m.inputs[0].clone(); 1025], "inputs", "1024"),
        (|m| m.raw_input_contents = vec![vec![0; 12]], "inputs[0].contents", "exclude each other"),
        (|m| m.raw_input_contents = vec![vec![]; 2], "raw_input_contents", "2 elements"),
        (|m| m.outputs.push(Default::default()), "outputs[0].name", "missing"),
    ];
    assert!(read(&good()).is_ok() && read(&raw()).is_ok());
    for (nth, (spoil, field, says)) in cases.into_iter().enumerate() {
        let mut message = good();
        spoil(&mut message);
        let wrong = read(&message).unwrap_err();
        assert!(wrong.field == field && wrong.says.contains(says), "{nth}: {wrong:?}");
    }
}

#[test]
fn raw_data_have_the_size_of_their_shape_and_lists_the_range_of_their_datatype() {
    for size in [0, 1, 11, 13, 24] {
        let mut message = raw();
        message.raw_input_contents[0] = vec![0; size];
        let wrong = read(&message).unwrap_err();
        assert!(wrong.field == "inputs[0].raw" && wrong.says.contains(&format!("{size} bytes")), "{wrong:?}");
    }
    for (datatype, value) in [("INT8", 128), ("INT8", -129), ("INT16", 32_768), ("INT16", -32_769)] {
        let mut message = good();
        message.inputs[0].datatype = datatype.to_owned();
        message.inputs[0].contents =
            Some(InferTensorContents { int_contents: vec![0, 0, value], ..Default::default() });
        let wrong = read(&message).unwrap_err();
        assert!(wrong.says.contains("element 2") && wrong.says.contains("range"), "{wrong:?}");
    }
    for (datatype, value) in [("UINT8", 256), ("UINT16", 65_536)] {
        let mut message = good();
        message.inputs[0].datatype = datatype.to_owned();
        message.inputs[0].contents =
            Some(InferTensorContents { uint_contents: vec![0, 0, value], ..Default::default() });
        assert!(read(&message).unwrap_err().says.contains("range"), "{datatype}");
    }
    let mut message = raw();
    (message.inputs[0].datatype, message.inputs[0].shape) = ("BYTES".to_owned(), vec![1]);
    for bytes in [&[1, 0, 0][..], &[255, 255, 255, 255], &[2, 0, 0, 0, 7]] {
        message.raw_input_contents[0] = bytes.to_vec();
        assert!(read(&message).unwrap_err().says.contains("cut"), "{bytes:?}");
    }
}

#[test]
fn bytes_that_are_no_message_are_named() {
    for (bytes, says) in [
        (&[0x0A, 0x05, b'a'][..], "cut"),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "cut"),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "cut"),
        (&[0x0A, 0x02, 0xFF, 0xFE], "UTF-8"),
        (&[0x08, 0x01], "another kind"),
        (&[0x0A, 1, b'm', 0x2A, 0x02, 0x0B, 0x0C], "no protobuf message"),
        (&[0x00, 0x00], "no protobuf message"),
        (&[0x07], "no protobuf message"),
        (&[0x80; 12], "no protobuf message"),
    ] {
        let wrong = of_bytes(bytes);
        assert!(wrong.says.contains(says), "{bytes:?}: {wrong:?}");
    }
    // Many parts of no bytes each: they are counted, not made.
    let many = [0x2A, 0].repeat(8 << 20);
    assert!(of_bytes(&many).says.contains("1024"), "inputs");
    let many = [&[0x0A, 1, b'm'][..], &[0x3A, 0].repeat(8 << 20)].concat();
    assert!(of_bytes(&many).says.contains("1024"), "raw contents");
}

#[test]
fn heads_say_what_follows_them() {
    let only = |bytes: &[u8]| grpc::only(&Bytes::copy_from_slice(bytes));
    assert_eq!(only(&[0, 0, 0, 0, 2, 7, 8]).unwrap(), &[7, 8][..]);
    for (bytes, says) in [
        (&[][..], "0 bytes"),
        (&[0, 0, 0], "3 bytes"),
        (&[0, 0, 0, 0, 3, 7, 8], "3 bytes, but 2 came"),
        (&[0, 255, 255, 255, 255, 7], "4294967295 bytes, but 1 came"),
        (&[0, 0, 0, 0, 1, 7, 8], "1 bytes are left over"),
        (&[1, 0, 0, 0, 1, 7], "compressed"),
        (&[2, 0, 0, 0, 1, 7], "flag 2"),
        (b"{\"inputs\": []}", "flag 123"),
    ] {
        let wrong = only(bytes).unwrap_err();
        assert!(wrong.says.contains(says), "{bytes:?}: {wrong:?}");
    }
    assert_eq!(Head::of(&[0, 0, 0, 1]), Ok(None));
}

proptest! {
    /// Whatever becomes of a message, it is read or what is wrong is said, in few words.
    #[test]
    fn a_spoilt_message_is_read_or_refused(
        is_raw in any::<bool>(), cut in any::<proptest::sample::Index>(), spoilt in prop::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = if is_raw { raw().encode_to_vec() } else { good().encode_to_vec() };
        for (at, byte) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() * 2).min(bytes.len()));
        if let Err(wrong) = Message::read(&bytes.clone().into(), false) {
            prop_assert!(wrong.says.len() > 10 && wrong.says.len() < 400, "{wrong:?}");
        }
        drop(grpc::read_answer(&bytes.clone().into()));
        drop(grpc::read_metadata(&bytes.into()));
    }

    #[test]
    fn bytes_of_no_sense_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Message::read(&bytes.clone().into(), true));
        drop(grpc::only(&bytes.clone().into()));
        drop(grpc::read_named(&bytes));
        prop_assert!(grpc::id_of(&bytes).len() <= bytes.len());
    }
}
