//! What is found in bodies of all three interfaces, and that its places are right.

use super::*;

/// A part: its kind, the call of a tool, its text.
type Seen = (PartKind, u32, String);

fn shown(bytes: &[u8], pieces: &[Piece]) -> Vec<Seen> {
    let text = |piece: &Piece| piece.text.map(|text| text.decode(bytes).into_owned()).unwrap_or_default();
    pieces.iter().map(|piece| (piece.kind, piece.index, text(piece))).collect()
}

fn said(api: Api, body: &str) -> Vec<(String, Vec<Seen>)> {
    let bytes = body.as_bytes();
    let role = |said: &Spoken| said.role.map(|role| role.decode(bytes).into_owned()).unwrap_or_default();
    asked(api, bytes).unwrap().iter().map(|said| (role(said), shown(bytes, &said.pieces))).collect()
}

#[test]
fn a_chat_is_seen_with_its_roles_tools_and_media() {
    use PartKind::{Other, Refusal, Text, ToolArguments, ToolResult};
    let body = r#"{"model":"m","messages":[
        {"content":"be\u0020kind","role":"system"},
        {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:x"}}]},
        {"role":"assistant","content":null,"refusal":"no","tool_calls":[
            {"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":"2","type":"custom","custom":{"name":"g","input":"x"}}]},
        {"content":"found","role":"tool","tool_call_id":"1"}]}"#;
    let part = |kind, index, text: &str| (kind, index, text.to_owned());
    assert_eq!(
        said(Api::ChatCompletions, body),
        [
            ("system".to_owned(), vec![part(Text, 0, "be kind")]),
            ("user".to_owned(), vec![part(Text, 0, "look"), part(Other, 0, "")]),
            (
                "assistant".to_owned(),
                vec![part(Refusal, 0, "no"), part(ToolArguments, 0, "{\"a\":1}"), part(ToolArguments, 1, "x")]
            ),
            ("tool".to_owned(), vec![part(ToolResult, 0, "found")]),
        ]
    );
}

#[test]
fn prompts_and_inputs_are_the_users() {
    use PartKind::{Other, Text};
    let kinds = |api, body: &str| -> Vec<(PartKind, String)> {
        said(api, body).into_iter().flat_map(|(_, parts)| parts).map(|(kind, _, text)| (kind, text)).collect()
    };
    let part = |kind, text: &str| (kind, text.to_owned());
    let body = r#"{"model":"m","prompt":["a","b"],"suffix":"c"}"#;
    assert_eq!(kinds(Api::Completions, body), [part(Text, "a"), part(Text, "b"), part(Text, "c")]);
    assert_eq!(kinds(Api::Embeddings, r#"{"input":"a","model":"m"}"#), [part(Text, "a")]);
    assert_eq!(kinds(Api::Embeddings, r#"{"input":[1,2],"model":"m"}"#), [part(Other, "")]);
    assert_eq!(kinds(Api::Embeddings, r#"{"input":[[1],[2]],"model":"m"}"#), [part(Other, ""), part(Other, "")]);
}

#[test]
fn chunks_say_what_they_bring_beside_texts() {
    let chunk = |json: &str| answered(json.as_bytes()).unwrap();
    let tool = chunk(
        r#"{"id":"a","choices":[{"delta":{"tool_calls":[{"index":2,"function":{"arguments":"{"}}]},"index":1,"finish_reason":null}]}"#,
    );
    let choice = &tool.choices[0];
    assert_eq!((choice.index, choice.has_facts, choice.spoken.pieces[0].index), (1, false, 2));
    assert_eq!((tool.head.len(), tool.has_usage, choice.finish), (1, false, None));
    for (json, has_facts) in [
        (r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#, true),
        (r#"{"choices":[{"index":0,"delta":{"content":"x","refusal":null}}]}"#, false),
        (
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"arguments":""}}]}}]}"#,
            true,
        ),
        (r#"{"choices":[{"index":0,"text":"x"}]}"#, false),
    ] {
        assert_eq!(chunk(json).choices[0].has_facts, has_facts, "{json}");
    }
    let last = chunk(r#"{"choices":[{"finish_reason":"stop","logprobs":{"content":[]}}],"usage":{}}"#);
    assert!(last.has_usage && last.choices[0].finish.is_some() && last.choices[0].logprobs.is_some());
    assert!(answered(br#"{"choices":[],"choices":[]}"#).is_none());
    assert!(answered(b"{\"choices\":[5]}").is_none() && answered(b"{").is_none() && answered(b"\xff").is_none());
}
