//! Streams cut anywhere go through filters alike, and nothing but what was changed is.

use super::super::chain::Link;
use super::super::tests::fakes::{Does, Streaming, plugin};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::spec::OnFailure;
use tidegate_core::{FaultKind, Said};

fn deltas(does: &[Does], means: OnFailure, api: Api) -> Deltas {
    let link = |does: &Does| Link::new(plugin(), means, Some(Box::new(Streaming::new(*does))), Duration::ZERO);
    Deltas::new(Chain::new(does.iter().map(link).collect(), Arc::new(SystemClock)), api)
}

/// What came out, and the fault that ended it.
fn through(deltas: &mut Deltas, frames: &[&[u8]]) -> (String, Option<FaultKind>) {
    let mut out = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let passed = deltas.pass(Bytes::copy_from_slice(frame), at + 1 == frames.len());
        out.extend_from_slice(&passed.bytes);
        if let Some(fault) = passed.fault {
            return (String::from_utf8(out).unwrap(), Some(fault.kind));
        }
    }
    (String::from_utf8(out).unwrap(), None)
}

fn run(does: &[Does], means: OnFailure, events: &[String]) -> (String, Option<FaultKind>) {
    let frames: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
    through(&mut deltas(does, means, Api::ChatCompletions), &frames)
}

fn event(choices: &Value) -> String {
    format!("data: {{\"id\":\"x\",\"created\":1,\"model\":\"m\",\"choices\":{choices}}}\n\n")
}

fn word(text: &str) -> String {
    event(&json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]))
}

const FINISH: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn chat(words: &[&str]) -> Vec<String> {
    let role = event(&json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]));
    let words = words.iter().map(|text| word(text));
    std::iter::once(role).chain(words).chain([FINISH.to_owned(), DONE.to_owned()]).collect()
}

fn said(out: &str) -> Said {
    Said::read(&[Bytes::copy_from_slice(out.as_bytes())])
}

#[test]
fn what_is_held_comes_out_in_chunks_of_the_same_stream_and_empty_ones_are_not_sent() {
    let events = chat(&["the se", "cr", "et is a se"]);
    let (out, fault) = run(&[Does::Redact], OnFailure::Closed, &events);
    let wanted = [
        events[0].clone(),
        word("the "),
        word("[gone] is a "),
        "data: {\"id\":\"x\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"se\"},\"finish_reason\":null}]}\n\n".to_owned(),
        FINISH.to_owned(),
        DONE.to_owned(),
    ];
    assert_eq!((out, fault), (wanted.concat(), None));
}

#[test]
fn facts_beside_a_held_text_are_not_lost() {
    let first = event(
        &json!([{"index": 0, "delta": {"role": "assistant", "content": "s"}, "logprobs": {"content": [{"token": "s"}]}}]),
    );
    let tool = event(
        &json!([{"index": 0, "delta": {"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": "s"}}]}}]),
    );
    let usage = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"e\"}}],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let last = event(&json!([{"index": 0, "delta": {"content": "y"}, "finish_reason": "tool_calls"}]));
    let events = [first, tool, usage.to_owned(), last, DONE.to_owned()];
    let (out, _) = run(&[Does::Redact], OnFailure::Closed, &events);
    assert!(!out.contains("\"token\""), "{out}");
    let said = said(&out);
    let choice = &said.choices[0];
    assert_eq!((choice.text.as_str(), choice.finish.as_deref()), ("sey", Some("tool_calls")));
    assert_eq!((choice.tool_calls[1].name.as_str(), choice.tool_calls[1].arguments.as_str()), ("f", "s"));
    assert_eq!(said.usage.map(|usage| usage.prompt), Some(1), "{out}");
    assert!(out.contains("\"role\":\"assistant\""), "{out}");
}

#[test]
fn each_filter_sees_what_those_before_it_let_go_on() {
    let events = chat(&["a se", "cret b"]);
    let (out, _) = run(&[Does::Redact, Does::Upper], OnFailure::Closed, &events);
    assert_eq!(said(&out).choices[0].text, "A [GONE] B");
    let (out, _) = run(&[Does::Upper, Does::Redact], OnFailure::Closed, &events);
    assert_eq!(said(&out).choices[0].text, "A SECRET B");
}

#[test]
fn a_choice_that_is_stopped_ends_and_others_go_on() {
    let two = |a: &str, b: &str| {
        event(&json!([{"index": 0, "delta": {"content": a}}, {"index": 1, "delta": {"content": b}}]))
    };
    let ends = event(
        &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {}, "finish_reason": "length"}]),
    );
    let events = [two("a", "b"), two("c", "d"), two("e", "f"), ends, DONE.to_owned()];
    let (out, fault) = run(&[Does::StopAt(3)], OnFailure::Closed, &events);
    let said = said(&out);
    assert_eq!(fault, None);
    assert_eq!((said.choices[0].text.as_str(), said.choices[0].finish.as_deref()), ("a…", Some("content_filter")));
    assert_eq!((said.choices[1].text.as_str(), said.choices[1].finish.as_deref()), ("bdf", Some("length")));
    assert!(!out.contains("\"e\"") && !out.contains("\"stop\"") && out.ends_with(DONE), "{out}");
}

#[test]
fn a_refusal_ends_the_stream_behind_what_went_out() {
    let events = chat(&["a", "b", "c"]);
    let (out, fault) = run(&[Does::RefuseAt(2)], OnFailure::Open, &events);
    assert_eq!((out, fault), (events[..2].concat(), Some(FaultKind::Filtered)));
    let joined = [events.concat()];
    let (out, fault) = run(&[Does::RefuseAt(2)], OnFailure::Open, &joined);
    assert_eq!((out, fault), (events[..2].concat(), Some(FaultKind::Filtered)), "within a frame");
}

#[test]
fn a_filter_that_fails_is_passed_by_or_ends_the_stream() {
    let events = chat(&["a", "b", "c", "d"]);
    let (out, fault) = run(&[Does::FailAt(3), Does::Upper], OnFailure::Open, &events);
    assert_eq!((said(&out).choices[0].text.as_str(), fault), ("ABCD", None), "what it held is not lost: {out}");
    let (out, fault) = run(&[Does::FailAt(3)], OnFailure::Closed, &events);
    assert_eq!((said(&out).choices[0].text.as_str(), fault), ("a", Some(FaultKind::FilterFailed)));
    let odd = [events[0].clone(), "data: {\"choices\":[7]}\n\n".to_owned(), word("b"), DONE.to_owned()];
    assert_eq!(run(&[Does::Upper], OnFailure::Closed, &odd).1, Some(FaultKind::FilterFailed));
    assert_eq!(run(&[Does::Upper], OnFailure::Open, &odd), (odd.concat(), None));
}

#[test]
fn completions_and_old_functions_keep_their_form() {
    let text = |text: &str| format!("data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"text\":\"{text}\"}}]}}\n\n");
    let events = [text("a se"), DONE.to_owned()];
    let frames: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
    let (out, _) = through(&mut deltas(&[Does::Redact], OnFailure::Closed, Api::Completions), &frames);
    let last =
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"text\":\"se\",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
    assert_eq!(out, [&text("a "), last, DONE].concat());
    let function = event(&json!([{"index": 0, "delta": {"function_call": {"arguments": "s"}}}]));
    let (out, _) = run(&[Does::Redact], OnFailure::Closed, &[function, FINISH.to_owned(), DONE.to_owned()]);
    assert!(out.contains("\"delta\":{\"function_call\":{\"arguments\":\"s\"}}"), "{out}");
}

#[test]
fn what_is_no_chunk_passes() {
    let events = [
        ": ping\r\n\r\n",
        "data:\n\n",
        "event: x\ndata: {\"error\":{\"message\":\"m\"}}\n\n",
        "data: {\"choices\":[]}\n\n",
        DONE,
    ];
    let events = events.map(str::to_owned);
    assert_eq!(run(&[Does::Upper], OnFailure::Closed, &events), (events.concat(), None));
}

/// An answer of several choices and kinds, and the deltas that it comes in.
fn answer() -> impl Strategy<Value = Vec<(u32, u8, String)>> {
    let text = proptest::string::string_regex("(secret|sec|s|e|t| |ü|\\\\|\"|x){0,4}").unwrap();
    proptest::collection::vec((0u32..2, 0u8..4, text), 0..12)
}

fn delta(kind: u8, text: &str) -> Value {
    match kind {
        0 => json!({"content": text}),
        1 => json!({"reasoning_content": text}),
        2 => json!({"refusal": text}),
        _ => json!({"tool_calls": [{"index": 1, "function": {"arguments": text}}]}),
    }
}

fn stream(answer: &[(u32, u8, String)], crlf: bool) -> String {
    let mut out = String::new();
    for (choice, kind, text) in answer {
        out += &event(&json!([{"index": choice, "delta": delta(*kind, text), "finish_reason": null}]));
    }
    for choice in 0..2 {
        out += &event(&json!([{"index": choice, "delta": {}, "finish_reason": "stop"}]));
    }
    out += DONE;
    if crlf { out.replace("\n\n", "\r\n\r\n") } else { out }
}

/// All texts of an answer, by choice and kind.
fn texts(out: &str) -> Vec<[String; 4]> {
    let mut all = vec![<[String; 4]>::default(); 2];
    for json in out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|json| *json != "[DONE]") {
        let chunk: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
        assert_eq!((chunk["id"].as_str(), chunk["model"].as_str()), (Some("x"), Some("m")), "{json}");
        for choice in chunk["choices"].as_array().unwrap() {
            let texts = &mut all[usize::try_from(choice["index"].as_u64().unwrap()).unwrap()];
            let delta = &choice["delta"];
            let tool = &delta["tool_calls"][0]["function"]["arguments"];
            for (text, part) in
                texts.iter_mut().zip([&delta["content"], &delta["reasoning_content"], &delta["refusal"], tool])
            {
                text.push_str(part.as_str().unwrap_or_default());
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn streams_cut_at_any_byte_are_filtered_alike(
        answer in answer(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20), crlf: bool, each: bool,
    ) {
        let whole = stream(&answer, crlf);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        if each {
            places = (0..=whole.len()).collect();
        }
        places.extend([0, whole.len()]);
        places.sort_unstable();
        let frames: Vec<&[u8]> = places.windows(2).map(|at| &whole.as_bytes()[at[0]..at[1]]).collect();
        let passing = through(&mut deltas(&[Does::Pass, Does::Pass], OnFailure::Closed, Api::ChatCompletions), &frames);
        prop_assert_eq!(&passing.0, &whole, "what nobody changes goes on byte for byte");
        let redacted = through(&mut deltas(&[Does::Redact], OnFailure::Closed, Api::ChatCompletions), &frames).0;
        let at_once = through(&mut deltas(&[Does::Redact], OnFailure::Closed, Api::ChatCompletions), &[whole.as_bytes()]).0;
        prop_assert_eq!(&redacted, &at_once);
        let wanted: Vec<_> = texts(&whole).into_iter().map(|texts| texts.map(|text| text.replace("secret", "[gone]"))).collect();
        prop_assert_eq!(texts(&redacted), wanted);
        prop_assert!(redacted.replace("\r\n", "\n").ends_with(DONE));
        prop_assert_eq!(redacted.matches("\"finish_reason\":\"stop\"").count(), 2);
    }
}
