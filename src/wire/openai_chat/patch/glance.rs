//! Tells at a glance whether a chunk is worth reading: most hold a word and nothing else.

/// What a word is counted as where a chunk is not read: a token of four bytes.
pub const BYTES_A_CHUNK: u64 = 4;

/// Whether a chunk of a stream that has begun holds a piece of text and nothing that the gateway must know of.
///
/// It may say no to a chunk that does, never yes to one that holds usage, an end, an error, a call or reasoning. One
/// walk from string to string: searching for each name by itself costs as much as reading the chunk.
#[must_use]
pub fn says_only_text(data: &[u8]) -> bool {
    let mut has_text = false;
    let mut rest = match data.strip_prefix(b"{") {
        Some(members) if data.ends_with(b"}") => members,
        _ => return false,
    };
    while let Some(open) = rest.iter().position(|&byte| byte == b'"') {
        let Some((text, after)) = rest.get(open + 1..).and_then(string) else { return false };
        rest = after.trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":") else { continue };
        if !means_no_more_than_text(text, value.trim_ascii_start()) {
            return false;
        }
        has_text |= text == b"content";
    }
    has_text
}

/// Whether a member, wherever in a chunk it stands, is text or something that need not be known.
fn means_no_more_than_text(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"content" => value.starts_with(b"\""),
        b"usage" | b"finish_reason" | b"refusal" => value.starts_with(b"null"),
        b"error" | b"tool_calls" | b"function_call" | b"annotations" | b"audio" => false,
        // An escaped name may be any of them.
        _ => !name.starts_with(b"reasoning") && !name.contains(&b'\\'),
    }
}

/// What a string holds, still escaped, and what follows it; `data` begins after its opening quote.
fn string(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match data.get(at)? {
            b'"' => return Some((data.get(..at)?, data.get(at + 1..)?)),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_passed_by() {
        let yes = [
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":" a \"usage\" of {\"error\"}"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"delta":{"content":"x","refusal": null},"finish_reason" : null,"logprobs":null}]}"#,
            r#"{ "choices": [{"delta": {"content": "\\", "role": "assistant"}}]}"#,
        ];
        let no = [
            r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"x_groq":{"usage":{}}}"#,
            r#"{"choices":[{"delta":{"content":"x"}},{"finish_reason":null},{"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"content":"x","tool_calls":[]}}]}"#,
            r#"{"choices":[{"delta":{"content":"x","reasoning_content":"y"}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"text"}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"error":{"message":"no"}}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"us\u0061ge":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":null,"role":"assistant"}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"#,
            r#"{"choices":[{"delta":{"content":"x\"}}]}"#,
            "[DONE]",
            "",
        ];
        for data in yes {
            assert!(says_only_text(data.as_bytes()), "{data}");
        }
        for data in no {
            assert!(!says_only_text(data.as_bytes()), "{data}");
        }
    }
}
