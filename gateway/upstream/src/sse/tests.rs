//! The splitter against a slow, obvious reader of events, over every way to split.

use super::*;
use proptest::prelude::*;

/// Reads events as the standard says, a byte at a time: the lines of each event, without their ends.
fn events(bytes: &[u8]) -> Vec<Vec<String>> {
    let (mut all, mut event, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let mut after_cr = false;
    for &b in bytes {
        let is_second_half = after_cr && b == b'\n';
        after_cr = b == b'\r';
        match b {
            _ if is_second_half => {}
            b'\r' | b'\n' if line.is_empty() => {
                if !event.is_empty() {
                    all.push(std::mem::take(&mut event));
                }
            }
            b'\r' | b'\n' => event.push(String::from_utf8(std::mem::take(&mut line)).unwrap()),
            _ => line.push(b),
        }
    }
    all
}

fn split(chunks: &[&[u8]]) -> Vec<Bytes> {
    let mut splitter = Splitter::new(1 << 20);
    chunks.iter().filter_map(|c| splitter.feed(Bytes::copy_from_slice(c)).unwrap()).collect()
}

const CORPUS: &[&str] = &[
    "data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n",
    "data: 1\r\n\r\ndata: 2\r\n\r\ndata: [DONE]\r\n\r\n",
    "data: 1\r\rdata: 2\r\rdata: [DONE]\r\r",
    ": ping\n\nevent: error\ndata: x\ndata: y\n\nid: 7\r\n\ndata: z\n\r\n",
    "data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\n\n\ndata: e\r\n\r\n\r\n",
    "data: ünï\n\ndata: 🦀\r\n\r\n",
];

#[test]
fn every_split_at_two_places_yields_the_same_events() {
    for text in CORPUS {
        let bytes = text.as_bytes();
        let want = events(bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let got = split(&[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                assert_eq!(
                    got.iter().flat_map(|item| events(item)).collect::<Vec<_>>(),
                    want,
                    "{text:?} {first} {second}"
                );
            }
        }
    }
}

#[test]
fn a_byte_at_a_time_gives_each_event_out_as_soon_as_it_is_whole() {
    for text in CORPUS {
        let bytes = text.as_bytes();
        let mut splitter = Splitter::new(1 << 20);
        let mut got = 0;
        for (i, b) in bytes.iter().enumerate() {
            if let Some(item) = splitter.feed(Bytes::copy_from_slice(&[*b])).unwrap() {
                got += events(&item).len();
            }
            let is_half = bytes[..=i].ends_with(b"\r\n\r");
            let so_far = if is_half { &bytes[..i] } else { &bytes[..=i] };
            assert_eq!(got, events(so_far).len(), "{text:?} at {i}");
        }
    }
}

#[test]
fn a_chunk_that_ends_with_an_event_is_given_out_without_a_copy() {
    let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
    let item = Splitter::new(8).feed(chunk.clone()).unwrap().unwrap();
    assert_eq!(item.as_ptr(), chunk.as_ptr());
    let item = Splitter::new(8).feed(chunk.slice(..14)).unwrap().unwrap();
    assert_eq!((item.as_ptr(), item.len()), (chunk.as_ptr(), 9));
}

#[test]
fn half_of_a_line_end_waits_for_the_other_only_after_a_whole_one() {
    let items = |chunks: &[&str]| split(&chunks.iter().map(|c| c.as_bytes()).collect::<Vec<_>>());
    assert_eq!(items(&["data: 1\r\n\r", "\ndata: 2\r\n\r\n"]), ["data: 1\r\n\r\ndata: 2\r\n\r\n"]);
    assert_eq!(items(&["data: 1\r\n\r", "data: 2"]), ["data: 1\r\n\r"]);
    assert_eq!(items(&["data: 1\r\r", "data: 2\n\r"]), ["data: 1\r\r", "data: 2\n\r"]);
}

#[test]
fn an_event_longer_than_the_cap_is_refused() {
    let mut splitter = Splitter::new(8);
    assert_eq!(splitter.feed(Bytes::from_static(b"data: 12")), Ok(None));
    assert_eq!(splitter.feed(Bytes::from_static(b"3")), Err(TooLong(8)));
}

#[test]
fn the_last_event_is_known_wherever_it_stands() {
    for yes in ["data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "data: {}\n\ndata: [DONE]\n\n", "data: [DONE]\n\n: bye\n\n"]
    {
        assert!(is_done(yes.as_bytes()), "{yes:?}");
    }
    for no in [
        "data: {\"t\":\"data: [DONE]\"}\n\n",
        "data: x [DONE]\n\n",
        ": [DONE]\n\n",
        "\n\n",
        "",
        "]\n\n",
        "data: [DONE\n\n",
    ] {
        assert!(!is_done(no.as_bytes()), "{no:?}");
    }
}

#[test]
fn data_and_the_first_event_are_found() {
    let two = b"event: x\r\ndata: {}\r\n\r\ndata: 2\n\n";
    assert_eq!(first_border(two), 22);
    assert_eq!(data(&two[..22]), Some(&b"{}"[..]));
    assert_eq!(data(b": ping\n\n"), None);
    assert_eq!(first_border(b"data: x"), 7);
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunks_come_out_whole_and_in_order(
        text in "(data: [a-z]{0,3}|: p|\n|\r|\r\n){0,30}", cuts in prop::collection::vec(0usize..100, 0..8)
    ) {
        let text = text + "\n";
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let items = split(&chunks);
        let joined: Vec<u8> = items.iter().flatten().copied().collect();
        prop_assert!(bytes.starts_with(&joined));
        prop_assert_eq!(items.iter().flat_map(|item| events(item)).collect::<Vec<_>>(), events(bytes));
    }
}
