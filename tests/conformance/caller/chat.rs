//! A client of Chat Completions.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, Seen, city, count, list, parsed, picture_url, place, results, string, word};

pub struct Chat;

impl Caller for Chat {
    fn surface(&self) -> Surface {
        Surface::OpenAiChat
    }

    fn name(&self) -> &'static str {
        "Chat Completions"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
        messages.extend_from_slice(conversation);
        let mut body = json!({"model": "up/m", "messages": messages});
        if ask.stream {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        if ask.tools {
            let function = |name| json!({"type": "function", "function": {"name": name, "parameters": place()}});
            body["tools"] = super::TOOLS.iter().map(function).collect();
        }
        if ask.thinks {
            body["reasoning_effort"] = json!("low");
        }
        if ask.schema {
            body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "city", "schema": city()}});
        }
        if let Some(most) = ask.most {
            body["max_tokens"] = json!(most);
        }
        if ask.stop {
            body["stop"] = json!(["END"]);
        }
        ("/v1/chat/completions".to_owned(), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        if !picture {
            return json!({"role": "user", "content": text});
        }
        json!({"role": "user", "content": [
            {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": picture_url()}}]})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.push(answer["choices"][0]["message"].clone());
        let results = results(seen);
        conversation
            .extend(results.map(|(id, _, result)| json!({"role": "tool", "tool_call_id": id, "content": result})));
    }

    fn read(&self, answer: &Value) -> Seen {
        let choice = &answer["choices"][0];
        let message = &choice["message"];
        let calls = list(&message["tool_calls"]).into_iter().map(|call| {
            assert_eq!(call["type"], "function");
            let function = &call["function"];
            (string(&call["id"]), string(&function["name"]), parsed(&function["arguments"]))
        });
        let usage = &answer["usage"];
        let cached = count(&usage["prompt_tokens_details"], "cached_tokens");
        // Vendors have either name for it.
        let thought = [&message["reasoning"], &message["reasoning_content"]].map(string);
        Seen {
            thought: thought.into_iter().find(|thought| !thought.is_empty()).unwrap_or_default(),
            text: string(&message["content"]),
            calls: calls.collect(),
            end: word(&choice["finish_reason"]),
            usage: (count(usage, "prompt_tokens"), cached, count(usage, "completion_tokens")),
        }
    }

    fn error_of(&self, response: &Response) -> String {
        super::openai_error(response)
    }

    fn gathered(&self, text: &str) -> Value {
        assert!(text.ends_with("data: [DONE]\n\n"), "it ends in [DONE]: {text}");
        let mut message = json!({"role": "assistant", "content": null});
        let (mut finish, mut usage) = (Value::Null, Value::Null);
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
            let chunk: Value = serde_json::from_str(data).expect("JSON");
            assert!(chunk["error"].is_null() && chunk["object"] == "chat.completion.chunk", "{chunk}");
            let choice = &chunk["choices"][0];
            assert!(finish.is_null() || choice.is_null(), "nothing follows the end but usage: {text}");
            grow(&mut message, &choice["delta"]);
            if choice["finish_reason"].is_string() {
                finish = choice["finish_reason"].clone();
            }
            if chunk["usage"].is_object() {
                usage = chunk["usage"].clone();
            }
        }
        json!({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})
    }

    fn assert_broken(&self, text: &str) {
        let last = text.lines().rfind(|line| line.starts_with("data: ")).expect("an event");
        let last: Value = serde_json::from_str(&last[6..]).expect("JSON, and no [DONE]");
        assert!(last["error"]["message"].is_string(), "{text}");
    }
}

/// Adds a delta to the message, as the official SDK's helper does it.
fn grow(message: &mut Value, delta: &Value) {
    for key in ["content", "reasoning", "reasoning_content"] {
        if let Some(more) = delta[key].as_str() {
            message[key] = json!(format!("{}{more}", string(&message[key])));
        }
    }
    for detail in list(&delta["reasoning_details"]) {
        match message["reasoning_details"].as_array_mut() {
            Some(details) => details.push(detail),
            None => message["reasoning_details"] = json!([detail]),
        }
    }
    for piece in list(&delta["tool_calls"]) {
        if message["tool_calls"].is_null() {
            message["tool_calls"] = json!([]);
        }
        let calls = message["tool_calls"].as_array_mut().expect("a list");
        let at = usize::try_from(piece["index"].as_u64().expect("an index")).expect("small");
        if at == calls.len() {
            let function = json!({"name": piece["function"]["name"], "arguments": ""});
            calls.push(json!({"id": piece["id"], "type": "function", "function": function}));
        }
        let arguments = &mut calls[at]["function"]["arguments"];
        *arguments = json!(format!("{}{}", string(arguments), string(&piece["function"]["arguments"])));
    }
}
