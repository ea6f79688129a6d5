//! What plugins and monitors say of an answer that another variant could replace.

use crate::path::filter::tests::call::{Came, Case, Says, Taker};
use crate::path::filter::tests::fakes::{ALL, Does, Fake};
use std::sync::Arc;
use tidegate_core::event::Poor;
use tidegate_core::spec::OnFailure;
use tidegate_core::{Api, Said};

const CHAT: &str = r#"{"model":"r","messages":[{"role":"user","content":"x"}]}"#;
const STREAM: &str = r#"{"model":"r","messages":[{"role":"user","content":"x"}],"stream":true}"#;
const FIRST: &str =
    r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"first"},"finish_reason":"stop"}]}"#;
const SECOND: &str =
    r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"second"},"finish_reason":"stop"}]}"#;

fn stream(text: &str) -> Says {
    let word = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    Says::Events(vec![word, "data: [DONE]\n\n".to_owned()])
}

/// Two arms that answer so.
fn case(is_stream: bool) -> Case {
    let says =
        if is_stream { vec![stream("first"), stream("second")] } else { vec![Says::Whole(FIRST), Says::Whole(SECOND)] };
    Case { says, prompts: vec![1, 2], ..Case::default() }
}

async fn serve(case: &Case, is_stream: bool) -> Came {
    case.serve(Api::ChatCompletions, if is_stream { STREAM } else { CHAT }).await
}

fn text(came: &Came) -> String {
    Said::read(&[came.body.clone().into()]).first()
}

#[tokio::test]
async fn an_objection_sends_the_call_on_and_neither_an_edit_nor_a_failure_does() {
    for is_stream in [false, true] {
        for (does, goes_on) in [
            (Does::Refuse(403), true),
            (Does::Reply("something else"), true),
            (Does::Upper, false),
            (Does::Fail, false),
            (Does::Pass, false),
        ] {
            let fake = Arc::new(Fake::new(does, ALL));
            let case = Case { critics: vec![Arc::clone(&fake)], ..case(is_stream) };
            let came = serve(&case, is_stream).await;
            assert_eq!(text(&came), if goes_on { "second" } else { "first" }, "{does:?}");
            let first = &came.event.attempts[0];
            let wanted = goes_on.then_some((Poor::Plugin, "fake"));
            assert_eq!(first.poor.zip(first.poor_by.as_deref()), wanted, "{does:?}");
            let saw = fake.saw.lock().unwrap();
            assert_eq!(saw.len(), 1, "the last answer is not asked about");
            assert_eq!((saw[0][0].0.as_str(), saw[0][0].2.as_str()), ("assistant", "first"));
            assert!(came.event.filtered.is_empty(), "nothing was done to what the caller has");
        }
    }
}

#[tokio::test]
async fn what_an_alarm_holds_back_is_watched_unless_filters_would_have_looked() {
    for is_stream in [false, true] {
        let taker = Arc::new(Taker::default());
        let mut case = Case { has_alarm: true, watchers: vec![Arc::clone(&taker)], ..case(is_stream) };
        let came = serve(&case, is_stream).await;
        assert_eq!(text(&came), "second");
        let first = &came.event.attempts[0];
        assert_eq!((first.poor, first.poor_by.as_deref()), (Some(Poor::Monitor), Some("drift")));
        let calls = std::mem::take(&mut *taker.calls.lock().unwrap());
        let seen = |at: usize| (calls[at].variant.as_ref().unwrap().to_string(), Said::read(&calls[at].answer).first());
        assert_eq!(calls.len(), 2, "of each version that answered");
        assert_eq!(seen(0), ("v0".to_owned(), "first".to_owned()));
        assert_eq!(seen(1), ("v1".to_owned(), "second".to_owned()));
        assert_eq!(Arc::strong_count(&taker.places), 1, "its places are free");
        case.filters = vec![(Arc::new(Fake::new(Does::Pass, ALL)), OnFailure::Closed)];
        serve(&case, is_stream).await;
        let calls = taker.calls.lock().unwrap();
        assert_eq!(calls.len(), 1, "what no filter has seen is shown to nobody");
    }
}
