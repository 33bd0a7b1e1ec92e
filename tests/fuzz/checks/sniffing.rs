//! Bodies that are read along for what they say was used.

use latchkey::provider::Quirks;
use latchkey::wire::service::{Sniffer, read_event};

/// A body of any type, passed on as it is.
///
/// # Panics
/// Where the cuts matter, or bytes are miscounted.
pub fn passed(input: &[u8]) {
    let Some((cut, body)) = input.split_first() else { return };
    for kind in ["text/event-stream", "application/json; charset=utf-8", "audio/mpeg", ""] {
        let whole = sniff(kind, body, usize::MAX);
        assert_eq!(sniff(kind, body, usize::from(*cut) + 1), whole, "the chunks must not matter");
        assert_eq!(whole.2, body.len() as u64, "every byte is counted");
    }
    let _counted = read_event(body, &Quirks::NONE);
}

type Sniffed = (Option<String>, Option<String>, u64);

fn sniff(kind: &str, body: &[u8], most: usize) -> Sniffed {
    let mut sniffer = Sniffer::new(kind, Quirks::NONE, 4096);
    for chunk in body.chunks(most.min(body.len().max(1))) {
        sniffer.feed(chunk);
    }
    sniffer.finish();
    let model = sniffer.model().map(str::to_owned);
    assert!(model.as_ref().is_none_or(|model| model.chars().count() <= 200), "a name has a bound");
    (sniffer.usage().map(|usage| format!("{usage:?}")), model, sniffer.bytes())
}
