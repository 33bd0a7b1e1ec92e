use serde_json::{Value, json};

use super::*;
use crate::chat::{
    BlockKind, Effort, EndKind, EndReason, Event, OutputShape, Part, Role, Signature, SignatureRole, Sink, Source,
    Tool, ToolChoice,
};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::{Hosting, ModelFacts, family};
use crate::units::UnixMillis;
use crate::wire::carried::{self, Owner};
use crate::wire::{Adjusted, Closing, Layout, Naming, RequestPatch, StreamWriter};

fn with(parts: Value, more: Value) -> String {
    let mut body = json!({"contents": [{"role": "user", "parts": parts}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn naming() -> Naming {
    Naming {
        fallback_id: "r".to_owned(),
        model: "m".to_owned(),
        now: UnixMillis(0),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: None,
        carrier: carried::carrier(),
    }
}

fn fault(body: &str) -> Failure {
    read_request(body.as_bytes()).expect_err(body)
}

#[test]
fn probabilities_that_were_asked_for_are_told() {
    let given = r#"{"content":[{"token":"Hi","logprob":-0.1,"bytes":[72,105],"top_logprobs":[{"token":"Ho","logprob":-3,"bytes":null}]}],"refusal":null}"#;
    let raw = || crate::json::Raw::parse(given).expect("json");
    let expected = json!({
        "chosenCandidates": [{"token": "Hi", "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "Ho", "logProbability": -3}]}]});
    let mut fold = crate::chat::Fold::new();
    let mut writer = Writer::new(naming(), Layout::Events);
    for event in [
        Event::Start { id: Text::EMPTY, model: Text::EMPTY, created: None },
        Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text },
        Event::TextDelta { choice: 0, block: 0, text: Text::escape("Hi") },
        Event::LogprobsDelta { choice: 0, logprobs: raw() },
        Event::BlockEnd { choice: 0, block: 0 },
        Event::End { choice: 0, reason: EndReason::plain(EndKind::Stop) },
    ] {
        fold.event(event.clone());
        writer.event(event);
    }
    let mut out = Vec::new();
    writer.take(&mut out);
    let streamed = String::from_utf8(out).expect("text");
    let told = streamed.lines().filter_map(|line| line.strip_prefix("data: "));
    let told: Vec<Value> = told.map(|data| serde_json::from_str(data).expect(data)).collect();
    assert!(told.iter().any(|object| object["candidates"][0]["logprobsResult"] == expected), "{streamed}");
    let whole = write_answer(&fold.finish().expect("an answer"), &naming(), &Closing::default());
    let whole: Value = serde_json::from_slice(&whole).expect("json");
    assert_eq!(whole["candidates"][0]["logprobsResult"], expected);
}

#[test]
fn every_fault_names_its_place() {
    let text = json!([{"text": "hi"}]);
    for (body, place) in [
        (with(json!([{"text": 3}]), json!({})), "contents.0.parts.0.text"),
        (with(json!([{"inlineData": {"data": "AA"}}]), json!({})), "contents.0.parts.0.inlineData.mimeType"),
        (with(json!([{"functionCall": {"args": {}}}]), json!({})), "contents.0.parts.0.functionCall.name"),
        (with(json!([{"functionResponse": {"response": {}}}]), json!({})), "contents.0.parts.0.functionResponse.name"),
        (with(text.clone(), json!({"tools": [{"functionDeclarations": [{}]}]})), "tools.0.functionDeclarations.0.name"),
        (with(text.clone(), json!({"generationConfig": {"maxOutputTokens": "x"}})), "generationConfig.maxOutputTokens"),
        (
            with(text.clone(), json!({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}})),
            "toolConfig.functionCallingConfig.mode",
        ),
        (json!({"contents": [{"role": "critic", "parts": text}]}).to_string(), "contents.0.role"),
        ("{}".to_owned(), "contents"),
    ] {
        assert_eq!(fault(&body).param.as_deref(), Some(place), "{body}");
    }
    for body in ["", "[]", "{"] {
        assert!(read_request(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn files_within_results_are_read_too() {
    let result = json!({"name": "f", "response": {"result": "ok"}, "parts": [
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.png"}},
        {"inline_data": {"mime_type": "image/png", "data": "AA=="}}]});
    let body = with(json!([{"functionResponse": result}]), json!({}));
    let request = read_request(body.as_bytes()).expect("a request");
    let [Part::ToolResult { parts, .. }] = request.messages[0].parts.as_slice() else { panic!("{request:?}") };
    assert!(matches!(
        parts.as_slice(),
        [
            Part::Text { .. },
            Part::Image { source: Source::Url(_), .. },
            Part::Image { source: Source::Inline { .. }, .. }
        ]
    ));
}

#[test]
fn either_case_says_the_same() {
    let camel = r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}],"generationConfig":{"maxOutputTokens":3,"thinkingConfig":{"includeThoughts":true}},"toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["f"]}}}"#;
    let snake = camel
        .replace("systemInstruction", "system_instruction")
        .replace("inlineData", "inline_data")
        .replace("mimeType", "mime_type")
        .replace("generationConfig", "generation_config")
        .replace("maxOutputTokens", "max_output_tokens")
        .replace("thinkingConfig", "thinking_config")
        .replace("includeThoughts", "include_thoughts")
        .replace("toolConfig", "tool_config")
        .replace("functionCallingConfig", "function_calling_config")
        .replace("allowedFunctionNames", "allowed_function_names");
    let read = read_request(camel.as_bytes()).expect("a request");
    assert_eq!(read, read_request(snake.as_bytes()).expect("a request"));
    assert_eq!(read.tool_choice, Some(ToolChoice::Named(Text::from_escaped("f"))));
    assert!(read.reasoning.is_some_and(|wish| !wish.exclude));
}

/// Calls and results without ids, as older clients have them, find each other by name and order.
#[test]
fn results_find_their_calls() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let result = |name: &str, value: Value| json!({"functionResponse": {"name": name, "response": value}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "?"}]},
        {"role": "model", "parts": [call("f"), call("g"), call("f")]},
        {"role": "user", "parts": [result("g", json!({"output": "1"})), result("f", json!({"a": 2})), result("f", json!({"error": "no"}))]},
    ]})
    .to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let ids: Vec<String> = request.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall { id, .. } => id.decode().into_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(request.messages[2].role, Role::Tool);
    let answered: Vec<(String, String, bool)> = request.messages[2]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult { call_id, parts, is_error, .. } => match parts.as_slice() {
                [Part::Text { text, .. }] => (call_id.decode().into_owned(), text.decode().into_owned(), *is_error),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(&ids[1], "1", false), (&ids[0], "{\"a\":2}", false), (&ids[2], "no", true)];
    assert_eq!(answered, expected.map(|(id, text, error)| (id.clone(), text.to_owned(), error)));
}

#[test]
fn what_is_said_of_a_part_and_has_no_word_elsewhere_is_listed() {
    let film = json!({"file_data": {"file_uri": "https://youtu.be/x"}, "video_metadata": {"start_offset": "5s"}});
    let body = with(json!([film, film, {"text": "a", "mediaResolution": null}]), json!({}));
    let request = read_request(body.as_bytes()).expect("a request");
    assert_eq!(request.unsayable, ["videoMetadata"]);
}

#[test]
fn media_thinking_and_shapes() {
    let parts = json!([
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
    ]);
    let body = with(
        parts,
        json!({"generationConfig": {
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            "thinkingConfig": {"thinkingLevel": "LOW"},
        }, "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]}),
    );
    let request = read_request(body.as_bytes()).expect("a request");
    let [
        Part::Audio { .. },
        Part::Text { text, .. },
        Part::Video { source: Source::Url(_) },
        Part::File { source: Source::FileId(_), .. },
    ] = request.messages[0].parts.as_slice()
    else {
        panic!("{request:?}")
    };
    assert!(text.is("a,b"));
    let wish = request.reasoning.as_ref().expect("a wish");
    assert_eq!((wish.effort, wish.exclude), (Some(Effort::Low), true));
    assert!(request.web_search.is_some() && matches!(&request.tools[..], [Tool::Function { .. }]));
    let OutputShape::JsonSchema { schema: Some(schema), .. } = &request.output else { panic!("{request:?}") };
    assert_eq!(schema.get(), r#"{"properties":{"a":{"type":"string"}},"type":"object"}"#);
    for (own, place) in [
        (json!({"tools": [{"codeExecution": {}}]}), "tools.0.codeExecution"),
        (json!({"cachedContent": "cachedContents/a"}), "cachedContent"),
        (json!({"generationConfig": {"responseMimeType": "text/x.enum"}}), "generationConfig.responseMimeType"),
    ] {
        let own = with(json!([{"text": "x"}]), own);
        let refusal = read_request(own.as_bytes()).expect("a request").untranslatable.expect("a refusal");
        assert_eq!(refusal.param.as_deref(), Some(place));
    }
}

/// What Google takes beside what it documents: `test_multiple_agent_tool_calls` and
/// `test_google_image_generation_with_web_search` in <https://github.com/pydantic/pydantic-ai>.
#[test]
fn a_lone_tool_is_a_list_of_one_and_a_call_without_functions_is_not_demanded() {
    let alone = with(json!([{"text": "x"}]), json!({"tools": {"functionDeclarations": [{"name": "f"}]}}));
    let request = read_request(alone.as_bytes()).expect("a request");
    assert!(matches!(&request.tools[..], [Tool::Function { name, .. }] if name.is("f")));
    let any = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": []}});
    let own = with(json!([{"text": "x"}]), json!({"toolConfig": any, "tools": [{"googleSearch": {}}]}));
    let request = read_request(own.as_bytes()).expect("a request");
    assert!(request.tool_choice.is_none() && request.web_search.is_some());
}

#[test]
fn a_thought_that_came_in_pieces_is_one_again() {
    let signature = Signature {
        format: Text::from_escaped("anthropic-claude-v1"),
        data: Text::from_escaped("EqQB"),
        id: None,
        role: SignatureRole::Signs,
    };
    let wrapped = carried::carrier().wrap(&signature, "google-gemini-v1", &Owner::Here).into_owned();
    let body = json!({"contents": [{"role": "model", "parts": [
        {"text": "Let", "thought": true},
        {"text": " me", "thought": true},
        {"text": "", "thought": true, "thoughtSignature": wrapped.decode()},
        {"text": "Done."},
    ]}]})
    .to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let [Part::Reasoning { text, signature: Some(read) }, Part::Text { .. }] = request.messages[0].parts.as_slice()
    else {
        panic!("{request:?}")
    };
    assert!(text.is("Let me") && carried::carrier().open(read) == Some(signature));
}

#[test]
fn a_tier_is_said_where_the_host_reads_it() {
    let facts = ModelFacts::default();
    let sent = |hosting: Hosting, limit: Option<u32>, body: Value| {
        let patch = RequestPatch {
            model: "m",
            stream: false,
            facts: &facts,
            default_max_tokens: limit,
            keys: None,
            target: "p/m",
        };
        let patched = patch_request(body.to_string().as_bytes(), &patch, hosting, &mut Adjusted::default());
        let sent = patched.expect("a request").outgoing;
        (serde_json::from_slice::<Value>(&sent.body).expect("JSON"), sent.headers)
    };
    let priority = || json!({"contents": [], "service_tier": "PRIORITY"});
    assert_eq!(sent(Hosting::Own, None, priority()), (priority(), vec![]));
    let header = ("x-vertex-ai-llm-shared-request-type", "priority".to_owned());
    assert_eq!(sent(Hosting::PublisherModel, None, priority()), (json!({"contents": []}), vec![header]));
    let usual = json!({"contents": [], "serviceTier": "standard"});
    assert_eq!(sent(Hosting::PublisherModel, None, usual), (json!({"contents": []}), vec![]));
    // A limit holds, however its absence is spelled.
    for empty in [json!({"generation_config": null}), json!({"generationConfig": {"maxOutputTokens": null}}), json!({})]
    {
        assert_eq!(sent(Hosting::Own, Some(7), empty).0, json!({"generationConfig": {"maxOutputTokens": 7}}));
    }
}

#[test]
fn a_patched_request_never_lacks_a_signature() {
    let mut facts = ModelFacts::default();
    family("gemini-3-flash-preview").expect("a family").apply(&mut facts);
    let patch = RequestPatch {
        model: "gemini-3-flash-preview",
        stream: true,
        facts: &facts,
        default_max_tokens: Some(9),
        keys: None,
        target: "p/m",
    };
    let body = r#"{"contents":[{"role":"model","parts":[ {"functionCall":{"name":"f"}} , {"functionCall":{"name":"g"}}]},
        {"role":"model","parts":[{"functionCall":{"name":"h"},"thoughtSignature":"c2ln"}]}], "generationConfig":{"topK":1}}"#;
    let mut adjusted = Adjusted::default();
    let patched = patch_request(body.as_bytes(), &patch, Hosting::Own, &mut adjusted).expect("a request");
    assert!(patched.outgoing.path.ends_with(":streamGenerateContent?alt=sse"));
    let sent: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
    let signature = |turn: usize, part: usize| sent["contents"][turn]["parts"][part]["thoughtSignature"].clone();
    assert_eq!(signature(0, 0), "skip_thought_signature_validator");
    assert_eq!((signature(0, 1), signature(1, 0)), (Value::Null, json!("c2ln")));
    assert_eq!(sent["generationConfig"], json!({"maxOutputTokens": 9, "topK": 1}));
    assert!(adjusted.is_empty());
}

/// "Thinking level is not supported for this model", "Thinking level MINIMAL is not supported for this model", "Budget 0 is
/// invalid. This model only works in thinking mode": of callers who named an alias, or whose first model failed.
#[test]
fn a_patched_request_has_each_model_think_in_its_own_words() {
    let sent = |model: &str, asked: &Value| {
        let facts = family(model).map(|family| family.facts().clone()).unwrap_or_default();
        let patch =
            RequestPatch { model, stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
        let body = json!({"contents": [], "generationConfig": {"topK": 1, "thinking_config": asked}}).to_string();
        let mut adjusted = Adjusted::default();
        let patched = patch_request(body.as_bytes(), &patch, Hosting::Own, &mut adjusted).expect("a request");
        let body: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
        assert_eq!(body["generationConfig"]["topK"], 1);
        (body["generationConfig"]["thinking_config"].clone(), adjusted.header())
    };
    let level = |level: &str| json!({"thinkingLevel": level, "includeThoughts": true});
    let budget = |tokens: i64| json!({"thinkingBudget": tokens, "includeThoughts": true});
    for (model, asked) in [
        ("gemini-3-pro-preview", level("HIGH")),
        ("gemini-3-pro-preview", budget(9000)),
        ("gemini-3.5-flash", level("MINIMAL")),
        ("gemini-2.5-pro", budget(-1)),
        ("gemini-2.5-flash", budget(0)),
        ("gemini-2.5-flash", json!({"includeThoughts": true})),
        ("my-own", level("HIGH")),
    ] {
        assert_eq!(sent(model, &asked), (asked, String::new()), "{model}");
    }
    for (model, asked, expected, told) in [
        ("gemini-2.5-pro", level("HIGH"), budget(24_576), ""),
        ("gemini-3-pro-preview", level("MEDIUM"), level("low"), "reasoning=clamped"),
        ("gemini-3.1-pro-preview", level("MINIMAL"), level("low"), "reasoning=clamped"),
        ("gemini-2.5-pro", json!({"thinkingBudget": 0}), json!({"thinkingBudget": 128}), "reasoning=clamped"),
        ("gemini-2.5-flash", budget(32_768), budget(24_576), "reasoning=clamped"),
        ("gemini-2.0-flash", budget(9000), Value::Null, "reasoning=dropped"),
    ] {
        assert_eq!(sent(model, &asked), (expected, told.to_owned()), "{model} {asked}");
    }
}
