//! Tells at a glance whether a chunk is worth reading: most hold a word and nothing else.

use memchr::memmem;

/// Names that mean more than text wherever they stand. Text cannot hold them: its quotes are escaped.
const TELLING: [&[u8]; 6] =
    [b"\"error\"", b"\"tool_calls\"", b"\"function_call\"", b"\"reasoning", b"\"annotations\"", b"\"audio\""];

/// Names that mean something only with a value.
const TELLING_UNLESS_NULL: [&[u8]; 3] = [b"\"usage\"", b"\"finish_reason\"", b"\"refusal\""];

/// What a word is counted as where a chunk is not read: a token of four bytes.
pub const BYTES_A_CHUNK: u64 = 4;

/// Whether a chunk of a stream that has begun holds a piece of text and nothing that the gateway must know of.
///
/// It may say no to a chunk that does, never yes to one that holds usage, an end, an error, a call or reasoning.
#[must_use]
pub fn says_only_text(data: &[u8]) -> bool {
    let whole = data.starts_with(b"{\"") && data.ends_with(b"}");
    whole
        && memmem::find(data, b"\"content\":\"").is_some()
        && TELLING.iter().all(|name| memmem::find(data, name).is_none())
        && TELLING_UNLESS_NULL.iter().all(|name| is_null_or_absent(data, name))
}

fn is_null_or_absent(data: &[u8], name: &[u8]) -> bool {
    let Some(at) = memmem::find(data, name) else { return true };
    let rest = data.get(at + name.len()..).unwrap_or_default().trim_ascii_start();
    let value = rest.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
    let said_once = memmem::find(rest, name).is_none();
    value.starts_with(b"null") && said_once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_passed_by() {
        let yes = [
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":" a \"usage\" of {\"error\"}"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"delta":{"content":"x","refusal": null},"finish_reason" : null,"logprobs":null}]}"#,
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
            r#"{"choices":[{"delta":{"content":"x"#,
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
