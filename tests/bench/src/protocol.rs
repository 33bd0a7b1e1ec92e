//! Three providers' protocols: requests, the answers that the fake upstream gives, and how a client reads them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Openai,
    Anthropic,
    Gemini,
}

pub const PROTOCOLS: [Protocol; 3] = [Protocol::Openai, Protocol::Anthropic, Protocol::Gemini];
const PROMPT_TOKENS: u64 = 17;

/// What an answer says: `words` words, each one chunk of a stream.
pub fn text(words: u32) -> String {
    (0..words).map(word).collect()
}

fn word(index: u32) -> String {
    format!(" word{index}")
}

/// The JSON body of a request of about `size` bytes.
pub fn request(protocol: Protocol, model: &str, stream: bool, include_usage: bool, size: usize) -> Vec<u8> {
    let mut prompt = "Say the words.".to_owned();
    // Filler with an escape now and then, so that no parser can skip over it.
    while prompt.len() + 100 < size {
        prompt
            .push_str("\nThe \"quick\" brown fox jumps over the lazy dog again and again, and the dog does not mind.");
    }
    let messages = json!([{"role": "user", "content": prompt}]);
    let mut body = match protocol {
        Protocol::Openai => json!({"model": model, "messages": messages}),
        Protocol::Anthropic => json!({"model": model, "max_tokens": 1024, "messages": messages}),
        Protocol::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
    };
    if stream && protocol != Protocol::Gemini {
        body["stream"] = json!(true);
    }
    if stream && include_usage && protocol == Protocol::Openai {
        body["stream_options"] = json!({"include_usage": true});
    }
    body.to_string().into_bytes()
}

/// A whole plain answer.
pub fn plain(protocol: Protocol, words: u32) -> String {
    let text = text(words);
    let body = match protocol {
        Protocol::Openai => json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_800_000_000, "model": "gpt-4o-2024-11-20",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": openai_usage(words), "service_tier": "default", "system_fingerprint": "fp_bench"}),
        Protocol::Anthropic => json!({
            "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": anthropic_usage(words)}),
        Protocol::Gemini => gemini_chunk(&text, words, Some("STOP")),
    };
    body.to_string()
}

/// The events of a stream in order, each with its line ends.
pub fn events(protocol: Protocol, words: u32, include_usage: bool) -> Vec<String> {
    match protocol {
        Protocol::Openai => openai_events(words, include_usage),
        Protocol::Anthropic => anthropic_events(words),
        Protocol::Gemini => (0..words)
            .map(|index| {
                let finish = (index + 1 == words).then_some("STOP");
                format!("data: {}\r\n\r\n", gemini_chunk(&word(index), index + 1, finish))
            })
            .collect(),
    }
}

fn openai_events(words: u32, include_usage: bool) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_800_000_000,
            "model": "gpt-4o-2024-11-20", "service_tier": "default", "system_fingerprint": "fp_bench", "choices": choices});
        if include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let mut events = vec![delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null)];
    events.extend((0..words).map(|index| delta(json!({"content": word(index)}), Value::Null)));
    events.push(delta(json!({}), json!("stop")));
    if include_usage {
        events.push(chunk(json!([]), openai_usage(words)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn anthropic_events(words: u32) -> Vec<String> {
    let event = |body: Value| format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default());
    let message = json!({"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": anthropic_usage(1)});
    let mut events = vec![
        event(json!({"type": "message_start", "message": message})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "ping"})),
    ];
    events.extend((0..words).map(|index| {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word(index)}}))
    }));
    events.push(event(json!({"type": "content_block_stop", "index": 0})));
    events.push(event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": words}})));
    events.push(event(json!({"type": "message_stop"})));
    events
}

fn gemini_chunk(text: &str, words: u32, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "bench",
        "usageMetadata": {"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": words,
            "totalTokenCount": PROMPT_TOKENS + u64::from(words),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}]}})
}

fn openai_usage(words: u32) -> Value {
    json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": words, "total_tokens": PROMPT_TOKENS + u64::from(words),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}})
}

fn anthropic_usage(words: u32) -> Value {
    json!({"input_tokens": PROMPT_TOKENS, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": words, "service_tier": "standard"})
}

/// What a client is owed.
pub struct Expected {
    pub protocol: Protocol,
    pub stream: bool,
    pub words: u32,
    /// Whether usage must be there. A stream that did not ask for it must have none.
    pub usage: bool,
}

/// Reads a reply as a client library would and says what is wrong with it.
pub fn check(expected: &Expected, body: &[u8]) -> Result<(), String> {
    let mut seen = Seen::default();
    if expected.stream {
        let body = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        for data in body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
            if data == "[DONE]" {
                seen.ended = true;
                continue;
            }
            let chunk = serde_json::from_str(data).map_err(|error| format!("{error} in {data}"))?;
            seen.take(expected.protocol, &chunk)?;
        }
    } else {
        let answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        seen.take(expected.protocol, &answer)?;
        seen.ended = true;
    }
    let wanted_text = text(expected.words);
    let wanted_usage = expected.usage.then_some((PROMPT_TOKENS, u64::from(expected.words)));
    if seen.text != wanted_text {
        return Err(format!("text of {} bytes, not {}", seen.text.len(), wanted_text.len()));
    }
    if !seen.ended {
        return Err("no terminal marker".to_owned());
    }
    if seen.usage != wanted_usage {
        return Err(format!("usage {:?}, not {wanted_usage:?}", seen.usage));
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    text: String,
    usage: Option<(u64, u64)>,
    ended: bool,
}

impl Seen {
    fn take(&mut self, protocol: Protocol, value: &Value) -> Result<(), String> {
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(value.to_string());
        }
        let (texts, input, output): (&[&str], &[&str], &[&str]) = match protocol {
            Protocol::Openai => (
                &["/choices/0/delta/content", "/choices/0/message/content"],
                &["/usage/prompt_tokens"],
                &["/usage/completion_tokens"],
            ),
            Protocol::Anthropic => (
                &["/delta/text", "/content/0/text"],
                &["/usage/input_tokens", "/message/usage/input_tokens"],
                &["/usage/output_tokens", "/message/usage/output_tokens"],
            ),
            Protocol::Gemini => (
                &["/candidates/0/content/parts/0/text"],
                &["/usageMetadata/promptTokenCount"],
                &["/usageMetadata/candidatesTokenCount"],
            ),
        };
        self.text.extend(texts.iter().filter_map(|path| value.pointer(path)?.as_str()));
        let number = |paths: &[&str]| paths.iter().find_map(|path| value.pointer(path)?.as_u64());
        let (known_input, known_output) = self.usage.unwrap_or_default();
        let (input, output) = (number(input), number(output));
        if input.is_some() || output.is_some() {
            self.usage = Some((input.unwrap_or(known_input), output.unwrap_or(known_output)));
        }
        self.ended |= match protocol {
            Protocol::Openai => false,
            Protocol::Anthropic => value["type"] == "message_stop",
            Protocol::Gemini => value.pointer("/candidates/0/finishReason").is_some(),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_upstream_says_is_what_a_client_expects() {
        for protocol in PROTOCOLS {
            let stream: String = events(protocol, 9, true).concat();
            for (is_stream, body) in [(true, stream), (false, plain(protocol, 9))] {
                let expected = Expected { protocol, stream: is_stream, words: 9, usage: true };
                assert_eq!(check(&expected, body.as_bytes()), Ok(()), "{protocol:?} {is_stream}");
                assert!(check(&Expected { words: 8, ..expected }, body.as_bytes()).is_err());
            }
            let mut events = events(protocol, 9, true);
            events.pop();
            let expected = Expected { protocol, stream: true, words: 9, usage: true };
            assert!(check(&expected, events.concat().as_bytes()).is_err(), "{protocol:?} without its end");
        }
    }

    #[test]
    fn requests_have_about_the_size_asked_for() {
        for protocol in PROTOCOLS {
            for size in [100, 1 << 20] {
                let body = request(protocol, "m", true, true, size);
                assert!(serde_json::from_slice::<Value>(&body).is_ok());
                assert!(body.len() >= size / 2 && body.len() < size + size / 20 + 300, "{}", body.len());
            }
        }
    }
}
