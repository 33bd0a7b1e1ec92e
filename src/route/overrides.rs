//! What a candidate changes in a request, written into the caller's own JSON.

use super::alias::Overrides;
use crate::chat::Effort;
use crate::json::number::shown;
use crate::json::{Cursor, Raw, SyntaxError};
use crate::wire::Surface;

/// The names that callers give to the output limit.
const OUTPUT_LIMITS: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];

impl Overrides {
    /// `body`, which speaks `surface`, with what these change. What is not named stays byte for byte.
    ///
    /// # Errors
    /// Where the body is no JSON object.
    pub fn apply(&self, body: &[u8], surface: Surface) -> Result<Vec<u8>, SyntaxError> {
        let members = Cursor::new(body)?.spans()?;
        let value = |key: &str| {
            let member = members.iter().rfind(|member| member.key == key)?;
            let json = std::str::from_utf8(body.get(member.value.clone())?).ok()?.trim();
            (json != "null").then_some(json)
        };
        let replaced = self.changes(surface, &value);
        let mut out = Vec::with_capacity(body.len() + 256);
        let mut member = |json: &[&[u8]]| {
            out.push(if out.is_empty() { b'{' } else { b',' });
            json.iter().for_each(|part| out.extend_from_slice(part));
        };
        for kept in members.iter().filter(|member| replaced.iter().all(|(key, _)| member.key != *key)) {
            member(&[body.get(kept.start..kept.value.end).unwrap_or_default()]);
        }
        for (key, json) in &replaced {
            member(&[b"\"", key.as_bytes(), b"\":", json.as_bytes()]);
        }
        out.push(b'}');
        Ok(out)
    }

    /// Members with their new values; `value` looks up what was written.
    fn changes<'v>(&self, surface: Surface, value: &dyn Fn(&str) -> Option<&'v str>) -> Vec<(&'static str, String)> {
        let mut changes: Vec<(&'static str, String)> = Vec::new();
        if let Some(temperature) = self.temperature {
            changes.push(("temperature", shown(temperature)));
        }
        if let Some(top_p) = self.top_p {
            changes.push(("top_p", shown(top_p)));
        }
        let speaks_items = value("input").is_some();
        if let Some(most) = self.max_tokens {
            let written = OUTPUT_LIMITS.into_iter().find(|name| value(name).is_some());
            let asked = written.and_then(value).and_then(|json| json.parse::<u64>().ok());
            if asked.is_none_or(|asked| asked > most) {
                let usual = if speaks_items { "max_output_tokens" } else { "max_tokens" };
                changes.push((written.unwrap_or(usual), most.to_string()));
            }
        }
        if let Some(effort) = self.reasoning_effort.filter(|_| surface == Surface::OpenAiChat) {
            changes.push(("reasoning_effort", format!("\"{}\"", word(effort))));
        }
        if let Some(prefix) = &self.system_prefix {
            let key = match surface {
                Surface::OpenAiChat => "messages",
                _ if speaks_items => "instructions",
                _ => "system",
            };
            changes.extend(with_prefix(surface, value(key), prefix).map(|json| (key, json)));
        }
        changes
    }
}

fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

/// Instructions with these in front: a message of its own, a part of its own, or a paragraph.
fn with_prefix(surface: Surface, written: Option<&str>, prefix: &str) -> Option<String> {
    let text = Raw::of(prefix);
    let in_front = |item: &str| {
        let rest = written?.strip_prefix('[')?;
        let comma = if rest.trim_start().starts_with(']') { "" } else { "," };
        Some(format!("[{item}{comma}{rest}"))
    };
    match written {
        _ if surface == Surface::OpenAiChat => in_front(&format!("{{\"role\":\"system\",\"content\":{}}}", text.get())),
        None => Some(text.get().to_owned()),
        Some(json) if json.starts_with('[') => in_front(&format!("{{\"type\":\"text\",\"text\":{}}}", text.get())),
        Some(json) => Some(format!("{}\\n\\n{}", text.get().strip_suffix('"')?, json.strip_prefix('"')?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(overrides: &Overrides, body: &str, surface: Surface) -> serde_json::Value {
        let out = overrides.apply(body.as_bytes(), surface).expect("an object");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn what_is_named_is_replaced_and_the_rest_stays() {
        let overrides = Overrides {
            temperature: Some(0.2),
            max_tokens: Some(100),
            reasoning_effort: Some(Effort::Low),
            system_prefix: Some("Be \"brief\".".to_owned()),
            ..Overrides::default()
        };
        let body = r#"{"model":"m","temperature":1,"max_completion_tokens":500,"messages":[{"role":"user","content":"hi"}],"x":{"y":1}}"#;
        let expected = serde_json::json!({"model": "m", "temperature": 0.2, "max_completion_tokens": 100, "x": {"y": 1},
            "reasoning_effort": "low",
            "messages": [{"role": "system", "content": "Be \"brief\"."}, {"role": "user", "content": "hi"}]});
        assert_eq!(applied(&overrides, body, Surface::OpenAiChat), expected);
    }

    #[test]
    fn a_lower_limit_of_the_callers_stays() {
        let overrides = Overrides { max_tokens: Some(100), ..Overrides::default() };
        let limit = |body: &str| applied(&overrides, body, Surface::OpenAiChat)["max_tokens"].as_u64();
        assert_eq!(limit(r#"{"max_tokens": 50}"#), Some(50));
        assert_eq!(limit(r#"{"max_tokens": null}"#), Some(100));
        assert_eq!(limit(r#"{"max_tokens": 50, "max_tokens": 70}"#), Some(70), "as everybody else reads it");
        assert_eq!(limit("{}"), Some(100));
    }

    #[test]
    fn instructions_go_where_the_protocol_has_them() {
        let overrides = Overrides { system_prefix: Some("First.".to_owned()), ..Overrides::default() };
        let system = |body: &str| applied(&overrides, body, Surface::Anthropic)["system"].clone();
        assert_eq!(system("{}"), "First.");
        assert_eq!(system(r#"{"system": "Then."}"#), "First.\n\nThen.");
        let parts = system(r#"{"system": [{"type": "text", "text": "Then."}]}"#);
        assert_eq!((&parts[0]["text"], &parts[1]["text"]), (&"First.".into(), &"Then.".into()));
    }

    #[test]
    fn what_changes_nothing_changes_nothing() {
        let body = br#"{"a":1,"b":[1, 2]}"#;
        assert_eq!(Overrides::default().apply(body, Surface::OpenAiChat).expect("an object"), br#"{"a":1,"b":[1, 2]}"#);
        assert!(Overrides::default().apply(b"[]", Surface::OpenAiChat).is_err());
    }
}
