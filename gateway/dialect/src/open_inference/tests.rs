//! The quick reader beside the careful one.

use super::*;
use proptest::prelude::*;

const TENSOR: &str = r#"{"id":"7","parameters":{"a":1.5,"b":"c"},"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[0.1,-2,3e-3,[4.25],-0,5]},{"name":"n","datatype":"INT64","shape":[1],"parameters":{"content_type":"np"},"data":[-9]}]}"#;

/// Whatever the quick reader takes, the careful one reads as the same.
fn agree(body: &str) -> Result<bool, TestCaseError> {
    let body = Bytes::from(body.to_owned());
    let Some(read) = quick::read(&body, "inputs") else { return Ok(false) };
    let (request, wish) = read_request_with_care(&body, None).map_err(|wrong| TestCaseError::fail(wrong.says))?;
    prop_assert_eq!((&read.id, &read.tensors), (&request.id, &request.inputs));
    prop_assert_eq!((&read.parameters, wish), (&request.parameters, Wish::default()));
    let answer = String::from_utf8_lossy(&body).replace("inputs", "outputs");
    let body = Bytes::from(answer.replacen('{', r#"{"model_name":"m","model_version":"1","#, 1));
    if let Some(read) = quick::read(&body, "outputs") {
        let answer = read_answer_with_care(&body, None).map_err(|wrong| TestCaseError::fail(wrong.says))?;
        prop_assert_eq!((read.tensors, read.model_version), (answer.outputs, answer.model_version));
    }
    Ok(true)
}

#[test]
fn what_is_usual_is_read_quickly() {
    for body in [
        TENSOR.to_owned(),
        TENSOR.replace(',', " ,\n").replace(':', ": "),
        r#"{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[0.12345678901234567]}]}"#.to_owned(),
    ] {
        assert!(agree(&body).unwrap(), "{body}");
        let answer = body.replace("inputs", "outputs").replacen('{', r#"{"model_name":"m","model_version":"1","#, 1);
        assert!(quick::read(answer.as_bytes(), "outputs").is_some(), "{answer}");
    }
    for rare in [
        r#"{"model_name":"m","inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#,
        r#"{"inputs":[{"name":"\u0078","shape":[1],"datatype":"FP32","data":[1]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[01]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1e39]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}]}"#,
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"y"}]}"#,
        r#"{"parameters":{"binary_data_output":true},"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#,
    ] {
        assert!(quick::read(rare.as_bytes(), "inputs").is_none(), "{rare}");
    }
}

proptest! {
    #[test]
    fn both_readers_read_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 0..3),
        numbers in prop::collection::vec("-?[0-9]{1,20}(\\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?", 1..4),
        kind in prop::sample::select(vec!["FP32", "FP64", "FP16", "INT64", "UINT64", "INT8", "UINT32"]),
    ) {
        let list = numbers.join(",");
        let body = format!(r#"{{"inputs":[{{"name":"x","shape":[{}],"datatype":"{kind}","data":[{list}]}}]}}"#, numbers.len());
        agree(&body)?;
        let mut spoilt = TENSOR.to_owned();
        for (at, with) in changes {
            let at = at.index(spoilt.len());
            spoilt.replace_range(at..=at, &with);
        }
        agree(&spoilt)?;
    }
}
