//! What a response was asked with, page by page: `GET /v1/responses/{id}/input_items`.

use crate::json::{Array, Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};

use super::{Turn, json, output};

/// A page of what a response was asked with: the items of the turns before it, and its own.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// From the last to the first.
    pub descending: bool,
    /// The most items of it.
    pub most: usize,
    /// It begins behind the item with this id.
    pub after: Option<&'a str>,
}

/// Writes a page of items. `turns` are the conversation up to the one that is asked for, by their ids, the first first.
#[must_use]
pub fn write_page(turns: &[(&str, Turn<'_>)], page: &Page<'_>) -> Vec<u8> {
    let mut items = Vec::new();
    for (index, (id, turn)) in turns.iter().enumerate() {
        let stem = id.strip_prefix("resp_").unwrap_or(id);
        list(turn.input, stem, &mut items);
        // What the response itself says is no part of what it was asked.
        if index + 1 < turns.len()
            && let Some(output) = output(turn.response)
        {
            list(output.get(), stem, &mut items);
        }
    }
    if page.descending {
        items.reverse();
    }
    let after = page.after.and_then(|after| items.iter().position(|(id, _)| id == after).map(|at| at + 1));
    let rest = items.get(after.unwrap_or_default()..).unwrap_or_default();
    let shown = rest.get(..page.most.min(rest.len())).unwrap_or_default();
    let mut out = Vec::new();
    let mut list = Object::open(&mut out);
    list.string("object", "list").array("data", |data| {
        for (_, item) in shown {
            data.item().extend_from_slice(item);
        }
    });
    for (key, item) in [("first_id", shown.first()), ("last_id", shown.last())] {
        match item {
            Some((id, _)) => list.string(key, id),
            None => list.null(key),
        };
    }
    list.boolean("has_more", shown.len() < rest.len());
    list.close();
    out
}

/// The items of an array, each with the id that it has or is given.
fn list(array: &str, stem: &str, items: &mut Vec<(String, Vec<u8>)>) {
    let mut cursor = Cursor::at(array, 0);
    if cursor.kind() != Some(Kind::Array) {
        return;
    }
    let mut number = 0;
    // It was checked when it was kept.
    let _: Result<(), SyntaxError> = cursor.items(|_, cursor| {
        let item = cursor.value()?;
        number += 1;
        items.extend(listed(&item, stem, number));
        Ok(())
    });
}

/// An item with an id, its type, and its content in parts.
fn listed(item: &Raw<'_>, stem: &str, number: usize) -> Option<(String, Vec<u8>)> {
    let text = item.get();
    let members = Cursor::at(text, 0).spans().ok()?;
    let kind = item.member("type").and_then(Raw::into_text);
    let mut inserted: Vec<(&str, Vec<u8>)> = Vec::new();
    let given = item.member("id").and_then(Raw::into_text).map(|id| id.decode().into_owned());
    let id = given.clone().unwrap_or_else(|| format!("{}_{stem}_in{number}", prefix(kind.as_ref())));
    if given.is_none() {
        inserted.push(("id", json(Some(&id))));
    }
    if kind.is_none() {
        inserted.push(("type", json(Some("message"))));
    }
    let mut edits = Edits::of(text.as_bytes());
    let content = members.iter().rfind(|member| member.key == "content");
    if let Some((member, words)) = content.zip(item.member("content").and_then(Raw::into_text)) {
        let is_answer = item.member("role").and_then(Raw::into_text).is_some_and(|role| role.is("assistant"));
        let mut parts = Vec::new();
        let mut array = Array::open(&mut parts);
        array.object(|part| {
            part.string("type", if is_answer { "output_text" } else { "input_text" }).text("text", &words);
        });
        array.close();
        edits.replace(member.value.clone(), parts);
    }
    let inserted: Vec<(&str, &[u8])> = inserted.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    let null = |member: &Member<'_>| member.key == "id" && given.is_none();
    edits.object(0, &members, null, &inserted);
    Some((id, edits.apply().into_owned()))
}

fn prefix(kind: Option<&Text<'_>>) -> &'static str {
    match kind.map(Text::escaped) {
        None | Some("message") => "msg",
        Some("reasoning") => "rs",
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        Some(_) => "item",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn items_are_listed_by_pages_with_ids_that_stay() {
        let first = Turn {
            input: r#"[{"role":"user","content":"one"}]"#,
            response: r#"{"output":[{"type":"message","id":"msg_a","role":"assistant","content":"two"}]}"#,
        };
        let second = Turn {
            input: r#"[{"type":"function_call_output","id":null,"call_id":"c","output":"3"}]"#,
            response: r#"{"output":[{"n":4}]}"#,
        };
        let turns = [("resp_1", first), ("resp_2", second)];
        let page = Page { descending: false, most: 2, after: None };
        let shown = parsed(&write_page(&turns, &page));
        assert_eq!(
            shown["data"][0],
            json!({"id": "msg_1_in1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]})
        );
        assert_eq!(
            (&shown["data"][1]["content"][0]["type"], &shown["last_id"], &shown["has_more"]),
            (&json!("output_text"), &json!("msg_a"), &json!(true))
        );
        let rest = parsed(&write_page(&turns, &Page { after: Some("msg_a"), ..page.clone() }));
        assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&json!("fco_2_in1"), &json!(false)));
        assert_eq!(rest["data"].as_array().map(Vec::len), Some(1), "what it said itself is not among it");
        let back = parsed(&write_page(&turns, &Page { descending: true, ..page }));
        assert_eq!((&back["first_id"], &back["last_id"]), (&json!("fco_2_in1"), &json!("msg_a")));
        let none = parsed(&write_page(&turns, &Page { descending: false, most: 5, after: Some("fco_2_in1") }));
        assert_eq!((&none["data"], &none["first_id"]), (&json!([]), &Value::Null));
    }
}
