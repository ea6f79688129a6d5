//! Every status and the shapes of error bodies.

use super::*;

fn of(status: u16, body: &str) -> Fault {
    from_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH)
}

#[test]
fn each_status_has_its_kind() {
    use FaultKind::*;
    let cases = [
        (400, UpstreamRefused),
        (409, UpstreamRefused),
        (413, UpstreamRefused),
        (415, UpstreamRefused),
        (422, UpstreamRefused),
        (401, UpstreamMisconfigured),
        (402, UpstreamMisconfigured),
        (403, UpstreamMisconfigured),
        (404, UpstreamMisconfigured),
        (405, UpstreamMisconfigured),
        (301, UpstreamMisconfigured),
        (307, UpstreamMisconfigured),
        (408, UpstreamTimeout),
        (504, UpstreamTimeout),
        (429, UpstreamRateLimited),
        (500, UpstreamFailed),
        (502, UpstreamFailed),
        (503, UpstreamFailed),
        (529, UpstreamFailed),
    ];
    for (status, kind) in cases {
        let fault = of(status, "");
        assert_eq!((fault.kind, fault.upstream_status), (kind, Some(status)));
        assert!(!fault.says.is_empty());
    }
}

#[test]
fn the_providers_words_param_and_code_are_kept() {
    let fault = of(
        400,
        r#"{"error":{"message":"bad\u0000 \u001b[1mvalue\nhere","param":"top_p","code":"x","type":"invalid_request_error"}}"#,
    );
    assert_eq!(fault.kind, FaultKind::UpstreamRefused);
    assert_eq!(fault.says, "bad [1mvalue here");
    assert_eq!(fault.param.as_deref(), Some("top_p"));
    assert!(fault.detail.unwrap().contains("code \"x\""));

    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "ü".repeat(2_000));
    assert!((MESSAGE_CAP - 4..=MESSAGE_CAP).contains(&of(400, &long).says.len()));
}

#[test]
fn a_long_message_keeps_its_beginning_and_its_end() {
    let exact = "x".repeat(MESSAGE_CAP);
    assert_eq!(clean(&exact), exact);
    let long = format!("Failed to predict data {} Error: column `age` is missing\n", "1.0, ".repeat(3_000));
    let kept = clean(&long);
    assert!(kept.starts_with("Failed to predict data 1.0") && kept.len() <= MESSAGE_CAP, "{kept}");
    assert!(kept.contains(GAP) && kept.ends_with("Error: column `age` is missing"), "{kept}");
}

#[test]
fn a_prompt_that_is_too_long_is_known() {
    let openai = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
    let llama = r#"{"error":{"message":"too long","code":400,"type":"exceed_context_size_error"}}"#;
    for body in [openai, llama] {
        assert_eq!(of(400, body).kind, FaultKind::ContextLength);
    }
    assert_eq!(from_success(openai.as_bytes()).unwrap().kind, FaultKind::UpstreamFailed);
}

#[test]
fn a_filter_of_contents_is_known_by_its_code() {
    let azure = r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    let openai = r#"{"error":{"message":"filtered","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#;
    for body in [azure, openai] {
        let fault = of(400, body);
        assert_eq!((fault.kind, &*fault.says), (FaultKind::ContentFilter, "filtered"));
        assert_eq!(from_success(body.as_bytes()).unwrap().kind, FaultKind::ContentFilter, "within a stream");
        // A server that fails fails, whatever it says of itself.
        assert_eq!(of(500, body).kind, FaultKind::UpstreamFailed);
    }
}

#[test]
fn other_shapes_say_the_same() {
    for body in [r#"{"error":"no"}"#, r#"{"detail":"no"}"#, r#"{"object":"error","message":"no","code":400}"#] {
        assert_eq!(of(422, body).says, "no", "{body}");
    }
    let html = of(502, "<html>bad gateway</html>");
    assert_eq!(html.kind, FaultKind::UpstreamFailed);
    assert!(html.detail.unwrap().contains("<html>") && !html.says.contains("html"));
}

#[test]
fn what_is_said_of_fields_is_kept() {
    let bento = r#"{"error":"1 validation error for Input","detail":[{"type":"missing","loc":["rows"],"msg":"Field required","url":"https://errors.pydantic.dev/2.14/v/missing"}]}"#;
    assert_eq!(of(400, bento).says, "1 validation error for Input; rows: Field required");
    let fast = r#"{"detail":[{"loc":["body","inputs",0,"shape"],"msg":"Input should be a valid list"},{"msg":"no\nplace"},7]}"#;
    assert_eq!(of(422, fast).says, "body.inputs.0.shape: Input should be a valid list; no place");
    let long = format!(r#"{{"detail":[{}{{"msg":"last"}}]}}"#, r#"{"msg":"no"},"#.repeat(1_000));
    assert_eq!(of(422, &long).says, ["no"; MOST_FIELDS].join("; "));
    assert_eq!(of(422, r#"{"detail":[]}"#).says, plain_words(FaultKind::UpstreamRefused));
}

#[test]
fn what_is_said_of_our_credentials_stays_in_the_log() {
    let fault = of(401, r#"{"error":{"message":"incorrect key sk-abc"}}"#);
    assert!(!fault.says.contains("sk-abc"));
    assert!(fault.detail.unwrap().contains("sk-abc"));
}

#[test]
fn waits_are_read_in_all_forms() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let wait = |pairs: &[(&'static str, &str)]| {
        let headers = pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect();
        retry_after(&headers, now)
    };
    assert_eq!(wait(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
    assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
    assert_eq!(wait(&[("retry-after", "9"), ("retry-after-ms", "1500")]), Some(Duration::from_millis(1_500)));
    assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]), Some(Duration::from_secs(10)));
    assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:40:00 GMT")]), Some(Duration::ZERO));
    for bad in ["-1", "soon", "inf", ""] {
        assert_eq!(wait(&[("retry-after", bad)]), None, "{bad}");
    }
}

#[test]
fn errors_in_a_success_are_found_and_answers_are_not() {
    for ok in [
        r#"{"error":null}"#,
        r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#,
        r#"{"error":""}"#,
        "[DONE]",
        r#"{"error":"#,
    ] {
        assert!(from_success(ok.as_bytes()).is_none(), "{ok}");
    }
    let cases = [
        (r#"{"error":{"message":"m","code":429}}"#, FaultKind::UpstreamRateLimited),
        (r#"{"error":{"message":"m","code":"502"}}"#, FaultKind::UpstreamFailed),
        (r#"{"error":{"message":"m","type":"rate_limit_error"}}"#, FaultKind::UpstreamRateLimited),
        (r#"{"error":{"message":"m","type":"invalid_request_error"}}"#, FaultKind::UpstreamRefused),
        (
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            FaultKind::ContextLength,
        ),
        (r#"{"error":"m"}"#, FaultKind::UpstreamFailed),
    ];
    for (body, kind) in cases {
        let fault = from_success(body.as_bytes()).unwrap();
        assert_eq!((fault.kind, &*fault.says), (kind, "m"), "{body}");
    }
}

/// What TF Serving, TorchServe and Tecton say where they refuse, each as recorded with its source.
#[test]
fn refusals_of_recorded_peers_are_read() {
    let mut seen = 0;
    for peer in ["tf_serving", "torchserve", "tecton"] {
        let path = format!("{}/../../tests/golden/peers/{peer}.json", env!("CARGO_MANIFEST_DIR"));
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for one in recorded["exchanges"]["server"].as_array().unwrap() {
            let answered = &one["answered"];
            let status = u16::try_from(answered["status"].as_u64().unwrap()).unwrap();
            if status < 400 {
                continue;
            }
            seen += 1;
            let fault = of(status, &answered["body"].to_string());
            let kind = kind_of(StatusCode::from_u16(status).unwrap());
            let body = &answered["body"];
            let words = body.get("message").or(body.get("error")).and_then(Value::as_str).unwrap();
            let told =
                if kind == FaultKind::UpstreamMisconfigured { plain_words(kind).to_owned() } else { clean(words) };
            assert_eq!((fault.kind, &*fault.says), (kind, &*told), "{peer}");
        }
    }
    assert!(seen >= 10, "{seen} refusals are recorded");
}
