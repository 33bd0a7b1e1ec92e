//! A client of Responses.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, Seen, city, count, list, parsed, picture_url, place, results, string};

pub struct Responses;

impl Caller for Responses {
    fn surface(&self) -> Surface {
        Surface::OpenAiResponses
    }

    fn name(&self) -> &'static str {
        "Responses"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let mut body = json!({"model": "up/m", "instructions": "Be brief.", "input": conversation, "store": false});
        if ask.stream {
            body["stream"] = json!(true);
        }
        if ask.tools {
            let function = |name| json!({"type": "function", "name": name, "parameters": place(), "strict": false});
            body["tools"] = super::TOOLS.iter().map(function).collect();
        }
        if ask.thinks {
            body["reasoning"] = json!({"effort": "low", "summary": "auto"});
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        if ask.schema {
            body["text"] = json!({"format": {"type": "json_schema", "name": "city", "schema": city(), "strict": true}});
        }
        if let Some(most) = ask.most {
            body["max_output_tokens"] = json!(most);
        }
        ("/v1/responses".to_owned(), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        if !picture {
            return json!({"role": "user", "content": text});
        }
        json!({"role": "user", "content": [
            {"type": "input_text", "text": text}, {"type": "input_image", "image_url": picture_url()}]})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.extend(list(&answer["output"]));
        conversation.extend(
            results(seen)
                .map(|(id, _, result)| json!({"type": "function_call_output", "call_id": id, "output": result})),
        );
    }

    fn read(&self, answer: &Value) -> Seen {
        let mut seen = Seen::default();
        for item in list(&answer["output"]) {
            match item["type"].as_str() {
                Some("message") => {
                    list(&item["content"]).iter().for_each(|part| seen.text.push_str(&string(&part["text"])))
                }
                Some("reasoning") => {
                    let shown = [list(&item["summary"]), list(&item["content"])].concat();
                    shown.iter().for_each(|part| seen.thought.push_str(&string(&part["text"])));
                }
                Some("function_call") => {
                    seen.calls.push((string(&item["call_id"]), string(&item["name"]), parsed(&item["arguments"])));
                }
                _ => {}
            }
        }
        seen.end = match (answer["status"].as_str(), answer["incomplete_details"]["reason"].as_str()) {
            (Some("incomplete"), Some("max_output_tokens")) => "length",
            (Some("incomplete"), Some("content_filter")) => "refusal",
            (Some("completed"), None) if seen.calls.is_empty() => "stop",
            (Some("completed"), None) => "tools",
            _ => "?",
        };
        let usage = &answer["usage"];
        let cached = count(&usage["input_tokens_details"], "cached_tokens");
        seen.usage = (count(usage, "input_tokens"), cached, count(usage, "output_tokens"));
        seen
    }

    fn error_of(&self, response: &Response) -> String {
        super::openai_error(response)
    }
}
