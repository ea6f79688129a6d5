//! Who watches gets each call that was answered to its end, once, and nothing else is kept.

use crate::path::filter::tests::call::{Case, Says, Taker};
use std::sync::Arc;
use tidegate_core::{Api, FaultKind};

const CHAT: &str = r#"{"model":"r","messages":[{"role":"user","content":"x"}]}"#;
const STREAM: &str = r#"{"model":"r","messages":[{"role":"user","content":"x"}],"stream":true}"#;

fn stream(text: &str) -> Vec<String> {
    let word = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    vec![word, "data: [DONE]\n\n".to_owned()]
}

fn case(says: Vec<Says>, watchers: Vec<Arc<Taker>>) -> Case {
    Case { says, watchers, ..Case::default() }
}

#[tokio::test]
async fn watchers_get_whole_answers_and_streams_as_they_were_sent() {
    for (body, says, wanted) in [
        (CHAT, Says::Whole("{\"choices\":[]}"), vec!["{\"choices\":[]}".to_owned()]),
        (STREAM, Says::Events(stream("a")), stream("a")),
    ] {
        let (free, full) = (Arc::new(Taker::default()), Arc::new(Taker { is_full: true, ..Taker::default() }));
        let other = Arc::new(Taker::default());
        let watchers = vec![Arc::clone(&free), Arc::clone(&full), Arc::clone(&other)];
        let came = case(vec![says], watchers).serve(Api::ChatCompletions, body).await;
        let calls = free.calls.lock().unwrap();
        let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
        assert_eq!((&call.request[..], call.stream), (body.as_bytes(), body == STREAM));
        assert_eq!(
            call.answer.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>(),
            wanted
        );
        assert_eq!((call.id, call.unix_ms), (came.event.id, came.event.unix_ms));
        assert_eq!((&call.variant, &call.model, call.model_version), (&came.event.variant, &came.event.model, Some(3)));
        assert_eq!((call.route.as_str(), call.caller.0.tenant.as_str()), ("r", "t"));
        assert!(Arc::ptr_eq(call, &other.calls.lock().unwrap()[0]), "all get the same one");
        assert!(full.calls.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&free.places), 1, "the place is free again");
    }
}

#[tokio::test]
async fn calls_that_fail_and_long_answers_are_not_watched() {
    let mut cut = stream("a");
    cut.truncate(1);
    for (body, says) in [
        (CHAT, Says::Fails(FaultKind::UpstreamRefused)),
        (STREAM, Says::Events(cut)),
        (STREAM, Says::Events(stream(&"x".repeat(2 << 20)))),
    ] {
        let taker = Arc::new(Taker::default());
        case(vec![says], vec![Arc::clone(&taker)]).serve(Api::ChatCompletions, body).await;
        assert!(taker.calls.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&taker.places), 1, "its place is free");
    }
}

#[tokio::test]
async fn who_wants_to_know_is_told_of_a_call_that_breaks_a_contract() {
    let wants = Arc::new(Taker { takes_refused: true, ..Taker::default() });
    let other = Arc::new(Taker::default());
    let watchers = vec![Arc::clone(&wants), Arc::clone(&other)];
    let came = case(vec![Says::Fails(FaultKind::ContractBroken)], watchers).serve(Api::ChatCompletions, CHAT).await;
    assert_eq!(came.status, 400);
    let calls = wants.calls.lock().unwrap();
    let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert_eq!((call.violations, call.answer.len(), call.model_version), (Some(1), 0, Some(3)));
    assert!(other.calls.lock().unwrap().is_empty());
}
