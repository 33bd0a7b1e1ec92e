//! How streams are cut into events.

use latchkey::wire::framing::Framing;
use latchkey::wire::sse::Reader;

const MOST: usize = 4096;

/// Name and data of every event, and whether the stream was damaged.
type Read = (Vec<(Vec<u8>, Vec<u8>)>, bool);

/// Server-sent events.
///
/// # Panics
/// Where the cuts matter, or an event holds what was not sent.
pub fn events(input: &[u8]) {
    let Some((cut, body)) = input.split_first() else { return };
    let whole = read_events(body, usize::MAX);
    assert_eq!(read_events(body, usize::from(*cut) + 1), whole, "the chunks must not matter");
    let held: usize = whole.0.iter().map(|(_, data)| data.len()).sum();
    assert!(held <= body.len(), "an event holds nothing that was not sent");
}

/// Every other framing.
///
/// # Panics
/// Where the cuts matter.
pub fn others(input: &[u8]) {
    let Some((cut, body)) = input.split_first() else { return };
    for framing in [Framing::EventStream, Framing::EventStreamChunks, Framing::Lines] {
        let whole = read(framing, body, usize::MAX);
        assert_eq!(read(framing, body, usize::from(*cut) + 1), whole, "the chunks must not matter");
    }
}

fn read_events(body: &[u8], most: usize) -> Read {
    let mut events = Vec::new();
    let mut reader = Reader::new(MOST);
    for chunk in body.chunks(most.min(body.len().max(1))) {
        if reader.feed(chunk, &mut |frame| events.push((frame.event.to_vec(), frame.data.to_vec()))).is_err() {
            return (events, true);
        }
    }
    reader.finish(&mut |frame| events.push((frame.event.to_vec(), frame.data.to_vec())));
    (events, false)
}

fn read(framing: Framing, body: &[u8], most: usize) -> Read {
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
