use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::Effort;
use crate::failure::Failure;
use crate::provider::{
    ModelFacts, OutputCap, Quirks, ReasoningBack, ReasoningControl, ReasoningParameter, SamplingRule, ToolCallIds,
};
use crate::wire::Adjusted;
use crate::wire::RequestPatch;
use crate::wire::carried::MARK;

fn patch_as(body: &str, stream: bool, facts: &ModelFacts, quirks: &Quirks) -> Result<(String, String), Failure> {
    let mut adjusted = Adjusted::default();
    let patch = RequestPatch { model: "m", stream, facts, default_max_tokens: None, keys: None, target: "p/m" };
    let patched = patch_request(body.as_bytes(), &patch, quirks, &mut adjusted)?;
    let again = patch_request(&patched.body, &patch, quirks, &mut Adjusted::default())?;
    assert_eq!(again.body, patched.body, "a second time changes nothing");
    Ok((String::from_utf8(patched.body.into_owned()).expect("text"), adjusted.header()))
}

fn patch(body: &str, quirks: &Quirks) -> String {
    patch_as(body, false, &ModelFacts::default(), quirks).expect(body).0
}

#[test]
fn only_what_must_change_changes() {
    let stream = |body: &str| patch_as(body, true, &ModelFacts::default(), &Quirks::NONE).expect(body).0;
    assert_eq!(
        stream(r#"{ "model" : "openai/m", "messages":[ ],"x":{"y": [1, 2]} }"#),
        r#"{"stream_options":{"include_usage":true}, "model" : "m", "messages":[ ],"x":{"y": [1, 2]} }"#
    );
    assert_eq!(
        stream(r#"{"model":"m","stream_options":null}"#),
        r#"{"model":"m","stream_options":{"include_usage":true}}"#
    );
    assert_eq!(
        stream(r#"{"model":"m","stream_options":{"include_obfuscation":false, "include_usage":false}}"#),
        r#"{"model":"m","stream_options":{"include_usage":true,"include_obfuscation":false}}"#
    );
    assert_eq!(
        patch(
            r#"{"models":["a"],"mod\u0065l":"a","provider":{"order":[]},"model":"b","route":"fallback"}"#,
            &Quirks::NONE
        ),
        r#"{"mod\u0065l":"m","model":"m"}"#
    );
    let routed = r#"{"model":"m","models":["a"],"provider":{"order":[]},"plugins":[],"usage":{"include":true}}"#;
    assert_eq!(
        patch(routed, &Quirks { routes_itself: true, ..Quirks::COMPATIBLE }),
        routed,
        "another router reads them"
    );
    assert_eq!(patch(r#"{"messages":[]}"#, &Quirks::NONE), r#"{"model":"m","messages":[]}"#);
    let untouched = r#"{"model":"m","messages":[{"role":"user","content":"q"}],"provider":"text","seed":1}"#;
    let mut adjusted = Adjusted::default();
    let facts = ModelFacts::default();
    let request =
        RequestPatch { model: "m", stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
    let patched = patch_request(untouched.as_bytes(), &request, &Quirks::NONE, &mut adjusted).expect("a request");
    assert!(matches!(patched.body, std::borrow::Cow::Borrowed(body) if body == untouched.as_bytes()));
    for body in ["", "[]", "{", r#"{"a":1}x"#] {
        assert!(patch_request(body.as_bytes(), &request, &Quirks::NONE, &mut adjusted).is_err(), "{body}");
    }
}

#[test]
fn what_a_vendor_calls_otherwise_is_renamed() {
    let mistral = Quirks {
        output_cap: OutputCap::MaxTokens,
        developer_role: false,
        seed: "random_seed",
        tool_call_ids: ToolCallIds::NineAlphanumerics,
        refuses: &["user", "logprobs", "modalities", "stream_options"],
        ..Quirks::NONE
    };
    let body = r#"{"model":"m","max_completion_tokens":5,"seed":7,"user":"u","logprobs":false,"modalities":["text"],"messages":[
        {"role":"developer","content":"d"},
        {"role":"assistant","tool_calls":[{"id":"call_abc","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_abc","content":"r"}]}"#;
    let (patched, adjusted) = patch_as(body, true, &ModelFacts::default(), &mistral).expect("a request");
    let read: Value = serde_json::from_str(&patched).expect("json");
    assert_eq!(adjusted, "user=dropped");
    assert_eq!((&read["max_tokens"], &read["random_seed"]), (&json!(5), &json!(7)));
    for gone in ["max_completion_tokens", "seed", "user", "logprobs", "modalities", "stream_options"] {
        assert!(read.get(gone).is_none(), "{gone}");
    }
    assert_eq!(read["messages"][0]["role"], "system");
    let id = &read["messages"][1]["tool_calls"][0]["id"];
    assert_eq!((id.as_str().map(str::len), id), (Some(9), &read["messages"][2]["tool_call_id"]));
    let harmful = body.replace("\"logprobs\":false", "\"logprobs\":true");
    let refused = patch_as(&harmful, false, &ModelFacts::default(), &mistral).expect_err("a harmful loss");
    assert_eq!(refused.param.as_deref(), Some("logprobs"));
}

#[test]
fn what_a_model_refuses_is_left_out() {
    let facts = ModelFacts {
        sampling: SamplingRule::Fixed,
        completion_cap_only: true,
        reasoning: ReasoningControl::Effort { levels: &[Effort::Low, Effort::Medium, Effort::High] },
        ..ModelFacts::default()
    };
    let body = r#"{"model":"m","messages":[],"max_tokens":9,"temperature":0.2,"top_p":1,"reasoning":{"effort":"minimal","exclude":true}}"#;
    let (patched, adjusted) = patch_as(body, false, &facts, &Quirks::NONE).expect("a request");
    assert_eq!(patched, r#"{"reasoning_effort":"low","max_completion_tokens":9,"model":"m","messages":[],"top_p":1}"#);
    assert_eq!(adjusted, "reasoning=changed, temperature=dropped");
    let request =
        RequestPatch { model: "m", stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
    let read = patch_request(body.as_bytes(), &request, &Quirks::NONE, &mut Adjusted::default()).expect("a request");
    assert!(read.hide_reasoning);
    let asked = r#"{"model":"m","messages":[],"reasoning_effort": "high"}"#;
    assert_eq!(patch_as(asked, false, &facts, &Quirks::NONE).expect("a request").0, asked);
    // Not a chat: nothing of the kind is looked for.
    let legacy = r#"{"model":"m","prompt":"p","max_tokens":9,"temperature":0.2}"#;
    assert_eq!(patch_as(legacy, false, &facts, &Quirks::NONE).expect("a request").0, legacy);
}

/// GLM 5 and DeepSeek V4 know more than the first models that took an effort there.
#[test]
fn fireworks_is_asked_for_as_much_as_it_knows() {
    let quirks = &crate::provider::find("fireworks").expect("a row").quirks;
    for (asked, sent) in [("max", "max"), ("xhigh", "xhigh"), ("high", "high"), ("minimal", "low"), ("none", "none")] {
        let body = format!(r#"{{"model":"m","messages":[],"reasoning_effort":"{asked}"}}"#);
        assert!(patch(&body, quirks).contains(&format!(r#""reasoning_effort":"{sent}""#)), "{asked}");
    }
}

/// Kimi K3 always thinks, as much as it is told, and knows no `thinking`; K2 knows nothing else.
#[test]
fn each_kimi_is_asked_in_its_own_words() {
    let quirks = &crate::provider::find("moonshot").expect("a row").quirks;
    let sent = |model: &str, more: &str| {
        let facts = crate::provider::family(model).map_or_else(ModelFacts::default, |family| family.facts().clone());
        let body = format!(r#"{{"model":"m","messages":[],{more}}}"#);
        let (body, told) = patch_as(&body, false, &facts, quirks).expect("it");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        (body["reasoning_effort"].clone(), body["thinking"]["type"].clone(), told)
    };
    let low = r#""reasoning_effort":"low""#;
    let forced = r#""reasoning_effort":"low","tool_choice":"required""#;
    assert_eq!(sent("kimi-k3", low), (json!("low"), Value::Null, String::new()));
    assert_eq!(sent("kimi-k3", forced), (json!("low"), Value::Null, String::new()));
    let off = r#""reasoning_effort":"none""#;
    assert_eq!(sent("kimi-k3", off), (json!("low"), Value::Null, "reasoning=changed".to_owned()));
    assert_eq!(sent("kimi-k2.6", low), (Value::Null, json!("enabled"), String::new()));
    assert_eq!(sent("kimi-k2.6", forced), (Value::Null, json!("disabled"), "reasoning=dropped".to_owned()));
}

/// What a request to a provider's model becomes.
fn sent(provider: &str, model: &str, more: Value) -> Result<(Value, String), Failure> {
    let quirks = &crate::provider::find(provider).expect("a row").quirks;
    let facts = crate::provider::family(model).map_or_else(ModelFacts::default, |family| family.facts().clone());
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let (body, told) = patch_as(&body.to_string(), false, &facts, quirks)?;
    Ok((serde_json::from_str(&body).expect("JSON"), told))
}

#[test]
fn where_to_stop_is_not_asked_of_models_that_refuse_it() {
    let stop = || json!({"stop": ["END"]});
    for (provider, model) in [("openai", "gpt-5-mini"), ("azure", "o4-mini"), ("xai", "grok-4"), ("xai", "grok-4.3")] {
        let refused = sent(provider, model, stop()).expect_err(model);
        assert_eq!((refused.kind, refused.param.as_deref()), (crate::failure::Kind::Unsupported, Some("stop")));
        let (body, told) = sent(provider, model, json!({"stop": []})).expect("nothing is asked for");
        assert_eq!((body.get("stop"), told.as_str()), (None, ""));
    }
    // A router leaves out what its models refuse.
    for (provider, model) in [("openai", "gpt-4o"), ("openai", "o3-mini"), ("openrouter", "openai/gpt-5-mini")] {
        assert_eq!(sent(provider, model, stop()).expect(model).0["stop"], json!(["END"]), "{model}");
    }
}

/// Its own host alone fixes how Kimi draws tokens.
#[test]
fn moonshot_draws_tokens_of_kimi_by_itself() {
    let wish = || json!({"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.5, "n": 1});
    for model in ["kimi-k2.5", "kimi-k2.7-code", "kimi-k3"] {
        let (body, told) = sent("moonshot", model, wish()).expect(model);
        assert_eq!(told, "temperature=dropped, top_p=dropped, presence_penalty=dropped", "{model}");
        assert!(wish().as_object().expect("an object").keys().all(|key| body.get(key).is_none()), "{body}");
        let several = sent("moonshot", model, json!({"n": 2})).expect_err(model);
        assert_eq!(several.param.as_deref(), Some("n"));
    }
    for (provider, model) in [("moonshot", "moonshot-v1-8k"), ("together", "moonshotai/Kimi-K2.5")] {
        let (body, told) = sent(provider, model, wish()).expect(model);
        assert_eq!((&body["temperature"], told.as_str()), (&json!(0.2), ""), "{model}");
    }
}

/// Kimi K2.7 always thinks, and over no forced call.
#[test]
fn a_call_that_cannot_be_forced_is_asked_for() {
    let named = json!({"type": "function", "function": {"name": "f"}});
    for (choice, words) in [(json!("required"), "one of your tools"), (named, "`f`")] {
        let forced = json!({"tool_choice": choice, "reasoning_effort": "low", "tools": [{"type": "function", "function": {"name": "f"}}]});
        let (body, told) = sent("moonshot", "kimi-k2.7-code", forced.clone()).expect("it");
        assert_eq!(told, "tool_choice=changed, reasoning=dropped");
        assert_eq!(
            (&body["tool_choice"], body.get("thinking"), body.get("reasoning_effort")),
            (&json!("auto"), None, None)
        );
        assert_eq!(body["messages"][0]["role"], "system");
        assert!(body["messages"][0]["content"].as_str().is_some_and(|content| content.contains(words)));
        assert_eq!(body["messages"][1]["content"], "q");
        let (body, _) = sent("together", "moonshotai/Kimi-K2.7-Code", forced).expect("it");
        assert_eq!(body["tool_choice"], choice);
    }
}

#[test]
fn a_tier_is_asked_for_where_it_is_known() {
    let tier = |provider: &str, tier: &str| {
        let (body, told) = sent(provider, "m", json!({"service_tier": tier})).expect("it");
        (body.get("service_tier").and_then(Value::as_str).map(str::to_owned), told)
    };
    let dropped = || (None, "service_tier=dropped".to_owned());
    let as_it_is = |tier: &str| (Some(tier.to_owned()), String::new());
    assert_eq!(tier("groq", "priority"), dropped());
    assert_eq!(tier("groq", "default"), (None, String::new()));
    assert_eq!(tier("groq", "performance"), as_it_is("performance"));
    assert_eq!(tier("xai", "flex"), dropped());
    assert_eq!(tier("xai", "auto"), (None, String::new()));
    assert_eq!(tier("cerebras", "priority"), as_it_is("priority"));
    assert_eq!(tier("openai", "a new one"), as_it_is("a new one"));
}

#[test]
fn earlier_reasoning_goes_where_the_vendor_wants_it() {
    let body = r#"{"model":"m","messages":[{"role":"assistant","content":"c","reasoning_content":"r","reasoning_details":[{"text":"r"}]}]}"#;
    let back = |reasoning_back| {
        let patched = patch(body, &Quirks { reasoning_back, ..Quirks::NONE });
        let read: Value = serde_json::from_str(&patched).expect("json");
        read["messages"][0].clone()
    };
    assert_eq!(back(ReasoningBack::Nowhere), json!({"role": "assistant", "content": "c"}));
    let content = json!({"role": "assistant", "content": "c", "reasoning_content": "r"});
    assert_eq!(back(ReasoningBack::ReasoningContent), content);
    assert_eq!(back(ReasoningBack::Reasoning), json!({"role": "assistant", "content": "c", "reasoning": "r"}));
    assert_eq!(back(ReasoningBack::Details)["reasoning_details"], json!([{"text": "r"}]));
    assert_eq!(back(ReasoningBack::ContentPart)["content"][0]["thinking"][0]["text"], "r");
    let told = |reasoning_back| {
        let quirks = Quirks { reasoning_back, ..Quirks::NONE };
        patch_as(body, false, &ModelFacts::default(), &quirks).expect(body).1
    };
    assert_eq!(told(ReasoningBack::ReasoningContent), "reasoning_details=dropped");
    assert_eq!(told(ReasoningBack::Details), "");
}

/// OpenRouter's word for whether thoughts are shown, which nobody else takes.
#[test]
fn whether_thoughts_are_shown_is_kept_from_who_does_not_know_the_word() {
    let body = r#"{"model":"m","messages":[],"include_reasoning":true}"#;
    assert!(!patch(body, &Quirks::NONE).contains("include_reasoning"));
    let routes = Quirks { reasoning_control: ReasoningParameter::Object, ..Quirks::NONE };
    assert!(patch(body, &routes).contains(r#""include_reasoning":true"#));
}

#[test]
fn details_that_are_sealed_for_others_are_left_out() {
    let details = format!(
        r#"[{{"type":"reasoning.text","text":"r","index":0}},{{"type":"reasoning.text","signature":"{MARK}AA","index":0}},
           {{"type":"reasoning.encrypted","data":"{MARK}BB","id":"c","index":1}},{{"type":"reasoning.encrypted","data":"own"}}]"#
    );
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","content":"c","reasoning_details":{details}}},
           {{"role":"user","content":"{MARK}"}}]}}"#
    );
    let quirks = Quirks { reasoning_back: ReasoningBack::Details, ..Quirks::NONE };
    let read: Value = serde_json::from_str(&patch(&body, &quirks)).expect("json");
    let left =
        json!([{"type": "reasoning.text", "text": "r", "index": 0}, {"type": "reasoning.encrypted", "data": "own"}]);
    assert_eq!(read["messages"][0]["reasoning_details"], left);
    assert_eq!(read["messages"][1]["content"], MARK, "words are words");
}

#[test]
fn a_schema_becomes_words_and_marks_go_where_they_are_refused() {
    let quirks = Quirks {
        json_schema: false,
        refuses: &["cache_control"],
        reasoning_control: ReasoningParameter::ThinkingType,
        ..Quirks::NONE
    };
    let body = r#"{"model":"m","reasoning_effort":"none","cache_control":{"type":"ephemeral"},"response_format":{"type":"json_schema","json_schema":{"name":"s",
        "schema":{"type":"object"}}},"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}],
        "tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]}"#;
    let mut adjusted = Adjusted::default();
    let facts = ModelFacts::default();
    let request =
        RequestPatch { model: "m", stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
    let patched = patch_request(body.as_bytes(), &request, &quirks, &mut adjusted).expect("a request");
    let read: Value = serde_json::from_slice(&patched.body).expect("json");
    assert_eq!(read["response_format"], json!({"type": "json_object"}));
    assert!(read["messages"][0]["content"].as_str().is_some_and(|words| words.contains(r#"{"type":"object"}"#)));
    assert_eq!(read["thinking"], json!({"type": "disabled"}));
    assert!(!String::from_utf8_lossy(&patched.body).contains("cache_control"));
    assert_eq!(adjusted.header(), "response_format=changed, cache_control=dropped");
}

proptest! {
    #[test]
    fn everything_else_stays_byte_for_byte(
        before in r#"("[a-e]{1,3}":(\[1, 2\]|"x\\u00e9"| null|\{"y":\{\}\}) ?,\n?){0,3}"#,
        after in r#"(, ?"[f-i]{1,3}" :(1e5|"\\\\"|true)){0,3}"#,
        stream in any::<bool>(),
    ) {
        let body = format!("{{{before}\"model\":\"openai/m\"{after}}}");
        let patched = patch_as(&body, stream, &ModelFacts::default(), &Quirks::NONE).expect("a request").0;
        let asked = if stream { "\"stream_options\":{\"include_usage\":true}," } else { "" };
        prop_assert_eq!(patched, format!("{{{asked}{before}\"model\":\"m\"{after}}}"));
    }

    #[test]
    fn no_request_can_panic(body in r#"\{("(model|messages|stream_options|tools|reasoning|usage)":([\[\]{}]|null|"x"|\[\{\}\]|\{"a":1\}),?){0,4}\}"#) {
        let facts = ModelFacts::default();
        let quirks = Quirks {
            reasoning_back: ReasoningBack::ContentPart,
            tool_call_ids: ToolCallIds::NineAlphanumerics,
            refuses: &["cache_control"],
            json_schema: false,
            ..Quirks::COMPATIBLE
        };
        let request = RequestPatch { model: "m", stream: true, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
        if let Ok(patched) = patch_request(body.as_bytes(), &request, &quirks, &mut Adjusted::default()) {
            prop_assert!(serde_json::from_slice::<Value>(&patched.body).is_ok(), "{}", String::from_utf8_lossy(&patched.body));
        }
    }
}
