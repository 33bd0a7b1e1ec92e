//! Items that a request points at instead of saying them: `{"type": "item_reference", "id": "msg_…"}`. SDKs of agents send
//! what a model said before in this way, unless they are told that nothing is stored.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses/create#responses-create-input>.

use std::ops::Range;

use crate::failure::{Failure, Kind as Failing};
use crate::json::{Cursor, Edits, Kind, Raw, SyntaxError, Text};
use crate::sorted::SortedMap;
use crate::wire::place::Place;

use super::output;

/// Different items that one request points at.
const MOST: usize = 1000;
/// Bytes of an id: those that encrypt what they name have some hundreds.
const LONGEST_ID: usize = 1000;

/// The ids of the items that `input` points at, each once.
pub(super) fn read(input: &str) -> Result<Vec<String>, Failure> {
    let mut ids = SortedMap::new();
    each(input, |place, id, _| {
        if id.len() > LONGEST_ID {
            return Err(place.member("id").fault(format!("An item's id has at most {LONGEST_ID} bytes.")));
        }
        ids.insert(id, ());
        if ids.len() > MOST {
            return Err(Failure::bad_request("input", format!("`input` points at more than {MOST} items.")));
        }
        Ok(())
    })?;
    Ok(ids.keys().cloned().collect())
}

/// `input` with what it points at in place of each reference, out of the output of `responses`, of which the first comes
/// first. It may become `most` bytes long.
///
/// # Errors
/// `BadRequest` naming the first item that is not there; `TooLarge`.
pub fn resolve(input: &str, responses: &[&str], most: usize) -> Result<String, Failure> {
    let mut known = SortedMap::new();
    for (id, item) in responses.iter().flat_map(|response| items(response)) {
        known.get_or_insert_with(id, || item);
    }
    let (mut edits, mut bytes) = (Edits::of(input.as_bytes()), input.len());
    each(input, |place, id, span| {
        let item = known.get(&id).ok_or_else(|| {
            let message = format!(
                "Item with id '{id}' not found: its response was not stored, has expired or was deleted, or is not this \
                 key's. Send the item itself."
            );
            Failure::bad_request(place.to_string(), message).code("item_not_found")
        })?;
        bytes += item.get().len();
        if bytes > most {
            let message = format!("The items that `input` points at make it longer than {most} bytes.");
            return Err(Failure::new(Failing::TooLarge, message).about("input"));
        }
        edits.replace(span, item.get().as_bytes().to_vec());
        Ok(())
    })?;
    Ok(String::from_utf8(edits.apply().into_owned()).unwrap_or_default())
}

/// The ids of the items in the output of a response.
pub fn item_ids(response: &str) -> impl Iterator<Item = String> {
    items(response).into_iter().map(|(id, _)| id)
}

fn items(response: &str) -> Vec<(String, Raw<'_>)> {
    let mut items = Vec::new();
    let Some(output) = output(response) else { return items };
    // It was checked when it was kept.
    let _ = output.cursor().items(|_, cursor| {
        let item = cursor.value()?;
        if let Some(id) = item.member("id").and_then(Raw::into_text) {
            items.push((id.decode().into_owned(), item));
        }
        Ok::<(), SyntaxError>(())
    });
    items
}

/// Tells of each reference in `input` where it stands and what it points at.
fn each(
    input: &str,
    mut found: impl FnMut(&Place<'_>, String, Range<usize>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut cursor = Cursor::at(input, 0);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    let place = Place::top("input");
    cursor.items(|index, cursor| {
        cursor.kind();
        let start = cursor.position();
        let item = cursor.value()?;
        let id = item.member("id").and_then(Raw::into_text);
        let points = match item.member("type").filter(|kind| !kind.is_null()) {
            Some(kind) => kind.text().is_some_and(|kind| kind.is("item_reference")),
            // It may go without saying what it is, as only messages may besides.
            None => id.is_some() && item.member("role").is_none(),
        };
        if !points {
            return Ok(());
        }
        let place = place.item(index);
        let id = id.as_ref().map(Text::decode).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| place.member("id").missing())?;
        found(&place, id.into_owned(), start..cursor.position())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_pointed_at_takes_the_place_of_what_points_at_it() {
        let older = r#"{"output":[{"id":"msg_1","n":0},{"id":"rs_1","summary":[ ]}]}"#;
        let newer = r#"{"output":[{"id":"msg_1","n":1},{"n":2}]}"#;
        let input = r#"[{"role":"user","content":"a","id":"msg_1"}, {"type":"item_reference","id":"rs_\u0031"} ,
            {"id":"msg_1"},{"type":null,"id":"msg_1"},{"type":"function_call_output","id":"msg_1"}]"#;
        assert_eq!(read(input).expect("ids"), ["msg_1", "rs_1"]);
        let resolved = resolve(input, &[newer, older], 1000).expect("items");
        assert_eq!(
            serde_json::from_str::<Value>(&resolved).expect("JSON"),
            json!([
                {"role": "user", "content": "a", "id": "msg_1"},
                {"id": "rs_1", "summary": []},
                {"id": "msg_1", "n": 1},
                {"id": "msg_1", "n": 1},
                {"type": "function_call_output", "id": "msg_1"},
            ])
        );
        for (input, most, param) in [
            (r#"[{"n":1},{"type":"item_reference"}]"#, 1000, "input.1.id"),
            (r#"[{"type":"item_reference","id":""}]"#, 1000, "input.0.id"),
            (r#"[{"n":1},{"type":"item_reference","id":"msg_2"}]"#, 1000, "input.1"),
            (r#"[{"type":"item_reference","id":"msg_1"}]"#, 59, "input"),
        ] {
            let failure = resolve(input, &[newer], most).expect_err(input);
            assert_eq!(failure.param.as_deref(), Some(param), "{input}");
        }
        let many: Vec<Value> = (0..=MOST).map(|n| json!({"type": "item_reference", "id": n.to_string()})).collect();
        let long = json!([{"type": "item_reference", "id": "a".repeat(LONGEST_ID + 1)}]).to_string();
        assert_eq!(read(&long).expect_err("too long").param.as_deref(), Some("input.0.id"));
        assert_eq!(read(&json!(many).to_string()).expect_err("too many").param.as_deref(), Some("input"));
        assert_eq!(read("\"Hi\"").expect("no items"), Vec::<String>::new());
    }
}
