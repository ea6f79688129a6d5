//! Bodies against the rules, against serde_json and under splices.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::{Api, Fault, FaultKind};

fn scanned(api: Api, body: &Value) -> Result<Scan, Fault> {
    scan(api, body.to_string().as_bytes())
}

fn chat(extra: Value) -> Result<Scan, Fault> {
    let mut body = json!({"model": "mock", "messages": [{"role": "user", "content": "ping"}]});
    let (Value::Object(body), Value::Object(extra)) = (&mut body, extra) else { unreachable!() };
    body.extend(extra);
    scanned(Api::ChatCompletions, &Value::Object(body.clone()))
}

/// The fault must name the field: in its message and as its param.
fn refused(got: Result<Scan, Fault>, field: &str, case: &Value) {
    let fault = got.map(|_| ()).expect_err(&format!("{case} was accepted"));
    assert_eq!(fault.kind, FaultKind::InvalidRequest, "{case}");
    assert!(fault.param.as_deref().is_some_and(|param| param.starts_with(field)), "{case}: {:?}", fault.param);
    assert!(fault.says.contains(field) && fault.says.len() < 300, "{case}: {}", fault.says);
}

#[test]
fn good_chats_are_accepted() {
    for extra in [
        json!({}),
        json!({"temperature": 0}),
        json!({"temperature": 2}),
        json!({"temperature": 2.0, "top_p": 1, "min_p": 0.5, "top_k": -1}),
        json!({"max_tokens": 1, "n": 1, "stop": ["a", "b"], "seed": -1, "user": "u"}),
        json!({"stop": "a", "presence_penalty": -2, "frequency_penalty": 2, "logit_bias": {"1": -100}}),
        json!({"response_format": {"type": "text"}, "stream": false}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}),
        json!({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "text", "text": "é🦀"}]}]}),
        json!({"temperature": null, "top_p": null, "stop": null, "stream": null, "stream_options": null, "tools": null, "n": null, "tool_choice": null}),
        json!({"verbosity": "low", "metadata": {"a": "b"}, "store": false, "parallel_tool_calls": false, "x": [{"y": {}}]}),
        json!({"stream": true, "stream_options": {"include_usage": true, "x": 1}}),
        json!({"logprobs": true, "top_logprobs": 20}),
        json!({"messages": [{"role": "developer", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]}),
        json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}),
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}),
        json!({"tools": [], "tool_choice": "auto"}),
    ] {
        chat(extra.clone()).unwrap_or_else(|fault| panic!("{extra}: {fault}"));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn wrong_fields_of_a_chat_are_named() {
    let one = |message: Value| json!({"messages": [message]});
    let parts = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let tool = |tool: Value| json!({"tools": [tool]});
    for (field, cases) in [
        (
            "model",
            vec![
                json!({"model": null}),
                json!({"model": ""}),
                json!({"model": 5}),
                json!({"model": {}}),
                json!({"model": ["mock"]}),
                json!({"model": "x".repeat(257)}),
            ],
        ),
        (
            "messages",
            vec![
                json!({"messages": null}),
                json!({"messages": {}}),
                json!({"messages": "hello"}),
                json!({"messages": []}),
                one(json!(5)),
                one(json!([])),
                one(json!({})),
                one(json!({"content": "x"})),
                one(json!({"role": "user"})),
                one(json!({"role": "alien", "content": "x"})),
                one(json!({"role": 5, "content": "x"})),
                one(json!({"role": "user", "content": 5})),
                one(json!({"role": "user", "content": null})),
                one(json!({"role": "user", "content": {"a": 1}})),
                one(json!({"role": "user", "content": []})),
                one(json!({"role": "tool", "content": "x"})),
                one(json!({"role": "tool", "content": "x", "tool_call_id": null})),
                one(json!({"role": "assistant"})),
                one(json!({"role": "user", "content": "x", "name": 5})),
                one(json!({"role": "assistant", "tool_calls": "x"})),
                one(
                    json!({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}),
                ),
                one(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]})),
                parts(json!("x")),
                parts(json!({"type": "text"})),
                parts(json!({"type": "text", "text": 5})),
                parts(json!({"text": "x"})),
                parts(json!({"type": "nope"})),
                parts(json!({"type": "image_url"})),
            ],
        ),
        (
            "temperature",
            vec![
                json!({"temperature": -1}),
                json!({"temperature": 2.1}),
                json!({"temperature": "1"}),
                json!({"temperature": []}),
                json!({"temperature": true}),
            ],
        ),
        ("top_p", vec![json!({"top_p": 1.5}), json!({"top_p": -0.1}), json!({"top_p": {}})]),
        (
            "max_tokens",
            vec![
                json!({"max_tokens": -1}),
                json!({"max_tokens": 0}),
                json!({"max_tokens": 1.5}),
                json!({"max_tokens": "ten"}),
                json!({"max_tokens": []}),
                json!({"max_tokens": 1_000_000_000_000u64}),
            ],
        ),
        ("max_completion_tokens", vec![json!({"max_completion_tokens": 0}), json!({"max_completion_tokens": true})]),
        (
            "n",
            vec![json!({"n": 0}), json!({"n": 1.5}), json!({"n": 129}), json!({"n": 1_000_000_000}), json!({"n": "1"})],
        ),
        ("stream", vec![json!({"stream": "yes"}), json!({"stream": []}), json!({"stream": 1})]),
        (
            "stream_options",
            vec![
                json!({"stream": true, "stream_options": "x"}),
                json!({"stream_options": {}}),
                json!({"stream": false, "stream_options": {"include_usage": true}}),
                json!({"stream": true, "stream_options": {"include_usage": 1}}),
            ],
        ),
        (
            "stop",
            vec![
                json!({"stop": 5}),
                json!({"stop": [1, 2]}),
                json!({"stop": {}}),
                json!({"stop": ["a", "b", "c", "d", "e"]}),
            ],
        ),
        ("presence_penalty", vec![json!({"presence_penalty": -3}), json!({"presence_penalty": "x"})]),
        ("frequency_penalty", vec![json!({"frequency_penalty": 9})]),
        (
            "logit_bias",
            vec![
                json!({"logit_bias": "x"}),
                json!({"logit_bias": [1]}),
                json!({"logit_bias": {"1": "a"}}),
                json!({"logit_bias": {"1": 101}}),
                json!({"logit_bias": {"the": 1}}),
            ],
        ),
        ("logprobs", vec![json!({"logprobs": 5})]),
        ("top_logprobs", vec![json!({"top_logprobs": -1}), json!({"top_logprobs": 21})]),
        ("seed", vec![json!({"seed": "x"}), json!({"seed": []}), json!({"seed": 1.5}), json!({"seed": 1e30})]),
        ("user", vec![json!({"user": []}), json!({"user": 5})]),
        (
            "response_format",
            vec![
                json!({"response_format": "json"}),
                json!({"response_format": {"type": "nope"}}),
                json!({"response_format": {}}),
                json!({"response_format": {"type": "json_schema"}}),
            ],
        ),
        (
            "tools",
            vec![
                json!({"tools": "x"}),
                tool(json!(5)),
                tool(json!({})),
                tool(json!({"type": "function"})),
                tool(json!({"type": "function", "function": {}})),
                tool(json!({"type": "function", "function": {"name": ""}})),
                tool(json!({"type": "alien"})),
                tool(json!({"type": "function", "function": {"name": "f", "parameters": []}})),
            ],
        ),
        (
            "tool_choice",
            vec![
                json!({"tool_choice": 5}),
                json!({"tool_choice": "maybe"}),
                json!({"tool_choice": {}}),
                json!({"tool_choice": "required"}),
                json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "function", "function": {"name": "g"}}}),
            ],
        ),
        ("parallel_tool_calls", vec![json!({"parallel_tool_calls": "x"})]),
        ("metadata", vec![json!({"metadata": []})]),
    ] {
        for case in cases {
            refused(chat(case.clone()), field, &case);
        }
    }
    refused(
        scanned(Api::ChatCompletions, &json!({"messages": [{"role": "user", "content": "x"}]})),
        "model",
        &json!("no model"),
    );
    refused(scanned(Api::ChatCompletions, &json!({"model": "x"})), "messages", &json!("no messages"));
}

#[test]
fn prompts_and_inputs_take_four_forms() {
    for prompt in [json!(""), json!("a"), json!(["a", "b"]), json!([1, 2]), json!([[1], [2, 3]])] {
        scanned(
            Api::Completions,
            &json!({"model": "m", "prompt": prompt, "max_tokens": 0, "echo": true, "logprobs": 5}),
        )
        .unwrap();
    }
    for prompt in [
        json!(null),
        json!({}),
        json!(5),
        json!([]),
        json!([null]),
        json!([["a"]]),
        json!(["a", 1]),
        json!([-1]),
        json!([1.5]),
        json!([[]]),
        json!([true]),
    ] {
        refused(scanned(Api::Completions, &json!({"model": "m", "prompt": prompt})), "prompt", &prompt);
    }
    for input in [json!("a"), json!(["a", "b"]), json!([1, 2]), json!([[1], [2]]), json!(vec!["a"; 2048])] {
        let body = json!({"model": "m", "input": input, "encoding_format": "base64", "dimensions": 8, "user": null});
        scanned(Api::Embeddings, &body).unwrap();
    }
    for input in [
        json!(null),
        json!({}),
        json!(""),
        json!([""]),
        json!(true),
        json!([["a"]]),
        json!([]),
        json!([[1], "a"]),
        json!(vec!["a"; 2049]),
    ] {
        refused(scanned(Api::Embeddings, &json!({"model": "m", "input": input})), "input", &input);
    }
    refused(
        scanned(Api::Embeddings, &json!({"model": "m", "input": "a", "dimensions": "x"})),
        "dimensions",
        &json!("x"),
    );
    refused(
        scanned(Api::Embeddings, &json!({"model": "m", "input": "a", "encoding_format": "hex"})),
        "encoding_format",
        &json!("hex"),
    );
}

#[test]
fn what_the_path_needs_is_found() {
    let body = br#" {"us\u0065r":"u\u00e9","max_tokens":7,"n":3,"model":"m\"\n","stream":true,"messages":[{"role":"user","content":"12345678"}]} "#;
    let scan = scan(Api::ChatCompletions, body).unwrap();
    assert_eq!(scan.model_name(body), "m\"\n");
    assert_eq!(scan.user_name(body).as_deref(), Some("ué"));
    assert_eq!((scan.stream, scan.include_usage, scan.max_tokens, scan.n), (true, false, Some(7), 3));
    assert_eq!(scan.prompt_tokens, 2 + 4);
    assert_eq!(scan.token_bound(100), 6 + 21);
}

#[test]
fn broken_bodies_say_where() {
    let of = |bytes: &[u8]| scan(Api::ChatCompletions, bytes).expect_err("was accepted").says.into_owned();
    assert_eq!(of(b"{\n \"extra\": nope}"), "the body is not valid JSON: expected a value at line 2, column 11");
    assert!(of(b"{\"model\":\"\xff\"}").contains("byte 10"));
    for (text, says) in [
        ("", "ends where a value"),
        ("   ", "ends where a value"),
        ("[]", "must be a JSON object"),
        ("\"x\"", "must be a JSON object"),
        ("model=mock", "expected a value"),
        ("{'model': 1}", "key in double quotes"),
        ("{}x", "follows"),
        ("{\"a\":NaN}", "expected a value"),
        ("{\"a\":1e999}", "too large"),
        ("{\"a\":0x10}", "expected `,`"),
        ("{\"a\":01}", "malformed"),
        ("{\"a\":\"\\u12\"}", "four hex digits"),
        ("{\"a\":\"\\ud800\"}", "surrogate"),
        ("{\"a\":\"\\udc00\"}", "surrogate"),
        ("{\"a\":\"\\ud800\\u0041\"}", "surrogate"),
        ("{\"a\":\"\\x\"}", "unknown escape"),
        ("{\"a\":\"\t\"}", "control character"),
        ("{\"a\":\"", "not closed"),
        ("{\"a\":1,}", "key in double quotes"),
        ("{\"a\":[1,]}", "expected a value"),
    ] {
        assert!(of(text.as_bytes()).contains(says), "{text}: {}", of(text.as_bytes()));
    }
    assert!(of("{\"a\":".repeat(100_000).as_bytes()).contains("128 deep"));
    assert!(of(format!("{{\"x\":\"{}", "A".repeat(3_000_000)).as_bytes()).contains("not closed"));
}

#[test]
fn depth_is_128_with_the_body_itself() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        scan(Api::Completions, format!("{{\"model\":\"m\",\"prompt\":\"a\",\"x\":{open}{close}}}").as_bytes()).is_ok()
    };
    assert!(nested(127));
    assert!(!nested(128));
}

#[test]
fn doubles_are_found_also_when_escaped() {
    for keys in [r#""model":"b","#, r#""mod\u0065l":"b","#, r#""x":1,"x":2,"#, r#""x":1,"\u0078":2,"#] {
        let body = format!(r#"{{{keys}"model":"a","prompt":"p"}}"#);
        let fault = scan(Api::Completions, body.as_bytes()).map(|_| ()).expect_err(keys);
        assert!(fault.says.contains("twice"), "{fault}");
    }
    let twice = r#"{"model":"a","messages":[{"role":"user","rol\u0065":"system","content":"x"}]}"#;
    assert!(scan(Api::ChatCompletions, twice.as_bytes()).is_err());
    let many: String = (0..300).map(|i| format!("\"x{i}\":1,")).collect();
    assert!(scan(Api::Completions, format!("{{{many}\"model\":\"a\",\"prompt\":\"p\"}}").as_bytes()).is_err());
}

#[test]
fn usage_is_asked_for_wherever_the_wish_stands() {
    for (options, wanted) in [
        ("", "{\"include_usage\":true}"),
        (",\"stream_options\":null", "{\"include_usage\":true}"),
        (",\"stream_options\": { }", "{\"include_usage\":true}"),
        (",\"stream_options\":{\"a\":1}", "{\"include_usage\":true,\"a\":1}"),
        (",\"stream_options\":{\"include_usage\" : false,\"a\":1}", "{\"include_usage\":true,\"a\":1}"),
        (",\"stream_options\":{\"include_usage\":null}", "{\"include_usage\":true}"),
        (",\"stream_options\":{\"include_usage\":true}", "{\"include_usage\":true}"),
    ] {
        let body = Bytes::from(format!("{{\"model\":\"a\",\"prompt\":\"p\",\"stream\":true{options} }}"));
        let scan = scan(Api::Completions, &body).unwrap();
        let mut splices = Splices::new();
        splices.model(&scan, "b\"\u{1}");
        splices.ask_usage(&scan);
        let out: Value = serde_json::from_slice(&splices.apply(&body)).unwrap();
        let wanted: Value = serde_json::from_str(wanted).unwrap();
        assert_eq!(
            out,
            json!({"model": "b\"\u{1}", "prompt": "p", "stream": true, "stream_options": wanted}),
            "{options}"
        );
    }
}

/// Any JSON value, with its text spelled in one of several ways.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..5).prop_map(|map| map.into_iter().collect())
        ]
    })
}

fn around(value: &str) -> String {
    format!("{{\"model\":\"m\", \"x\" : {value}\n,\"prompt\":\"p\"}}")
}

proptest! {
    #[test]
    fn valid_json_is_accepted(value in values(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert!(scan(Api::Completions, around(&text).as_bytes()).is_ok(), "{}", text);
    }

    #[test]
    fn mutated_json_fares_as_with_serde_json(value in values(), at: prop::sample::Index, byte in prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[]:,0e.-+ntfu\x1f"[..])], cut: bool) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        // Closing brackets of ours must not pair with openings of the mutation: judge the value alone.
        let ours = scan(Api::Completions, &[b"{\"model\":\"m\",\"prompt\":\"p\",\"x\":", &text[..], b"}"].concat()).is_ok();
        let theirs = serde_json::from_slice::<Value>(&[b"{\"x\":", &text[..], b"}"].concat());
        // A mutation may add a top-level member, which is judged by other rules.
        if theirs.as_ref().is_ok_and(|value| value.as_object().is_some_and(|map| map.len() == 1)) || theirs.is_err() {
            prop_assert_eq!(ours, theirs.is_ok(), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,\\\\0-9eE.+u a-f-]{0,40}") {
        for api in Api::OPENAI {
            prop_assert!(scan(api, &bytes).is_err());
            drop(scan(api, text.as_bytes()));
            drop(scan(api, format!("{{\"model\":{text}").as_bytes()));
        }
    }

    #[test]
    fn splices_change_what_they_name_and_nothing_else(before in values(), after in values(), name in ".{1,20}", extra in values(), stream: bool) {
        let body = format!("{{\"a\": {before} ,\"model\"\t:\"old\",\"stream\":{stream},\"prompt\":\"p\" , \"z\":{after} }}");
        let body = Bytes::from(body);
        let scan = scan(Api::Completions, &body).unwrap();
        let extra_text = extra.to_string();
        let mut splices = Splices::new();
        splices.insert(&scan, "ex\"tra", &extra_text);
        splices.model(&scan, &name);
        if stream {
            splices.ask_usage(&scan);
        }
        let out = splices.apply(&body);
        let mut wanted: Value = serde_json::from_slice(&body).unwrap();
        wanted["model"] = json!(name);
        wanted["ex\"tra"] = serde_json::from_str(&extra_text).unwrap();
        if stream {
            wanted["stream_options"] = json!({"include_usage": true});
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), wanted);
        let (start, end) = (scan.model.literal().start, scan.model.literal().end);
        prop_assert_eq!(&out[..start], &body[..start]);
        let rest = &body[end..body.len() - 1];
        let moved = out.len() - (serde_json::to_string(&name).unwrap().len() + start);
        prop_assert!(out[out.len() - moved..].windows(rest.len()).any(|window| window == rest));
    }
}

#[test]
fn without_edits_the_bytes_are_shared() {
    let body = Bytes::from_static(b"{\"model\":\"a\",\"prompt\":\"p\"}");
    assert_eq!(Splices::new().apply(&body).as_ptr(), body.as_ptr());
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture scan_cost"]
fn scan_cost() {
    let short = json!({"model": "mock", "messages": [{"role": "user", "content": "ping"}], "stream": true, "max_tokens": 64, "temperature": 0.7});
    let turns: Vec<Value> = (0..20).map(|i| json!({"role": if i % 2 == 0 { "user" } else { "assistant" }, "content": "The quick brown fox \"jumps\" over\nthe lazy dog. ".repeat(4)})).collect();
    let long = json!({"model": "mock", "messages": turns, "temperature": 0.7, "stream": true});
    let vectors = json!({"model": "mock", "messages": [{"role": "user", "content": "x"}], "x": (0..500).map(|i| json!({"a": i, "b": [1.5, true, null]})).collect::<Vec<_>>()});
    let image = json!({"model": "mock", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "A".repeat(1 << 20)}}]}]});
    for (name, body) in [("short", short), ("20 turns", long), ("dense", vectors), ("1 MiB string", image)] {
        let bytes = Bytes::from(body.to_string());
        let each = least(|| assert!(scan(Api::ChatCompletions, std::hint::black_box(&bytes)).is_ok()));
        let scan = scan(Api::ChatCompletions, &bytes).unwrap();
        let spliced = least(|| {
            let mut splices = Splices::new();
            splices.model(&scan, "another-model");
            splices.ask_usage(&scan);
            std::hint::black_box(splices.apply(std::hint::black_box(&bytes)));
        });
        let serde =
            least(|| assert!(serde_json::from_slice::<serde::de::IgnoredAny>(std::hint::black_box(&bytes)).is_ok()));
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let per_kb = each / (bytes.len() as f64 / 1024.0);
        println!(
            "{name}: {} bytes, scan {each:.0} ns ({per_kb:.0} ns/KiB), splice {spliced:.0} ns, serde_json IgnoredAny {serde:.0} ns",
            bytes.len()
        );
    }
}

/// The least nanoseconds that `work` takes, over many short rounds: what others do on the machine falls out.
fn least(mut work: impl FnMut()) -> f64 {
    let once = |times: u32, work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..times).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(times)
    };
    let times = if once(3, &mut work) > 50_000.0 { 1 } else { 100 };
    (0..2000).map(|_| once(times, &mut work)).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_prompt_goes_before_the_messages_and_its_field_is_cut_out() {
    let front = r#"{"role":"system","content":"be kind"}"#;
    for (body, wanted) in [
        (
            r#"{"model":"m","prompt":{"id":"a"} , "messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m" , "messages":[FRONT,{"role":"user","content":"hi"}]}"#,
        ),
        (r#"{"prompt":{"id":"a"}, "model":"m","messages":[ ]}"#, r#"{"model":"m","messages":[FRONT ]}"#),
        (r#"{"model":"m", "prompt" : {"id":"a"} }"#, r#"{"model":"m" ,"messages":[FRONT]}"#),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","messages":[FRONT,{"role":"user","content":"hi"}]}"#,
        ),
    ] {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let scan = scan(Api::ChatCompletions, &bytes).unwrap();
        let mut splices = Splices::new();
        splices.prompt(&scan, front);
        assert_eq!(std::str::from_utf8(&splices.apply(&bytes)).unwrap(), wanted.replace("FRONT", front), "{body}");
    }
}

#[test]
fn only_a_prompt_makes_messages_dispensable() {
    assert!(scanned(Api::ChatCompletions, &json!({"model": "m", "prompt": {}})).is_ok());
    assert!(scanned(Api::ChatCompletions, &json!({"model": "m", "prompt": {}, "messages": []})).is_ok());
    for bad in [json!({"model": "m"}), json!({"model": "m", "messages": []}), json!({"model": "m", "prompt": null})] {
        refused(scanned(Api::ChatCompletions, &bad), "messages", &bad);
    }
    let bad = json!({"model": "m", "prompt": "a", "messages": [{"role": "user", "content": "x"}]});
    refused(scanned(Api::ChatCompletions, &bad), "prompt", &bad);
}

#[test]
fn rankings_need_a_query_and_documents() {
    let good = json!({"model": "m", "query": "who?", "documents": ["a", {"text": "bc", "id": 7}, ""], "top_n": 2});
    let scan = scanned(Api::Rerank, &good).unwrap();
    assert_eq!((scan.stream, scan.prompt_bytes), (false, "who?abc".len()));
    for (change, param) in [
        (json!({"query": null}), "query"),
        (json!({"query": ""}), "query"),
        (json!({"query": ["a"]}), "query"),
        (json!({"documents": null}), "documents"),
        (json!({"documents": []}), "documents"),
        (json!({"documents": "a"}), "documents"),
        (json!({"documents": [1]}), "documents"),
        (json!({"documents": [{"title": "a"}]}), "documents"),
        (json!({"documents": vec!["a"; 2049]}), "documents"),
        (json!({"top_n": 0}), "top_n"),
        (json!({"return_documents": 1}), "return_documents"),
    ] {
        let mut bad = good.clone();
        for (key, value) in change.as_object().unwrap() {
            bad[key] = value.clone();
        }
        refused(scanned(Api::Rerank, &bad), param, &bad);
    }
    refused(scanned(Api::Rerank, &json!({"model": "m", "documents": ["a"]})), "query", &good);
    refused(scanned(Api::Rerank, &json!({"model": "m", "query": "a"})), "documents", &good);
}
