//! Requests as Converse wants them.

use serde_json::{Value, json};

use super::{Decoder, write_request};
use crate::chat::{Fold, Part};
use crate::failure::{Failure, Kind};
use crate::provider::{Capabilities, ModelFacts, Quirks, family};
use crate::wire::openai_chat::read_request;
use crate::wire::{Adjusted, Decoded, InlinedMedia, InlinedPart, Outgoing, StreamDecoder, Target, sse::Frame};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn sent(model: &str, request: &Value) -> Result<(Outgoing, Value, String), Failure> {
    sent_to(model, None, request)
}

fn sent_to(
    model: &str,
    capabilities: Option<Capabilities>,
    request: &Value,
) -> Result<(Outgoing, Value, String), Failure> {
    let body = request.to_string();
    let read = read_request(body.as_bytes())?;
    let mut facts = ModelFacts { max_output: Some(64_000), capabilities, ..ModelFacts::default() };
    if let Some(family) = family(model) {
        family.apply(&mut facts);
    }
    let inlined = InlinedMedia::from([(
        "https://a.example/cat.png".to_owned(),
        InlinedPart { media_type: "image/png".to_owned(), data: "AAAA".to_owned() },
    )]);
    let target = Target { model, quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&read, &target, &mut adjusted)?;
    let body = serde_json::from_slice(&outgoing.body).expect("JSON");
    Ok((outgoing, body, adjusted.header()))
}

fn body(model: &str, request: Value) -> (Value, String) {
    let (_, body, adjusted) = sent(model, &request).expect("a request");
    (body, adjusted)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn the_model_stands_in_the_path_where_nothing_of_it_leads_elsewhere() {
    let path = |model: &str, stream: bool| {
        let request = json!({"model": "m", "messages": [user("hi")], "stream": stream});
        sent(model, &request).expect("a request").0.path
    };
    assert_eq!(path(CLAUDE, false), "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    let profile = "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.amazon.nova-lite-v1:0";
    assert_eq!(
        path(profile, true),
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/\
         converse-stream"
    );
    assert_eq!(path("..", false), "/model/%2E%2E/converse");
}

#[test]
fn a_conversation_with_calls_marks_and_thoughts() {
    let (body, adjusted) = body(
        CLAUDE,
        json!({"model": "m", "max_tokens": 500, "temperature": 0.2, "stop": ["END"], "metadata": {"team": "a"},
            "messages": [
                {"role": "system", "content": [
                    {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
                user("Weather?"),
                {"role": "assistant", "content": null,
                    "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "c2ln",
                        "format": "anthropic-claude-v1", "index": 0}],
                    "tool_calls": [{"id": "functions.look:0", "type": "function",
                        "function": {"name": "look", "arguments": "{\"at\":\"sky\"}"}}]},
                {"role": "tool", "tool_call_id": "functions.look:0", "content": "blue"},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "tool_choice": "required"}),
    );
    let id = body["messages"][1]["content"][1]["toolUse"]["toolUseId"].clone();
    assert!(id.as_str().is_some_and(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')), "{id}");
    assert_eq!(
        body,
        json!({
            "inferenceConfig": {"maxTokens": 500, "temperature": 0.2, "stopSequences": ["END"]},
            "requestMetadata": {"team": "a"},
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}],
                "toolChoice": {"any": {}},
            },
            "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
            "messages": [
                {"role": "user", "content": [{"text": "Weather?"}]},
                {"role": "assistant", "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                    {"toolUse": {"toolUseId": id, "name": "look", "input": {"at": "sky"}}},
                ]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [{"text": "blue"}]}}]},
            ],
        })
    );
    assert_eq!(adjusted, "");
}

#[test]
fn marks_for_a_cache_go_only_where_there_may_be_one() {
    let mark = json!({"type": "ephemeral"});
    let request = json!({"model": "m", "cache_control": mark,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}]}],
        "tools": [{"type": "function", "function": {"name": "look"}, "cache_control": mark}]});
    let marks = |model: &str, capabilities: Option<u32>| {
        let (_, body, adjusted) = sent_to(model, capabilities.map(Capabilities), &request).expect("a request");
        let count = |list: &Value| {
            let blocks = list.as_array().expect("a list");
            blocks.iter().filter(|block| block["cachePoint"]["type"] == "default").count()
        };
        (count(&body["messages"][0]["content"]), count(&body["toolConfig"]["tools"]), adjusted)
    };
    let dropped = || "cache_control=dropped".to_owned();
    let caching = Some(Capabilities::TOOLS | Capabilities::PROMPT_CACHING);
    assert_eq!(marks("meta.llama3-3-70b-instruct-v1:0", Some(Capabilities::TOOLS)), (0, 0, dropped()));
    assert_eq!(marks("us.amazon.nova-pro-v1:0", caching), (2, 0, dropped()));
    assert_eq!(marks(CLAUDE, caching), (2, 1, String::new()));
    let unknown = "arn:aws:bedrock:us-east-1:012345678901:application-inference-profile/a";
    assert_eq!(marks(unknown, None), (2, 1, String::new()));
}

#[test]
fn a_cache_lasts_an_hour_only_where_it_may() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let request = json!({"model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}]}]});
    let clamped = "cache_control=clamped";
    for (model, ttl, adjusted) in [
        (CLAUDE, json!("1h"), ""),
        ("anthropic.claude-opus-4-6-v1", json!("1h"), ""),
        ("anthropic.claude-sonnet-4-20250514-v1:0", Value::Null, clamped),
        ("us.amazon.nova-2-lite-v1:0", Value::Null, clamped),
    ] {
        let caching = Some(Capabilities(Capabilities::PROMPT_CACHING));
        let (_, body, told) = sent_to(model, caching, &request).expect("a request");
        let point = &body["messages"][0]["content"][1]["cachePoint"];
        assert_eq!((&point["type"], &point["ttl"], told.as_str()), (&json!("default"), &ttl, adjusted), "{model}");
    }
}

#[test]
fn encrypted_thoughts_go_back_as_they_came() {
    let request = |data: &str| {
        json!({"model": "m", "messages": [user("a"), {"role": "assistant", "content": "b", "reasoning_details": [
            {"type": "reasoning.encrypted", "data": data, "format": "anthropic-claude-v1", "index": 0}]}, user("c")]})
    };
    let (body, _) = body(CLAUDE, request("RXU4"));
    assert_eq!(body["messages"][1]["content"][0], json!({"reasoningContent": {"redactedContent": "UlhVNA=="}}));
    let back = super::replaces(&crate::json::Text::from_escaped("UlhVNA=="));
    assert_eq!(back.data.escaped(), "RXU4");
}

#[test]
fn each_maker_is_asked_to_think_in_its_own_words() {
    let own = |model: &str| {
        let request = json!({"model": "m", "max_tokens": 10_000, "reasoning_effort": "low", "messages": [user("a")]});
        let (body, adjusted) = body(model, request);
        (body["additionalModelRequestFields"].clone(), adjusted)
    };
    let thinks = |fields: Value| (fields, String::new());
    assert_eq!(own(CLAUDE), thinks(json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})));
    let adaptive =
        json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}});
    assert_eq!(own("us.anthropic.claude-opus-4-6-v1"), thinks(adaptive));
    assert_eq!(own("openai.gpt-oss-120b-1:0"), thinks(json!({"reasoning_effort": "low"})));
    let nova = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}});
    assert_eq!(own("us.amazon.nova-2-lite-v1:0"), thinks(nova));
    assert_eq!(own("mistral.mistral-large-2402-v1:0"), (Value::Null, "reasoning=dropped".to_owned()));
}

#[test]
fn documents_have_names_that_are_taken_once_and_words_beside_them() {
    let file = |name: &str| json!({"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBERg=="}});
    let content = json!([file("Q3 report_v2.pdf"), file("Q3 report_v2.pdf"),
        {"type": "image_url", "image_url": {"url": "https://a.example/cat.png"}}]);
    let (body, _) = body(CLAUDE, json!({"model": "m", "messages": [{"role": "user", "content": content}]}));
    let document = |name: &str| json!({"document": {"name": name, "format": "pdf", "source": {"bytes": "JVBERg=="}}});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            document("Q3 report v2"),
            document("Q3 report v2 2"),
            {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
            {"text": "(See the document.)"},
        ])
    );
}

/// As Claude, Nova and Pixtral take it: `test_multimodal_tool_return_matrix` in <https://github.com/pydantic/pydantic-ai>.
#[test]
fn a_document_that_a_tool_gave_needs_no_words_beside_it() {
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="});
    let result =
        json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "document", "source": source}]}]);
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [user("hi"),
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": result}]});
    let text = asked.to_string();
    let request = crate::wire::Surface::Anthropic.read_request(text.as_bytes()).expect("a request");
    let target =
        Target { model: CLAUDE, quirks: &Quirks::NONE, facts: &ModelFacts::default(), inlined: &InlinedMedia::new() };
    let sent = write_request(&request, &target, &mut Adjusted::default()).expect("a request");
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    let blocks = sent["messages"][2]["content"].as_array().expect("blocks");
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    assert!(blocks[0]["toolResult"]["content"][0]["document"].is_object());
}

#[test]
fn a_schema_goes_as_text_or_becomes_a_tool() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false});
    let request = json!({"model": "m", "messages": [user("a")], "response_format": {"type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema}}});
    let (native, _) = body(CLAUDE, request.clone());
    let format = &native["outputConfig"]["textFormat"];
    assert_eq!(
        (&format["type"], &format["structure"]["jsonSchema"]["name"]),
        (&json!("json_schema"), &json!("answer"))
    );
    let text = format["structure"]["jsonSchema"]["schema"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), schema);
    let list = json!({"model": "m", "messages": [user("a")], "response_format": {"type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "array"}}}});
    let (list, _) = body(CLAUDE, list);
    let input = &list["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    assert_eq!(input["properties"], json!({"latchkey_value": {"type": "array"}}));
    let (tool, _) = body("amazon.nova-lite-v1:0", request);
    assert_eq!(tool["toolConfig"]["toolChoice"]["tool"]["name"], "latchkey_structured_answer");
    assert_eq!(tool["outputConfig"], Value::Null);
}

#[test]
fn the_protocols_own_fields_are_passed_on() {
    let guardrail = json!({"guardrailIdentifier": "g", "guardrailVersion": "1"});
    let request = json!({"model": "m", "messages": [user("a")], "guardrailConfig": guardrail, "top_k": 5,
        "additionalModelRequestFields": {"anthropic_beta": ["x"]}, "service_tier": "flex", "surprise": 1,
        "tools": [{"type": "system", "systemTool": {"name": "nova_grounding"}}]});
    let (body, adjusted) = body(CLAUDE, request);
    assert_eq!(body["guardrailConfig"], guardrail);
    assert_eq!(body["additionalModelRequestFields"], json!({"anthropic_beta": ["x"], "top_k": 5}));
    assert_eq!(body["serviceTier"], json!({"type": "flex"}));
    assert_eq!(body["toolConfig"]["tools"], json!([{"systemTool": {"name": "nova_grounding"}}]));
    assert_eq!(adjusted, "surprise=dropped");
}

#[test]
fn calls_may_be_forbidden_although_there_are_some_in_the_conversation() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let messages = json!([user("a"), {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "b"}]);
    let tools = json!([{"type": "function", "function": {"name": "look"}}]);
    let request = json!({"model": "m", "messages": messages, "tools": tools, "tool_choice": "none"});
    let (forbidden, adjusted) = body(CLAUDE, request);
    assert_eq!(forbidden["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(forbidden["toolConfig"]["tools"][0]["toolSpec"]["name"], "look");
    assert_eq!(
        (forbidden["system"][0]["text"].as_str(), adjusted.as_str()),
        (Some("Do not call any tools in this turn."), "tool_choice=changed")
    );
    let request = json!({"model": "m", "messages": [user("a")], "tools": tools, "tool_choice": "none"});
    assert_eq!(body(CLAUDE, request).0["toolConfig"], Value::Null);
}

#[test]
fn what_would_do_harm_is_refused() {
    let refused = |member: &str, value: Value| {
        let mut request = json!({"model": "m", "messages": [user("a")]});
        request[member] = value;
        let failure = sent(CLAUDE, &request).expect_err(member);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Unsupported, Some(member)), "{member}");
    };
    refused("n", json!(2));
    refused("logprobs", json!(true));
    refused("web_search_options", json!({}));
    let (_, adjusted) = body(CLAUDE, json!({"model": "m", "messages": [user("a")], "seed": 1, "user": "u"}));
    assert_eq!(adjusted, "seed=dropped, user=dropped");
}

#[test]
fn a_start_that_says_nothing_loses_no_words() {
    let (mut decoder, mut fold) = (Decoder::new(&Quirks::NONE), Fold::new());
    for (event, data) in [
        ("messageStart", r#"{"role":"assistant"}"#),
        ("contentBlockStart", r#"{"contentBlockIndex":0,"start":{}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ] {
        let frame = Frame { event: event.as_bytes(), data: data.as_bytes().into(), raw: b"" };
        assert_eq!(decoder.push(&frame, &mut fold), Decoded::Taken, "{event}");
    }
    let answer = fold.finish().expect("an answer");
    assert!(matches!(answer.choices[0].parts.as_slice(), [Part::Text { text, .. }] if text.is("Hi")), "{answer:?}");
}
