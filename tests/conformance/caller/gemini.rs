//! A client of generateContent.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, PIXEL, Seen, city, count, list, place, results, string, word};
use crate::world;

pub struct Gemini;

impl Caller for Gemini {
    fn surface(&self) -> Surface {
        Surface::Gemini
    }

    fn name(&self) -> &'static str {
        "Gemini"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let mut config = json!({});
        if ask.thinks {
            config["thinkingConfig"] = json!({"includeThoughts": true, "thinkingBudget": 1024});
        }
        if ask.schema {
            config["responseMimeType"] = json!("application/json");
            config["responseJsonSchema"] = city();
        }
        if let Some(most) = ask.most {
            config["maxOutputTokens"] = json!(most);
        }
        if ask.stop {
            config["stopSequences"] = json!(["END"]);
        }
        let mut body = json!({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": conversation,
            "generationConfig": config});
        if ask.tools {
            let declared = super::TOOLS.iter().map(|name| json!({"name": name, "parametersJsonSchema": place()}));
            body["tools"] = json!([{"functionDeclarations": declared.collect::<Vec<_>>()}]);
        }
        let method = if ask.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        (format!("/v1beta/models/up/m:{method}"), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        let mut parts = vec![json!({"text": text})];
        if picture {
            parts.push(json!({"inlineData": {"mimeType": "image/png", "data": PIXEL}}));
        }
        json!({"role": "user", "parts": parts})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.push(answer["candidates"][0]["content"].clone());
        let parts: Vec<Value> = results(seen)
            .map(|(id, name, result)| {
                json!({"functionResponse": {"id": id, "name": name, "response": {"output": result}}})
            })
            .collect();
        if !parts.is_empty() {
            conversation.push(json!({"role": "user", "parts": parts}));
        }
    }

    fn read(&self, answer: &Value) -> Seen {
        let candidate = &answer["candidates"][0];
        let mut seen = Seen::default();
        for part in list(&candidate["content"]["parts"]) {
            if part["functionCall"].is_object() {
                let call = &part["functionCall"];
                seen.calls.push((string(&call["id"]), string(&call["name"]), call["args"].clone()));
            } else if part["thought"] == true {
                seen.thought.push_str(&string(&part["text"]));
            } else {
                seen.text.push_str(&string(&part["text"]));
            }
        }
        seen.end = match word(&candidate["finishReason"]) {
            "stop" if !seen.calls.is_empty() => "tools",
            end => end,
        };
        let usage = &answer["usageMetadata"];
        let output = count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount");
        seen.usage = (count(usage, "promptTokenCount"), count(usage, "cachedContentTokenCount"), output);
        seen
    }

    fn error_of(&self, response: &Response) -> String {
        let body = world::json(&response.body);
        let error = &body["error"];
        assert!(error["status"].is_string() && error["code"] == response.status, "{body}");
        string(&error["message"])
    }
}
