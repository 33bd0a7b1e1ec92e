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
    let request = joined(request);
    let lacking: Vec<(usize, Message<'r>)> = lacking(&request.messages).collect();
    if lacking.is_empty() {
        return request;
    }
    adjusted.note("messages", Change::Changed);
    let mut whole = request.into_owned();
    let mut lacking = lacking.into_iter().peekable();
    // One walk: as many turns may lack theirs as a body holds.
    let messages = std::mem::take(&mut whole.messages).into_iter().enumerate().flat_map(|(at, message)| {
        let results = lacking.next_if(|(place, _)| *place == at).map(|(_, results)| results);
        std::iter::once(message).chain(results)
    });
    whole.messages = messages.collect();
    Cow::Owned(whole)
}

/// `request`, where a turn that calls something and goes on in the next message is one message. Anthropic and Gemini take
/// that in two, with all results behind; others want the results of each behind it.
fn joined<'r>(request: &'r Request<'r>) -> Cow<'r, Request<'r>> {
    let goes_on = |one: &Message<'_>, next: &Message<'_>| next.role == Role::Assistant && calls(one).next().is_some();
    if !request.messages.windows(2).any(|pair| matches!(pair, [one, next] if goes_on(one, next))) {
        return Cow::Borrowed(request);
    }
    let mut whole = request.clone();
    let mut turns: Vec<Message<'r>> = Vec::with_capacity(whole.messages.len());
    // Whether the last turn calls something: it may be as long as a body, and is not looked through for each message.
    let mut calling = false;
    for message in whole.messages.drain(..) {
        let calls = calls(&message).next().is_some();
        match turns.last_mut().filter(|_| calling && message.role == Role::Assistant) {
            Some(last) => last.parts.extend(message.parts),
            None => {
                calling = calls;
                turns.push(message);
            }
        }
    }
    whole.messages = turns;
    Cow::Owned(whole)
}

/// The ids of what the assistant calls in this message.
fn calls<'m, 'r>(message: &'m Message<'r>) -> impl Iterator<Item = &'m Text<'r>> {
    let parts = message.parts.iter().filter(|_| message.role == Role::Assistant);
    parts.filter_map(|part| if let Part::ToolCall { id, .. } = part { Some(id) } else { None })
}

/// The turns that call what is not answered, by their place, with the results they lack.
fn lacking<'m, 'r>(messages: &'m [Message<'r>]) -> impl Iterator<Item = (usize, Message<'r>)> + use<'m, 'r> {
    messages.iter().enumerate().filter_map(|(at, message)| {
        calls(message).next()?;
        let behind = messages.iter().skip(at + 1).take_while(|next| next.role != Role::Assistant);
        let results = behind.flat_map(|next| &next.parts).filter_map(|part| match part {
            Part::ToolResult { call_id, .. } => Some(call_id.escaped()),
            _ => None,
        });
        // Both lists are as long as the caller likes.
        let mut results: Vec<&str> = results.collect();
        sorted::sort(&mut results);
        let is_answered = |id: &Text<'_>| results.binary_search(&id.escaped()).is_ok();
        let parts: Vec<Part<'r>> = calls(message).filter(|id| !is_answered(id)).map(no_result).collect();
        (!parts.is_empty()).then_some((at, Message { role: Role::Tool, name: None, parts }))
    })
}

fn no_result<'r>(id: &Text<'r>) -> Part<'r> {
    let text = Text::from_escaped(NO_RESULT);
    let told = Part::Text { text, cache: None, citations: Vec::new(), signature: None };
    Part::ToolResult { call_id: id.clone(), parts: vec![told], is_error: true, cache: None }
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
        let expected = ["words", "call a", "result a true", "words", "call b", "result b false"];
        assert_eq!(said(&whole)[..6], expected);
        assert_eq!(said(&whole)[6..], ["call a, call c", "result a true, result c true"], "one turn in two messages");
        assert_eq!(adjusted.header(), "messages=changed");
    }

    /// Recordings: the replays of `test_cross_provider_capability_replay` in <https://github.com/pydantic/pydantic-ai>.
    #[test]
    fn a_turn_in_two_messages_has_its_results_behind_both() {
        let call = |id: &str| {
            format!(r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"f","input":{{}}}}]}}"#)
        };
        let result = |id: &str| format!(r#"{{"type":"tool_result","tool_use_id":"{id}","content":"ok"}}"#);
        let user = r#"{"role":"user","content":"so?"}"#;
        let results = format!(r#"{{"role":"user","content":[{},{}]}}"#, result("a"), result("b"));
        let turns = [user, &call("a"), &call("b"), &results].join(",");
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{turns}]}}"#);
        let request = crate::wire::Surface::Anthropic.read_request(body.as_bytes()).expect("a request");
        let mut adjusted = Adjusted::default();
        let whole = answered(&request, &mut adjusted);
        assert_eq!(said(&whole), ["words", "call a, call b", "result a false, result b false"]);
        assert!(adjusted.is_empty(), "nothing else is said");
    }

    fn said(request: &Request<'_>) -> Vec<String> {
        let part = |part: &Part<'_>| match part {
            Part::ToolCall { id, .. } => format!("call {}", id.escaped()),
            Part::ToolResult { call_id, is_error, .. } => format!("result {} {is_error}", call_id.escaped()),
            _ => "words".to_owned(),
        };
        let message = |message: &Message<'_>| message.parts.iter().map(part).collect::<Vec<_>>().join(", ");
        request.messages.iter().map(message).collect()
    }
}
