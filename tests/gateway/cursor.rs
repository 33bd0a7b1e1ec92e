//! Chat Completions as Cursor sends it: in words of Responses or Messages, by the name of the model. What comes back is
//! plain Chat Completions.

use latchkey::gateway::Input;
use serde_json::{Value, json};

use crate::world::{World, events, header, json as read, refused, sent};

const PATCH: &str = "*** Begin Patch\n*** Add File: \"a\"\n*** End Patch";

/// A tool that takes free text, in the words of Responses.
fn apply_patch() -> Value {
    let format = json!({"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk end_patch"});
    json!({"type": "custom", "name": "ApplyPatch", "description": "Edits files.", "format": format})
}

fn claude_calls(name: &str, input: &Value) -> String {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "toolu_2", "name": name, "input": input}],
        "usage": {"input_tokens": 12, "output_tokens": 3},
    })
    .to_string()
}

#[test]
fn tools_and_blocks_of_messages_are_taken() {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let body = json!({
        "model": "anthropic/claude-sonnet-4-5",
        "messages": [
            {"role": "system", "content": "Edit."},
            {"role": "user", "content": [{"type": "text", "text": "Read a."}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Yes."},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "hello"}]},
                {"type": "text", "text": "Go on."},
            ]},
        ],
        "tools": [
            {"name": "Read", "description": "Reads.", "input_schema": schema},
            {"type": "custom", "name": "Write", "input_schema": schema},
        ],
        "tool_choice": {"type": "any"},
    });
    let mut world = World::default();
    let (id, step) = world.chat(&body.to_string());
    let request = read(&sent(step).body);
    assert_eq!(request["messages"][1]["content"][1]["name"], "Read");
    assert_eq!(request["messages"][2]["content"][0]["tool_use_id"], "toolu_1");
    assert_eq!(request["messages"][2]["content"][1]["text"], "Go on.");
    assert_eq!(request["tools"][0], json!({"name": "Read", "description": "Reads.", "input_schema": schema}));
    assert_eq!((&request["tools"][1]["name"], &request["tool_choice"]["type"]), (&json!("Write"), &json!("any")));
    let answer = read(&world.answer(id, 200, &[], &claude_calls("Read", &json!({"path": "b"}))).body);
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "Read", "arguments": r#"{"path":"b"}"#}));

    // A provider that speaks Chat Completions itself gets all of it in its own words.
    let mut body = body;
    body["model"] = json!("openai/gpt-4o");
    let (id, step) = world.chat(&body.to_string());
    let request = read(&sent(step).body);
    let roles: Vec<&Value> = request["messages"].as_array().expect("messages").iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    let call = json!({"name": "Read", "arguments": r#"{"path":"a"}"#});
    assert_eq!(request["messages"][2]["tool_calls"][0]["function"], call);
    assert_eq!(request["messages"][3]["tool_call_id"], "toolu_1");
    assert_eq!(
        (&request["tools"][0]["type"], &request["tools"][0]["function"]["name"]),
        (&json!("function"), &json!("Read"))
    );
    assert_eq!(request["tool_choice"], "required");
    let spoken = json!({"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}});
    let answer = read(&world.answer(id, 200, &[], &spoken.to_string()).body);
    assert_eq!(
        (&answer["choices"][0]["message"]["content"], &answer["usage"]["total_tokens"]),
        (&json!("Hi"), &json!(10))
    );
}

#[test]
fn a_request_of_responses_is_answered_as_chat_completions() {
    let mut world = World::default();
    let body = json!({
        "model": "anthropic/claude-sonnet-4-5",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Edit a."}]},
            {"type": "function_call", "call_id": "c1", "name": "ApplyPatch", "arguments": PATCH},
            {"type": "function_call_output", "call_id": "c1", "output": "Done."},
            {"type": "custom_tool_call", "call_id": "c2", "name": "ApplyPatch", "input": PATCH},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "Done."},
        ],
        "instructions": "Be brief.", "max_output_tokens": 900, "store": false, "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "text"}}, "stream": true, "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "name": "Read", "parameters": {"type": "object", "properties": {}}}, apply_patch()],
    });
    let (id, step) = world.chat(&body.to_string());
    let request = read(&sent(step).body);
    assert_eq!((&request["max_tokens"], &request["tools"][1]["name"]), (&json!(900), &json!("ApplyPatch")));
    assert!(request["tools"][1]["description"].as_str().is_some_and(|told| told.contains("begin_patch hunk")));
    for turn in [1, 3] {
        assert_eq!(request["messages"][turn]["content"][0]["input"], json!({"input": PATCH}), "{turn}: {request}");
    }
    let event = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
    let arguments = json!({"input": PATCH}).to_string();
    let (front, back) = arguments.split_at(19);
    let pieces = [
        event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_3",
            "name": "ApplyPatch", "input": {}}})),
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": front}}),
        ),
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": back}}),
        ),
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_4",
            "name": "Read", "input": {}}})),
        event(
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        ),
        event(json!({"type": "content_block_stop", "index": 1})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30}})),
        event(json!({"type": "message_stop"})),
    ];
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    let chunks: Vec<Value> =
        events(&streamed.text).iter().filter(|data| *data != "[DONE]").map(|data| read(data.as_bytes())).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"), "{}", streamed.text);
    let told = |index: u64| -> (String, String) {
        let calls = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0));
        calls.filter(|call| call["index"] == index).fold(Default::default(), |(name, arguments), call| {
            let add = |before: String, key: &str| before + call["function"][key].as_str().unwrap_or_default();
            (add(name, "name"), add(arguments, "arguments"))
        })
    };
    assert_eq!(told(0), ("ApplyPatch".to_owned(), PATCH.to_owned()));
    assert_eq!(told(1), ("Read".to_owned(), "{}".to_owned()));
    assert!(streamed.text.ends_with("data: [DONE]\n\n"));
    assert!(chunks.iter().any(|chunk| chunk["usage"]["completion_tokens"] == 30), "{}", streamed.text);
}

#[test]
fn a_tool_with_free_text_among_functions_is_called_like_one() {
    let mut world = World::default();
    let read_tool = json!({"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}});
    let before = json!({"id": "c1", "type": "function", "function": {"name": "ApplyPatch", "arguments": PATCH}});
    let body = json!({
        "model": "openai/gpt-4o",
        "messages": [
            {"role": "user", "content": "Edit a."},
            {"role": "assistant", "content": null, "tool_calls": [before]},
            {"role": "tool", "tool_call_id": "c1", "content": "Done."},
        ],
        "tools": [read_tool, apply_patch()],
    });
    let (id, step) = world.chat(&body.to_string());
    let request = read(&sent(step).body);
    assert_eq!(request["tools"][1]["function"]["name"], "ApplyPatch");
    let arguments = json!({"input": PATCH}).to_string();
    assert_eq!(request["messages"][1]["tool_calls"][0]["function"]["arguments"], json!(arguments));
    let call = |name: &str, arguments: &str| json!({"id": name, "type": "function", "function": {"name": name, "arguments": arguments}});
    let answer = json!({"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": null, "tool_calls": [call("ApplyPatch", &arguments), call("Read", "{}")]},
        "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}});
    let answer = read(&world.answer(id, 200, &[], &answer.to_string()).body);
    let calls = answer["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(calls, json!([call("ApplyPatch", PATCH), call("Read", "{}")]));
    // One in Chat Completions' own words goes to those who know it as it is.
    let own = json!({"type": "custom", "custom": {"name": "ApplyPatch"}});
    let body = json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "tools": [own]});
    let (_, step) = world.chat(&body.to_string());
    assert_eq!(read(&sent(step).body)["tools"], json!([own]));
}

/// A result that nobody would read is refused, not lost.
#[test]
fn blocks_stand_in_the_turns_of_who_says_them() {
    let call = json!({"type": "tool_use", "id": "t", "name": "Read", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "hello"});
    for (role, block) in [("tool", &result), ("assistant", &result), ("user", &call)] {
        let turn = json!({"role": role, "tool_call_id": "t", "content": [block]});
        let body = json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}, turn],
            "tools": [{"name": "Read", "input_schema": {"type": "object"}}]});
        let (status, answer) = refused(World::default().chat(&body.to_string()).1);
        assert_eq!((status, &answer["error"]["param"]), (400, &json!("messages.1.content")), "{role}");
    }
}

/// A limit is one by whatever name it goes.
#[test]
fn a_request_of_responses_may_name_its_limit_as_chat_completions_does() {
    let body = |limits: Value| {
        let mut body = json!({"model": "anthropic/claude-sonnet-4-5", "input": "Hi", "store": false});
        body.as_object_mut().expect("an object").extend(limits.as_object().expect("an object").clone());
        body.to_string()
    };
    for (limits, limit) in [
        (json!({"max_tokens": 900}), 900),
        (json!({"max_completion_tokens": 800}), 800),
        (json!({"max_tokens": 900, "max_completion_tokens": 800}), 800),
        (json!({"max_tokens": 900, "max_output_tokens": 700}), 700),
    ] {
        let mut world = World::default();
        let (id, step) = world.chat(&body(limits.clone()));
        assert_eq!(read(&sent(step).body)["max_tokens"], limit, "{limits}");
        let answer = world.answer(id, 200, &[], &claude_calls("Read", &json!({})));
        assert_eq!(header(&answer, "x-latchkey-adjusted"), None, "{limits}");
    }
    let (status, answer) = refused(World::default().chat(&body(json!({"max_tokens": "many"}))).1);
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("max_tokens")));
}

/// What only Responses keeps is not to be had here, with whatever key.
#[test]
fn an_item_by_its_id_is_refused_with_a_word_of_where_it_would_be_known() {
    for body in [
        json!({"model": "openai/gpt-4o", "input": [{"type": "item_reference", "id": "msg_1"}]}),
        json!({"model": "openai/gpt-4o", "input": "Hi", "previous_response_id": "resp_1"}),
    ] {
        let (status, answer) = refused(World::default().chat(&body.to_string()).1);
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(status == 400 && message.contains("on `/v1/responses` alone"), "{message}");
    }
}

/// No server of Chat Completions knows the blocks of Messages, with or without its tools.
#[test]
fn blocks_of_messages_are_understood_beside_tools_of_chat_completions() {
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let body = json!({
        "model": "openai/gpt-4o",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Read a."}, picture]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "hello"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}}],
    });
    let mut world = World::default();
    let request = read(&sent(world.chat(&body.to_string()).1).body);
    let messages = &request["messages"];
    assert_eq!(messages[0]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
    let call = json!({"name": "Read", "arguments": r#"{"path":"a"}"#});
    assert_eq!(messages[1]["tool_calls"][0]["function"], call);
    assert_eq!((&messages[2]["role"], &messages[2]["tool_call_id"]), (&json!("tool"), &json!("t1")));
}
