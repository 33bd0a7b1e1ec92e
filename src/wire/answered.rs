//! Calls that nobody answered. Gemini takes a conversation in which the user said something else instead; others answer
//! it with an error: "An assistant message with 'tool_calls' must be followed by tool messages responding to each
//! 'tool_call_id'", "No tool output found for function call". Anthropic's and Bedrock's writers, whose turns have laws of
//! their own, see to it themselves.

use std::borrow::Cow;

use super::anthropic::request::turns::NO_RESULT;
use super::{Adjusted, Change};
use crate::chat::{Message, Part, Request, Role};
use crate::json::Text;
use crate::sorted;

/// `request`, with a result that says that there is none behind each turn whose calls lack theirs. Ids may come again in
/// later turns, so a call is answered before the assistant speaks again.
///
/// Recordings: `gemini.chat.eacf1e8575`, `vertex.chat.d5594071d5`.
pub(super) fn answered<'r>(request: &'r Request<'r>, adjusted: &mut Adjusted) -> Cow<'r, Request<'r>> {
    let lacking: Vec<(usize, Message<'r>)> = lacking(&request.messages).collect();
    if lacking.is_empty() {
        return Cow::Borrowed(request);
    }
    adjusted.note("messages", Change::Changed);
    let mut whole = request.clone();
    let mut lacking = lacking.into_iter().peekable();
    // One walk: as many turns may lack theirs as a body holds.
    let messages = std::mem::take(&mut whole.messages).into_iter().enumerate().flat_map(|(at, message)| {
        let results = lacking.next_if(|(place, _)| *place == at).map(|(_, results)| results);
        std::iter::once(message).chain(results)
    });
    whole.messages = messages.collect();
    Cow::Owned(whole)
}

/// The turns that call what is not answered, by their place, with the results they lack.
fn lacking<'r>(messages: &'r [Message<'r>]) -> impl Iterator<Item = (usize, Message<'r>)> {
    let turns = messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant);
    turns.filter_map(|(at, message)| {
        let calls =
            message.parts.iter().filter_map(|part| if let Part::ToolCall { id, .. } = part { Some(id) } else { None });
        let calls: Vec<&Text<'_>> = calls.collect();
        if calls.is_empty() {
            return None;
        }
        let behind = messages.iter().skip(at + 1).take_while(|next| next.role != Role::Assistant);
        let results = behind.flat_map(|next| &next.parts).filter_map(|part| match part {
            Part::ToolResult { call_id, .. } => Some(call_id.escaped()),
            _ => None,
        });
        // Both lists are as long as the caller likes.
        let mut results: Vec<&str> = results.collect();
        sorted::sort(&mut results);
        let is_answered = |id: &Text<'_>| results.binary_search(&id.escaped()).is_ok();
        let parts: Vec<Part<'r>> = calls.into_iter().filter(|id| !is_answered(id)).map(no_result).collect();
        (!parts.is_empty()).then_some((at, Message { role: Role::Tool, name: None, parts }))
    })
}

fn no_result<'r>(id: &'r Text<'_>) -> Part<'r> {
    let text = Text::from_escaped(NO_RESULT);
    let told = Part::Text { text, cache: None, citations: Vec::new(), signature: None };
    Part::ToolResult { call_id: id.borrowed(), parts: vec![told], is_error: true, cache: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_has_its_results_behind_it() {
        let call = |id: &str| {
            let function = r#"{"name":"f","arguments":"{}"}"#;
            format!(r#"{{"role":"assistant","tool_calls":[{{"id":"{id}","type":"function","function":{function}}}]}}"#)
        };
        let user = r#"{"role":"user","content":"so?"}"#;
        let told = r#"{"role":"tool","tool_call_id":"b","content":"ok"}"#;
        let turns = [user, &call("a"), user, &call("b"), told, &call("a"), &call("c")].join(",");
        let body = format!(r#"{{"model":"m","messages":[{turns}]}}"#);
        let request = crate::wire::openai_chat::read_request(body.as_bytes()).expect("a request");
        let mut adjusted = Adjusted::default();
        let whole = answered(&request, &mut adjusted);
        let said = whole.messages.iter().map(|message| match message.parts.first() {
            Some(Part::ToolCall { id, .. }) => format!("call {}", id.escaped()),
            Some(Part::ToolResult { call_id, is_error, .. }) => format!("result {} {is_error}", call_id.escaped()),
            _ => "words".to_owned(),
        });
        let expected = [
            "words",
            "call a",
            "result a true",
            "words",
            "call b",
            "result b false",
            "call a",
            "result a true",
            "call c",
            "result c true",
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected);
        assert_eq!(adjusted.header(), "messages=changed");
    }
}
