use proptest::prelude::*;

use super::*;
use crate::chat::{
    Arguments, CacheMark, Effort, Message, OutputShape, Part, Role, SignatureRole, Source, Tool, ToolChoice,
};
use crate::json::Raw;
use crate::wire::carried::{MARK, is_sealed};

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes()).expect(body)
}

fn fault(body: &str) -> (String, String) {
    let failure = read_request(body.as_bytes()).expect_err(body);
    assert_eq!(failure.kind, crate::failure::Kind::BadRequest);
    (failure.param.clone().unwrap_or_default().into_owned(), failure.message.clone())
}

fn conversation(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":{messages}}}"#)
}

fn text(text: &str) -> Part<'_> {
    Part::Text { text: Text::escape(text), cache: None, citations: Vec::new(), signature: None }
}

#[test]
fn everything_that_has_a_place_in_the_hub_finds_it() {
    let request = read(
        r#"{"model":"openai/gpt-5","stream":true,"stream_options":{"include_usage":true},
        "messages":[{"role":"developer","content":"Be brief."},{"role":"user","name":"ann","content":"h\u00e9"}],
        "temperature":0.10,"top_p":1,"top_k":5,"min_p":0.1,"repetition_penalty":1.1,"frequency_penalty":0,
        "presence_penalty":-1,"seed":7,"logit_bias":{"50256":-100},"n":2,"logprobs":true,"top_logprobs":3,"stop":"END",
        "max_tokens":5,"max_completion_tokens":9,"reasoning_effort":"low","reasoning":{"exclude":true,"max_tokens":1024},
        "service_tier":"flex","safety_identifier":"u1","metadata":{"a":"b"},"prompt_cache_key":"k",
        "cache_control":{"type":"ephemeral","ttl":"1h"},"prediction":{"type":"content","content":"x"},
        "modalities":["text","audio"],"audio":{"voice":"ash","format":"wav"},"web_search_options":{},
        "parallel_tool_calls":false,"store":true,"models":["a","b"],"provider":{"order":["x"]},"store":false}"#,
    );
    assert_eq!(request.model.escaped(), "openai/gpt-5");
    assert_eq!((request.stream, request.include_usage, request.parallel_tool_calls), (true, true, Some(false)));
    assert_eq!(request.messages[0].role, Role::Developer);
    let user = Message {
        role: Role::User,
        name: Some(Text::escape("ann")),
        parts: vec![Part::Text {
            text: Text::from_escaped("h\\u00e9"),
            cache: None,
            citations: Vec::new(),
            signature: None,
        }],
    };
    assert_eq!(request.messages[1], user);
    assert_eq!(request.sampling.temperature.as_ref().map(Raw::get), Some("0.10"));
    assert_eq!((request.sampling.n, request.sampling.top_logprobs), (Some(2), Some(3)));
    assert_eq!(request.sampling.stop, [Text::escape("END")]);
    assert_eq!(request.max_output_tokens, Some(9));
    let reasoning = Reasoning { effort: Some(Effort::Low), max_tokens: Some(1024), exclude: true, enabled: None };
    assert_eq!(request.reasoning, Some(reasoning));
    assert_eq!(request.user.as_ref().map(Text::escaped), Some("u1"));
    assert_eq!((request.cache, request.modalities.len()), (Some(CacheMark::Hour), 2));
    assert!(request.web_search.is_some() && request.prediction.is_some() && request.audio.is_some());
    let unknown: Vec<_> = request.unknown.iter().map(|(key, value)| (&**key, value.get())).collect();
    assert_eq!(unknown, [("store", "false"), ("models", r#"["a","b"]"#), ("provider", r#"{"order":["x"]}"#)]);
}

#[test]
fn content_parts() {
    let body = conversation(
        r#"[{"role":"user","content":[
        {"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
        {"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"low"},"prompt_cache_breakpoint":{"mode":"explicit"}},
        {"image_url":"data:image/png;base64,AAAA","type":"image_url"},
        {"type":"input_audio","input_audio":{"data":"BBBB","format":"mp3"}},
        {"type":"video_url","video_url":{"url":"https://x.test/a.mp4"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,CCCC"}},
        {"type":"file","file":{"file_id":"file-1"}}]}]"#,
    );
    let request = read(&body);
    let inline = |media_type: &'static str, data: &'static str| Source::Inline {
        media_type: Text::escape(media_type),
        data: Text::escape(data),
    };
    let url = |url: &'static str| Source::Url(Text::escape(url));
    let expected = [
        Part::Text { text: Text::escape("a"), cache: Some(CacheMark::Short), citations: Vec::new(), signature: None },
        Part::Image {
            source: url("https://x.test/a.png"),
            detail: Some(Text::escape("low")),
            cache: Some(CacheMark::Short),
        },
        Part::Image { source: inline("image/png", "AAAA"), detail: None, cache: None },
        Part::Audio { source: inline("audio/mpeg", "BBBB") },
        Part::Video { source: url("https://x.test/a.mp4") },
        Part::File { source: inline("application/pdf", "CCCC"), name: Some(Text::escape("a.pdf")), cache: None },
        Part::File { source: Source::FileId(Text::escape("file-1")), name: None, cache: None },
    ];
    assert_eq!(request.messages[0].parts, expected);
    assert_eq!(request.untranslatable, None);
}

#[test]
fn a_tool_conversation_with_signed_thoughts() {
    let body = conversation(
        r#"[{"role":"user","content":"q"},
        {"role":"assistant","content":null,"reasoning_content":"ab","reasoning_details":[
            {"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":0},
            {"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1","index":0},
            {"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1","index":1},
            {"type":"reasoning.encrypted","data":"t","id":"c1","format":"google-gemini-v1","index":2}],
         "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"r"}]}]"#,
    );
    let request = read(&body);
    let [
        Part::Reasoning { text: thought, signature: Some(signed) },
        Part::Reasoning { text: hidden, signature: Some(data) },
        Part::ToolCall { id, name, arguments, signature: Some(of_call) },
    ] = &request.messages[1].parts[..]
    else {
        panic!("{:?}", request.messages[1].parts);
    };
    assert_eq!((thought.escaped(), signed.data.escaped(), signed.role), ("ab", "s", SignatureRole::Signs));
    assert_eq!((hidden.escaped(), data.data.escaped(), data.role), ("", "d", SignatureRole::Replaces));
    assert_eq!((id.escaped(), name.escaped(), of_call.data.escaped()), ("c1", "f", "t"));
    assert_eq!(arguments, &Arguments::Quoted(Text::escape(r#"{"x":1}"#)));
    let result = Part::ToolResult { call_id: Text::escape("c1"), parts: vec![text("r")], is_error: false, cache: None };
    assert_eq!(request.messages[2].parts, [result]);
}

#[test]
fn what_is_sealed_stays_so_and_stands_where_it_stood() {
    let body = conversation(&format!(
        r#"[{{"role":"assistant","reasoning_details":[
            {{"type":"reasoning.text","text":"a","signature":"{MARK}AA","format":"anthropic-claude-v1","index":0}},
            {{"type":"reasoning.encrypted","data":"{MARK}BB","format":"anthropic-claude-v1","index":1}},
            {{"type":"reasoning.encrypted","data":"{MARK}CC","id":"c1","format":"google-gemini-v1","index":2}}],
         "tool_calls":[{{"id":"c1","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}}]"#
    ));
    let request = read(&body);
    let [
        Part::Reasoning { text: thought, signature: Some(signed) },
        Part::Reasoning { signature: Some(hidden), .. },
        Part::ToolCall { signature: Some(of_call), .. },
    ] = &request.messages[0].parts[..]
    else {
        panic!("{:?}", request.messages[0].parts);
    };
    assert_eq!(thought.escaped(), "a");
    for (signature, end) in [(signed, "AA"), (hidden, "BB"), (of_call, "CC")] {
        assert!(is_sealed(signature) && signature.data.escaped() == format!("{MARK}{end}"), "{signature:?}");
    }
}

#[test]
fn a_signature_alone_proves_the_plain_reasoning() {
    let body = conversation(
        r#"[{"role":"assistant","reasoning":"thought","content":"said",
        "reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}]"#,
    );
    let request = read(&body);
    let [Part::Reasoning { text: thought, signature: Some(signed) }, said] = &request.messages[0].parts[..] else {
        panic!("{:?}", request.messages[0].parts);
    };
    assert_eq!((thought.escaped(), signed.data.escaped()), ("thought", "s"));
    assert_eq!(*said, text("said"));
}

#[test]
fn thinking_that_is_switched_off_is_not_asked_for() {
    for (word, enabled) in [("enabled", true), ("adaptive", true), ("disabled", false), ("between_tools", false)] {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"thinking":{{"type":"{word}"}}}}"#);
        assert_eq!(read(&body).reasoning.and_then(|wish| wish.enabled), Some(enabled), "{word}");
    }
}

#[test]
fn tools_choices_and_shapes() {
    let with = |members: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],{members}}}"#);
    let body = with(
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true},
        "cache_control":{"type":"ephemeral"}},{"type":"custom","custom":{"name":"g"}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object"}}}"#,
    );
    let request = read(&body);
    let Tool::Function { name, strict: Some(true), cache: Some(CacheMark::Short), parameters: Some(schema), .. } =
        &request.tools[0]
    else {
        panic!("{:?}", request.tools);
    };
    assert_eq!((name.escaped(), schema.get()), ("f", r#"{"type":"object"}"#));
    assert!(matches!(&request.tools[1], Tool::Native(raw) if raw.get().contains("custom")));
    assert!(matches!(&request.output, OutputShape::JsonSchema { name, strict: Some(true), .. } if name.is("s")));
    let untyped = with(r#""tools":[{"googleSearch":{}},{"name":"f"}]"#);
    assert!(matches!(&read(&untyped).tools[..], [Tool::Native(_), Tool::Function { .. }]));
    for nameless in [r#"{"parameters":{}}"#, "{}", r#"{"function":{}}"#, r#"{"a":{},"b":{}}"#] {
        assert!(fault(&with(&format!(r#""tools":[{nameless}]"#))).0.ends_with("name"), "{nameless}");
    }

    let choices = [
        (r#""required""#, ToolChoice::Required),
        (r#"{"type":"function","function":{"name":"f"}}"#, ToolChoice::Named(Text::escape("f"))),
        (
            r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
            ToolChoice::Allowed { required: true, names: vec![Text::escape("f")] },
        ),
    ];
    for (written, choice) in choices {
        assert_eq!(read(&with(&format!(r#""tool_choice":{written}"#))).tool_choice, Some(choice));
    }
    let legacy = with(r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#);
    assert!(matches!(&read(&legacy).tools[..], [Tool::Function { name, .. }] if name.is("f")));
    let grammar = with(r#""response_format":{"type":"regex","pattern":"a"}"#);
    let read = read(&grammar);
    assert!(read.untranslatable.is_some() && read.unknown[0].0 == "response_format");
}

#[test]
fn calls_of_the_format_before_tools_get_ids() {
    let body = conversation(
        r#"[{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"r"}]"#,
    );
    let request = read(&body);
    let Part::ToolCall { id, .. } = &request.messages[0].parts[0] else { panic!("a call") };
    assert!(matches!(&request.messages[1].parts[0], Part::ToolResult { call_id, .. } if call_id == id));
}

#[test]
fn faults_name_their_place() {
    let cases = [
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":[]}"#, "messages"),
        (r#"{"model":"m","messages":"hi"}"#, "messages"),
        (r#"{"model":5,"messages":[]}"#, "model"),
        (r#"{"model":"m","messages":[{"role":"user","content":"q"}],"temperature":"hot"}"#, "temperature"),
        (r#"{"model":"m","messages":[{"role":"user","content":"q"}],"max_tokens":-1}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{"role":"user","content":"q"}],"stop":[1]}"#, "stop.0"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"q"}],"reasoning":{"effort":"huge"}}"#,
            "reasoning.effort",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{}}]}"#,
            "tools.0.function.name",
        ),
        (r#"{"model":"m","messages":[{"role":"user","content":"q"}],"tool_choice":"never"}"#, "tool_choice"),
        (r#"{"model":"m","messages":["hi"]}"#, "messages.0"),
        (r#"{"model":"m","messages":[{"content":"hi"}]}"#, "messages.0.role"),
        (r#"{"model":"m","messages":[{"role":"robot","content":"hi"}]}"#, "messages.0.role"),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#, "messages.0.content"),
        (r#"{"model":"m","messages":[{"role":"user","content":5}]}"#, "messages.0.content"),
        (r#"{"model":"m","messages":[{"role":"tool","content":"r"}]}"#, "messages.0.tool_call_id"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#, "messages.0.content.0.text"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
            "messages.0.content.0.image_url.url",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":7}]}]}"#,
            "messages.0.content.0.image_url",
        ),
        (
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]}"#,
            "messages.0.tool_calls.0.function",
        ),
    ];
    for (body, place) in cases {
        let (param, message) = fault(body);
        assert_eq!(param, place, "{body}: {message}");
    }
    for (body, words) in [("{", "byte 1"), ("[]", "JSON object"), ("", "byte 0"), (r#"{"model":"m",}"#, "byte 13")] {
        let (param, message) = fault(body);
        assert!(param.is_empty() && message.contains(words), "{body}: {message}");
    }
}

#[test]
fn what_only_this_format_can_say_is_kept_and_told() {
    let body = conversation(r#"[{"role":"user","content":[{"type":"document_url","document_url":"https://x.test"}]}]"#);
    let failure = read(&body).untranslatable.expect("no other format has this part");
    assert_eq!(failure.param.as_deref(), Some("messages.0.content.0.type"));
    let sugar =
        read(r#"{"messages":[{"role":"user","content":"q"}],"models":["a/b","c"],"usage":{"include":true}}"#).clone();
    assert_eq!((sugar.model.escaped(), sugar.include_usage), ("a/b", true));
}

#[test]
fn every_recorded_request_is_read() {
    let recorded = crate::wire::openai_chat::recorded::chat_requests();
    let unread = recorded.iter().filter_map(|(id, body)| Some((id, read_request(body.as_bytes()).err()?)));
    assert_eq!(unread.collect::<Vec<_>>(), []);
}

proptest! {
    #[test]
    fn nothing_that_is_sent_can_panic(
        at in any::<prop::sample::Index>(),
        length in 0usize..12,
        with in r#"([\[\]{}",:0-9a-z]|null|true|\\u00e9|"type"|"text"|"role"){0,4}"#,
    ) {
        let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},{"role":"assistant","reasoning_details":
            [{"type":"reasoning.text","text":"a","signature":"s"}],"tool_calls":[{"id":"c","function":{"name":"f",
            "arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":
            {"name":"f"}}],"stop":["a"],"reasoning":{"effort":"low"},"stream_options":{"include_usage":true}}"#;
        let start = at.index(body.len());
        let end = (start + length).min(body.len());
        let changed = format!("{}{with}{}", &body[..start], &body[end..]);
        let is_json = serde_json::from_str::<serde_json::Value>(&changed).is_ok();
        let read = read_request(changed.as_bytes());
        prop_assert!(is_json || read.is_err());
    }
}
