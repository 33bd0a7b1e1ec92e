//! A client of Messages.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, PIXEL, Seen, city, count, list, place, results, string, word};
use crate::world;

pub struct Messages;

impl Caller for Messages {
    fn surface(&self) -> Surface {
        Surface::Anthropic
    }

    fn name(&self) -> &'static str {
        "Messages"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let most = ask.most.unwrap_or(4096);
        let mut body = json!({"model": "up/m", "max_tokens": most, "system": "Be brief.", "messages": conversation});
        if ask.stream {
            body["stream"] = json!(true);
        }
        if ask.tools {
            let tools = super::TOOLS.iter();
            body["tools"] = tools.map(|name| json!({"name": name, "input_schema": place()})).collect();
        }
        if ask.thinks {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
        }
        if ask.schema {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": city()}});
        }
        if ask.stop {
            body["stop_sequences"] = json!(["END"]);
        }
        ("/v1/messages".to_owned(), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        if !picture {
            return json!({"role": "user", "content": text});
        }
        let source = json!({"type": "base64", "media_type": "image/png", "data": PIXEL});
        json!({"role": "user", "content": [{"type": "text", "text": text}, {"type": "image", "source": source}]})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.push(json!({"role": "assistant", "content": answer["content"]}));
        let blocks: Vec<Value> = results(seen)
            .map(|(id, _, result)| json!({"type": "tool_result", "tool_use_id": id, "content": result}))
            .collect();
        if !blocks.is_empty() {
            conversation.push(json!({"role": "user", "content": blocks}));
        }
    }

    fn read(&self, answer: &Value) -> Seen {
        assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")), "{answer}");
        let mut seen = Seen::default();
        for block in list(&answer["content"]) {
            match block["type"].as_str() {
                Some("text") => seen.text.push_str(&string(&block["text"])),
                Some("thinking") => seen.thought.push_str(&string(&block["thinking"])),
                Some("tool_use") => {
                    seen.calls.push((string(&block["id"]), string(&block["name"]), block["input"].clone()));
                }
                _ => {}
            }
        }
        seen.end = word(&answer["stop_reason"]);
        let usage = &answer["usage"];
        let cached = count(usage, "cache_read_input_tokens");
        let fresh = count(usage, "input_tokens") + count(usage, "cache_creation_input_tokens");
        seen.usage = (fresh + cached, cached, count(usage, "output_tokens"));
        seen
    }

    fn error_of(&self, response: &Response) -> String {
        let body = world::json(&response.body);
        assert!(body["type"] == "error" && body["error"]["type"].is_string(), "{body}");
        string(&body["error"]["message"])
    }
}
