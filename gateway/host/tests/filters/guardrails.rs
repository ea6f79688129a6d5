//! Guardrails behind the port of filters: which texts they are asked of, and what becomes of their verdicts.

use crate::made::{Guest, part, said, seen};
use tidegate_core::RouteName;
use tidegate_core::port::filter::{Action, Edit, Failed, Filter as _, LooksAt, Message, Opinion, PartKind};

fn requests(guest: &Guest, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
    let route: RouteName = "r".parse().unwrap();
    guest.filter().request(&seen(&route), messages)
}

/// Does something with a text of four bytes, and allows others.
fn when_four(does: &str) -> Guest {
    let check = format!(
        "(i32.store8 (i32.const 200) (i32.const 0))
         (if (i32.eq (i32.load offset=80 (local.get 0)) (i32.const 4)) (then {does})) (i32.const 192)"
    );
    Guest { check: check.leak(), ..Guest::guardrail() }
}

/// Redacts from the first to the second, as `pii`.
fn redacts(start: u32, end: u32) -> Guest {
    when_four(&format!(
        "(i32.store8 (i32.const 200) (i32.const 1)) (i32.store (i32.const 204) (i32.const 512))
         (i32.store (i32.const 208) (i32.const 1))
         (i32.store (i32.const 512) (i32.const {start})) (i32.store (i32.const 516) (i32.const {end}))
         (i32.store (i32.const 520) (i32.const 400)) (i32.store (i32.const 524) (i32.const 3))
         (i32.store8 (i32.const 528) (i32.const 0))"
    ))
}

#[test]
fn each_text_of_the_caller_is_looked_at() {
    let guest = redacts(1, 3);
    assert_eq!(guest.filter().looks_at(), LooksAt { request: true, answer: true, stream: false });
    let prompt = Message { role: "system".into(), parts: vec![part(PartKind::Text, "evil", false)] };
    let parts =
        vec![part(PartKind::Other, "", true), part(PartKind::Text, "evil", true), part(PartKind::Text, "", true)];
    let messages = [prompt, said("fine!"), Message { role: "user".into(), parts }];
    let opinion = requests(&guest, &messages).unwrap();
    assert_eq!(opinion.action, Action::Edit(vec![Edit { message: 2, part: 1, text: "e[pii]l".to_owned() }]));
    assert_eq!(opinion.annotations, [("redacted".to_owned(), "pii".to_owned())]);
    assert_eq!(requests(&guest, &[said("fine!")]), Ok(Opinion::default()));
    let route = "r".parse().unwrap();
    let answer = guest.filter().answer(&seen(&route), &[said("evil")]).unwrap();
    assert!(matches!(answer.action, Action::Edit(_)));
}

#[test]
fn the_stage_is_said() {
    // Blocks what comes at another stage than 2, that of calls of tools.
    let check =
        "(if (i32.ne (i32.load8_u offset=72 (local.get 0)) (i32.const 2)) (then (unreachable))) (i32.const 192)";
    let guest = Guest { check, ..Guest::guardrail() };
    let arguments = Message { role: "assistant".into(), parts: vec![part(PartKind::ToolArguments, "{}", true)] };
    assert_eq!(requests(&guest, &[arguments]), Ok(Opinion::default()));
    assert_eq!(requests(&guest, &[said("text")]).unwrap_err().kind, "trap");
}

#[test]
fn what_is_blocked_is_refused() {
    let blocks = |length: u32| {
        when_four(&format!(
            "(i32.store8 (i32.const 200) (i32.const 2)) (i32.store (i32.const 204) (i32.const 408))
             (i32.store (i32.const 208) (i32.const {length}))"
        ))
    };
    for (length, says) in [(13, "Leave it out."), (0, "does not let this text pass")] {
        let Action::Refuse(refused) = requests(&blocks(length), &[said("evil"), said("more")]).unwrap().action else {
            panic!("not refused")
        };
        assert_eq!((refused.status, refused.code.as_str()), (400, "guardrail"));
        assert!(refused.message.contains(says), "{}", refused.message);
    }
}

#[test]
fn what_is_annotated_is_kept_once() {
    let guest = when_four(
        "(i32.store8 (i32.const 200) (i32.const 3)) (i32.store (i32.const 204) (i32.const 400))
         (i32.store (i32.const 208) (i32.const 3))",
    );
    let opinion = requests(&guest, &[said("evil"), said("evil")]).unwrap();
    assert_eq!(
        opinion,
        Opinion { action: Action::Pass, annotations: vec![("guardrail".to_owned(), "pii".to_owned())] }
    );
}

#[test]
fn spans_that_are_none_are_bad_output() {
    for (start, end, text, says) in [
        (2, 2, "evil", "in order"),
        (3, 1, "evil", "in order"),
        (0, 5, "evil", "in order"),
        (u32::MAX, u32::MAX, "evil", "in order"),
        (1, 2, "äö", "cuts a character"),
        (0, 1, "äö", "cuts a character"),
    ] {
        let failed = requests(&redacts(start, end), &[said(text)]).unwrap_err();
        assert!(failed.kind == "bad_output" && failed.says.contains(says), "{failed}");
    }
    let scored = when_four("(f64.store (i32.const 216) (f64.const nan))");
    assert_eq!(requests(&scored, &[said("evil")]).unwrap_err().kind, "bad_output");
}

#[test]
fn all_texts_of_a_call_have_its_time_together() {
    let guest = Guest { check: "(loop (br 0)) (unreachable)", ..Guest::guardrail() };
    let texts: Vec<_> = (0..50).map(|_| said("text")).collect();
    let began = std::time::Instant::now();
    assert_eq!(requests(&guest, &texts).unwrap_err().kind, "deadline");
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}
