//! Streams cut anywhere, watched alike.

use super::*;
use proptest::prelude::*;

const ROLE: &str = "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const WORD: &str = "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"say \\\"usage\\\": 5\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const NAMED: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"usage\"}}],\"x\":[\"error\",\"usage\"]}\r\n\r\n";
const PING: &str = ": ping\n\n";
const USAGE: &str = "data: {\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n";
const AZURE: &str = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn run(drop_usage: bool, frames: &[&str]) -> (String, Sniffer, bool) {
    let (mut sniffer, mut out, mut done) = (Sniffer::new(drop_usage), Vec::new(), false);
    for frame in frames {
        let sniffed = sniffer.pass(Bytes::copy_from_slice(frame.as_bytes()));
        out.extend_from_slice(&sniffed.bytes);
        done |= sniffed.done;
    }
    (String::from_utf8(out).unwrap(), sniffer, done)
}

#[test]
fn the_chunk_that_we_asked_for_is_taken_out() {
    let (out, sniffer, done) = run(true, &[ROLE, WORD, NAMED, PING, USAGE, DONE]);
    assert_eq!(out, [ROLE, WORD, NAMED, PING, DONE].concat());
    assert_eq!(sniffer.usage(), Some(Usage { prompt: 7, completion: 2, ..Usage::default() }));
    assert_eq!((sniffer.content_events(), sniffer.error(), done), (2, None, true));
}

#[test]
fn it_stays_where_the_caller_asked() {
    let (out, sniffer, _) = run(false, &[ROLE, USAGE, DONE]);
    assert_eq!(out, [ROLE, USAGE, DONE].concat());
    assert!(sniffer.usage().is_some());
}

#[test]
fn usage_beside_choices_and_empty_choices_without_usage_stay() {
    let (out, sniffer, _) = run(true, &[AZURE, FINISH, DONE]);
    assert_eq!(out, [AZURE, FINISH, DONE].concat());
    assert_eq!(sniffer.usage().map(|usage| usage.completion), Some(1));
}

#[test]
fn errors_are_noticed_and_pass() {
    let error = "event: error\ndata: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let (out, sniffer, done) = run(true, &[ROLE, error]);
    assert_eq!(out, [ROLE, error].concat());
    assert_eq!((sniffer.error(), done), (Some("{\"message\":\"out of memory\"}"), false));
    let (_, sniffer, _) =
        run(true, &["data: {\"choices\":[{}],\"error\":null}\n\n", "data: {\"choices\":[],\"error\": \"\"}\n\n"]);
    assert_eq!(sniffer.error(), None);
    let long = format!("data: {{\"error\":\"{}\"}}\n\n", "ü".repeat(2000));
    let (_, sniffer, _) = run(true, &[&long]);
    assert!(sniffer.error().is_some_and(|text| text.len() <= ERROR_KEPT + 1));
}

#[test]
fn data_over_several_lines_is_one() {
    let split = "data: {\"choices\":[],\ndata:  \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let (out, sniffer, _) = run(true, &[split]);
    assert_eq!((out.as_str(), sniffer.usage().map(|usage| usage.prompt)), ("", Some(1)));
}

#[test]
fn nothing_follows_the_end() {
    let (out, _, done) = run(true, &[&[ROLE, DONE, WORD].concat()]);
    assert_eq!((out, done), ([ROLE, DONE].concat(), true));
}

#[test]
fn an_untouched_frame_is_not_copied() {
    let frame = Bytes::from([ROLE, WORD].concat());
    let sniffed = Sniffer::new(true).pass(frame.clone());
    assert_eq!(sniffed.bytes.as_ptr(), frame.as_ptr());
}

proptest! {
    #[test]
    fn framing_changes_nothing(picks in prop::collection::vec((0usize..7, any::<bool>()), 0..40), drop_usage: bool, crlf: bool) {
        let events: Vec<String> = picks.iter().map(|(pick, _)| {
            let event = [ROLE, WORD, NAMED, PING, USAGE, FINISH, AZURE][*pick];
            if crlf { event.replace("\r\n", "\n").replace('\n', "\r\n") } else { event.to_owned() }
        }).collect();
        let mut frames: Vec<String> = vec![String::new()];
        for (event, (_, breaks)) in events.iter().zip(&picks) {
            if *breaks {
                frames.push(String::new());
            }
            frames.last_mut().unwrap().push_str(event);
        }
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let (out, sniffer, _) = run(drop_usage, &frames);
        let expected: String = events.iter().zip(&picks).filter(|(_, (pick, _))| !(drop_usage && *pick == 4)).map(|(event, _)| event.as_str()).collect();
        prop_assert_eq!(out, expected);
        let counted = picks.iter().enumerate().filter(|(_, (pick, _))| !matches!(pick, 3 | 4)).count();
        let data_before = picks.iter().find(|(pick, _)| *pick != 3).is_some_and(|(pick, _)| *pick == 0);
        prop_assert_eq!(sniffer.content_events(), (counted - usize::from(data_before)) as u64);
    }

    #[test]
    fn nothing_panics_and_nothing_else_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sniffed = Sniffer::new(true).pass(Bytes::from(bytes.clone()));
        prop_assert!(sniffed.done || sniffed.bytes == bytes);
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture sniff_cost"]
fn sniff_cost() {
    let frame = Bytes::from_static(WORD.as_bytes());
    let mut sniffer = Sniffer::new(true);
    let each = least(|| drop(std::hint::black_box(sniffer.pass(frame.clone()))));
    let new = least(|| drop(std::hint::black_box(Sniffer::new(true))));
    println!("pass {each:.0} ns for an event of {} bytes, new {new:.0} ns", frame.len());
}

/// The least nanoseconds that `work` takes, over many short rounds: what others do on the machine falls out.
fn least(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..100).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e7
    };
    (0..5000).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}
