//! However a stream of events comes in pieces, the same events leave it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate_upstream::sse::{Splitter, data, is_done};

/// All that leaves it, where it is not too long.
fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut splitter = Splitter::new(1 << 12);
    let mut all = Vec::new();
    for piece in pieces {
        let mut fed = splitter.feed(Bytes::copy_from_slice(piece)).ok()?;
        while let Some(whole) = fed.take() {
            let _ = (data(&whole), is_done(&whole));
            all.extend_from_slice(&whole);
        }
    }
    Some(all)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let pieces = events(bytes.chunks(usize::from(size).max(1)));
    if let (Some(whole), Some(pieces)) = (events(std::iter::once(bytes)), pieces) {
        // A line end that came apart may still be held: it leads the next event.
        assert_eq!(whole.trim_ascii_end(), pieces.trim_ascii_end());
    }
});
