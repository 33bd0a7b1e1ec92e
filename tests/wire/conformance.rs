//! The same hard cases for every format, built by hand.

use latchkey::chat::EndKind;
use latchkey::provider::Quirks;
use latchkey::wire::Format;
use serde_json::json;

use super::decode::{Run, frames};
use super::expected::Tokens;

type Frames = Vec<(String, String)>;

/// The pieces of which one format's streams are made.
struct Script {
    format: Format,
    start: Frames,
    text: Frames,
    /// A call of `look` with these arguments, in as many pieces as the format allows, left open.
    call: fn(&str) -> Frames,
    /// Ends of blocks, the finish reason, and the terminal marker. With the usage in it, where one is given.
    end: fn(Option<(u64, u64)>) -> Frames,
    /// A count that comes before the last one.
    early_usage: Frames,
    error: Frames,
    unknown: Frames,
    broken: Frames,
}

fn frame(event: &str, data: serde_json::Value) -> (String, String) {
    (event.to_owned(), data.to_string())
}

fn raw(event: &str, data: &str) -> (String, String) {
    (event.to_owned(), data.to_owned())
}

fn delta(delta: serde_json::Value) -> (String, String) {
    frame(
        "",
        json!({"id": "c", "model": "m", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}),
    )
}

fn openai_chat() -> Script {
    Script {
        format: Format::OpenAiChat,
        start: vec![delta(json!({"role": "assistant", "content": ""}))],
        text: vec![delta(json!({"content": "Hello"}))],
        call: |arguments| {
            let mut frames = vec![delta(json!({"tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
            ]}))];
            let pieces = arguments
                .split_inclusive(':')
                .map(|piece| delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})));
            frames.extend(pieces);
            frames
        },
        end: |usage| {
            let mut frames = vec![frame(
                "",
                json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            )];
            if let Some((prompt, completion)) = usage {
                let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion});
                frames.push(frame("", json!({"id": "c", "model": "m", "choices": [], "usage": usage})));
            }
            frames.push(raw("", "[DONE]"));
            frames
        },
        early_usage: vec![frame(
            "",
            json!({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
        )],
        error: vec![frame("error", json!({"error": {"message": "overloaded", "type": "server_error", "code": 503}}))],
        unknown: vec![frame("", json!({"object": "chat.completion.heartbeat", "id": "c"}))],
        broken: vec![raw("", r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hel"#)],
    }
}

fn openai_responses() -> Script {
    fn event(kind: &str, members: serde_json::Value) -> (String, String) {
        let mut data = members;
        data["type"] = json!(kind);
        frame(kind, data)
    }
    let message = json!({"type": "message", "id": "msg", "role": "assistant", "content": []});
    let said = json!({"type": "message", "id": "msg", "content": [{"type": "output_text", "text": "Hello"}]});
    Script {
        format: Format::OpenAiResponses,
        start: vec![event("response.created", json!({"response": {"id": "r", "model": "m", "output": []}}))],
        text: vec![
            event("response.output_item.added", json!({"output_index": 0, "item": message})),
            event("response.output_text.delta", json!({"output_index": 0, "content_index": 0, "delta": "Hello"})),
            event("response.output_item.done", json!({"output_index": 0, "item": said})),
        ],
        call: |arguments| {
            let call =
                json!({"type": "function_call", "id": "fc", "call_id": "call_1", "name": "look", "arguments": ""});
            let mut frames = vec![event("response.output_item.added", json!({"output_index": 1, "item": call}))];
            frames.extend(arguments.split_inclusive(':').map(|piece| {
                event("response.function_call_arguments.delta", json!({"output_index": 1, "delta": piece}))
            }));
            frames
        },
        end: |usage| {
            let mut response = json!({"id": "r", "model": "m", "status": "completed", "output": []});
            if let Some((input, output)) = usage {
                response["usage"] = json!({"input_tokens": input, "output_tokens": output});
            }
            vec![event("response.completed", json!({"response": response}))]
        },
        // Nothing is counted before the end.
        early_usage: Vec::new(),
        error: vec![event("error", json!({"code": "server_error", "message": "overloaded", "param": null}))],
        unknown: vec![event("response.mood.changed", json!({"output_index": 0}))],
        broken: vec![raw("response.output_text.delta", r#"{"type":"response.output_text.delta","delta":"Hel"#)],
    }
}

fn anthropic() -> Script {
    Script {
        format: Format::Anthropic,
        start: vec![frame(
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg", "model": "m", "content": []}}),
        )],
        text: vec![
            frame(
                "content_block_start",
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ),
            frame(
                "content_block_delta",
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
            ),
            frame("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        ],
        call: |arguments| {
            let block = json!({"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}});
            let start = json!({"type": "content_block_start", "index": 1, "content_block": block});
            let mut frames = vec![frame("content_block_start", start)];
            frames.extend([""].into_iter().chain(arguments.split_inclusive(':')).map(|piece| {
                let delta = json!({"type": "input_json_delta", "partial_json": piece});
                frame("content_block_delta", json!({"type": "content_block_delta", "index": 1, "delta": delta}))
            }));
            frames
        },
        end: |usage| {
            let mut last = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}});
            if let Some((input, output)) = usage {
                last["usage"] = json!({"input_tokens": input, "output_tokens": output});
            }
            vec![
                frame("content_block_stop", json!({"type": "content_block_stop", "index": 1})),
                frame("message_delta", last),
                frame("message_stop", json!({"type": "message_stop"})),
            ]
        },
        early_usage: vec![frame(
            "message_delta",
            json!({"type": "message_delta", "delta": {}, "usage": {"input_tokens": 1, "output_tokens": 1}}),
        )],
        error: vec![frame(
            "error",
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        )],
        unknown: vec![frame("content_block_note", json!({"type": "content_block_note", "index": 0}))],
        broken: vec![raw(
            "content_block_delta",
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","te"#,
        )],
    }
}

fn candidate(parts: serde_json::Value) -> (String, String) {
    let content = json!({"role": "model", "parts": parts});
    frame("", json!({"candidates": [{"index": 0, "content": content}], "modelVersion": "m", "responseId": "r"}))
}

fn gemini() -> Script {
    Script {
        format: Format::Gemini,
        start: Vec::new(),
        text: vec![candidate(json!([{"text": "Hello"}]))],
        call: |arguments| {
            let call = match serde_json::from_str::<serde_json::Value>(arguments) {
                Ok(value) => json!({"name": "look", "args": value}),
                Err(_) => json!({"name": "look"}),
            };
            vec![candidate(json!([{"functionCall": call}]))]
        },
        end: |usage| {
            let content = json!({"role": "model", "parts": [{"text": ""}]});
            let mut last = json!({"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}]});
            if let Some((prompt, candidates)) = usage {
                last["usageMetadata"] = json!({
                    "promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": prompt + candidates
                });
            }
            vec![frame("", last)]
        },
        early_usage: vec![frame("", json!({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}}))],
        error: vec![frame("", json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}))],
        unknown: vec![frame("", json!({"responseId": "r", "createTime": "2026-11-20T10:00:00Z"}))],
        broken: vec![raw("", r#"{"candidates":[{"content":{"parts":[{"text":"Hel"#)],
    }
}

fn bedrock() -> Script {
    let at = |index: u64, delta: serde_json::Value| {
        frame("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
    };
    Script {
        format: Format::Bedrock,
        start: vec![frame("messageStart", json!({"role": "assistant"}))],
        text: vec![at(0, json!({"text": "Hello"})), frame("contentBlockStop", json!({"contentBlockIndex": 0}))],
        call: |arguments| {
            let call = json!({"toolUse": {"toolUseId": "tooluse_1", "name": "look"}});
            let mut frames = vec![frame("contentBlockStart", json!({"contentBlockIndex": 1, "start": call}))];
            frames.extend(arguments.split_inclusive(':').map(|piece| {
                let delta = json!({"toolUse": {"input": piece}});
                frame("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": delta}))
            }));
            frames
        },
        end: |usage| {
            let mut frames = vec![
                frame("contentBlockStop", json!({"contentBlockIndex": 1})),
                frame("messageStop", json!({"stopReason": "tool_use"})),
            ];
            if let Some((input, output)) = usage {
                let usage = json!({"inputTokens": input, "outputTokens": output});
                frames.push(frame("metadata", json!({"usage": usage, "metrics": {"latencyMs": 1}})));
            }
            frames
        },
        early_usage: vec![frame("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 1}}))],
        error: vec![frame("exception:throttlingException", json!({"message": "slow down"}))],
        unknown: vec![frame("contentBlockNote", json!({"contentBlockIndex": 0}))],
        broken: vec![raw("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"te"#)],
    }
}

fn cohere() -> Script {
    fn event(kind: &str, index: u64, message: serde_json::Value) -> (String, String) {
        frame(kind, json!({"type": kind, "index": index, "delta": {"message": message}}))
    }
    Script {
        format: Format::Cohere,
        start: vec![frame("message-start", json!({"type": "message-start", "id": "c", "delta": {"message": {}}}))],
        text: vec![
            event("content-start", 0, json!({"content": {"type": "text", "text": ""}})),
            event("content-delta", 0, json!({"content": {"text": "Hello"}})),
            frame("content-end", json!({"type": "content-end", "index": 0})),
        ],
        call: |arguments| {
            let call = json!({"id": "look_1", "type": "function", "function": {"name": "look", "arguments": ""}});
            let mut frames = vec![event("tool-call-start", 0, json!({"tool_calls": call}))];
            frames.extend(
                arguments.split_inclusive(':').map(|piece| {
                    event("tool-call-delta", 0, json!({"tool_calls": {"function": {"arguments": piece}}}))
                }),
            );
            frames
        },
        end: |usage| {
            let mut delta = json!({"finish_reason": "TOOL_CALL"});
            if let Some((input, output)) = usage {
                delta["usage"] = json!({"billed_units": {"input_tokens": input, "output_tokens": output}});
            }
            vec![
                frame("tool-call-end", json!({"type": "tool-call-end", "index": 0})),
                frame("message-end", json!({"type": "message-end", "delta": delta})),
                raw("", "[DONE]"),
            ]
        },
        // Nothing is counted before the end.
        early_usage: Vec::new(),
        error: vec![frame(
            "message-end",
            json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "invalid tool generation"}}),
        )],
        unknown: vec![frame("debug", json!({"type": "debug", "prompt": "p"}))],
        broken: vec![raw("content-delta", r#"{"type":"content-delta","index":0,"delta":{"message":{"con"#)],
    }
}

fn ollama() -> Script {
    fn line(message: serde_json::Value) -> (String, String) {
        frame("", json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false}))
    }
    Script {
        format: Format::Ollama,
        start: Vec::new(),
        text: vec![line(json!({"role": "assistant", "content": "Hello"}))],
        call: |arguments| {
            let mut function = json!({"name": "look"});
            if let Ok(arguments) = serde_json::from_str::<serde_json::Value>(arguments) {
                function["arguments"] = arguments;
            }
            vec![line(json!({"role": "assistant", "content": "", "tool_calls": [{"function": function}]}))]
        },
        end: |usage| {
            let message = json!({"role": "assistant", "content": ""});
            let mut last = json!({"model": "m", "message": message, "done": true, "done_reason": "stop"});
            if let Some((input, output)) = usage {
                last["prompt_eval_count"] = json!(input);
                last["eval_count"] = json!(output);
            }
            vec![frame("", last)]
        },
        // Nothing is counted before the end.
        early_usage: Vec::new(),
        error: vec![frame("", json!({"error": "the model runner has stopped"}))],
        unknown: vec![frame("", json!({"status": "loading model"}))],
        broken: vec![raw("", r#"{"model":"m","message":{"role":"assistant","content":"Hel"#)],
    }
}

fn each(check: impl Fn(&Script)) {
    for script in [openai_chat(), openai_responses(), anthropic(), gemini(), bedrock(), cohere(), ollama()] {
        check(&script);
    }
}

impl Script {
    fn run(&self, parts: &[&Frames]) -> Run {
        let all: Frames = parts.iter().flat_map(|part| part.iter().cloned()).collect();
        let run = frames(self.format, &Quirks::NONE, &all);
        let broken = [run.broken_laws.as_slice(), &run.misnamed].concat();
        assert!(broken.is_empty(), "{:?}: {broken:?}", self.format);
        run
    }
}

const ARGUMENTS: &str = r#"{"at":"the sky"}"#;

#[test]
fn text_and_a_call_with_usage() {
    each(|script| {
        let run = script.run(&[&script.start, &script.text, &(script.call)(ARGUMENTS), &(script.end)(Some((10, 5)))]);
        assert!(run.finished.is_ok(), "{:?}", script.format);
        let choice = &run.reading.choices[0];
        assert_eq!((choice.text.as_str(), choice.end), ("Hello", Some(EndKind::ToolCalls)));
        assert_eq!(choice.calls[0].arguments, serde_json::json!({"at": "the sky"}));
        assert_eq!(run.reading.tokens, Some(Tokens { prompt: 10, completion: 5, ..Tokens::default() }));
    });
}

#[test]
fn a_stream_cut_within_a_call_is_no_success() {
    each(|script| {
        let run = script.run(&[&script.start, &script.text, &(script.call)(ARGUMENTS)]);
        assert!(run.finished.is_err(), "{:?}", script.format);
    });
}

#[test]
fn an_error_within_the_stream_is_the_last_thing_it_says() {
    each(|script| {
        let (call, end) = ((script.call)(ARGUMENTS), (script.end)(None));
        for parts in [
            vec![&script.error],
            vec![&script.start, &script.text, &script.error],
            vec![&script.start, &script.text, &call, &script.error, &end],
        ] {
            let run = script.run(&parts);
            assert!(run.reading.failed && run.finished.is_err(), "{:?}", script.format);
            assert!(run.log.last().is_some_and(|event| event.starts_with("Failed")), "{:?}", run.log);
        }
    });
}

#[test]
fn an_unknown_event_changes_nothing() {
    each(|script| {
        let (call, end) = ((script.call)(ARGUMENTS), (script.end)(Some((10, 5))));
        let plain = script.run(&[&script.start, &script.text, &call, &end]);
        let noisy = script.run(&[
            &script.unknown,
            &script.start,
            &script.unknown,
            &script.text,
            &script.unknown,
            &call,
            &script.unknown,
            &end,
        ]);
        assert_eq!(plain.reading, noisy.reading, "{:?}", script.format);
        assert!(noisy.finished.is_ok(), "{:?}", script.format);
    });
}

#[test]
fn a_known_event_that_cannot_be_read_is_reported() {
    each(|script| {
        let run = script.run(&[&script.start, &script.text, &script.broken, &(script.end)(None)]);
        assert_eq!(run.corrupt.len(), 1, "{:?}", script.format);
        assert!(run.finished.is_err());
    });
}

#[test]
fn silence_about_usage_stays_silence() {
    each(|script| {
        let run = script.run(&[&script.start, &script.text, &(script.call)(ARGUMENTS), &(script.end)(None)]);
        assert!(run.finished.is_ok(), "{:?}", script.format);
        assert_eq!(run.reading.tokens, None, "{:?}", script.format);
    });
}

#[test]
fn of_two_counts_the_last_one_holds() {
    each(|script| {
        let (call, end) = ((script.call)(ARGUMENTS), (script.end)(Some((10, 5))));
        let run = script.run(&[&script.start, &script.text, &script.early_usage, &call, &end]);
        let expected = Tokens { prompt: 10, completion: 5, ..Tokens::default() };
        assert_eq!(run.reading.tokens, Some(expected), "{:?}", script.format);
    });
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    each(|script| {
        let run = script.run(&[&script.start, &script.text, &(script.call)(""), &(script.end)(None)]);
        assert!(run.finished.is_ok(), "{:?}", script.format);
        assert!(
            run.log.iter().any(|event| event.starts_with("ToolCallDelta") && event.contains("{}")),
            "{:?}",
            run.log
        );
    });
}

#[test]
fn nothing_at_all_is_no_success() {
    each(|script| assert!(script.run(&[]).finished.is_err(), "{:?}", script.format));
}
