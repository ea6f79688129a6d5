//! Filters at a whole call: what they see, what becomes of it, and what stands in its record.

pub(crate) mod call;
pub(crate) mod fakes;

use super::{is_secret, shown};
use call::{Came, Case, Says, Taker};
use fakes::{ALL, Does, Fake};
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_core::event::FilterDid;
use tidegate_core::port::filter::{LooksAt, PartKind};
use tidegate_core::spec::{ContentPolicy, OnFailure};
use tidegate_core::{Api, FaultKind, Outcome, Said};

const CHAT: Api = Api::ChatCompletions;
const REQUESTS: LooksAt = LooksAt { request: true, answer: false, stream: false };
const ANSWERS: LooksAt = LooksAt { request: false, answer: true, stream: false };
const WHOLE: &str = r#"{"id":"a", "choices":[{"index":0,"message":{"role":"assistant","content":"a secret","reasoning_content":"hm"},"logprobs":{"content":[{"token":"secret"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;

fn chat(stream: bool) -> String {
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!(
        "{{\"model\":\"r\", \"messages\":[{{\"role\":\"user\",\"content\":\"say\\u0020secret\",\"x\":1.50}} ]{stream}}}"
    )
}

fn events(words: &[&str]) -> Says {
    let chunk = |delta: Value, finish: Option<&str>| {
        format!(
            "data: {}\n\n",
            json!({"id": "a", "model": "there", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        )
    };
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    all.extend(words.iter().map(|word| chunk(json!({"content": word}), None)));
    all.push(chunk(json!({}), Some("stop")));
    all.push("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\n".to_owned());
    all.push("data: [DONE]\n\n".to_owned());
    Says::Events(all)
}

/// What the caller of a stream gets who did not ask for the usage chunk.
fn as_sent(says: &Says) -> String {
    let Says::Events(all) = says else { panic!("no stream") };
    all.iter().filter(|event| !event.contains("\"usage\"")).map(String::as_str).collect()
}

fn did(came: &Came) -> Vec<(bool, FilterDid, Option<&str>)> {
    came.event.filtered.iter().map(|look| (look.answer, look.did, look.failed.as_deref())).collect()
}

fn text(came: &Came) -> String {
    Said::read(&[came.body.clone().into()]).choices.first().map(|choice| choice.text.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_route_without_filters_does_what_it_did() {
    for (stream, says) in [(false, Says::Whole(WHOLE)), (true, events(&["a ", "secret"]))] {
        let wanted = if stream { as_sent(&says) } else { WHOLE.to_owned() };
        let plain = Case { says: vec![says.clone()], ..Case::default() }.serve(CHAT, &chat(stream)).await;
        assert_eq!((plain.status, &plain.body), (200, &wanted));
        assert!(plain.event.filtered.is_empty());
        let (mut passing, _) = Case::of(Fake::new(Does::Pass, ALL));
        passing.says = vec![says];
        let passing = passing.serve(CHAT, &chat(stream)).await;
        assert_eq!((&passing.body, &passing.asked), (&wanted, &plain.asked), "nor where all of them pass it");
        assert_eq!(did(&passing), [(false, FilterDid::Passed, None), (true, FilterDid::Passed, None)]);
        assert_eq!((passing.event.usage, passing.event.outcome), (plain.event.usage, Outcome::Ok));
    }
}

#[tokio::test]
async fn an_edit_of_a_request_leaves_every_other_byte() {
    let (mut case, fake) = Case::of(Fake::new(Does::Upper, REQUESTS));
    let shadow = Arc::new(Taker::default());
    case.says = vec![Says::Whole(WHOLE)];
    case.prompts = vec![4];
    case.shadow = Some(Arc::clone(&shadow));
    case.content = Some(ContentPolicy::Full);
    case.headers = vec![("authorization", "Bearer x"), ("x-task", "code")];
    let came = case.serve(CHAT, &chat(false)).await;
    let front = r#"{"role":"system","content":"be kind 4"},"#;
    let user = r#"{"role":"user","content":"SAY SECRET","x":1.50} ]}"#;
    assert_eq!(came.asked, [format!("{{\"model\":\"there\", \"messages\":[{front}{user}")]);
    assert_eq!((came.status, came.body.as_str()), (200, WHOLE));
    assert_eq!(did(&came), [(false, FilterDid::Edited, None)]);
    assert_eq!(came.event.filtered[0].annotations["looked"], "yes");
    assert_eq!(came.event.content.unwrap().request.unwrap(), chat(false), "what is kept is the caller's");
    let copy = &shadow.copies.lock().unwrap()[0];
    assert_eq!(&copy.call.body[..], format!("{{\"model\":\"there\", \"messages\":[{user}").as_bytes());
    let saw = fake.saw.lock().unwrap();
    let part = |role: &str, text: &str, is_untrusted| (role.to_owned(), PartKind::Text, text.to_owned(), is_untrusted);
    assert_eq!(saw[0], [part("system", "be kind 4", false), part("user", "say secret", true)]);
    let facts = (Some("there".to_owned()), Some("4".to_owned()), vec!["x-task".to_owned()]);
    assert_eq!(fake.facts.lock().unwrap()[0], facts, "no header with a secret is shown");
}

#[tokio::test]
async fn filters_of_prompts_and_inputs_edit_them() {
    for (api, body, wanted) in [
        (Api::Completions, r#"{"model":"r","prompt":["a","b"]}"#, r#"{"model":"there","prompt":["A","B"]}"#),
        (Api::Embeddings, r#"{"input":"a","model":"r"}"#, r#"{"input":"A","model":"there"}"#),
    ] {
        let (mut case, _) = Case::of(Fake::new(Does::Upper, ALL));
        case.says = vec![Says::Whole("{}")];
        let came = case.serve(api, body).await;
        assert_eq!((came.status, came.asked), (200, vec![wanted.to_owned()]));
    }
}

#[tokio::test]
async fn a_refused_request_asks_nobody() {
    let (mut case, _) = Case::of(Fake::new(Does::Refuse(422), ALL));
    case.watchers = vec![Arc::new(Taker::default())];
    for stream in [false, true] {
        let came = case.serve(CHAT, &chat(stream)).await;
        assert_eq!((came.status, came.code().as_str(), came.asked.len()), (422, "no_names", 0));
        assert_eq!(came.event.outcome, Outcome::Fault(FaultKind::Filtered));
        assert!(came.event.is_by_filter() && came.event.attempts.is_empty());
        assert_eq!(did(&came), [(false, FilterDid::Refused, None)]);
    }
    assert!(case.watchers[0].calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_filter_answers_as_the_model_would() {
    let (mut case, _) = Case::of(Fake::new(Does::Reply("I do not say"), ALL));
    case.watchers = vec![Arc::new(Taker::default())];
    case.shadow = Some(Arc::new(Taker::default()));
    let whole = case.serve(CHAT, &chat(false)).await;
    assert_eq!((whole.status, text(&whole).as_str(), whole.asked.len()), (200, "I do not say", 0));
    let doc: Value = serde_json::from_str(&whole.body).unwrap();
    assert_eq!((doc["object"].as_str(), doc["model"].as_str()), (Some("chat.completion"), Some("there")));
    assert_eq!(did(&whole), [(false, FilterDid::Replied, None)], "and is not looked at himself");
    let stream = case.serve(CHAT, &chat(true)).await;
    assert_eq!((text(&stream).as_str(), stream.event.outcome), ("I do not say", Outcome::Ok));
    assert!(stream.body.ends_with("data: [DONE]\n\n") && !stream.body.contains("usage"), "{}", stream.body);
    assert_eq!((stream.event.usage.unwrap().total(), stream.event.usage_estimated), (0, false));
    let asks = chat(true).replace("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    assert!(case.serve(CHAT, &asks).await.body.contains("\"total_tokens\":0"));
    let text_only = case.serve(Api::Completions, r#"{"model":"r","prompt":"a"}"#).await;
    assert!(text_only.body.contains("\"text_completion\""), "{}", text_only.body);
    assert!(case.watchers[0].calls.lock().unwrap().is_empty() && stream.event.is_by_filter());
    assert!(case.shadow.as_ref().unwrap().copies.lock().unwrap().is_empty());
    let vectors = case.serve(Api::Embeddings, r#"{"model":"r","input":"a"}"#).await;
    assert_eq!((vectors.status, did(&vectors)), (503, vec![(false, FilterDid::FailedClosed, Some("bad_output"))]));
}

#[tokio::test]
async fn a_failure_is_open_or_closed() {
    let fail = || Arc::new(Fake::new(Does::Fail, REQUESTS));
    let mut case = Case { filters: vec![(fail(), OnFailure::Closed)], prompts: vec![1, 2], ..Case::default() };
    let came = case.serve(CHAT, &chat(false)).await;
    assert_eq!((came.status, came.code().as_str(), came.asked.len()), (503, "filter_failed", 0), "nor another arm");
    assert_eq!(did(&came), [(false, FilterDid::FailedClosed, Some("trap"))]);
    assert_eq!(came.event.outcome, Outcome::Fault(FaultKind::FilterFailed));
    case.filters = vec![(fail(), OnFailure::Open), (Arc::new(Fake::new(Does::Upper, REQUESTS)), OnFailure::Closed)];
    case.says = vec![Says::Whole(WHOLE)];
    let came = case.serve(CHAT, &chat(false)).await;
    assert!(came.status == 200 && came.asked[0].contains("SAY SECRET"), "{:?}", came.asked);
    assert_eq!(did(&came), [(false, FilterDid::FailedOpen, Some("trap")), (false, FilterDid::Edited, None)]);
    for does in [Does::Meddle, Does::Refuse(200)] {
        case.filters = vec![(Arc::new(Fake::new(does, REQUESTS)), OnFailure::Open)];
        let came = case.serve(CHAT, &chat(false)).await;
        assert!(came.status == 200 && came.asked[0].contains("be kind 1"), "{:?}", came.asked);
        assert_eq!(did(&came), [(false, FilterDid::FailedOpen, Some("bad_output"))], "{does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_is_not_looked_at_twice_and_another_prompt_is() {
    let (mut case, fake) = Case::of(Fake::new(Does::Upper, REQUESTS));
    let fails = Says::Fails(FaultKind::UpstreamFailed);
    case.says = vec![fails.clone(), fails.clone(), fails.clone(), fails, Says::Whole(WHOLE)];
    case.prompts = vec![1, 1, 2];
    let came = case.serve(CHAT, &chat(false)).await;
    assert_eq!((came.status, came.asked.len(), came.event.attempts.len()), (200, 5, 5));
    assert_eq!((fake.saw.lock().unwrap().len(), came.event.filtered.len()), (2, 2));
    assert!(came.asked.iter().all(|body| body.contains("SAY SECRET")), "{:?}", came.asked);
    assert!(came.asked[4].contains("be kind 2"));
}

#[tokio::test]
async fn whole_answers_are_edited_replaced_and_refused() {
    let case = |does, looks| {
        let (mut case, fake) = Case::of(Fake::new(does, looks));
        case.says = vec![Says::Whole(WHOLE)];
        (case, fake)
    };
    let (upper, fake) = case(Does::Redact, ANSWERS);
    let came = upper.serve(CHAT, &chat(false)).await;
    let wanted = WHOLE.replace("\"a secret\"", "\"a [gone]\"").replace(r#"{"content":[{"token":"secret"}]}"#, "null");
    assert_eq!((came.body, did_of(&fake)), (wanted, vec![PartKind::Text, PartKind::Reasoning]));
    let (replied, _) = case(Does::Reply("no"), ANSWERS);
    let came = replied.serve(CHAT, &chat(false)).await;
    assert_eq!((text(&came).as_str(), came.event.usage.unwrap().total()), ("no", 12));
    assert!(came.body.contains("\"id\":\"a\"") && came.body.contains("\"completion_tokens\":7"), "{}", came.body);
    let (refused, _) = case(Does::Refuse(403), ANSWERS);
    let came = refused.serve(CHAT, &chat(false)).await;
    assert_eq!((came.status, came.code().as_str()), (403, "no_names"));
    assert_eq!((came.event.usage.unwrap().total(), came.event.is_by_filter()), (12, false), "it is paid all the same");
    let (mut unread, _) = case(Does::Pass, ANSWERS);
    unread.says = vec![Says::Whole("no json"), Says::Whole("no json")];
    assert_eq!(unread.serve(CHAT, &chat(false)).await.status, 503);
    unread.filters[0].1 = OnFailure::Open;
    let came = unread.serve(CHAT, &chat(false)).await;
    assert_eq!((came.body.as_str(), did(&came)), ("no json", vec![(true, FilterDid::FailedOpen, Some("unreadable"))]));
}

fn did_of(fake: &Fake) -> Vec<PartKind> {
    fake.saw.lock().unwrap()[0].iter().map(|(_, kind, ..)| *kind).collect()
}

#[tokio::test]
async fn streams_go_through_filters_delta_by_delta() {
    let streams = LooksAt { request: false, answer: true, stream: true };
    let run = async |does, means| {
        let (mut case, _) = Case::of(Fake::new(does, streams));
        case.filters[0].1 = means;
        case.says = vec![events(&["a se", "cret", " b"])];
        case.serve(CHAT, &chat(true)).await
    };
    let came = run(Does::Redact, OnFailure::Closed).await;
    assert_eq!((text(&came).as_str(), did(&came)), ("a [gone] b", vec![(true, FilterDid::Edited, None)]));
    assert!(came.body.ends_with("data: [DONE]\n\n"));
    assert_eq!(came.event.answer_bytes, came.body.len() as u64);
    let came = run(Does::RefuseAt(2), OnFailure::Closed).await;
    assert_eq!((came.status, text(&came).as_str(), did(&came)[0].1), (200, "a se", FilterDid::Refused));
    assert!(came.body.contains("\"no_names\"") && !came.body.contains("[DONE]"), "{}", came.body);
    assert_eq!(came.event.outcome, Outcome::Fault(FaultKind::Filtered));
    let came = run(Does::FailAt(2), OnFailure::Closed).await;
    assert!(came.body.contains("filter_failed") && !came.body.contains("[DONE]"), "{}", came.body);
    assert_eq!(did(&came), [(true, FilterDid::FailedClosed, Some("trap"))]);
    let came = run(Does::FailAt(2), OnFailure::Open).await;
    assert_eq!((text(&came).as_str(), did(&came)[0].1), ("a secret b", FilterDid::FailedOpen));
    let came = run(Does::Fail, OnFailure::Closed).await;
    assert_eq!((came.status, came.code().as_str()), (503, "filter_failed"), "before a byte went out");
    assert!(came.event.usage_estimated && came.event.usage.unwrap().prompt > 0);
    let came = run(Does::Fail, OnFailure::Open).await;
    assert_eq!(
        (came.body, came.event.filtered[0].did),
        (as_sent(&events(&["a se", "cret", " b"])), FilterDid::FailedOpen)
    );
}

#[tokio::test]
async fn a_stream_is_held_where_a_filter_looks_at_whole_answers_alone() {
    let run = async |does, asks_usage: bool| {
        let (mut case, fake) = Case::of(Fake::new(does, ANSWERS));
        let streamed = Arc::new(Fake::new(Does::Upper, LooksAt { request: false, answer: false, stream: true }));
        case.filters.push((streamed, OnFailure::Closed));
        case.says = vec![events(&["a se", "cret", " b"])];
        let asks = "\"stream\":true,\"stream_options\":{\"include_usage\":true}";
        let body = if asks_usage { chat(true).replace("\"stream\":true", asks) } else { chat(true) };
        (case.serve(CHAT, &body).await, fake)
    };
    let (came, fake) = run(Does::Redact, false).await;
    assert_eq!(text(&came), "A [GONE] B", "one that takes streams alone is asked too");
    assert_eq!(fake.saw.lock().unwrap()[0][0].2, "a secret b");
    assert_eq!(did(&came), [(true, FilterDid::Edited, None), (true, FilterDid::Edited, None)]);
    assert!(came.body.contains("\"role\":\"assistant\"") && came.body.ends_with("data: [DONE]\n\n"));
    assert_eq!((came.event.usage.unwrap().total(), came.event.usage_estimated), (12, false));
    let (came, _) = run(Does::Reply("no"), true).await;
    assert_eq!((text(&came).as_str(), came.event.usage.unwrap().total()), ("no", 12));
    assert!(came.body.contains("\"total_tokens\":12") && came.body.contains("\"id\":\"a\""), "{}", came.body);
    let (came, _) = run(Does::Refuse(403), false).await;
    assert_eq!((came.status, came.code().as_str(), came.event.usage.unwrap().total()), (403, "no_names", 12));
    let (mut case, _) = Case::of(Fake::new(Does::Pass, ANSWERS));
    case.says = vec![events(&["a", "b"])];
    assert_eq!(case.serve(CHAT, &chat(true)).await.body, as_sent(&events(&["a", "b"])), "released as it came");
    let Says::Events(mut broken) = events(&["a"]) else { unreachable!() };
    broken.truncate(2);
    case.says = vec![Says::Events(broken)];
    assert_eq!(case.serve(CHAT, &chat(true)).await.status, 500, "a backend must say how a stream ends");
    let long = "x".repeat(5 << 20);
    case.says = vec![events(&[&long])];
    assert_eq!(case.serve(CHAT, &chat(true)).await.status, 503, "nobody could look at it");
    case.filters[0].1 = OnFailure::Open;
    let came = case.serve(CHAT, &chat(true)).await;
    assert_eq!((text(&came).len(), did(&came)), (long.len(), vec![(true, FilterDid::FailedOpen, Some("too_long"))]));
}

#[test]
fn headers_that_open_doors_are_not_shown() {
    for name in ["authorization", "x-api-key", "cookie", "x-goog-api-key", "x-amz-security-token", "x-hub-signature"] {
        assert!(is_secret(name), "{name}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-task", "code".parse().unwrap());
    headers.insert("accept-language", "de".parse().unwrap());
    let mut marked: http::HeaderValue = "x".parse().unwrap();
    marked.set_sensitive(true);
    headers.insert("x-mine", marked);
    assert_eq!(shown(&headers).len(), 2);
}
