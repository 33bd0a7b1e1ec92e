//! Responses that are stored, and conversations that go on from them.

use latchkey::json::{Raw, check_depth};
use latchkey::wire::openai_responses::stored::{Page, Told, Turn, go_on, read, retell, retell_events, write_page};

const TOLD: Told<'static> = Told { id: "resp_1", previous: Some("resp_0"), store: true };

/// A body as a request, as an answer, and as a stream.
///
/// # Panics
/// Where what is written is no JSON, or telling twice says more than telling once.
pub fn response(body: &[u8]) {
    let (retold, _) = retell_events(body, &TOLD);
    assert_eq!(retell_events(&retold, &TOLD).0, retold, "told twice is told once");
    if check_depth(body, 100).is_err() {
        return;
    }
    let told = retell(body, &TOLD);
    let is_json = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| Raw::parse(text).is_ok());
    assert!(is_json(&told) || !is_json(body), "an answer stays one");
    let Ok(keeping) = read(body) else { return };
    let turn = Turn { input: &keeping.input, response: std::str::from_utf8(&told).unwrap_or_default() };
    let gone_on = go_on(body, &[turn, turn], &keeping.input);
    assert!(gone_on.is_ok_and(|gone_on| is_json(&gone_on)) || !is_json(body), "a request stays one");
    let page = Page { descending: true, most: 5, after: None };
    assert!(is_json(&write_page(&[("resp_0", turn), ("resp_1", turn)], &page)) || !is_json(body), "a list is JSON");
}
