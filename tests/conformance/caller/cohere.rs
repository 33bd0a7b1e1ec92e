//! A client of Cohere's Chat, version 2.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, Seen, city, count, list, parsed, picture_url, place, results, string, word};
use crate::world;

pub struct Cohere;

impl Caller for Cohere {
    fn surface(&self) -> Surface {
        Surface::Cohere
    }

    fn name(&self) -> &'static str {
        "Cohere"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
        messages.extend_from_slice(conversation);
        let mut body = json!({"model": "up/m", "messages": messages, "stream": ask.stream});
        if ask.tools {
            let function = |name| json!({"type": "function", "function": {"name": name, "parameters": place()}});
            body["tools"] = super::TOOLS.iter().map(function).collect();
        }
        if ask.thinks {
            body["thinking"] = json!({"type": "enabled", "token_budget": 1024});
        }
        if ask.schema {
            body["response_format"] = json!({"type": "json_object", "json_schema": city()});
        }
        if let Some(most) = ask.most {
            body["max_tokens"] = json!(most);
        }
        if ask.stop {
            body["stop_sequences"] = json!(["END"]);
        }
        ("/v2/chat".to_owned(), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        if !picture {
            return json!({"role": "user", "content": text});
        }
        json!({"role": "user", "content": [
            {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": picture_url()}}]})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.push(answer["message"].clone());
        let results = results(seen);
        conversation
            .extend(results.map(|(id, _, result)| json!({"role": "tool", "tool_call_id": id, "content": result})));
    }

    fn read(&self, answer: &Value) -> Seen {
        let message = &answer["message"];
        let mut seen = Seen::default();
        for content in list(&message["content"]) {
            seen.text.push_str(&string(&content["text"]));
            seen.thought.push_str(&string(&content["thinking"]));
        }
        for call in list(&message["tool_calls"]) {
            let function = &call["function"];
            seen.calls.push((string(&call["id"]), string(&function["name"]), parsed(&function["arguments"])));
        }
        seen.end = word(&answer["finish_reason"]);
        let tokens = &answer["usage"]["tokens"];
        let cached = count(&answer["usage"], "cached_tokens");
        seen.usage = (count(tokens, "input_tokens"), cached, count(tokens, "output_tokens"));
        seen
    }

    fn error_of(&self, response: &Response) -> String {
        string(&world::json(&response.body)["message"])
    }
}
