#![no_main]

use latchkey::wire::framing::Framing;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 4096;

/// Name and data of every event, and whether the stream was damaged.
fn read(framing: Framing, body: &[u8], most: usize) -> (Vec<(Vec<u8>, Vec<u8>)>, bool) {
    let mut events = Vec::new();
    let mut reader = framing.reader(MOST);
    for chunk in body.chunks(most.min(body.len().max(1))) {
        if reader.feed(chunk, &mut |frame| events.push((frame.event.to_vec(), frame.data.to_vec()))).is_err() {
            return (events, true);
        }
    }
    reader.finish(&mut |frame| events.push((frame.event.to_vec(), frame.data.to_vec())));
    (events, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, body)) = input.split_first() else { return };
    for framing in [Framing::EventStream, Framing::EventStreamChunks, Framing::Lines] {
        let whole = read(framing, body, usize::MAX);
        assert_eq!(read(framing, body, usize::from(*cut) + 1), whole, "the chunks must not matter");
    }
});
