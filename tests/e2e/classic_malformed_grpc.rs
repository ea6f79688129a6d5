//! Malformed calls over gRPC, one by one: each is refused with `INVALID_ARGUMENT` (or what its kind has) in words that name the
//! fault, none costs memory that its body has not, and the program serves on.

use crate::classic::Served;
use crate::classic_grpc::{raw, tensor};
use crate::classic_malformed::peak;
use crate::harness::grpc::messages::{InferTensor, InferTensorContents, ModelInferRequest};
use crate::harness::grpc::{Bytewise, framed};
use prost::Message as _;
use tonic::Code;

/// One call: its body, and a word that the refusal must have.
struct Case {
    body: Vec<u8>,
    says: String,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn bytes(&mut self, body: Vec<u8>, says: &str) {
        self.0.push(Case { body, says: says.to_owned() });
    }

    /// A message of whatever bytes.
    fn message(&mut self, message: &[u8], says: &str) {
        self.bytes(framed(message), says);
    }

    /// The good call with something spoilt.
    fn spoilt(&mut self, says: &str, spoil: impl FnOnce(&mut ModelInferRequest)) {
        let mut message = raw("fraud");
        spoil(&mut message);
        self.message(&message.encode_to_vec(), says);
    }

    /// A tensor whose elements stand in lists.
    fn list(&mut self, datatype: &str, contents: InferTensorContents, says: &str) {
        let input = InferTensor { contents: Some(contents), ..tensor("x", datatype, &[1, 3]) };
        self.spoilt(says, |message| {
            message.raw_input_contents.clear();
            message.inputs = vec![input];
        });
    }
}

const DATATYPES: [&str; 13] =
    ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16"];

/// Lists with three elements in one of them, by their field numbers.
fn lists() -> Vec<InferTensorContents> {
    let none = InferTensorContents::default;
    vec![
        InferTensorContents { bool_contents: vec![true; 3], ..none() },
        InferTensorContents { int_contents: vec![1; 3], ..none() },
        InferTensorContents { int64_contents: vec![1; 3], ..none() },
        InferTensorContents { uint_contents: vec![1; 3], ..none() },
        InferTensorContents { uint64_contents: vec![1; 3], ..none() },
        InferTensorContents { fp32_contents: vec![1.0; 3], ..none() },
        InferTensorContents { fp64_contents: vec![1.0; 3], ..none() },
        InferTensorContents { bytes_contents: vec![vec![b'1']; 3], ..none() },
    ]
}

fn cases() -> Vec<Case> {
    let mut all = Cases::default();
    heads(&mut all);
    for (bytes, says) in [
        (&b""[..], "model_name is missing"),
        (&[0x0A, 0x09, b'f'], "cut"),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "cut"),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], "cut"),
        (&[0x0A, 2, 0xC3, 0x28], "UTF-8"),
        (&[0x08, 1], "another kind"),
        (&[0x0A, 1, b'm', 0x2A, 1, 0x0B], "protobuf"),
        (&[0x00], "protobuf"),
        (&[0x80; 11], "protobuf"),
        (b"{\"inputs\":[]}", "protobuf"),
    ] {
        all.message(bytes, says);
    }
    let good = raw("fraud").encode_to_vec();
    for cut in [1, 5, good.len() / 2, good.len() - 1] {
        all.message(&good[..cut], "");
    }
    shapes(&mut all);
    for datatype in ["", "FP99", "fp32", "FP32 ", "STRING", "float32", "FP8", "\u{0}"] {
        all.spoilt("datatype", |message| message.inputs[0].datatype = datatype.to_owned());
    }
    for name in ["nope", "X", "", "x ", &"n".repeat(300)] {
        all.spoilt("has no input", |message| message.inputs[0].name = name.to_owned());
    }
    for datatype in DATATYPES {
        for size in [0, 1, 25] {
            all.spoilt(&format!("{size} bytes"), |message| {
                message.inputs[0].datatype = datatype.to_owned();
                message.raw_input_contents[0] = vec![0; size];
            });
        }
    }
    for raw in [&[1, 0, 0][..], &[255, 255, 255, 255], &[2, 0, 0, 0, b'a'], &[0, 0, 0, 128, 0]] {
        all.spoilt("cut", |message| {
            (message.inputs[0].datatype, message.inputs[0].shape) = ("BYTES".to_owned(), vec![1, 1]);
            message.raw_input_contents[0] = raw.to_vec();
        });
    }
    all.spoilt("neither 0 nor 1", |message| {
        message.inputs[0].datatype = "BOOL".to_owned();
        message.raw_input_contents[0] = vec![0, 1, 2];
    });
    typed(&mut all);
    all.spoilt("exclude each other", |message| message.inputs[0].contents = lists().pop());
    for count in [2, 3, 1024] {
        all.spoilt(&format!("{count} elements"), |message| message.raw_input_contents = vec![vec![]; count]);
    }
    all.spoilt("empty", |message| message.inputs.clear());
    all.spoilt("twice", |message| {
        message.inputs.push(message.inputs[0].clone());
        message.raw_input_contents.push(message.raw_input_contents[0].clone());
    });
    all.spoilt("1024", |message| message.inputs = vec![message.inputs[0].clone(); 2000]);
    all.spoilt("1024", |message| message.raw_input_contents = vec![vec![]; 2000]);
    all.spoilt("missing", |message| message.outputs.push(Default::default()));
    all.spoilt("nope", |message| {
        message.outputs.push(Default::default());
        message.outputs[0].name = "nope".to_owned();
    });
    // Millions of parts that have no bytes: what would be made of them is not.
    for field in [0x2A, 0x32, 0x3A] {
        all.message(&[&[0x0A, 1, b'm'][..], &[field, 0].repeat(4 << 20)].concat(), "1024");
    }
    all.0
}

fn heads(all: &mut Cases) {
    let good = framed(&raw("fraud").encode_to_vec());
    for cut in [0, 1, 4, 5, 6, good.len() - 1] {
        all.bytes(good[..cut].to_vec(), "bytes");
    }
    all.bytes([&good[..], b"more"].concat(), "left over");
    all.bytes([&good[..], &good[..]].concat(), "left over");
    for length in [u32::MAX, 1 << 31, 1 << 30, 1 << 24, 1000, 0] {
        let mut body = good.clone();
        body[1..5].copy_from_slice(&length.to_be_bytes());
        all.bytes(body, "bytes");
    }
    for flag in [1, 2, 127, 255] {
        let mut body = good.clone();
        body[0] = flag;
        all.bytes(body, if flag == 1 { "compressed" } else { "flag" });
    }
    all.bytes(b"{\"inputs\": []}".to_vec(), "flag");
}

fn shapes(all: &mut Cases) {
    for shape in [
        vec![1, 5],
        vec![2, 3],
        vec![],
        vec![0, 3],
        vec![1],
        vec![4],
        vec![1, 1, 4],
        vec![-1],
        vec![-1, 3],
        vec![1, -3],
        vec![i64::MIN],
        vec![i64::MAX],
        vec![i64::MAX, 3],
        vec![i64::MAX, i64::MAX],
        vec![1 << 32, 1 << 32],
        vec![1 << 40, 3],
        vec![1 << 62],
        vec![0, i64::MAX, i64::MAX],
        vec![1; 17],
        vec![2; 64],
        vec![65_536; 4],
        vec![1; 100_000],
    ] {
        all.spoilt("shape", |message| message.inputs[0].shape = shape);
    }
}

/// Lists of another kind, number or range than datatype and shape say.
fn typed(all: &mut Cases) {
    for (nth, contents) in lists().into_iter().enumerate() {
        let own = ["BOOL", "INT8", "INT64", "UINT8", "UINT64", "FP32", "FP64", "BYTES"][nth];
        for datatype in DATATYPES.into_iter().chain(["BYTES"]) {
            let is_own = datatype == own
                || (nth == 1 && datatype.starts_with("INT") && datatype != "INT64")
                || (nth == 3 && datatype.starts_with("UINT") && datatype != "UINT64");
            if !is_own {
                all.list(datatype, contents.clone(), "contents");
            }
        }
        let mut message = raw("fraud");
        message.raw_input_contents.clear();
        message.inputs = vec![InferTensor { contents: Some(contents), ..tensor("x", own, &[1, 4]) }];
        all.message(&message.encode_to_vec(), "4 elements");
    }
    for (datatype, value) in [("INT8", 128), ("INT8", -129), ("INT16", 32_768), ("INT16", -32_769)] {
        let contents = InferTensorContents { int_contents: vec![0, 0, value], ..Default::default() };
        all.list(datatype, contents, "range");
    }
    for (datatype, value) in [("UINT8", 256), ("UINT16", 65_536)] {
        let contents = InferTensorContents { uint_contents: vec![0, 0, value], ..Default::default() };
        all.list(datatype, contents, "range");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_refused_by_name_and_cost_nothing() {
    let served = Served::start().await;
    let mut client = Bytewise::of(served.gateway.address("public"), &served.key()).await;
    let good = framed(&raw("fraud").encode_to_vec());
    // The largest body is had once before, so that what is measured is what a message makes of its bytes.
    let full = framed(&vec![0; 12 << 20]);
    assert_eq!(client.send("ModelInfer", &[], full).await.code, Code::InvalidArgument);
    assert_eq!(client.send("ModelInfer", &[], good.clone()).await.code, Code::Ok);
    let before = peak(served.gateway.pid());
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut wrong = Vec::new();
    for (nth, case) in cases.iter().enumerate() {
        let came = client.send("ModelInfer", &[], case.body.clone()).await;
        let is_right = came.code == Code::InvalidArgument && came.says.len() > 10 && came.says.contains(&case.says);
        if !is_right || !came.body.is_empty() || came.says.len() > 4096 {
            wrong.push(format!("{nth}: {:?} {:?} has no {:?}", came.code, came.says, case.says));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(client.send("ModelInfer", &[], good).await.code, Code::Ok);
    let grown = peak(served.gateway.pid()).saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} kB more at the peak");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_stream_ends_it_and_compression_and_size_have_codes_of_their_own() {
    let served = Served::start().await;
    let mut client = Bytewise::of(served.gateway.address("public"), &served.key()).await;
    let good = framed(&raw("fraud").encode_to_vec());
    for (tail, code, says) in [
        (&[0, 0, 0][..], Code::InvalidArgument, "within a message"),
        (&[0, 0, 0, 0, 9, 1], Code::InvalidArgument, "within a message"),
        (&[7, 0, 0, 0, 0], Code::InvalidArgument, "flag 7"),
        (&[1, 0, 0, 0, 0], Code::InvalidArgument, "compressed"),
        (&[0, 255, 255, 255, 255], Code::ResourceExhausted, "4294967295 bytes"),
    ] {
        let came = client.send("ModelStreamInfer", &[], [&good[..], tail].concat()).await;
        assert!(came.code == code && came.says.contains(says), "{tail:?}: {came:?}");
        assert!(!came.body.is_empty(), "the call before was answered");
    }
    let mut compressed = good.clone();
    compressed[0] = 1;
    let came = client.send("ModelInfer", &[("grpc-encoding", "gzip")], compressed).await;
    assert_eq!((came.code, came.headers["grpc-accept-encoding"].to_str().unwrap()), (Code::Unimplemented, "identity"));
    // A body over the listener's bound is not read to its end.
    let came = client.send("ModelInfer", &[], framed(&vec![0; 17 << 20])).await;
    assert!(came.code == Code::ResourceExhausted && came.says.contains("16777"), "{came:?}");
    assert_eq!(client.send("ModelInfer", &[], good).await.code, Code::Ok);
}
