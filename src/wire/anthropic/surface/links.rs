//! Links in a caller's own request, for hosts that follow none.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};
use crate::wire::InlinedMedia;

/// Blocks lie in messages, and in the results of tools.
const DEEPEST: u32 = 2;

/// The links of images and documents, each once; none where the body cannot be walked, which is told elsewhere.
#[must_use]
pub fn links_in(body: &[u8]) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for (_, link) in sources(body).unwrap_or_default() {
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

/// The body with what was fetched in place of the links to it.
#[must_use]
pub fn inline_links<'b>(body: &'b [u8], inlined: &InlinedMedia) -> Cow<'b, [u8]> {
    let mut edits = Edits::of(body);
    for (place, link) in sources(body).unwrap_or_default() {
        let Some(part) = inlined.get(&link) else { continue };
        let mut source = Vec::with_capacity(part.data.len() + 80);
        let mut object = Object::open(&mut source);
        object.string("type", "base64").string("media_type", &part.media_type).string("data", &part.data);
        object.close();
        edits.replace(place, source);
    }
    edits.apply()
}

/// The sources that are links, and where they stand.
fn sources(body: &[u8]) -> Result<Vec<(Range<usize>, String)>, SyntaxError> {
    let mut found = Vec::new();
    let text = std::str::from_utf8(body).unwrap_or_default();
    let members = Cursor::new(body)?.spans()?;
    if let Some(messages) = members.iter().rfind(|member| member.key == "messages") {
        gather(text, messages.value.start, 0, &mut found)?;
    }
    Ok(found)
}

fn gather(text: &str, position: usize, depth: u32, found: &mut Vec<(Range<usize>, String)>) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|_, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let members = cursor.spans()?;
        let last = |key: &str| members.iter().rfind(|member: &&Member<'_>| member.key == key);
        if let Some(content) = last("content").filter(|_| depth < DEEPEST) {
            gather(text, content.value.start, depth + 1, found)?;
        }
        if let Some(source) = last("source") {
            let value = Cursor::at(text, source.value.start).value()?;
            let is_link = value.member("type").and_then(Raw::into_text).is_some_and(|kind| kind.is("url"));
            let link = value.member("url").and_then(Raw::into_text).filter(|_| is_link);
            found.extend(link.as_ref().map(Text::decode).map(|link| (source.value.clone(), link.into_owned())));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::InlinedPart;

    const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"user","content":[
        {"type":"image","source":{"type":"url","url":"https://a.example/\u0031.png"}},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},
        {"type":"tool_result","tool_use_id":"t","content":[
            {"type":"document","source":{"type":"url","url":"https://a.example/2.pdf"}},
            {"type":"image","source":{"type":"url","url":"https://a.example/1.png"}}]}]}]}"#;

    #[test]
    fn links_are_found_once_and_replaced_everywhere() {
        assert_eq!(
            links_in(BODY.as_bytes()),
            ["https://a.example/1.png", "https://a.example/2.pdf"].map(str::to_owned)
        );
        let part = |media_type: &str| InlinedPart { media_type: media_type.to_owned(), data: "Zm9v".to_owned() };
        let inlined: InlinedMedia = [
            ("https://a.example/1.png".to_owned(), part("image/png")),
            ("https://a.example/2.pdf".to_owned(), part("application/pdf")),
        ]
        .into_iter()
        .collect();
        let body = inline_links(BODY.as_bytes(), &inlined).into_owned();
        assert!(links_in(&body).is_empty());
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let blocks = &body["messages"][1]["content"];
        assert_eq!(
            blocks[0]["source"],
            serde_json::json!({"type": "base64", "media_type": "image/png", "data": "Zm9v"})
        );
        assert_eq!(blocks[1]["source"]["data"], "AA==");
        assert_eq!(blocks[2]["content"][0]["source"]["media_type"], "application/pdf");
        assert_eq!(body["messages"][0]["content"], "hi");
    }

    #[test]
    fn what_cannot_be_walked_has_no_links() {
        for body in
            ["", "[]", r#"{"messages":3}"#, r#"{"messages":[3,{"content":[{"source":[]}]}]}"#, r#"{"messages":["#]
        {
            assert!(links_in(body.as_bytes()).is_empty(), "{body}");
            assert_eq!(inline_links(body.as_bytes(), &InlinedMedia::default()), body.as_bytes());
        }
    }
}
