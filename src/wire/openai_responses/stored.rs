//! Answers that are kept here for their caller: what a request says of it, the conversation that one goes on with, and
//! what an answer says of itself.
//!
//! Nothing is kept at a provider, so `previous_response_id` means something on every format: the items of the turns
//! before are put in front of the new ones, and what the new ones point at takes its place among them, as a caller who
//! keeps the conversation itself would send them. The
//! instructions of an earlier turn are no items and so do not come along, as the protocol wants it.
//!
//! Source: <https://platform.openai.com/docs/guides/conversation-state>,
//! <https://platform.openai.com/docs/api-reference/responses/get>.

mod page;
mod references;

pub use page::{Page, write_page};
pub use references::{item_ids, resolve};

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{Array, Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};
use crate::wire::place::Place;

/// The longest id that is looked for.
const LONGEST_ID: usize = 128;
/// What a request says of being kept.
const SAID: [&str; 2] = ["store", "previous_response_id"];

/// What a request says of being kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// `store`, where it is said.
    pub store: Option<bool>,
    /// Which answer it goes on from.
    pub previous: Option<String>,
    /// Its own items, as a JSON array: a text is one item.
    pub input: String,
    /// Items of earlier answers that its own point at, each once.
    pub references: Vec<String>,
}

/// One turn of a conversation: what was sent with it, and what came.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Its items, as [`Keeping::input`].
    pub input: &'a str,
    /// Its response object.
    pub response: &'a str,
}

/// What an answer says of itself, where the gateway knows better than whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// Its id.
    pub id: &'a str,
    /// Which answer it goes on from.
    pub previous: Option<&'a str>,
    /// Whether it is kept.
    pub store: bool,
}

/// Reads what a request says of being kept.
///
/// # Errors
/// `BadRequest` where the body is no JSON object, or a member is of the wrong type.
pub fn read(body: &[u8]) -> Result<Keeping, Failure> {
    let mut keeping = Keeping::default();
    let mut cursor = Cursor::new(body)?;
    cursor.members(|key, cursor| {
        let place = Place::top(&key);
        match &*key {
            "store" => keeping.store = place.boolean(cursor)?,
            "previous_response_id" => {
                keeping.previous = place.text(cursor)?.map(|id| id.decode().into_owned());
            }
            "input" => keeping.input = items(&cursor.value()?),
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let is_id = |id: &String| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if keeping.previous.as_ref().is_some_and(|id| !is_id(id)) {
        let message = "`previous_response_id` must be the `id` of a response: letters, digits, `_` and `-`.";
        return Err(Failure::bad_request("previous_response_id", message));
    }
    keeping.references = references::read(&keeping.input)?;
    Ok(keeping)
}

/// `input` as items; what it cannot be is left for the surface to refuse.
fn items(input: &Raw<'_>) -> String {
    let Some(text) = input.text() else { return input.get().to_owned() };
    let mut out = Vec::new();
    let mut items = Array::open(&mut out);
    items.object(|item| {
        item.string("type", "message").string("role", "user").array("content", |content| {
            content.object(|part| {
                part.string("type", "input_text").text("text", &text);
            });
        });
    });
    items.close();
    String::from_utf8(out).unwrap_or_default()
}

/// The request with `before` in front of its `own` items, as they are by now, and without what it says of being kept, which is not for
/// whoever answers.
///
/// # Errors
/// `BadRequest` where the body is no JSON object.
pub fn go_on(body: &[u8], before: &[Turn<'_>], own: &str) -> Result<Vec<u8>, Failure> {
    let mut cursor = Cursor::new(body)?;
    cursor.kind();
    let open = cursor.position();
    let members = cursor.spans()?;
    let mut input = Vec::from(b"[");
    for turn in before {
        push_items(turn.input, &mut input);
        if let Some(output) = output(turn.response) {
            push_items(output.get(), &mut input);
        }
    }
    push_items(own, &mut input);
    input.push(b']');
    let mut edits = Edits::of(body);
    let said = members.iter().rfind(|member| member.key == "input").map(|member| member.raw(cursor.text()));
    let is_resolved = said.is_some_and(|said| said.is_array() && said.get() != own);
    // What is neither a text nor a list stays where it is, so that it is refused and not lost.
    let replaces = (!before.is_empty() || is_resolved) && (own.is_empty() || own.starts_with('['));
    let removed = |member: &Member<'_>| SAID.contains(&&*member.key) || (replaces && member.key == "input");
    let inserted: &[(&str, &[u8])] = if replaces { &[("input", &input)] } else { &[] };
    edits.object(open, &members, removed, inserted);
    Ok(edits.apply().into_owned())
}

/// The items of an array, behind those that are there.
fn push_items(array: &str, out: &mut Vec<u8>) {
    let inner = array.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().trim();
    if inner.is_empty() {
        return;
    }
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(inner.as_bytes());
}

fn output(response: &str) -> Option<Raw<'_>> {
    // It was checked when it was kept.
    let mut cursor = Cursor::at(response, 0);
    cursor.value().ok()?.member("output").filter(Raw::is_array)
}

/// Whether a conversation can go on from a response.
#[must_use]
pub fn has_failed(response: &str) -> bool {
    let Ok(response) = Cursor::at(response, 0).value() else { return true };
    response.member("status").and_then(Raw::into_text).is_some_and(|status| status.is("failed"))
}

/// A response object that tells what is known of it; itself where it is none.
#[must_use]
pub fn retell<'b>(response: &'b [u8], told: &Told<'_>) -> Cow<'b, [u8]> {
    let mut edits = Edits::of(response);
    match std::str::from_utf8(response).map(|text| retell_at(text, 0, told, &mut edits)) {
        Ok(Ok(())) => edits.apply(),
        _ => Cow::Borrowed(response),
    }
}

fn retell_at(text: &str, position: usize, told: &Told<'_>, edits: &mut Edits<'_>) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Object) {
        return Ok(());
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    let mut missing: Vec<(&str, Vec<u8>)> = Vec::new();
    let store = if told.store { "true" } else { "false" };
    let values = [("id", json(Some(told.id))), ("previous_response_id", json(told.previous)), ("store", store.into())];
    for (key, value) in values {
        match members.iter().rfind(|member| member.key == key) {
            Some(member) => edits.replace(member.value.clone(), value),
            None => missing.push((key, value)),
        }
    }
    let missing: Vec<(&str, &[u8])> = missing.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    edits.object(open, &members, |_| false, &missing);
    Ok(())
}

fn json(text: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    match text {
        Some(text) => Text::escape(text).write(&mut out),
        None => out.extend_from_slice(b"null"),
    }
    out
}

/// Events of a stream whose response objects tell what is known of them, and the last word on the response, where that
/// is among them.
#[must_use]
pub fn retell_events(events: &[u8], told: &Told<'_>) -> (Vec<u8>, Option<String>) {
    let Ok(text) = std::str::from_utf8(events) else { return (events.to_vec(), None) };
    let (mut edits, mut last) = (Edits::of(events), None);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let data = line.strip_prefix("data:").filter(|data| data.contains("\"response\""));
        if let Some((span, is_last)) = data.and_then(|_| response_at(text, start + 5)) {
            let retold = retell(text.get(span.clone()).unwrap_or_default().as_bytes(), told).into_owned();
            if is_last {
                last = String::from_utf8(retold.clone()).ok();
            }
            edits.replace(span, retold);
        }
        start += line.len();
    }
    (edits.apply().into_owned(), last)
}

/// Where the response stands in an event, and whether nothing follows it.
fn response_at(text: &str, position: usize) -> Option<(std::ops::Range<usize>, bool)> {
    let members = Cursor::at(text, position).spans().ok()?;
    let find = |key: &str| members.iter().rfind(|member| member.key == key);
    let kind = Cursor::at(text, find("type")?.value.start).value().ok()?.into_text()?;
    let is_last = matches!(kind.escaped(), "response.completed" | "response.incomplete" | "response.failed");
    Some((find("response")?.value.clone(), is_last))
}

/// What is said once a response is deleted.
#[must_use]
pub fn write_deleted(id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut told = Object::open(&mut out);
    told.string("id", id).string("object", "response").boolean("deleted", true);
    told.close();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TOLD: Told<'static> = Told { id: "resp_new", previous: Some("resp_old"), store: true };

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn what_a_request_says_of_being_kept_is_read() {
        let keeping = read(br#"{"store":true,"previous_response_id":"resp_1","input":"H\u0069"}"#).expect("a request");
        assert_eq!((keeping.store, keeping.previous.as_deref()), (Some(true), Some("resp_1")));
        let item = json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]);
        assert_eq!(parsed(keeping.input.as_bytes()), item);
        let items = read(br#"{"input":[ {"a":1} ],"previous_response_id":null}"#).expect("a request");
        assert_eq!((items.input.as_str(), items.previous, items.store), (r#"[ {"a":1} ]"#, None, None));
        for (body, param) in [
            (r#"{"store":"yes"}"#, "store"),
            (r#"{"previous_response_id":7}"#, "previous_response_id"),
            (r#"{"previous_response_id":""}"#, "previous_response_id"),
            (r#"{"previous_response_id":"resp 1"}"#, "previous_response_id"),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn a_conversation_goes_on_in_order_and_without_earlier_instructions() {
        let first = Turn { input: r#"[{"n":1}]"#, response: r#"{"instructions":"x","output":[{"n":2},{"n":3}]}"# };
        let second = Turn { input: " [ ] ", response: r#"{"output":[{"n":4}]}"# };
        let body = br#" {"input":"twice","store":true,"model":"m","input":[{"n":5}],"previous_response_id":"r"}"#;
        let gone_on = go_on(body, &[first, second], r#"[{"n":5}]"#).expect("a request");
        let numbers = json!([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}, {"n": 5}]);
        assert_eq!(parsed(&gone_on), json!({"input": numbers, "model": "m"}));
        assert!(!String::from_utf8_lossy(&gone_on).contains("twice"));
        let keeping = read(br#"{"input":{"n":5},"previous_response_id":"r"}"#).expect("a request");
        let wrong = go_on(br#"{"input":{"n":5},"previous_response_id":"r"}"#, &[first], &keeping.input);
        assert_eq!(parsed(&wrong.expect("a request")), json!({"input": {"n": 5}}));
        let alone = go_on(br#"{"store":true,"input":"Hi","model":"m"}"#, &[], "[]").expect("a request");
        assert_eq!(parsed(&alone), json!({"input": "Hi", "model": "m"}));
    }

    #[test]
    fn an_answer_tells_what_is_known_of_it() {
        let whole = br#"{"id":"resp_theirs","object":"response","store":false,"output":[{"id":"msg_1"}]}"#;
        let retold = parsed(&retell(whole, &TOLD));
        assert_eq!(
            (&retold["id"], &retold["previous_response_id"], &retold["store"], &retold["output"][0]["id"]),
            (&json!("resp_new"), &json!("resp_old"), &json!(true), &json!("msg_1"))
        );
        assert_eq!(&*retell(b"[1]", &TOLD), b"[1]");
        let first = Told { previous: None, ..TOLD };
        assert_eq!(parsed(&retell(b"{}", &first))["previous_response_id"], Value::Null);
    }

    #[test]
    fn every_event_names_the_same_response_and_the_last_is_found() {
        let created = r#"{"type":"response.created","response":{"id":"x","status":"in_progress"}}"#;
        let delta = r#"{"type":"response.output_text.delta","delta":"a \"response\" {"}"#;
        let done = r#"{"type":"response.completed","sequence_number":3,"response":{"id":"x","output":[]}}"#;
        let events = format!(
            "event: response.created\r\ndata: {created}\r\n\r\nevent: d\ndata:{delta}\n\n: keep-alive\n\ndata: {done}\n\n"
        );
        let (retold, last) = retell_events(events.as_bytes(), &TOLD);
        let retold = String::from_utf8(retold).expect("text");
        assert_eq!(retold.matches(r#""id":"resp_new""#).count(), 2, "{retold}");
        assert!(retold.contains(delta) && retold.contains("\r\n\r\n") && retold.contains(": keep-alive"), "{retold}");
        let last = last.expect("the last word");
        assert_eq!(parsed(last.as_bytes())["store"], json!(true));
        assert!(retold.contains(&last));
        assert_eq!(retell_events(created.as_bytes(), &TOLD), (created.as_bytes().to_vec(), None));
        assert_eq!(retell_events(b"data: {\"response\"\xff", &TOLD).1, None);
    }
}
