use serde_json::{Value, json};

use super::*;
use crate::chat::{
    BlockKind, CacheMark, Effort, EndKind, EndReason, Event, Part, Role, Signature, SignatureRole, Sink, Source,
};
use crate::chat::{Tool, ToolChoice, Usage};
use crate::failure::{Failure, Kind};
use crate::json::Text;
use crate::provider::ModelFacts;
use crate::units::UnixMillis;
use crate::wire::carried::{self, Carrier, Owner};
use crate::wire::framing::Framing;
use crate::wire::{Adjusted, Closing, Naming, RequestPatch, StreamWriter};

fn with(content: Value, more: Value) -> String {
    let mut body = json!({"messages": [{"role": "user", "content": content}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn naming() -> Naming {
    Naming {
        fallback_id: "id".to_owned(),
        model: "m".to_owned(),
        now: UnixMillis(0),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: None,
        carrier: Carrier::default(),
    }
}

#[test]
fn every_fault_names_its_place() {
    let hi = json!([{"text": "hi"}]);
    for (body, place) in [
        (with(json!([{"text": 3}]), json!({})), "messages.0.content.0.text"),
        (with(json!([{"image": {"format": "png"}}]), json!({})), "messages.0.content.0.image.source"),
        (
            with(json!([{"image": {"format": "tga", "source": {"bytes": "AA"}}}]), json!({})),
            "messages.0.content.0.image.format",
        ),
        (with(json!([{"toolUse": {"name": "f", "input": {}}}]), json!({})), "messages.0.content.0.toolUse.toolUseId"),
        (with(json!([{"toolResult": {"content": []}}]), json!({})), "messages.0.content.0.toolResult.toolUseId"),
        (with(hi.clone(), json!({"inferenceConfig": {"maxTokens": "x"}})), "inferenceConfig.maxTokens"),
        (with(hi.clone(), json!({"toolConfig": {"tools": [{"toolSpec": {}}]}})), "toolConfig.tools.0.toolSpec.name"),
        (with(hi.clone(), json!({"toolConfig": {"toolChoice": {"tool": {}}}})), "toolConfig.toolChoice.tool.name"),
        (json!({"messages": [{"role": "critic", "content": hi}]}).to_string(), "messages.0.role"),
        ("{}".to_owned(), "messages"),
    ] {
        let failure = read_request(body.as_bytes()).expect_err(&body);
        assert_eq!(failure.param.as_deref(), Some(place), "{body}");
    }
    for body in ["", "[]", "{"] {
        assert!(read_request(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn what_the_caller_found_and_guards_reaches_models_of_others() {
    let body = with(
        json!([
            {"searchResult": {"source": "https://x.example", "title": "Planets", "content": [{"text": "Mercury, "}, {"text": "Venus"}], "citations": {"enabled": true}}},
            {"guardContent": {"image": {"format": "png", "source": {"bytes": "AA=="}}}},
            {"document": {"format": "pdf", "name": "r", "context": "Of last year.", "source": {"bytes": "AA=="}}},
            {"document": {"format": "txt", "name": "Notes", "source": {"text": "Buy \"milk\"."}}},
            {"document": {"format": "txt", "name": "List", "source": {"content": [{"text": "Eggs, "}, {"text": "salt"}]}}},
        ]),
        json!({}),
    );
    let request = read_request(body.as_bytes()).expect("a request");
    let parts = request.messages[0].parts.iter();
    let told: Vec<String> = parts
        .map(|part| match part {
            Part::Text { text, .. } => text.decode().into_owned(),
            Part::Image { .. } => "image".to_owned(),
            Part::File { .. } => "file".to_owned(),
            part => format!("{part:?}"),
        })
        .collect();
    let documents = ["Of last year.", "file", "Notes\n\nBuy \"milk\".", "List\n\nEggs, salt"];
    assert_eq!(told[..4], ["Planets\n\n", "https://x.example\n\n", "Mercury, Venus", "image"]);
    assert_eq!(told[4..], documents);
    assert!(request.unsayable.is_empty());
}

#[test]
fn a_call_is_waited_for_whatever_word_its_answer_ended_with() {
    let end = EndReason::new(EndKind::Other, Some(Text::escape("odd")));
    assert_eq!(reply::stop_reason(&end, true, false), "tool_use");
    assert_eq!(reply::stop_reason(&end, false, false), "end_turn");
}

#[test]
fn a_whole_request_is_read() {
    let body = json!({
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [
                {"text": "Look:"},
                {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}},
                {"document": {"format": "pdf", "name": "Report", "source": {"s3Location": {"uri": "s3://b/r.pdf"}}}},
                {"cachePoint": {"type": "default"}},
            ]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "t1", "status": "error", "content": [{"json": {"b": 2}}, {"text": "no"}]}},
                {"text": "Again"},
            ]},
        ],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.50, "topP": 1, "stopSequences": ["x"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}, {"cachePoint": {"type": "default"}}],
            "toolChoice": {"any": {}},
        },
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "odd": 1},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "a"},
    })
    .to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert!(matches!(&request.messages[0].parts[0], Part::Text { cache: Some(CacheMark::Hour), .. }));
    let [
        Part::Text { .. },
        Part::Image { source: Source::Inline { media_type, .. }, .. },
        Part::File { source: Source::Url(uri), cache: Some(CacheMark::Short), .. },
    ] = request.messages[1].parts.as_slice()
    else {
        panic!("{request:?}")
    };
    assert!(media_type.is("image/jpeg") && uri.is("s3://b/r.pdf"));
    let Part::ToolResult { parts, is_error: true, .. } = &request.messages[3].parts[0] else { panic!("{request:?}") };
    assert!(matches!(&parts[0], Part::Text { text, .. } if text.is("{\"b\":2}")));
    let sampling = &request.sampling;
    assert_eq!(sampling.temperature.as_ref().map(|number| number.get().to_owned()).as_deref(), Some("0.5"));
    assert_eq!((request.max_output_tokens, sampling.stop.len()), (Some(9), 1));
    assert!(matches!(&request.tools[..], [Tool::Function { cache: Some(CacheMark::Short), .. }]));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.reasoning.as_ref().and_then(|wish| wish.max_tokens), Some(2000));
    assert_eq!(request.unsayable, ["odd", "performanceConfig"]);
    assert!(request.untranslatable.is_none() && sampling.top_k.is_some());
}

#[test]
fn an_effort_is_read_wherever_it_stands() {
    let (config, thinking) = (json!({"effort": "low"}), json!({"thinking": {"type": "adaptive"}}));
    let hello = json!([{"role": "user", "content": [{"text": "Hi"}]}]);
    for body in [
        format!(r#"{{"messages":{hello},"outputConfig":{config},"additionalModelRequestFields":{thinking}}}"#),
        format!(r#"{{"messages":{hello},"additionalModelRequestFields":{thinking},"outputConfig":{config}}}"#),
    ] {
        let request = read_request(body.as_bytes()).expect("a request");
        let wish = request.reasoning.expect("a wish");
        assert_eq!((wish.effort, wish.enabled), (Some(Effort::Low), Some(true)), "{body}");
    }
    let between = json!({"thinking": {"type": "between_tools"}});
    let body = format!(r#"{{"messages":{hello},"additionalModelRequestFields":{between}}}"#);
    let request = read_request(body.as_bytes()).expect("a request");
    assert_eq!(request.reasoning.and_then(|wish| wish.enabled), Some(false));
    // As models of Qwen's have it: `test_bedrock_thinking_high_qwen_variant` in <https://github.com/pydantic/pydantic-ai>.
    let word = json!({"reasoning_config": "high"});
    let body = format!(r#"{{"messages":{hello},"additionalModelRequestFields":{word}}}"#);
    let request = read_request(body.as_bytes()).expect("a request");
    assert_eq!(request.reasoning.and_then(|wish| wish.effort), Some(Effort::High));
}

#[test]
fn what_is_marked_for_a_guardrail_is_still_said() {
    let marked = json!([{"guardContent": {"text": {"text": "Tokyo", "qualifiers": ["query"]}}}, {"text": " "}, {"cachePoint": {"type": "default"}}]);
    let body = with(marked, json!({}));
    let request = read_request(body.as_bytes()).expect("a request");
    let [Part::Text { text, cache: Some(CacheMark::Short), .. }, _] = request.messages[0].parts.as_slice() else {
        panic!("{request:?}")
    };
    assert!(text.is("Tokyo"));
}

#[test]
fn what_a_guardrail_would_hold_back_is_never_lost_in_silence() {
    let body = with(json!([{"text": "hi"}]), json!({"guardrailConfig": {"guardrailIdentifier": "g"}}));
    let request = read_request(body.as_bytes()).expect("a request");
    assert_eq!(request.untranslatable.map(|failure| failure.kind), Some(Kind::Unsupported));
}

/// What signs a call elsewhere comes back to the call, through a field that SDKs keep as bytes.
#[test]
fn a_signature_without_a_field_comes_back_to_its_call() {
    let signature = Signature {
        format: Text::from_escaped("google-gemini-v1"),
        data: Text::from_escaped("c2ln"),
        id: None,
        role: SignatureRole::Signs,
    };
    let wrapped =
        carried::carrier().wrap(&signature, "anthropic-claude-v1", &Owner::Call("t1".to_owned())).into_owned();
    let content = json!([
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}},
        {"reasoningContent": {"redactedContent": wrapped.decode()}},
    ]);
    let body = json!({"messages": [{"role": "assistant", "content": content}]}).to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let [Part::ToolCall { signature: Some(read), .. }] = request.messages[0].parts.as_slice() else {
        panic!("{request:?}")
    };
    assert_eq!(carried::carrier().open(read), Some(signature));
}

fn frames(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    let mut reader = Framing::EventStream.reader(1 << 16);
    let read = reader.feed(bytes, &mut |frame| {
        let name = String::from_utf8_lossy(frame.event).into_owned();
        frames.push((name, serde_json::from_slice(&frame.data).expect("JSON")));
    });
    read.expect("both checksums are right");
    frames
}

#[test]
fn a_stream_numbers_its_blocks_and_ends_with_the_usage() {
    let mut writer = Writer::new(naming());
    let text = |plain: &'static str| Text::from_escaped(plain);
    writer.event(Event::Start { id: text("x"), model: text("m"), created: None });
    writer.event(Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text });
    writer.event(Event::TextDelta { choice: 0, block: 0, text: text("Hi") });
    writer.event(Event::BlockEnd { choice: 0, block: 0 });
    writer.event(Event::ToolCallStart { choice: 0, block: 1, id: text("t1"), name: text("f") });
    writer.event(Event::ToolCallDelta { choice: 0, block: 1, arguments: text("{}") });
    writer.event(Event::BlockEnd { choice: 0, block: 1 });
    writer.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) });
    let usage = Usage { input_fresh: 3, input_cache_read: Some(2), output_text: 4, ..Usage::default() };
    writer.close(&Closing { usage: Some(usage), ..Closing::default() });
    let mut out = Vec::new();
    writer.take(&mut out);
    let frames = frames(&out);
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "messageStart",
            "contentBlockDelta",
            "contentBlockStop",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata"
        ]
    );
    assert_eq!(frames[1].1, json!({"contentBlockIndex": 0, "delta": {"text": "Hi"}}));
    assert_eq!(frames[3].1["start"], json!({"toolUse": {"toolUseId": "t1", "name": "f"}}));
    assert_eq!(frames[6].1, json!({"stopReason": "tool_use"}));
    let counts = json!({"inputTokens": 3, "outputTokens": 4, "totalTokens": 9, "cacheReadInputTokens": 2, "cacheWriteInputTokens": 0});
    assert_eq!(frames[7].1["usage"], counts);
}

#[test]
fn a_broken_stream_ends_with_an_exception() {
    let mut writer = Writer::new(naming());
    writer.keep_alive();
    writer.fail(&Failure::new(Kind::RateLimited, "Slow down."), &Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let frames = frames(&out);
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["messageStart", "ping", "exception:throttlingException"]);
    assert_eq!(frames[2].1["message"], "Slow down.");
}

/// Newer Claudes take one of `temperature` and `topP`, then neither, whoever asks them.
#[test]
fn a_patched_request_draws_tokens_as_the_model_can() {
    let sent = |model: &str, limit: Option<u32>, body: Value| {
        let facts = crate::provider::family(model).expect("a family").facts();
        let patch =
            RequestPatch { model, stream: false, facts, default_max_tokens: limit, keys: None, target: "bedrock/m" };
        let mut adjusted = Adjusted::default();
        let patched = patch_request(body.to_string().as_bytes(), &patch, &mut adjusted).expect("a request");
        (serde_json::from_slice::<Value>(&patched.outgoing.body).expect("JSON"), adjusted.header())
    };
    let all = json!({"inferenceConfig": {"temperature": 0.5, "topP": 0.9, "maxTokens": 9},
        "additionalModelRequestFields": {"top_k": 5, "anthropic_beta": ["b"]}});
    let (body, told) = sent("anthropic.claude-sonnet-4-5-20250929-v1:0", None, all.clone());
    assert_eq!(body["inferenceConfig"], json!({"temperature": 0.5, "maxTokens": 9}));
    assert_eq!((body["additionalModelRequestFields"]["top_k"].clone(), told.as_str()), (json!(5), "topP=dropped"));
    let (body, told) = sent("us.anthropic.claude-opus-4-8", Some(7), all.clone());
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 9}));
    assert_eq!(body["additionalModelRequestFields"], json!({"anthropic_beta": ["b"]}));
    assert_eq!(told, "temperature=dropped, topP=dropped, top_k=dropped");
    for usual in [json!({"topP": 0.9}), json!({"temperature": 0.5})] {
        let body = json!({"inferenceConfig": usual});
        let same = sent("anthropic.claude-sonnet-4-5-20250929-v1:0", None, body.clone());
        assert_eq!(same, (body, String::new()));
    }
    let same = sent("amazon.nova-2-lite-v1:0", None, all.clone());
    assert_eq!(same, (all, String::new()));
    // So it is with how much they think.
    let budget = json!({"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 9000}});
    let thinks = json!({"inferenceConfig": {}, "additionalModelRequestFields": budget});
    let (body, told) = sent("us.anthropic.claude-opus-4-8", None, thinks.clone());
    let adaptive =
        json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}});
    assert_eq!(
        (&body["additionalModelRequestFields"], told.as_str()),
        (&adaptive, "top_k=dropped, reasoning.max_tokens=changed")
    );
    assert_eq!(sent("us.anthropic.claude-opus-4-6-v1", None, thinks.clone()), (thinks, String::new()));
    // In the middle of what another model began without a thought, none can be asked for.
    let begun = json!({"inferenceConfig": {}, "additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "a": 1},
        "messages": [{"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "ok"}]}}]}]});
    let (body, told) = sent("us.anthropic.claude-sonnet-4-5-20250929-v1:0", None, begun);
    assert_eq!((&body["additionalModelRequestFields"], told.as_str()), (&json!({"a": 1}), "reasoning=dropped"));
    // A limit holds, however its absence is spelled.
    for empty in [json!({"inferenceConfig": null}), json!({"inferenceConfig": {"maxTokens": null}}), json!({})] {
        let (body, _) = sent("us.anthropic.claude-opus-4-8", Some(7), empty);
        assert_eq!(body, json!({"inferenceConfig": {"maxTokens": 7}}));
    }
}

#[test]
fn a_patched_request_keeps_what_nobody_here_models() {
    let facts = ModelFacts::default();
    let patch = RequestPatch {
        model: "us.a:0",
        stream: true,
        facts: &facts,
        default_max_tokens: Some(7),
        keys: None,
        target: "p/m",
    };
    let foreign = format!("{}AAAA", carried::MARK);
    let body = json!({
        "messages": [{"role": "assistant", "content": [{"reasoningContent": {"redactedContent": foreign}}]}],
        "inferenceConfig": {"topP": 0.5},
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "provider": {"only": ["bedrock"]},
    })
    .to_string();
    let mut adjusted = Adjusted::default();
    let patched = patch_request(body.as_bytes(), &patch, &mut adjusted).expect("a request");
    assert_eq!(patched.outgoing.path, "/model/us.a%3A0/converse-stream");
    let sent: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
    assert_eq!(sent["inferenceConfig"], json!({"topP": 0.5, "maxTokens": 7}));
    assert_eq!(sent["messages"][0]["content"], json!([{"text": "(no text)"}]));
    assert_eq!((sent["guardrailConfig"].is_object(), sent.get("provider")), (true, None));
    assert_eq!(adjusted.header(), "reasoningContent=dropped");
}
