//! What ours reads is what other code wrote, and the other way round.

use crate::about::{
    ModelIndex, ModelMetadataResponse, ModelRequest, ModelStreamInferResponse, Nothing, RepositoryIndexResponse,
    RepositoryModelRequest, ServerLiveResponse, ServerMetadataResponse, TensorMetadata,
};
use crate::messages::{
    InferParameter, InferRequestedOutput, InferTensor, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ParameterChoice,
};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Datatype, PredictAnswer, PredictRequest, Tensor, TensorMeta};
use tidegate_dialect::grpc::{self, HEAD, Message, Status};

/// Elements of a datatype, as tensors have them and as lists have them; none of the latter for halves.
fn elements(datatype: Datatype, seeds: &[i64]) -> (Vec<u8>, Option<InferTensorContents>) {
    let mut list = InferTensorContents::default();
    let mut data = Vec::new();
    macro_rules! each {
        ($of:ty, $list:ident, $wide:ty) => {
            for seed in seeds {
                let value = *seed as $of;
                data.extend(value.to_le_bytes());
                list.$list.push(<$wide>::from(value));
            }
        };
    }
    match datatype {
        Datatype::Bool => {
            data.extend(seeds.iter().map(|seed| u8::from(seed % 2 == 0)));
            list.bool_contents.extend(seeds.iter().map(|seed| seed % 2 == 0));
        }
        Datatype::Int8 => each!(i8, int_contents, i32),
        Datatype::Int16 => each!(i16, int_contents, i32),
        Datatype::Int32 => each!(i32, int_contents, i32),
        Datatype::Int64 => each!(i64, int64_contents, i64),
        Datatype::Uint8 => each!(u8, uint_contents, u32),
        Datatype::Uint16 => each!(u16, uint_contents, u32),
        Datatype::Uint32 => each!(u32, uint_contents, u32),
        Datatype::Uint64 => each!(u64, uint64_contents, u64),
        Datatype::Fp32 => each!(f32, fp32_contents, f32),
        Datatype::Fp64 => each!(f64, fp64_contents, f64),
        Datatype::Fp16 | Datatype::Bf16 => {
            data.extend(seeds.iter().flat_map(|seed| (*seed as u16).to_le_bytes()));
            return (data, None);
        }
        Datatype::Bytes => {
            for seed in seeds {
                let text = seed.to_string().into_bytes();
                data.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
                data.extend(&text);
                list.bytes_contents.push(text);
            }
        }
    }
    (data, Some(list))
}

fn parameter(value: &Value) -> InferParameter {
    let choice = match value {
        Value::Bool(truth) => ParameterChoice::Bool(*truth),
        Value::String(text) => ParameterChoice::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => ParameterChoice::Int64(whole),
            (None, Some(whole)) => ParameterChoice::Uint64(whole),
            (None, None) => ParameterChoice::Double(number.as_f64().unwrap()),
        },
        _ => return InferParameter::default(),
    };
    InferParameter { choice: Some(choice) }
}

fn values() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
    ];
    vec(("[a-z]{1,8}", value), 0..4)
}

fn map(values: &[(String, Value)]) -> std::collections::HashMap<String, InferParameter> {
    values.iter().map(|(name, value)| (name.clone(), parameter(value))).collect()
}

fn datatypes() -> impl Strategy<Value = Vec<(Datatype, Vec<i64>)>> {
    let one = (proptest::sample::select(Datatype::ALL.to_vec()), vec(any::<i64>(), 0..6));
    vec(one, 1..5)
}

proptest! {
    #[test]
    fn what_others_write_is_read_raw_or_in_lists(
        tensors in datatypes(), said in values(), id in ".{0,12}", is_raw in any::<bool>(), outputs in vec("[a-z]{1,9}", 0..3),
    ) {
        let is_raw = is_raw || tensors.iter().any(|(datatype, _)| matches!(datatype, Datatype::Fp16 | Datatype::Bf16));
        let mut wire = ModelInferRequest {
            model_name: "m".to_owned(), model_version: "3".to_owned(), id: id.clone(), parameters: map(&said),
            outputs: outputs.iter().map(|name| InferRequestedOutput { name: name.clone(), ..Default::default() }).collect(),
            ..Default::default()
        };
        let mut wanted = Vec::new();
        for (nth, (datatype, seeds)) in tensors.iter().enumerate() {
            let (data, contents) = elements(*datatype, seeds);
            let name = format!("x{nth}");
            let shape = vec![i64::try_from(seeds.len()).unwrap(), 1];
            let contents = contents.filter(|_| !is_raw);
            wire.inputs.push(InferTensor {
                name: name.clone(), datatype: datatype.name().to_owned(), shape, parameters: map(&said), contents,
            });
            if is_raw {
                wire.raw_input_contents.push(data.clone());
            }
            let shape = vec![seeds.len() as u64, 1];
            let parameters = said.iter().cloned().collect();
            wanted.push(Tensor::new(name, *datatype, shape, data.into()).unwrap().with_parameters(parameters));
        }
        let read = Message::read(&wire.encode_to_vec().into(), false).unwrap();
        prop_assert_eq!(&read.request.inputs, &wanted);
        prop_assert_eq!(read.request.parameters, said.iter().cloned().collect());
        prop_assert_eq!((&*read.model, read.version.as_deref(), &read.request.outputs), ("m", Some("3"), &outputs));
        prop_assert_eq!(read.request.id.unwrap_or_default(), id.clone());
        let bytes = wire.encode_to_vec();
        prop_assert_eq!(grpc::id_of(&bytes), id);
    }

    #[test]
    fn what_ours_write_is_read_by_others_and_by_ours(
        tensors in datatypes(), said in values(), is_raw in any::<bool>(), is_streamed in any::<bool>(),
    ) {
        let tensors: Vec<Tensor> = tensors.iter().enumerate().map(|(nth, (datatype, seeds))| {
            let data = elements(*datatype, seeds).0.into();
            let tensor = Tensor::new(format!("x{nth}"), *datatype, vec![seeds.len() as u64], data).unwrap();
            tensor.with_parameters(said.iter().cloned().collect())
        }).collect();
        let parameters: serde_json::Map<String, Value> = said.iter().cloned().collect();
        let request = PredictRequest { id: Some("i".to_owned()), inputs: tensors.clone(), outputs: vec!["y".to_owned()],
            parameters: parameters.clone(), ..PredictRequest::default() };
        // Asked: raw, and read again as it was.
        let body = grpc::write_request("m", &request);
        let message = grpc::only(&body).unwrap();
        let wire = ModelInferRequest::decode(&message[..]).unwrap();
        prop_assert_eq!((&*wire.model_name, wire.inputs.len(), wire.raw_input_contents.len()), ("m", tensors.len(), tensors.len()));
        prop_assert_eq!(&wire.parameters, &map(&said));
        let read = Message::read(&message, is_streamed).unwrap();
        prop_assert_eq!(&read.request, &request);
        // Answered, as it is wished for.
        let wished = { let mut asked = wire.clone(); asked.parameters.insert("binary_data_output".to_owned(), parameter(&json!(is_raw)));
            Message::read(&asked.encode_to_vec().into(), is_streamed).unwrap() };
        let answer = PredictAnswer { model_version: Some("9".to_owned()), outputs: tensors.clone(), parameters, ..Default::default() };
        let sheet = wished.served.write("m", "call-1", &wished.request, &answer).unwrap();
        prop_assert!(sheet.header_length.is_none());
        let message = grpc::only(&sheet.body).unwrap();
        let mut wire = if is_streamed {
            let streamed = ModelStreamInferResponse::decode(&message[..]).unwrap();
            prop_assert_eq!(&*streamed.error_message, "");
            streamed.infer_response.unwrap()
        } else {
            ModelInferResponse::decode(&message[..]).unwrap()
        };
        prop_assert_eq!(wire.parameters.remove("inference_id").is_some(), is_streamed);
        prop_assert_eq!((&*wire.model_name, &*wire.model_version, &*wire.id), ("m", "9", "i"));
        let has_lists = wire.raw_output_contents.is_empty();
        prop_assert!(!has_lists || !is_raw);
        for (output, tensor) in wire.outputs.iter().zip(&tensors) {
            prop_assert_eq!(output.contents.is_some(), has_lists);
            prop_assert_eq!(&*output.datatype, tensor.datatype().name());
        }
        let read = grpc::read_answer(&wire.encode_to_vec().into()).unwrap();
        prop_assert_eq!(read.outputs, tensors);
    }

    #[test]
    fn a_status_is_read_as_it_was_written(says in ".{0,40}", millis in 0u64..1_000_000) {
        let status = Status { code: grpc::Code::ResourceExhausted, says, retry_after: Some(std::time::Duration::from_millis(millis)) };
        let details = status.details().unwrap();
        prop_assert!(status.message().bytes().all(|byte| (0x20..0x7F).contains(&byte)));
        let read = Status::read(b"8", Some(status.message().as_bytes()), Some(details.as_bytes()));
        prop_assert_eq!(read, status);
    }
}

#[test]
fn questions_and_what_is_said_of_servers_and_models_are_the_same_for_others() {
    let named = ModelRequest { name: "m".to_owned(), version: "2".to_owned() };
    let read = grpc::read_named(&named.encode_to_vec()).unwrap();
    assert_eq!((&*read.name, read.version.as_deref()), ("m", Some("2")));
    assert_eq!(ModelRequest::decode(&grpc::write_named("m")[..]).unwrap().name, "m");
    assert!(grpc::read_named(&Nothing {}.encode_to_vec()).unwrap_err().says.contains("name is missing"));
    let load = RepositoryModelRequest { repository_name: "r".to_owned(), model_name: "m".to_owned() };
    assert_eq!(grpc::read_repository_model(&load.encode_to_vec()).unwrap(), "m");
    // KServe has the name where Triton has the repository.
    let load = RepositoryModelRequest { repository_name: "m".to_owned(), ..Default::default() };
    assert_eq!(grpc::read_repository_model(&load.encode_to_vec()).unwrap(), "m");
    for truth in [true, false] {
        assert_eq!(ServerLiveResponse::decode(&grpc::write_truth(truth)[..]).unwrap().live, truth);
    }
    let server = ServerMetadataResponse::decode(&grpc::write_server("t", "1", &["a", "b"])[..]).unwrap();
    let wanted =
        ServerMetadataResponse { name: "t".into(), version: "1".into(), extensions: vec!["a".into(), "b".into()] };
    assert_eq!(server, wanted);
    let index =
        RepositoryIndexResponse::decode(&grpc::write_index([("m", "1".to_owned(), true)].into_iter())[..]).unwrap();
    let wanted = ModelIndex { name: "m".into(), version: "1".into(), state: "READY".into(), reason: String::new() };
    assert_eq!(index.models, [wanted]);
    let tensor = |name: &str, shape| TensorMeta { name: name.to_owned(), datatype: Datatype::Fp16, shape };
    let meta = ModelMeta {
        platform: "p".to_owned(),
        versions: vec!["1".to_owned(), "2".to_owned()],
        inputs: vec![tensor("x", vec![None, Some(3)])],
        outputs: vec![tensor("y", vec![])],
    };
    let wire = ModelMetadataResponse::decode(&grpc::write_metadata("m", &meta)[..]).unwrap();
    let wanted = TensorMetadata { name: "x".into(), datatype: "FP16".into(), shape: vec![-1, 3] };
    assert_eq!((&*wire.name, &wire.inputs, wire.outputs.len()), ("m", &vec![wanted], 1));
    assert_eq!(grpc::read_metadata(&wire.encode_to_vec().into()).unwrap(), meta);
}

#[test]
fn a_call_that_failed_in_a_stream_is_named_in_its_answer() {
    let body: Bytes = grpc::write_failed("no such model", "7", "call-1");
    let wire = ModelStreamInferResponse::decode(&body[HEAD..]).unwrap();
    assert_eq!((&*wire.error_message, &*wire.infer_response.unwrap().id), ("no such model", "7"));
    let wire = ModelStreamInferResponse::decode(&grpc::write_failed("", "", "call-1")[HEAD..]).unwrap();
    assert!(!wire.error_message.is_empty(), "an error without words would be none");
}
