//! A client of Converse and ConverseStream.

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::{Ask, Caller, PIXEL, Seen, city, count, list, place, results, string, word};
use crate::world;

pub struct Converse;

impl Caller for Converse {
    fn surface(&self) -> Surface {
        Surface::Bedrock
    }

    fn name(&self) -> &'static str {
        "Converse"
    }

    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value) {
        let mut body = json!({"system": [{"text": "Be brief."}], "messages": conversation});
        if ask.tools {
            let specification = |name| json!({"toolSpec": {"name": name, "inputSchema": {"json": place()}}});
            body["toolConfig"] = json!({"tools": super::TOOLS.map(specification)});
        }
        if ask.thinks {
            let thinking = json!({"type": "enabled", "budget_tokens": 1024});
            body["additionalModelRequestFields"] = json!({"thinking": thinking});
        }
        if ask.schema {
            let schema = json!({"name": "city", "schema": city().to_string()});
            body["outputConfig"] = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}});
        }
        if let Some(most) = ask.most {
            body["inferenceConfig"]["maxTokens"] = json!(most);
        }
        if ask.stop {
            body["inferenceConfig"]["stopSequences"] = json!(["END"]);
        }
        let method = if ask.stream { "converse-stream" } else { "converse" };
        (format!("/model/up%2Fm/{method}"), body)
    }

    fn question(&self, text: &str, picture: bool) -> Value {
        let mut content = vec![json!({"text": text})];
        if picture {
            content.push(json!({"image": {"format": "png", "source": {"bytes": PIXEL}}}));
        }
        json!({"role": "user", "content": content})
    }

    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>) {
        conversation.push(answer["output"]["message"].clone());
        let blocks: Vec<Value> = results(seen)
            .map(|(id, _, result)| json!({"toolResult": {"toolUseId": id, "content": [{"text": result}]}}))
            .collect();
        if !blocks.is_empty() {
            conversation.push(json!({"role": "user", "content": blocks}));
        }
    }

    fn read(&self, answer: &Value) -> Seen {
        assert!(answer["metrics"]["latencyMs"].is_u64(), "SDKs count on it: {answer}");
        let mut seen = Seen::default();
        for block in list(&answer["output"]["message"]["content"]) {
            let members: Vec<&String> = block.as_object().expect("a block").keys().collect();
            assert_eq!(members.len(), 1, "a block is of one kind: {block}");
            if block["toolUse"].is_object() {
                let call = &block["toolUse"];
                seen.calls.push((string(&call["toolUseId"]), string(&call["name"]), call["input"].clone()));
            }
            seen.text.push_str(&string(&block["text"]));
            seen.thought.push_str(&string(&block["reasoningContent"]["reasoningText"]["text"]));
        }
        seen.end = word(&answer["stopReason"]);
        let usage = &answer["usage"];
        let cached = count(usage, "cacheReadInputTokens");
        let fresh = count(usage, "inputTokens") + count(usage, "cacheWriteInputTokens");
        seen.usage = (fresh + cached, cached, count(usage, "outputTokens"));
        seen
    }

    fn error_of(&self, response: &Response) -> String {
        let kind = world::header(response, "x-amzn-errortype").unwrap_or_default();
        assert!(kind.ends_with("Exception"), "SDKs read what it is in a header: {:?}", response.headers);
        string(&world::json(&response.body)["message"])
    }
}
