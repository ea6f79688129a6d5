//! Malformed calls of the Open Inference Protocol, one by one: each is refused with a 4xx whose text names the fault, none costs
//! memory that its body has not, and the program serves on.

use crate::classic::Served;
use serde_json::{Value, json};

/// One call: its body, the length of its JSON where it says one, and a word that the refusal must have.
struct Case {
    body: Vec<u8>,
    length: Option<String>,
    says: String,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn json(&mut self, body: &Value, says: &str) {
        self.raw(body.to_string().into_bytes(), None, says);
    }

    fn raw(&mut self, body: Vec<u8>, length: Option<&str>, says: &str) {
        self.0.push(Case { body, length: length.map(str::to_owned), says: says.to_owned() });
    }

    /// The good input with some of its members changed; null takes one away.
    fn input(&mut self, changes: &Value, says: &str) {
        let mut input = json!({"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.0]});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                input.as_object_mut().unwrap().remove(name);
            } else {
                input[name] = value.clone();
            }
        }
        self.json(&json!({"inputs": [input]}), says);
    }

    /// Raw data of so many bytes behind a head that says `size` of a tensor.
    fn binary(&mut self, datatype: &str, shape: &Value, size: &Value, raw: &[u8], says: &str) {
        let input =
            json!({"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}});
        let head = json!({"inputs": [input]}).to_string();
        let length = head.len().to_string();
        self.raw([head.as_bytes(), raw].concat(), Some(&length), says);
    }
}

const NUMBERS: [&str; 12] =
    ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16"];

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases() -> Vec<Case> {
    let mut all = Cases::default();
    // The whole body.
    for body in
        ["", "{", "[]", "5", "null", "\"x\"", "{\"inputs\":[}", "{\"inputs\":[]}}", "{'inputs':1}", "\u{feff}{}"]
    {
        all.raw(body.into(), None, "body");
    }
    all.raw(b"\xff\xfe{}".to_vec(), None, "UTF-8");
    all.raw(br#"{"inputs":[],"inputs":[]}"#.to_vec(), None, "twice");
    for inputs in [
        json!({}),
        json!([]),
        json!(5),
        json!("x"),
        json!([5]),
        json!([[]]),
        json!([null]),
        json!(["x"]),
        json!([[{"name": "x"}]]),
        Value::Null,
        json!(true),
    ] {
        all.json(&json!({"inputs": inputs}), "input");
    }
    all.json(&json!({}), "inputs is missing");
    // Members of an input.
    for name in [json!(5), json!([]), json!({}), json!(true), Value::Null] {
        all.input(&json!({"name": name}), "name");
    }
    for name in ["nope", "X", "x ", "", "x\n", &"n".repeat(300)] {
        all.input(&json!({"name": name}), "has no input");
    }
    for datatype in [
        json!("FP99"),
        json!(5),
        json!("fp32"),
        json!("fp32 "),
        json!(""),
        json!("STRING"),
        json!("FP32\0"),
        json!([]),
        json!({}),
        Value::Null,
        json!("float32"),
        json!("INT128"),
        json!("FP8"),
    ] {
        all.input(&json!({"datatype": datatype}), "datatype");
    }
    for shape in [
        json!("x"),
        json!(3),
        json!({}),
        json!([1, -3]),
        json!([1.5, 2]),
        json!(["1", "3"]),
        json!([[1, 3]]),
        json!([null]),
        json!([true]),
        Value::Null,
        json!([1e30]),
        json!([-1]),
    ] {
        all.input(&json!({"shape": shape}), "shape");
    }
    for shape in [
        json!([1, 5]),
        json!([2, 3]),
        json!([]),
        json!([0, 3]),
        json!([3, 0]),
        json!([1]),
        json!([4]),
        json!([1, 1, 4]),
        json!([1, 3, 2]),
        json!([u64::MAX, 3]),
        json!([u64::MAX, u64::MAX]),
        json!([9_223_372_036_854_775_807_u64, 4]),
        json!([9_223_372_036_854_775_808_u64]),
        json!([4_294_967_296_u64, 4_294_967_296_u64]),
        json!([1_000_000_000_000_u64]),
        json!([1_u64 << 40, 3]),
        json!([1_u64 << 62]),
        json!([0, u64::MAX, u64::MAX]),
        json!(vec![1; 17]),
        json!(vec![2; 64]),
        json!(vec![65_536; 4]),
    ] {
        all.input(&json!({"shape": shape}), "shape");
    }
    for data in [
        json!("x"),
        json!(5),
        json!({}),
        json!(true),
        Value::Null,
        json!([]),
        json!([1]),
        json!([1, 2]),
        json!([1, 2, 3, 4]),
        json!(vec![0; 5000]),
        json!([[1, 2], [3, 4]]),
    ] {
        all.input(&json!({"data": data}), "data");
    }
    for element in [json!("a"), Value::Null, json!({}), json!(true), json!({"b64": "AA=="}), json!([[["x"]]])] {
        all.input(&json!({"data": [1, 2, element]}), "data");
    }
    all.input(&json!({"data": [1, 2, 1e300]}), "range");
    // Each datatype has its own range and kind.
    for datatype in NUMBERS {
        for element in [json!("1"), json!(true), Value::Null] {
            all.input(&json!({"datatype": datatype, "data": [1, 2, element]}), datatype);
        }
        if datatype.starts_with("FP") || datatype == "BF16" {
            continue;
        }
        all.input(&json!({"datatype": datatype, "data": [1, 2, 1.5]}), "whole number");
        all.input(&json!({"datatype": datatype, "data": [1, 2, 1e19 * 2.0]}), "range");
        let below = if datatype.starts_with('U') { json!(-1) } else { json!(-1e19) };
        all.input(&json!({"datatype": datatype, "data": [1, 2, below]}), "range");
    }
    for (datatype, element) in [
        ("UINT8", 256),
        ("INT8", 128),
        ("UINT16", 65_536),
        ("INT16", 32_768),
        ("UINT32", 4_294_967_296_i64),
        ("INT32", 2_147_483_648),
        ("FP16", 65_520),
    ] {
        all.input(&json!({"datatype": datatype, "data": [1, 2, element]}), "range");
    }
    for element in [json!(2), json!(-1), json!("true"), Value::Null, json!(0.5)] {
        all.input(&json!({"datatype": "BOOL", "data": [true, false, element]}), "BOOL");
    }
    for element in [json!(1), json!(true), Value::Null] {
        all.input(&json!({"datatype": "BYTES", "data": ["a", "b", element]}), "BYTES");
    }
    all.input(&json!({"datatype": "BYTES", "data": ["a", "b", "c"]}), "numbers");
    // Deep nests.
    for depth in [20, 100, 200, 5000] {
        let nest = "[".repeat(depth) + &"]".repeat(depth);
        let body = format!(r#"{{"inputs":[{{"name":"x","shape":[1,3],"datatype":"FP32","data":{nest}}}]}}"#);
        all.raw(body.into_bytes(), None, "");
    }
    // Beside the tensors.
    for parameters in [json!(5), json!([]), json!("x"), json!({"a": []}), json!({"a": {}})] {
        all.input(&json!({"parameters": parameters}), "parameters");
    }
    let good = json!([{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]);
    for parameters in [json!(5), json!([]), json!("x"), json!({"a": []}), json!({"binary_data_output": 1})] {
        all.json(&json!({"inputs": good, "parameters": parameters}), "parameters");
    }
    for id in [json!(5), json!([]), json!({}), json!(true)] {
        all.json(&json!({"inputs": good, "id": id}), "id");
    }
    for outputs in [
        json!(5),
        json!({}),
        json!("x"),
        json!([5]),
        json!([{}]),
        json!([{"name": 5}]),
        json!([{"name": "predict", "parameters": 5}]),
    ] {
        all.json(&json!({"inputs": good, "outputs": outputs}), "outputs");
    }
    all.json(&json!({"inputs": good, "outputs": [{"name": "nope"}]}), "nope");
    all.json(
        &json!({"inputs": good, "outputs": [{"name": "predict", "parameters": {"classification": 3}}]}),
        "classification",
    );
    all.json(
        &json!({"inputs": good, "outputs": [{"name": "predict", "parameters": {"shared_memory_region": "r"}}]}),
        "shared memory",
    );
    all.json(
        &json!({"inputs": good, "outputs": [{"name": "predict", "parameters": {"binary_data": "yes"}}]}),
        "binary_data",
    );
    all.json(&json!({"inputs": [good[0], good[0]]}), "twice");
    all.json(&json!({"inputs": vec![good[0].clone(); 2000]}), "1024");
    all.input(
        &json!({"data": null, "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 12}}),
        "shared memory",
    );
    all.input(&json!({"parameters": {"binary_data_size": 12}}), "exclude each other");
    // Raw data.
    for (size, raw) in [(12, 0), (12, 11), (3, 12), (0, 0), (13, 13), (24, 24), (12, 13), (8, 12)] {
        all.binary("FP32", &json!([1, 3]), &json!(size), &vec![0; raw], "");
    }
    for size in [json!(-1), json!(1.5), json!("12"), json!(true), json!(1e30), json!(u64::MAX), json!(1_u64 << 40)] {
        all.binary("FP32", &json!([1, 3]), &size, &[0; 12], "binary_data_size");
    }
    for shape in [json!([u64::MAX]), json!([1_u64 << 62]), json!([1_u64 << 40, 1 << 20]), json!([1 << 30])] {
        all.binary("FP64", &shape, &json!(8), &[0; 8], "shape");
        all.binary("BYTES", &shape, &json!(8), &[0; 8], "shape");
    }
    for datatype in NUMBERS {
        all.binary(datatype, &json!([1, 3]), &json!(25), &[0; 25], "25 bytes");
        all.binary(datatype, &json!([1, 3]), &json!(1), &[0; 1], "1 bytes");
    }
    all.binary("BOOL", &json!([1, 3]), &json!(3), &[0, 1, 2], "neither 0 nor 1");
    for raw in [&[1, 0, 0][..], &[255, 255, 255, 255], &[2, 0, 0, 0, b'a'], &[0, 0, 0, 128, 0]] {
        all.binary("BYTES", &json!([1, 1]), &json!(raw.len()), raw, "cut");
    }
    all.binary("BYTES", &json!([1, 3]), &json!(4), &[0; 4], "3 elements");
    let good = json!({"inputs": good}).to_string();
    for length in ["99999", "x", "1e3", "-1", "", "0x10", "18446744073709551616", "99999999999999999999999", "+5"] {
        all.raw(good.clone().into_bytes(), Some(length), "ength");
    }
    for length in ["0", "1", "10"] {
        all.raw(good.clone().into_bytes(), Some(length), "body");
    }
    all.raw([good.as_bytes(), b"more"].concat(), Some(&good.len().to_string()), "left over");
    all.0
}

/// The most memory that the process had so far, in kilobytes.
pub(crate) fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_malformed_calls_are_refused_by_name_and_cost_nothing() {
    let served = Served::start().await;
    let good = json!({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]});
    let before = {
        assert_eq!(served.client.post("/v2/models/fraud/infer", &good).await.status(), 200);
        peak(served.gateway.pid())
    };
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut wrong = Vec::new();
    for (nth, case) in cases.iter().enumerate() {
        let headers: Vec<(&str, &str)> =
            case.length.iter().map(|length| ("inference-header-content-length", length.as_str())).collect();
        let answer = served.client.send("POST", "/v2/models/fraud/infer", &headers, &case.body).await;
        let said = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        let is_right = (400..500).contains(&answer.status()) && said.len() > 10 && said.contains(&case.says);
        if !is_right || answer.body.len() > 4096 {
            let body = String::from_utf8_lossy(&case.body[..case.body.len().min(160)]).into_owned();
            wrong.push(format!("{nth}: {} {said:?} has no {:?}: {body}", answer.status(), case.says));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(served.client.post("/v2/models/fraud/infer", &good).await.status(), 200);
    let grown = peak(served.gateway.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} kB more at the peak");
}
