//! TF Serving's protocol as its own documentation and tests show it (`tests/golden/peers/tf_serving.json` names each place): as we
//! serve it, and as we ask others by it.

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;
    use tidegate_core::spec::Dialect;
    use tidegate_core::{PredictAnswer, PredictRequest, Tensor};
    use tidegate_dialect::{Served, Wire, read_answer, request_path, write_request};

    fn recorded() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/peers/tf_serving.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn body(json: &Value) -> Bytes {
        json.to_string().into()
    }

    fn served(json: &Value) -> Result<(PredictRequest, Served), String> {
        Served::read(Wire::TfServing, &body(json), None, false).map_err(|wrong| format!("{wrong:?}"))
    }

    /// The calls that were answered, and the version or label that each names behind its model.
    fn answered(recorded: &Value) -> Vec<(String, Value, Value)> {
        let all = recorded["exchanges"]["server"].as_array().unwrap();
        let is_answer = |one: &&Value| one["sent"]["method"] == "POST" && one["answered"]["status"] == 200;
        let one = |one: &Value| {
            (
                one["sent"]["path"].as_str().unwrap().to_owned(),
                one["sent"]["body"].clone(),
                one["answered"]["body"].clone(),
            )
        };
        all.iter().filter(is_answer).map(one).collect()
    }

    #[test]
    fn what_clients_of_tf_serving_send_is_read_and_answered_in_their_form() {
        let answered = answered(&recorded());
        assert!(answered.len() >= 8, "{answered:?}");
        for (path, sent, wanted) in answered {
            let (request, served) = served(&sent).unwrap();
            let known = request.parameters.get("signature_name");
            assert_eq!((known, request.is_loose), (sent.get("signature_name"), true), "{path}");
            // What a model of these numbers answers is theirs: half of each, and what is added.
            let values = wanted.get("predictions").or(wanted.get("outputs")).unwrap();
            let flat: Vec<f64> = serde_json::from_value(values.clone())
                .or_else(|_| serde_json::from_value::<Vec<Vec<f64>>>(values.clone()).map(|rows| rows.concat()))
                .unwrap();
            let outputs = vec![Tensor::of_f64("y", request.inputs[0].shape().to_vec(), &flat).unwrap()];
            let answer = PredictAnswer { outputs, ..PredictAnswer::default() };
            let sheet = served.write("half", "call", &request, &answer).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&sheet.body).unwrap(), wanted, "{path}");
        }
        let wrong = served(&serde_json::json!({"signature_name": 100, "instances": [1]})).unwrap_err();
        assert!(wrong.contains("`signature_name` must be a text"), "{wrong}");
    }

    #[test]
    fn tf_serving_is_asked_as_its_clients_ask_it() {
        for (path, sent, answer) in answered(&recorded()) {
            let model = path.strip_prefix("/v1/models/").and_then(|rest| rest.strip_suffix(":predict")).unwrap();
            assert_eq!(request_path(Dialect::TfServing, model), path);
            let (request, _) = served(&sent).unwrap();
            let asked: Value =
                serde_json::from_slice(&write_request(Dialect::TfServing, &request, false, None).unwrap().body)
                    .unwrap();
            // We ask by columns; of one input they are the rows.
            let values = sent.get("inputs").or(sent.get("instances")).unwrap();
            assert_eq!((&asked["inputs"], asked.get("signature_name")), (values, sent.get("signature_name")), "{path}");
            let read = read_answer(Dialect::TfServing, &body(&answer), None).unwrap();
            assert_eq!(read.outputs[0].shape(), request.inputs[0].shape(), "{path}");
        }
        assert_eq!(request_path(Dialect::TfServing, "a b"), "/v1/models/a%20b:predict");
        assert_eq!(request_path(Dialect::TfServing, "a/b"), "/v1/models/a%2Fb:predict");
        assert_eq!(request_path(Dialect::TorchServe, "half/2.0"), "/predictions/half/2.0");
    }

    #[test]
    fn inputs_of_several_names_are_the_same_by_rows_and_by_columns() {
        let forms = &recorded()["forms"];
        let (rows, _) = served(&forms["rows"]).unwrap();
        let (columns, _) = served(&forms["columns"]).unwrap();
        assert_eq!(rows.inputs, columns.inputs);
        let asked = write_request(Dialect::TfServing, &rows, false, None).unwrap().body;
        assert_eq!(serde_json::from_slice::<Value>(&asked).unwrap(), forms["columns"]);
    }

    #[test]
    fn numbers_that_json_has_not_are_words_of_tf_serving() {
        let asked = |last: f64| {
            let inputs = vec![Tensor::of_f64("x", vec![3], &[1.0, f64::NAN, last]).unwrap()];
            write_request(Dialect::TfServing, &PredictRequest { inputs, ..PredictRequest::default() }, false, None)
        };
        assert_eq!(asked(2.0).unwrap().body, r#"{"inputs":[1.0,NaN,2.0]}"#);
        // It would answer what nobody can be told.
        assert!(asked(f64::INFINITY).unwrap_err().says.contains("element 2 of `x` is infinite"));
        let answer = |text: &'static str| read_answer(Dialect::TfServing, &Bytes::from_static(text.as_bytes()), None);
        let read = answer("{\"outputs\": {\"a\": [ 2.0, NaN ], \"b\": [\"NaN\", \"a \\\" NaN \\\\\"]}}").unwrap();
        let numbers: Vec<f64> = read.outputs[0].numbers().unwrap().collect();
        assert!(numbers[0] > 1.9 && numbers[1].is_nan(), "{numbers:?}");
        assert_eq!(read.outputs[1].texts().unwrap().collect::<Vec<_>>(), [&b"NaN"[..], b"a \" NaN \\"]);
        for infinite in ["{\"predictions\": [Infinity]}", "{\"predictions\": [1.0, -Infinity]}"] {
            assert!(answer(infinite).unwrap_err().says.contains("infinite"));
        }
        assert!(answer("{\"predictions\": [NaN").is_err());
    }
}
