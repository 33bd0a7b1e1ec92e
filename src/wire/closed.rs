//! Answers of an upstream that say at their end what the gateway knows: the same in every protocol but for where the
//! usage stands.

use std::borrow::Cow;

use crate::json::{Cursor, Edits, Kind, Member, Object, SyntaxError};

use super::Closing;
use super::openai_chat::write_cost;

/// The upstream's own object with cost put into its usage, which stands at the end of `path`, and the gateway's facts
/// at its top. What is no object, or cannot be walked, goes on as it came: it was never read either.
pub(super) fn patch<'b>(body: &'b [u8], path: &[&str], closing: &Closing) -> Cow<'b, [u8]> {
    patched(body, path, closing).unwrap_or(Cow::Borrowed(body))
}

fn patched<'b>(body: &'b [u8], path: &[&str], closing: &Closing) -> Result<Cow<'b, [u8]>, SyntaxError> {
    let mut cursor = Cursor::new(body)?;
    if cursor.kind() != Some(Kind::Object) {
        return Ok(Cow::Borrowed(body));
    }
    let open = cursor.position();
    let top = cursor.spans()?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut edits = Edits::of(body);
    if closing.cost.is_some() {
        add_cost(text, open, path, closing, &mut edits)?;
    }
    if let Some(latchkey) = &closing.latchkey {
        let inserted: [(&str, &[u8]); 1] = [("latchkey", latchkey.get().as_bytes())];
        edits.object(open, &top, |member| member.key == "latchkey", &inserted);
    }
    Ok(edits.apply())
}

/// Puts cost into the object at the end of `path`, if there is one.
fn add_cost(
    text: &str,
    mut at: usize,
    path: &[&str],
    closing: &Closing,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut path = path.iter();
    loop {
        let mut cursor = Cursor::at(text, at);
        if cursor.kind() != Some(Kind::Object) {
            return Ok(());
        }
        let members = cursor.spans()?;
        if let Some(step) = path.next() {
            let Some(member) = members.iter().rfind(|member| member.key == *step) else { return Ok(()) };
            at = member.value.start;
            continue;
        }
        let mut added = Vec::new();
        let mut object = Object::open(&mut added);
        write_cost(closing.cost.as_ref(), &mut object);
        object.close();
        let costs = Cursor::new(&added)?.spans()?;
        let inserted: Vec<(&str, &[u8])> =
            costs.iter().filter_map(|member| Some((member.key.as_ref(), added.get(member.value.clone())?))).collect();
        let replaced = |member: &Member<'_>| inserted.iter().any(|(key, _)| *key == member.key);
        edits.object(at, &members, replaced, &inserted);
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;
    use crate::units::NanoUsd;
    use crate::wire::Cost;

    fn patched(body: &str, path: &[&str]) -> serde_json::Value {
        let cost = Cost { charged: NanoUsd(1_500_000), upstream: NanoUsd(1_500_000) };
        let latchkey = Some(Raw::parse(r#"{"attempts":1}"#).unwrap().into_owned());
        let closing = Closing { cost: Some(cost), latchkey, ..Closing::default() };
        serde_json::from_slice(&patch(body.as_bytes(), path, &closing)).unwrap()
    }

    #[test]
    fn cost_stands_in_the_usage_and_facts_at_the_top() {
        let flat = patched(r#"{"usage":{"in":1,"cost":9}}"#, &["usage"]);
        assert_eq!((&flat["usage"]["in"], flat["usage"]["cost"].as_f64()), (&1.into(), Some(0.0015)));
        assert_eq!(flat["latchkey"]["attempts"], 1);
        let deep = patched(r#"{"delta":{"usage":{}}}"#, &["delta", "usage"]);
        assert_eq!(deep["delta"]["usage"]["cost"].as_f64(), Some(0.0015));
    }

    #[test]
    fn facts_are_told_where_no_usage_is() {
        for body in ["{}", r#"{"usage":null}"#, r#"{"delta":1}"#] {
            for path in [&["usage"][..], &["delta", "usage"]] {
                assert_eq!(patched(body, path)["latchkey"]["attempts"], 1, "{body}");
            }
        }
    }
}
