//! Torn tails, flipped bits and void frames, and that events come back as they were.

use super::*;
use crate::frame::push;
use crate::testing::event;
use proptest::prelude::*;
use std::ops::Range;
use tidegate_core::event::{Attempt, Content, Decision};
use tidegate_core::{Event, FaultKind, Outcome};

/// A segment of frames 1 to `n`, and where each begins and ends.
fn segment(n: u64) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut bytes = SegmentHead { number: 1, first_seq: 1, made_ms: 0 }.encode().to_vec();
    let places = (1..=n).map(|seq| {
        let start = bytes.len();
        push(&mut bytes, seq, &event(seq)).unwrap();
        start..bytes.len()
    });
    let places = places.collect();
    (bytes, places)
}

/// The sequences that a reader finds, where the last one ends, and how many it skipped.
fn read(bytes: &[u8], until_seq: u64) -> (Vec<u64>, usize, u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.log");
    std::fs::write(&path, bytes).unwrap();
    let mut frames = Frames::open(&path, until_seq).unwrap();
    let mut seqs = Vec::new();
    while let Some(frame) = frames.next().unwrap() {
        let found: Event = serde_json::from_slice(frame.json).unwrap();
        assert_eq!(found, event(frame.seq));
        seqs.push(frame.seq);
    }
    (seqs, usize::try_from(frames.good_end()).unwrap(), frames.skipped())
}

#[test]
fn a_tail_torn_at_any_byte_ends_at_the_last_good_frame() {
    let (bytes, places) = segment(4);
    let last = places[3].clone();
    for cut in last.clone() {
        assert_eq!(read(&bytes[..cut], u64::MAX), (vec![1, 2, 3], last.start, 0), "cut at {cut}");
        let mut zeros = bytes[..cut].to_vec();
        zeros.resize(bytes.len() + 100, 0);
        let whole = cut == last.end;
        assert_eq!(read(&zeros, u64::MAX).0.len(), if whole { 4 } else { 3 }, "zeros from {cut}");
    }
    assert_eq!(read(&bytes, u64::MAX), (vec![1, 2, 3, 4], last.end, 0));
}

#[test]
fn any_flipped_bit_costs_its_frame_and_no_other() {
    let (bytes, places) = segment(4);
    for (at, place) in places.iter().enumerate() {
        let expected: Vec<u64> = (1..=4).filter(|seq| *seq != at as u64 + 1).collect();
        // One bit of each byte; `frame` tests all bits of a frame alone.
        for bit in place.clone().map(|byte| byte * 8 + byte % 8) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (seqs, _, skipped) = read(&bad, u64::MAX);
            assert_eq!(seqs, expected, "bit {bit}");
            assert_eq!(skipped, u64::from(at < 3));
            if at == 3 {
                // A later segment says how far this one goes; damage must not look like its end.
                assert_eq!(read(&bad, 5).0, expected);
            }
        }
    }
}

#[test]
fn frames_that_the_next_segment_has_are_void() {
    let (bytes, places) = segment(4);
    assert_eq!(read(&bytes, 3), (vec![1, 2], places[1].end, 0));
    assert_eq!(read(&bytes, 1).0, Vec::<u64>::new());
}

#[test]
fn a_reader_goes_on_where_the_file_has_grown() {
    let (bytes, places) = segment(6);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.log");
    std::fs::write(&path, &bytes[..places[2].start + 5]).unwrap();
    let mut frames = Frames::open(&path, u64::MAX).unwrap();
    let count =
        |frames: &mut Frames| std::iter::from_fn(|| frames.next().unwrap().map(|frame| frame.seq)).collect::<Vec<_>>();
    assert_eq!(count(&mut frames), [1, 2]);
    std::fs::write(&path, &bytes).unwrap();
    frames.refresh(u64::MAX).unwrap();
    assert_eq!(count(&mut frames), [3, 4, 5, 6]);
}

#[test]
fn frames_larger_than_the_window_are_read() {
    let mut bytes = SegmentHead { number: 1, first_seq: 1, made_ms: 0 }.encode().to_vec();
    let mut large = event(1);
    large.content = Some(Box::new(Content { request: Some("x".repeat(3 * WINDOW)), ..Content::default() }));
    push(&mut bytes, 1, &large).unwrap();
    push(&mut bytes, 2, &event(2)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.log");
    std::fs::write(&path, &bytes).unwrap();
    let mut frames = Frames::open(&path, u64::MAX).unwrap();
    let first = frames.next().unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Event>(first.json).unwrap(), large);
    let offset = frames.next().unwrap().unwrap().offset;
    assert_eq!(serde_json::from_slice::<Event>(&json_at(&path, offset).unwrap().unwrap()).unwrap(), event(2));
    assert_eq!(json_at(&path, offset + 1).unwrap(), None);
}

fn any_event() -> impl Strategy<Value = Event> {
    // Short fractions: serde_json reads a double back to the last bit only with its feature `float_roundtrip`.
    let fraction = || (0u32..1024).prop_map(|n| f64::from(n) / 1024.0);
    let text = || prop::option::of(any::<String>());
    let attempts = prop::collection::vec((any::<u64>(), prop::option::of(any::<u16>())), 0..3);
    let outcome = prop::sample::select(vec![
        Outcome::Ok,
        Outcome::Cancelled,
        Outcome::Panic,
        Outcome::Fault(FaultKind::StreamCut),
    ]);
    let decision = prop::option::of((prop::collection::vec(fraction(), 1..5), fraction(), any::<bool>()));
    (any::<u64>(), text(), text(), text(), attempts, outcome, decision, prop::option::of(fraction())).prop_map(
        |(n, episode, subject, request, attempts, outcome, decision, cost_usd)| Event {
            episode: episode.map(Into::into),
            subject: subject.map(Into::into),
            outcome,
            cost_usd,
            content: request.map(|request| Box::new(Content { request: Some(request), ..Content::default() })),
            decision: decision.map(|(shares, draw, sticky)| Decision {
                shares: shares.into(),
                arm: 0,
                draw,
                sticky,
                state: None,
                regarded: None,
                advised: None,
            }),
            attempts: attempts
                .into_iter()
                .map(|(us, status)| {
                    let (hedge, lost) = (us % 2 == 1, us % 3 == 1);
                    let cost_usd = lost.then_some(0.1);
                    Attempt { status, us, hedge, lost, cost_usd, ..Attempt::of("a".parse().unwrap()) }
                })
                .collect(),
            ..event(n % 1_000_000_000)
        },
    )
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(event in any_event()) {
        let mut frame = Vec::new();
        push(&mut frame, 1, &event).unwrap();
        prop_assert!(FrameHead::read(&frame).fits(&frame));
        prop_assert!(!frame[FRAME_HEAD..].contains(&0));
        let back: Event = serde_json::from_slice(&frame[FRAME_HEAD..]).unwrap();
        prop_assert_eq!(back, event);
    }

    #[test]
    fn no_bytes_make_a_reader_fail(tail in prop::collection::vec(any::<u8>(), 0..600), cut in 0usize..2000) {
        let (mut bytes, places) = segment(3);
        bytes.truncate(cut.max(SEGMENT_HEAD));
        let whole = places.iter().filter(|place| place.end <= bytes.len()).count();
        bytes.extend(tail);
        prop_assert!(read(&bytes, u64::MAX).0.len() >= whole);
    }
}
