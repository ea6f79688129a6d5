//! Wires are read and written, with the wrong ones named.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use tidegate_core::port::backend::Written;
use tidegate_core::spec::Dialect;
use tidegate_core::{Datatype, PredictAnswer, PredictRequest, Tensor};

fn v2(body: &str) -> Result<(PredictRequest, Served), Wrong> {
    Served::read(Wire::OpenInference, &Bytes::copy_from_slice(body.as_bytes()), None, false)
}

fn read(wire: Wire, body: &str) -> PredictRequest {
    Served::read(wire, &Bytes::copy_from_slice(body.as_bytes()), None, false).unwrap().0
}

fn text(sheet: &Sheet) -> &str {
    std::str::from_utf8(&sheet.body).unwrap()
}

fn answer(outputs: Vec<Tensor>) -> PredictAnswer {
    PredictAnswer { outputs, ..PredictAnswer::default() }
}

/// A value of each datatype, as JSON has it.
const EACH: [(Datatype, &str); 14] = [
    (Datatype::Bool, "[true,false]"),
    (Datatype::Uint8, "[0,255]"),
    (Datatype::Uint16, "[0,65535]"),
    (Datatype::Uint32, "[0,4294967295]"),
    (Datatype::Uint64, "[0,18446744073709551615]"),
    (Datatype::Int8, "[-128,127]"),
    (Datatype::Int16, "[-32768,32767]"),
    (Datatype::Int32, "[-2147483648,2147483647]"),
    (Datatype::Int64, "[-9223372036854775808,9223372036854775807]"),
    (Datatype::Fp16, "[-0.5,65504.0]"),
    (Datatype::Fp32, "[0.1,-3.4028235e+38]"),
    (Datatype::Fp64, "[0.1,-1.7976931348623157e+308]"),
    (Datatype::Bf16, "[-0.5,1.0]"),
    (Datatype::Bytes, "[\"\",\"a\\\"\u{e9}\"]"),
];

#[test]
fn each_datatype_goes_through_json_and_raw_data_unchanged() {
    for (datatype, data) in EACH {
        let body =
            format!(r#"{{"id":"7","inputs":[{{"name":"x","datatype":"{datatype}","shape":[2],"data":{data}}}]}}"#);
        let (request, served) = v2(&body).unwrap();
        let out = served.write("m", "c", &request, &answer(request.inputs.clone())).unwrap();
        let wanted = format!(
            r#"{{"model_name":"m","id":"7","outputs":[{{"name":"x","datatype":"{datatype}","shape":[2],"data":{data}}}]}}"#
        );
        assert_eq!(text(&out), wanted);
        // And raw: the same tensor comes back.
        let sheet = write_request(Dialect::OpenInference, &request, true, None).unwrap();
        let length = sheet.header_length.unwrap().to_string();
        let (again, served) = Served::read(Wire::OpenInference, &sheet.body, Some(length.as_bytes()), false).unwrap();
        assert_eq!(again.inputs, request.inputs, "{datatype}");
        let raw = served.write("m", "c", &again, &answer(again.inputs.clone())).unwrap();
        let length = raw.header_length.unwrap().to_string();
        let back = read_answer(Dialect::OpenInference, &raw.body, Some(length.as_bytes())).unwrap();
        assert_eq!(back.outputs, request.inputs, "{datatype}");
    }
}

#[test]
fn data_may_be_nested_and_outputs_chosen() {
    let body = r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[2,2],"data":[[1,2],[3,4.0]],"parameters":{"content_type":"np"}}],
        "outputs":[{"name":"a","parameters":{"binary_data":true}},{"name":"b"}],"parameters":{"explain":true}}"#;
    let (request, served) = v2(body).unwrap();
    assert_eq!(request.inputs[0].data(), &[1, 2, 3, 4][..]);
    assert_eq!(request.inputs[0].parameters()["content_type"], "np");
    assert_eq!(
        (&*request.outputs, request.parameters["explain"].as_bool()),
        (&["a".to_owned(), "b".to_owned()][..], Some(true))
    );
    let out = ["a", "b"].map(|name| Tensor::of_f32(name, vec![1], &[f32::NAN]).unwrap());
    let sheet = served.write("m", "c", &request, &answer(out.to_vec())).unwrap();
    let json = &text_of(&sheet.body[..sheet.header_length.unwrap()]);
    assert!(json.contains(r#""parameters":{"binary_data_size":4}}"#) && json.contains(r#""data":[null]"#), "{json}");
    assert_eq!(sheet.body.len(), sheet.header_length.unwrap() + 4);
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn tf_serving_is_read_by_rows_and_by_columns() {
    let rows = read(Wire::TfServing, r#"{"signature_name":"s","instances":[[1,2.5],[3,4]]}"#);
    assert_eq!((rows.inputs[0].shape(), rows.inputs[0].datatype(), rows.is_loose), (&[2, 2][..], Datatype::Fp64, true));
    let objects = read(Wire::TfServing, r#"{"instances":[{"a":1,"b":["x"]},{"b":["y"],"a":2}]}"#);
    assert_eq!(objects.input("a").unwrap().shape(), [2]);
    assert_eq!(objects.input("b").unwrap().texts().unwrap().collect::<Vec<_>>(), [b"x", b"y"]);
    let columns = read(Wire::TfServing, r#"{"inputs":{"a":[[1],[2]],"b":{"b64":"aGk="}}}"#);
    assert_eq!(columns.input("a").unwrap().shape(), [2, 1]);
    assert_eq!(columns.input("b").unwrap().texts().unwrap().collect::<Vec<_>>(), [b"hi"]);
}

#[test]
fn answers_are_in_the_form_that_was_asked() {
    let (one, two) =
        (Tensor::of_f32("p", vec![2, 1], &[0.5, 1.0]).unwrap(), Tensor::of_i64("c", vec![2], &[0, 1]).unwrap());
    let written = |wire, body: &str, outputs: &[Tensor]| {
        let (request, served) = Served::read(wire, &Bytes::copy_from_slice(body.as_bytes()), None, false).unwrap();
        text(&served.write("m", "call", &request, &answer(outputs.to_vec())).unwrap()).to_owned()
    };
    let (one, both) = ([one.clone()], [one, two]);
    assert_eq!(written(Wire::TfServing, r#"{"instances":[[1]]}"#, &one), r#"{"predictions":[[0.5],[1.0]]}"#);
    assert_eq!(
        written(Wire::TfServing, r#"{"instances":[[1]]}"#, &both),
        r#"{"predictions":[{"p":[0.5],"c":0},{"p":[1.0],"c":1}]}"#
    );
    assert_eq!(written(Wire::TfServing, r#"{"inputs":[[1]]}"#, &both), r#"{"outputs":{"p":[[0.5],[1.0]],"c":[0,1]}}"#);
    assert_eq!(written(Wire::Mlflow, r#"{"inputs":[[1]]}"#, &both[1..]), r#"{"predictions":[0,1]}"#);
    let seldon = written(Wire::Seldon, r#"{"data":{"names":["a"],"ndarray":[[1],[2]]}}"#, &one);
    assert_eq!(
        seldon,
        r#"{"meta":{"puid":"call","requestPath":{"m":"m"}},"data":{"names":["p"],"ndarray":[[0.5],[1.0]]}}"#
    );
    let seldon = written(Wire::Seldon, r#"{"data":{"tensor":{"shape":[1,2],"values":[1,2]}}}"#, &one);
    assert!(seldon.contains(r#""tensor":{"shape":[2,1],"values":[0.5,1.0]}"#), "{seldon}");
}

#[test]
fn mlflow_is_read_in_all_its_forms() {
    let split = read(
        Wire::Mlflow,
        r#"{"dataframe_split":{"columns":["a","b"],"index":[0,1],"data":[[1,"x"],[null,"y"]]},"params":{"k":1}}"#,
    );
    let numbers: Vec<f64> = split.input("a").unwrap().numbers().unwrap().collect();
    assert!(numbers[0] == 1.0 && numbers[1].is_nan());
    assert_eq!((split.input("b").unwrap().datatype(), split.parameters["k"].as_i64()), (Datatype::Bytes, Some(1)));
    let records = read(Wire::Mlflow, r#"{"dataframe_records":[{"a":1,"b":true},{"a":2,"b":false}]}"#);
    assert_eq!(
        (records.input("a").unwrap().shape(), records.input("b").unwrap().datatype()),
        (&[2][..], Datatype::Bool)
    );
    assert_eq!(read(Wire::Mlflow, r#"{"instances":[[1,2]]}"#).inputs[0].shape(), [1, 2]);
    assert_eq!(read(Wire::Mlflow, r#"{"inputs":{"a":[1,2]}}"#).inputs[0].name(), "a");
    let csv = Bytes::from_static(b"a,\"b \"\"q\"\"\"\r\n1,x\r\n,\"2\"\n");
    let (csv, _) = Served::read(Wire::Mlflow, &csv, None, true).unwrap();
    assert_eq!(csv.inputs[1].name(), "b \"q\"");
    assert_eq!(csv.inputs[1].texts().unwrap().collect::<Vec<_>>(), [b"x", b"2"]);
    assert!(csv.inputs[0].numbers().unwrap().nth(1).unwrap().is_nan());
}

/// What servers of each kind were asked and answered, by their documentation:
/// TF Serving's RESTful API page, MLflow's scoring server and TorchServe's KServe envelope, Seldon's external prediction API,
/// BentoML's HTTP clients page.
#[test]
fn others_are_asked_and_read_as_their_contracts_say() {
    let x = || Tensor::of_f32("x", vec![2, 2], &[1.0, 2.0, 5.0, 0.5]).unwrap();
    let request = PredictRequest { inputs: vec![x()], ..PredictRequest::default() };
    for (dialect, path, asked, answered, name) in [
        (
            Dialect::OpenInference,
            "/v2/models/half/infer",
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[1.0,2.0,5.0,0.5]}]}"#,
            r#"{"model_name":"half","model_version":"2","outputs":[{"name":"y","shape":[2],"datatype":"FP64","data":[2.5,4.5]}]}"#,
            "y",
        ),
        (
            Dialect::TfServing,
            "/v1/models/half:predict",
            r#"{"inputs":[[1.0,2.0],[5.0,0.5]]}"#,
            r#"{"outputs":[2.5,4.5]}"#,
            "outputs",
        ),
        (
            Dialect::Mlflow,
            "/invocations",
            r#"{"inputs":[[1.0,2.0],[5.0,0.5]]}"#,
            r#"{"predictions":[2.5,4.5]}"#,
            "predictions",
        ),
        (
            Dialect::Seldon,
            "/api/v1.0/predictions",
            r#"{"data":{"ndarray":[[1.0,2.0],[5.0,0.5]]}}"#,
            r#"{"data":{"names":[],"ndarray":[2.5,4.5]},"meta":{"requestPath":{"classifier":"image:0.1"}}}"#,
            "output",
        ),
        (Dialect::BentoMl, "/half", r#"{"x":[[1.0,2.0],[5.0,0.5]]}"#, "[2.5,4.5]", "output"),
        (
            Dialect::TorchServe,
            "/predictions/half",
            r#"{"instances":[[1.0,2.0],[5.0,0.5]]}"#,
            r#"{"predictions":[2.5,4.5]}"#,
            "predictions",
        ),
    ] {
        assert_eq!(request_path(dialect, "half"), path);
        assert_eq!(text(&write_request(dialect, &request, false, None).unwrap()), asked);
        let read = read_answer(dialect, &Bytes::from_static(answered.as_bytes()), None).unwrap();
        assert_eq!(read.outputs, [Tensor::of_f64(name, vec![2], &[2.5, 4.5]).unwrap()], "{dialect:?}");
        for broken in ["", "[", "{}", "null", "\"x\"", "{\"outputs\":5}", "{\"predictions\":[[1],2]}"] {
            let read = read_answer(dialect, &Bytes::from_static(broken.as_bytes()), None);
            // What a service of BentoML, or TorchServe, returns may be anything but broken.
            let is_free = matches!(dialect, Dialect::BentoMl | Dialect::TorchServe | Dialect::TfServing);
            assert!(read.is_err() || is_free, "{dialect:?}: {broken}");
        }
    }
    let columns = PredictRequest {
        inputs: vec![
            Tensor::of_i64("a", vec![2], &[1, 2]).unwrap(),
            Tensor::of_texts("b", vec![2, 1], &["x", "y"]).unwrap(),
        ],
        ..PredictRequest::default()
    };
    let sheet = write_request(Dialect::Mlflow, &columns, false, None).unwrap();
    assert_eq!(text(&sheet), r#"{"dataframe_records":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}"#);
    assert!(write_request(Dialect::Seldon, &columns, false, None).is_err());
}

#[test]
fn what_json_cannot_say_goes_raw_or_not_at_all() {
    let of = |number| PredictRequest {
        inputs: vec![Tensor::of_f64("x", vec![2], &[1.0, number]).unwrap()],
        ..PredictRequest::default()
    };
    for dialect in [Dialect::OpenInference, Dialect::TfServing, Dialect::Mlflow, Dialect::Seldon, Dialect::BentoMl] {
        assert!(write_request(dialect, &of(2.0), false, None).is_ok());
        let missing = if dialect == Dialect::TfServing { "1.0,NaN" } else { "1.0,null" };
        assert!(text(&write_request(dialect, &of(f64::NAN), false, None).unwrap()).contains(missing));
        let wrong = write_request(dialect, &of(f64::NEG_INFINITY), false, None).unwrap_err();
        assert!(wrong.field == "x" && wrong.says.contains("element 1 of `x` is infinite"), "{wrong:?}");
    }
    assert!(write_request(Dialect::OpenInference, &of(f64::INFINITY), true, None).is_ok());
    assert!(wants_raw(&of(f64::INFINITY)) && wants_raw(&of(f64::NAN)) && !wants_raw(&of(2.0)));
    let half = Tensor::new("x", Datatype::Fp16, vec![1], Bytes::from_static(&[0, 0x3c])).unwrap();
    assert!(wants_raw(&PredictRequest { inputs: vec![half], ..PredictRequest::default() }));
}

#[test]
fn a_body_goes_as_it_came_to_who_wants_that_form_alone() {
    let json = r#"{"id":"7", "inputs": [{"name":"a","shape":[2],"datatype":"FP32","data":[1,2.50]}]}"#;
    let body = Bytes::from_static(json.as_bytes());
    let (request, served) = Served::read(Wire::OpenInference, &body, None, false).unwrap();
    assert!(served.is_sent_on());
    let written = Written { body, header_length: None };
    let asked = |dialect, is_raw| write_request(dialect, &request, is_raw, Some(&written)).unwrap();
    assert_eq!(text(&asked(Dialect::OpenInference, false)), json);
    assert!(asked(Dialect::OpenInference, true).header_length.is_some());
    assert_ne!(text(&asked(Dialect::TfServing, false)), json);
    // A large raw tensor stands behind its JSON uncopied.
    let large = Tensor::of_f32("y", vec![10_000], &[0.5; 10_000]).unwrap();
    let answer = PredictAnswer { outputs: vec![large.clone()], ..PredictAnswer::default() };
    let raw = br#"{"parameters":{"binary_data_output":true},"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}]}"#;
    let (request, served) = Served::read(Wire::OpenInference, &Bytes::from_static(raw), None, false).unwrap();
    let sheet = served.write("m", "c", &request, &answer).unwrap();
    assert_eq!((sheet.behind.len(), sheet.behind[0].as_ptr()), (1, large.data().as_ptr()));
    let (length, header) = (sheet.length(), sheet.header_length.unwrap());
    assert_eq!((length, &sheet.joined()[header..]), (header + 40_000, &large.data()[..]));
}

/// What others read otherwise, or should not be asked, is written anew: what is unknown here may be of any depth.
#[test]
fn a_body_goes_as_it_came_where_it_is_plain() {
    let is_sent_on = |json: &str, raw: Option<&[u8]>| {
        let body = [json.as_bytes(), raw.unwrap_or_default()].concat();
        let length = raw.map(|_| json.len().to_string());
        let length = length.as_ref().map(String::as_bytes);
        Served::read(Wire::OpenInference, &body.into(), length, false).unwrap().1.is_sent_on()
    };
    let deep = format!(r#""own":{}{}"#, "[".repeat(5000), "]".repeat(5000));
    let json = |more: &str| format!(r#"{{{more}"inputs":[{{"name":"a","shape":[1],"datatype":"INT64","data":[1]}}]}}"#);
    assert!(is_sent_on(&json(""), None) && is_sent_on(&json(r#""parameters":{"x":1},"#), None));
    for more in [&*deep, r#""id":null"#, r#""parameters":{"binary_data_output":true}"#, r#""model_name":"other""#] {
        assert!(!is_sent_on(&json(&format!("{more},")), None), "{more:.40}");
    }
    assert!(!is_sent_on(&json("").replace("[1]}]", "[1.0]}]"), None));
    let first = r#"{"name":"a","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}"#;
    let raw = |more: &str, first: &str| is_sent_on(&format!(r#"{{{more},"inputs":[{first}]}}"#), Some(&[0; 4]));
    let wish = r#""parameters":{"binary_data_output":true}"#;
    let named = |of: &str| format!(r#""outputs":[{{"name":"y","parameters":{{{of}}}}}]"#);
    assert!(raw(wish, first) && raw(&named(r#""binary_data":true"#), first));
    let mixed = format!(r#"{first},{{"name":"b","shape":[1],"datatype":"FP16","data":[1]}}"#);
    for (more, first) in [
        (r#""parameters":{"x":1}"#, first),
        (&*named(r#""binary_data":false"#), first),
        (&*named(""), first),
        (&*format!("{wish},{deep}"), first),
        (&*format!("{wish},\"id\":null"), first),
        (wish, &*mixed),
        (wish, &*first.replacen('{', r#"{"own":[[]],"#, 1)),
    ] {
        assert!(!raw(more, first), "{more:.40} {first}");
    }
    let shared = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"y","parameters":{"shared_memory_region":"r"}}]}"#;
    let wrong = Served::read(Wire::OpenInference, &Bytes::from_static(shared.as_bytes()), None, false).unwrap_err();
    assert!(wrong.field == "outputs[0].parameters" && wrong.says.contains("shared memory"), "{wrong:?}");
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let wires = [
        (Wire::TfServing, r#"{"instances":[[1],[2,3]]}"#, "equally long"),
        (Wire::TfServing, r#"{"instances":[1,[2]]}"#, "equally deep"),
        (Wire::TfServing, r#"{"instances":[[1],2]}"#, "equally deep"),
        (Wire::TfServing, r#"{"instances":[["a"],[1]]}"#, "a number is among texts"),
        (Wire::TfServing, r#"{"instances":[]}"#, "at least one row"),
        (Wire::TfServing, r#"{"instances":[{"a":1},{"c":1}]}"#, "member `c`"),
        (Wire::TfServing, r#"{"instances":[[1]],"inputs":[[1]]}"#, "either `instances`"),
        (Wire::TfServing, "[]", "an object"),
        (Wire::Mlflow, r#"{"dataframe_split":{"columns":["a"],"data":[[1,2]]}}"#, "row 0 has more than 1"),
        (Wire::Mlflow, r#"{"dataframe_split":{"columns":["a","a"],"data":[[1,2]]}}"#, "twice"),
        (Wire::Mlflow, r#"{"dataframe_split":{"columns":["a"]}}"#, "dataframe_split.data is missing"),
        (Wire::Mlflow, r#"{"inputs":[[1]],"instances":[[1]]}"#, "exactly one of"),
        (Wire::Mlflow, "{}", "exactly one of"),
        (Wire::Seldon, r#"{"data":{}}"#, "either `ndarray`"),
        (Wire::Seldon, r#"{"data":{"tensor":{"shape":[3],"values":[1,2]}}}"#, "takes 24"),
        (Wire::Seldon, r#"{"data":{"names":["a"],"ndarray":[[1,2]]}}"#, "each column"),
    ];
    for (wire, body, says) in wires {
        let wrong = Served::read(wire, &Bytes::from_static(body.as_bytes()), None, false).unwrap_err();
        assert!(wrong.says.contains(says) && !wrong.field.is_empty(), "{body}: {wrong:?}");
    }
    for (csv, says) in [
        ("", "no line"),
        ("a,b\n", "no row"),
        ("a\n1,2\n", "more than 1"),
        ("a\n\"x\n", "left open"),
        ("a\n\"x\"y\n", "behind a closing"),
    ] {
        let wrong = Served::read(Wire::Mlflow, &Bytes::from_static(csv.as_bytes()), None, true).unwrap_err();
        assert!(wrong.says.contains(says), "{csv}: {wrong:?}");
    }
}

proptest! {
    #[test]
    fn no_body_brings_a_reader_down(body in prop::collection::vec(any::<u8>(), 0..200), length in prop::option::of(0..300usize)) {
        let (body, length) = (Bytes::from(body), length.map(|length| length.to_string()));
        for wire in [Wire::OpenInference, Wire::TfServing, Wire::Mlflow, Wire::Seldon] {
            for is_csv in [false, true] {
                drop(Served::read(wire, &body, length.as_deref().map(str::as_bytes), is_csv));
            }
        }
    }

    #[test]
    fn a_damaged_raw_request_is_read_or_refused_and_brings_no_more_than_it_has(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        off in -3i64..4,
    ) {
        let inputs = vec![
            Tensor::of_f32("a", vec![3], &[0.5, 1.0, -2.0]).unwrap(),
            Tensor::of_texts("b", vec![1, 2], &["x".to_owned(), "yz".to_owned()]).unwrap(),
        ];
        let request = PredictRequest { inputs, ..PredictRequest::default() };
        let sheet = write_request(Dialect::OpenInference, &request, true, None).unwrap();
        let length = (i64::try_from(sheet.header_length.unwrap()).unwrap() + off).to_string();
        let mut body = sheet.body.to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let body = Bytes::from(body);
        if let Ok((read, _)) = Served::read(Wire::OpenInference, &body, Some(length.as_bytes()), false) {
            for one in &read.inputs {
                let count = one.shape().iter().fold(1u64, |all, part| all.saturating_mul(*part));
                prop_assert!(count <= body.len() as u64);
            }
        }
    }

    #[test]
    fn raw_tensors_come_back(values in prop::collection::vec(any::<f32>(), 1..50), texts in prop::collection::vec(any::<String>(), 1..10)) {
        let inputs = vec![
            Tensor::of_f32("a", vec![values.len() as u64], &values).unwrap(),
            Tensor::of_texts("b", vec![1, texts.len() as u64], &texts).unwrap(),
        ];
        let request = PredictRequest { inputs, ..PredictRequest::default() };
        let sheet = write_request(Dialect::OpenInference, &request, true, None).unwrap();
        let length = sheet.header_length.unwrap().to_string();
        let (again, _) = Served::read(Wire::OpenInference, &sheet.body, Some(length.as_bytes()), false).unwrap();
        let data = |request: &PredictRequest| request.inputs.iter().map(|one| one.data().clone()).collect::<Vec<_>>();
        prop_assert_eq!(data(&again), data(&request));
    }
}
