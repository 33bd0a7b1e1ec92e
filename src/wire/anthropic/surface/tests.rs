use serde_json::{Value, json};

use super::*;
use crate::chat::{
    BlockKind, EndKind, EndReason, Event, Fold, Part, Request, Role, Signature, SignatureRole, Sink, Source, ToolChoice,
};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::{Hosting, ModelFacts, Quirks};
use crate::units::UnixMillis;
use crate::wire::carried::{self, Owner};
use crate::wire::{Adjusted, Closing, InlinedMedia, Naming, RequestPatch, StreamWriter, Surface, Target, openai_chat};

fn request(content: Value, more: Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn fault(body: &str) -> Failure {
    read_request(body.as_bytes()).expect_err(body)
}

/// What an upstream of Chat Completions is sent, and what was adjusted.
fn to_openai(body: &str) -> (Value, String) {
    let request = read_request(body.as_bytes()).expect("a request");
    let facts = ModelFacts::default();
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    let mut adjusted = Adjusted::default();
    let format = crate::wire::Format::OpenAiChat;
    let outgoing = format.write_request(&request, &target, &mut adjusted).expect("a request");
    (serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted.header())
}

#[test]
fn every_fault_names_its_place() {
    let cases = [
        (json!("hi"), json!({"model": 3}), "model"),
        (json!(3), json!({}), "messages.0.content"),
        (json!([3]), json!({}), "messages.0.content.0"),
        (json!([{"text": "x"}]), json!({}), "messages.0.content.0.type"),
        (json!([{"type": "text"}]), json!({}), "messages.0.content.0.text"),
        (
            json!([{"type": "image", "source": {"type": "base64", "data": "AA"}}]),
            json!({}),
            "messages.0.content.0.source.media_type",
        ),
        (json!([{"type": "tool_result", "content": "x"}]), json!({}), "messages.0.content.0.tool_use_id"),
        (json!("hi"), json!({"tools": [{"description": "x"}]}), "tools.0.name"),
        (json!("hi"), json!({"tool_choice": {"type": "some"}}), "tool_choice.type"),
        (json!("hi"), json!({"tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!("hi"), json!({"max_tokens": "many"}), "max_tokens"),
        (json!("hi"), json!({"messages": []}), "messages"),
        (json!("hi"), json!({"messages": [{"role": "critic", "content": "x"}]}), "messages.0.role"),
    ];
    for (content, more, place) in cases {
        let body = request(content, more);
        assert_eq!(fault(&body).param.as_deref(), Some(place), "{body}");
    }
    for body in ["", "[]", "{", r#"{"messages":[{"role":"user","content":"x"}]}"#] {
        assert!(read_request(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn results_of_tools_stand_apart_with_their_pictures() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let body = request(
        json!([
            {"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [{"type": "text", "text": "no"}, image]},
            {"type": "tool_result", "tool_use_id": "b"},
            {"type": "text", "text": "Go on."},
        ]),
        json!({}),
    );
    let read = read_request(body.as_bytes()).expect("a request");
    let roles: Vec<Role> = read.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Tool, Role::User]);
    let [Part::ToolResult { parts, is_error: true, .. }, Part::ToolResult { .. }] = read.messages[0].parts.as_slice()
    else {
        panic!("{read:?}")
    };
    assert!(matches!(&parts[1], Part::Image { source: Source::Inline { .. }, .. }));
}

#[test]
fn what_an_agent_asks_for_becomes_a_chat() {
    let user = "user_".to_owned() + &"f".repeat(120);
    let body = request(
        json!([{"type": "text", "text": "Fix it.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
        json!({
            "stream": true,
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=00000;"},
                {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
            ],
            "tools": [
                {"name": "Bash", "description": "Runs", "input_schema": {"type": "object"}, "eager_input_streaming": true},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            ],
            "tool_choice": {"type": "tool", "name": "web_search"},
            "thinking": {"type": "enabled", "budget_tokens": 10000},
            "metadata": {"user_id": user},
            "context_management": {"edits": []},
        }),
    );
    let read: Request<'_> = read_request(body.as_bytes()).expect("a request");
    assert_eq!(read.tool_choice, None, "a search cannot be forced as a function is");
    assert!(read.web_search.is_some() && read.tools.len() == 1);
    let (sent, adjusted) = to_openai(&body);
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "You are an agent."}));
    assert_eq!(
        sent["tools"][0]["function"],
        json!({"name": "Bash", "description": "Runs", "parameters": {"type": "object"}})
    );
    assert!(sent["user"].as_str().is_some_and(|name| name.len() <= 64 && name.starts_with("user_")));
    assert_eq!(sent["reasoning_effort"], "high");
    for lost in ["context_management=dropped", "cache_control=dropped", "user=changed", "max_uses=dropped"] {
        assert!(adjusted.contains(lost), "{adjusted}");
    }
}

#[test]
fn what_only_its_own_provider_can_do_is_refused_by_name() {
    for (more, place) in [
        (json!({"tools": [{"type": "code_execution_20260120", "name": "code_execution"}]}), "tools.0"),
        (json!({"mcp_servers": [{"url": "https://mcp.example"}]}), "mcp_servers"),
        (json!({"inference_geo": "us"}), "inference_geo"),
        (json!({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}), "messages.0.content.0.type"),
    ] {
        let body = request(json!("hi"), more);
        let read = read_request(body.as_bytes()).expect("a request");
        assert_eq!(read.untranslatable.expect("a refusal").param.as_deref(), Some(place));
    }
}

/// Tools that the caller runs are to be had everywhere, also those that the protocol's own models know by their types.
#[test]
fn tools_known_by_their_types_are_told_to_other_models() {
    let tools = json!([
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
    ]);
    let (sent, _) = to_openai(&request(json!("hi"), json!({"tools": tools})));
    for (at, (name, member)) in
        [("bash", "restart"), ("str_replace_based_edit_tool", "old_str"), ("memory", "new_path")]
            .into_iter()
            .enumerate()
    {
        let function = &sent["tools"][at]["function"];
        assert_eq!(function["name"], name);
        assert!(
            function["description"].is_string() && function["parameters"]["properties"][member].is_object(),
            "{name}"
        );
    }
}

#[test]
fn tools_may_come_and_go_in_mid_conversation() {
    let messages = json!([
        {"role": "user", "content": "hi"},
        {"role": "system", "content": [
            {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "late", "input_schema": {"type": "object"}}}},
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}},
            {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "g"}},
        ]},
    ]);
    for fields in [["messages", "tools"], ["tools", "messages"]] {
        let values = fields.map(|field| match field {
            "tools" => format!(r#""tools":{}"#, json!([{"name": "f"}, {"name": "g"}])),
            _ => format!(r#""messages":{messages}"#),
        });
        let body = format!(r#"{{"model":"m","max_tokens":9,{},{}}}"#, values[0], values[1]);
        let (sent, adjusted) = to_openai(&body);
        let mut names: Vec<&str> =
            sent["tools"].as_array().unwrap().iter().filter_map(|tool| tool["function"]["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!((names, adjusted.as_str()), (vec!["f", "g", "late"], "tool_removal=dropped"));
        assert_eq!(sent["messages"].as_array().map(Vec::len), Some(1), "{sent}");
    }
}

/// What would be kept for all keys, and models that nobody allowed this key.
#[test]
fn nothing_goes_past_what_a_key_may() {
    let facts = ModelFacts::default();
    let patch = RequestPatch {
        model: "claude-haiku-4-5",
        stream: false,
        facts: &facts,
        default_max_tokens: None,
        keys: None,
        target: "p/m",
    };
    let patched = |more: Value, adjusted: &mut Adjusted| {
        patch_request(request(json!("hi"), more).as_bytes(), &patch, Hosting::Own, &|_| None, adjusted)
    };
    let thread = json!({"thread": {"type": "continue", "previous_message_id": "msg_1"}});
    let advisor = json!({"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5"}]});
    for (more, place) in [(thread.clone(), "thread"), (advisor, "tools.0")] {
        let refused = patched(more, &mut Adjusted::default()).expect_err("a refusal");
        assert_eq!(refused.param.as_deref(), Some(place));
    }
    // The SDK's tool runner begins with one, and goes on without where it is told so in these words.
    let refused = read_request(request(json!("hi"), thread).as_bytes()).expect_err("a refusal");
    let told: Value = serde_json::from_slice(&write_failure(&refused)).expect("JSON");
    let details = json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
    assert_eq!(told["error"]["details"], details);
    let mut adjusted = Adjusted::default();
    let sent =
        patched(json!({"fallbacks": [{"model": "claude-opus-5"}], "thread": null}), &mut adjusted).expect("a request");
    let sent: Value = serde_json::from_slice(&sent.outgoing.body).expect("JSON");
    assert_eq!((sent.get("fallbacks"), adjusted.header().as_str()), (None, "fallbacks=dropped"));
}

#[test]
fn every_choice_of_tools() {
    for (choice, expected) in [
        (json!({"type": "auto"}), ToolChoice::Auto),
        (json!({"type": "any"}), ToolChoice::Required),
        (json!({"type": "none"}), ToolChoice::None),
        (json!({"type": "tool", "name": "f"}), ToolChoice::Named(Text::from_escaped("f"))),
    ] {
        let body = request(json!("hi"), json!({"tools": [{"name": "f"}], "tool_choice": choice}));
        assert_eq!(read_request(body.as_bytes()).expect("a request").tool_choice, Some(expected));
    }
}

#[test]
fn a_document_of_words_is_told_as_words() {
    let document = json!({"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "Rust \"is\"."}});
    let (sent, _) = to_openai(&request(json!([document]), json!({})));
    assert_eq!(sent["messages"][0]["content"], "a.txt\n\nRust \"is\".");
}

/// Thoughts of another provider's model would be refused by the upstream; its own stay byte for byte.
#[test]
fn foreign_thoughts_are_left_out_of_a_patched_request() {
    let foreign = Signature {
        format: Text::from_escaped("openai-responses-v1"),
        data: Text::from_escaped("abc"),
        id: None,
        role: SignatureRole::Replaces,
    };
    let wrapped = carried::carrier().wrap(&foreign, "anthropic-claude-v1", &Owner::Here).into_owned();
    let own = r#"{"type": "thinking",  "thinking": "hm", "signature": "EqQB"}"#;
    let body = format!(
        r#"{{"model":"x/y","messages":[{{"role":"assistant","content":[{{"type":"redacted_thinking","data":"{}"}}, {own}]}},
        {{"role":"assistant","content":[{{"type":"thinking","thinking":"","signature":"{}"}}]}}]}}"#,
        wrapped.escaped(),
        wrapped.escaped()
    );
    let facts = ModelFacts::default();
    let patch = RequestPatch {
        model: "y",
        stream: false,
        facts: &facts,
        default_max_tokens: Some(7),
        keys: None,
        target: "p/m",
    };
    let mut adjusted = Adjusted::default();
    let patched = patch_request(body.as_bytes(), &patch, Hosting::Own, &|_| None, &mut adjusted).expect("a request");
    let sent = String::from_utf8(patched.outgoing.body).expect("text");
    assert!(sent.contains(&format!("[{own}]")) && !sent.contains(carried::MARK), "{sent}");
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("y"), &json!(7)));
    assert_eq!(sent["messages"][1]["content"][0]["type"], "text");
    assert_eq!(adjusted.header(), "thinking=dropped");
}

#[test]
fn omitted_thoughts_are_carried_all_the_same() {
    let asks = |thinking: Value| {
        let body = request(json!("hi"), json!({"thinking": thinking}));
        let read = read_request(body.as_bytes()).expect("a request");
        (Surface::Anthropic.hides_reasoning(&read), Surface::Anthropic.omits_thoughts(&read))
    };
    assert_eq!(asks(json!({"type": "adaptive", "display": "omitted"})), (false, true));
    assert_eq!(asks(json!({"type": "adaptive"})), (false, false));
    assert_eq!(asks(json!({"type": "disabled"})), (true, false));
    assert_eq!(asks(json!({"type": "between_tools"})), (true, false));

    let signature = |role| Signature {
        format: Text::from_escaped("openai-responses-v1"),
        data: Text::from_escaped("EqQB"),
        id: Some(Text::from_escaped("rs_1")),
        role,
    };
    let naming = Naming {
        fallback_id: "msg_1".to_owned(),
        model: "m".to_owned(),
        now: UnixMillis(0),
        hide_reasoning: false,
        omit_thoughts: true,
        include_usage: true,
        echo: None,
        carrier: carried::carrier(),
    };
    for (role, kind) in [(SignatureRole::Replaces, "redacted_thinking"), (SignatureRole::Signs, "thinking")] {
        let (mut fold, mut writer) = (Fold::new(), Writer::new(naming.clone()));
        for event in [
            Event::Start { id: Text::EMPTY, model: Text::EMPTY, created: None },
            Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Reasoning },
            Event::ReasoningDelta { choice: 0, block: 0, text: Text::from_escaped("secret") },
            Event::BlockSignature { choice: 0, block: 0, signature: signature(role) },
            Event::BlockEnd { choice: 0, block: 0 },
            Event::End { choice: 0, reason: EndReason::plain(EndKind::Stop) },
        ] {
            fold.event(event.clone());
            writer.event(event);
        }
        let answer = fold.finish().expect("an answer");
        let whole = write_answer(&answer, &naming, &Closing::default()).expect("an answer");
        let whole = String::from_utf8(whole).expect("text");
        let mut streamed = Vec::new();
        writer.close(&Closing::default());
        writer.take(&mut streamed);
        for shown in [whole, String::from_utf8(streamed).expect("text")] {
            assert!(!shown.contains("secret") && shown.contains(&format!("\"type\":\"{kind}\"")), "{shown}");
            assert!(shown.contains(carried::MARK), "{shown}");
        }
    }
}

#[test]
fn a_request_reads_the_same_as_its_openai_twin() {
    let ours =
        request(json!("hi"), json!({"stop_sequences": ["x"], "temperature": 0.50, "service_tier": "standard_only"}));
    let theirs = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stop":["x"],"temperature":0.5,"service_tier":"default"}"#;
    let ours = read_request(ours.as_bytes()).expect("a request");
    assert_eq!(ours, openai_chat::read_request(theirs.as_bytes()).expect("a request"));
}

/// A host has the model in the path and the version in the body, and knows some of the betas; everything else is the
/// caller's.
#[test]
fn a_host_gets_the_callers_own_request() {
    let body = r#"{"model":"x/y","stream":true,"anthropic_beta":["old"],"max_tokens":5,"messages":[ ]}"#;
    let facts = ModelFacts::default();
    let patch = RequestPatch {
        model: "anthropic.y:0",
        stream: true,
        facts: &facts,
        default_max_tokens: None,
        keys: None,
        target: "p/m",
    };
    let header = |name: &str| match name {
        "anthropic-beta" => Some("claude-code-20250219,context-1m-2025-08-07, \"odd,advanced-tool-use-2025-11-20"),
        "anthropic-version" => Some("2023-06-01"),
        _ => None,
    };
    let sent = |at: Hosting| {
        let mut adjusted = Adjusted::default();
        let patched = patch_request(body.as_bytes(), &patch, at, &header, &mut adjusted).expect("a request");
        let body: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
        assert_eq!(adjusted.header(), "anthropic-beta=trimmed");
        (patched.outgoing.path, patched.outgoing.headers, body)
    };
    let (path, headers, body) = sent(Hosting::InvokeModel);
    assert_eq!(path, "/model/anthropic%2Ey%3A0/invoke-with-response-stream".replace("%2E", "."));
    assert_eq!(headers, []);
    let betas = json!(["context-1m-2025-08-07", "tool-search-tool-2025-10-19"]);
    let expected =
        json!({"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": betas, "max_tokens": 5, "messages": []});
    assert_eq!(body, expected);
    let (path, headers, body) = sent(Hosting::PublisherModel);
    assert_eq!(path, "/publishers/anthropic/models/anthropic.y%3A0:streamRawPredict");
    assert_eq!(headers, [("anthropic-beta", "context-1m-2025-08-07,tool-search-tool-2025-10-19".to_owned())]);
    assert_eq!((&body["anthropic_version"], &body["stream"]), (&json!("vertex-2023-10-16"), &json!(true)));
    assert_eq!((body.get("model"), &body["anthropic_beta"]), (None, &json!(["old"])));
}

/// Bedrock's models before Claude 4.5 know marks without a time alone; others, and other hosts, take one.
#[test]
fn marks_lose_their_hour_where_a_model_of_bedrocks_does_not_know_it() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let own = json!({"cache_control": {"ttl": "1h"}});
    let body = json!({
        "max_tokens": 5,
        "system": [{"type": "text", "text": "s", "cache_control": mark}],
        "tools": [{"name": "f", "input_schema": own, "cache_control": mark}],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": own}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c",
                "content": [{"type": "text", "text": "\"ttl\"", "cache_control": mark}]}]},
        ],
    });
    let sent = |model: &str, at: Hosting| {
        let facts = crate::provider::family(model).expect("a family").facts();
        let patch = RequestPatch { model, stream: false, facts, default_max_tokens: None, keys: None, target: "p/m" };
        let mut adjusted = Adjusted::default();
        let patched = patch_request(body.to_string().as_bytes(), &patch, at, &|_| None, &mut adjusted).expect("it");
        (serde_json::from_slice::<Value>(&patched.outgoing.body).expect("JSON"), adjusted.header())
    };
    let (old, told) = sent("anthropic.claude-3-7-sonnet-20250219-v1:0", Hosting::InvokeModel);
    assert_eq!(told, "cache_control=clamped");
    let short = json!({"type": "ephemeral"});
    assert_eq!((&old["system"][0]["cache_control"], &old["tools"][0]["cache_control"]), (&short, &short));
    assert_eq!(old["messages"][1]["content"][0]["content"][0]["cache_control"], short);
    assert_eq!((&old["tools"][0]["input_schema"], &old["messages"][0]["content"][0]["input"]), (&own, &own));
    for (model, at) in [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", Hosting::InvokeModel),
        ("claude-3-7-sonnet-20250219", Hosting::Own),
        ("claude-3-7-sonnet@20250219", Hosting::PublisherModel),
    ] {
        let (sent, told) = sent(model, at);
        assert_eq!((&sent["system"], told.as_str()), (&body["system"], ""), "{model}");
    }
}

/// For the others one is what they draw by anyway; of `top_k` it is a wish, and a 400.
#[test]
fn the_first_token_alone_is_a_wish_that_a_newer_claude_refuses() {
    let body = json!({"max_tokens": 5, "top_k": 1, "temperature": 1, "messages": [{"role": "user", "content": "hi"}]});
    let sent = |model: &str| {
        let facts = crate::provider::family(model).expect("a family").facts();
        let patch = RequestPatch { model, stream: false, facts, default_max_tokens: None, keys: None, target: "p/m" };
        let mut adjusted = Adjusted::default();
        let body = body.to_string();
        let patched = patch_request(body.as_bytes(), &patch, Hosting::Own, &|_| None, &mut adjusted).expect("it");
        let body: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
        (body["top_k"].clone(), body["temperature"].clone(), adjusted.header())
    };
    assert_eq!(sent("claude-opus-4-8"), (Value::Null, json!(1), "top_k=dropped".to_owned()));
    assert_eq!(sent("claude-opus-4-6"), (json!(1), json!(1), String::new()));
}

#[test]
fn what_else_is_said_of_the_output_is_listed() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
        "output_config": {"effort": "low", "task_budget": {"type": "tokens", "total": 9000}, "format": null},
        "inference_geo": "global"});
    let body = body.to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    assert_eq!(
        (request.untranslatable, request.unsayable.as_slice()),
        (None, &["output_config.task_budget".into()][..])
    );
}
