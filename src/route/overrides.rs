//! What a candidate changes in a request, written into the caller's own JSON.

use super::alias::Overrides;
use crate::chat::Effort;
use crate::json::number::shown;
use crate::json::{Cursor, Member, Raw, SyntaxError};
use crate::wire::Surface;

/// How a protocol calls what is changed.
struct Words {
    /// The object that holds temperature, `top_p` and limit; empty where they stand beside the messages.
    within: &'static str,
    top_p: &'static str,
    /// The output limit; the first name is the usual one.
    limits: &'static [&'static str],
    /// The object that holds the effort, and its name there. The object is empty where there is none.
    effort: (&'static str, &'static str),
}

/// How a target is asked for an effort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffortForm {
    /// Not at all.
    Omitted,
    /// By the word for it, which is put into what the target takes on the way.
    Word,
    /// By this JSON, which is what the model takes where the body goes on as it is.
    Own(String),
}

impl Words {
    fn of(surface: Surface) -> Words {
        let beside = |limits, effort| Words { within: "", top_p: "top_p", limits, effort };
        match surface {
            Surface::OpenAiChat => beside(&["max_tokens", "max_completion_tokens"], ("", "reasoning_effort")),
            Surface::OpenAiResponses => beside(&["max_output_tokens"], ("reasoning", "effort")),
            Surface::Anthropic => beside(&["max_tokens"], ("output_config", "effort")),
            Surface::Gemini => Words {
                within: "generationConfig",
                top_p: "topP",
                limits: &["maxOutputTokens"],
                effort: ("thinkingConfig", "thinkingLevel"),
            },
            Surface::Bedrock => Words {
                within: "inferenceConfig",
                top_p: "topP",
                limits: &["maxTokens"],
                effort: ("additionalModelRequestFields", "reasoning_effort"),
            },
            Surface::Cohere => Words { top_p: "p", ..beside(&["max_tokens"], ("", "reasoning_effort")) },
        }
    }
}

/// Members with their new values.
type Changes = Vec<(&'static str, String)>;

impl Overrides {
    /// `body`, which speaks `surface`, with what these change. What is not named stays byte for byte. An effort is left
    /// asked for as `asked` says of the target.
    ///
    /// # Errors
    /// Where the body is no JSON object.
    pub fn apply(
        &self,
        body: &[u8],
        surface: Surface,
        asked: &dyn Fn(Effort) -> EffortForm,
    ) -> Result<Vec<u8>, SyntaxError> {
        let members = Cursor::new(body)?.spans()?;
        let words = Words::of(surface);
        let inner = value(body, &members, words.within);
        let mut inside = match words.within {
            "" => self.sampling(&words, body, &members),
            _ => {
                let inner = inner.unwrap_or("{}").as_bytes();
                self.sampling(&words, inner, &Cursor::new(inner)?.spans()?)
            }
        };
        let (within, name) = words.effort;
        let word = self.reasoning_effort.map(|effort| (asked(effort), format!("\"{}\"", effort.as_str())));
        let mut changes = Changes::new();
        match word {
            None | Some((EffortForm::Omitted, _)) => {}
            // A budget beside a level is refused; whether thoughts are shown is the caller's to say.
            Some((asked, word)) if surface == Surface::Gemini => {
                let config = inner.map(|inner| member(inner, within)).transpose()?.flatten();
                let shown = config.map(|config| member(config, "includeThoughts")).transpose()?.flatten();
                let shown = shown.map(|shown| format!("\"includeThoughts\":{shown},")).unwrap_or_default();
                let by_word = format!("{{{shown}\"{name}\":{word}}}");
                inside.push((within, if let EffortForm::Own(json) = asked { json } else { by_word }));
            }
            Some((EffortForm::Own(json), _)) if surface == Surface::Cohere => changes.push(("thinking", json)),
            Some((EffortForm::Own(json), _)) => {
                changes.push((within, merged(value(body, &members, within).unwrap_or("{}"), &json)?));
            }
            Some((EffortForm::Word, word)) => {
                nest(&mut changes, within, vec![(name, word)], value(body, &members, within))?;
            }
        }
        nest(&mut changes, words.within, inside, inner)?;
        if let Some(prefix) = &self.system_prefix {
            let key = match surface {
                Surface::OpenAiChat | Surface::Cohere => "messages",
                Surface::OpenAiResponses => "instructions",
                Surface::Gemini => "systemInstruction",
                Surface::Anthropic | Surface::Bedrock => "system",
            };
            changes.extend(with_prefix(surface, value(body, &members, key), prefix).map(|json| (key, json)));
        }
        Ok(rewritten(body, &members, &changes))
    }

    /// What it changes among `members`, which are those of `object`.
    fn sampling(&self, words: &Words, object: &[u8], members: &[Member<'_>]) -> Changes {
        let temperature = self.temperature.map(|temperature| ("temperature", shown(temperature)));
        let top_p = self.top_p.map(|top_p| (words.top_p, shown(top_p)));
        let mut changes: Changes = temperature.into_iter().chain(top_p).collect();
        if let Some(most) = self.max_tokens {
            // Of a call that names several, who reads it decides which counts.
            let written = words.limits.iter().filter_map(|name| Some((*name, value(object, members, name)?)));
            let written: Vec<(&str, &str)> = written.collect();
            let is_within = |json: &str| json.parse::<u64>().is_ok_and(|asked| asked <= most);
            let over = written.iter().filter(|(_, json)| !is_within(json)).map(|(name, _)| *name);
            let unsaid = words.limits.first().copied().filter(|_| written.is_empty());
            changes.extend(over.chain(unsaid).map(|name| (name, most.to_string())));
        }
        changes
    }
}

/// Adds `inner` to the changes: as they are, or as those of the object called `within`, which is `written` so far.
fn nest(changes: &mut Changes, within: &'static str, inner: Changes, written: Option<&str>) -> Result<(), SyntaxError> {
    if within.is_empty() {
        changes.extend(inner);
    } else if !inner.is_empty() {
        let object = written.unwrap_or("{}").as_bytes();
        let json = rewritten(object, &Cursor::new(object)?.spans()?, &inner);
        changes.push((within, String::from_utf8_lossy(&json).into_owned()));
    }
    Ok(())
}

/// What stands in an object under a name.
fn member<'b>(object: &'b str, name: &str) -> Result<Option<&'b str>, SyntaxError> {
    Ok(value(object.as_bytes(), &Cursor::new(object.as_bytes())?.spans()?, name))
}

/// The members of both objects, those of the second where both have one. How much to think the second says alone.
fn merged(first: &str, second: &str) -> Result<String, SyntaxError> {
    const THINKING: [&str; 5] =
        ["thinking", "reasoning_config", "reasoningConfig", "reasoning_effort", "output_config"];
    let ours = Cursor::new(second.as_bytes())?.spans()?;
    let theirs = Cursor::new(first.as_bytes())?.spans()?;
    let kept = theirs
        .iter()
        .filter(|member| !THINKING.contains(&&*member.key) && ours.iter().all(|known| known.key != member.key));
    let kept = kept.filter_map(|member| first.get(member.start..member.value.end));
    let all: Vec<&str> = kept.chain(ours.iter().filter_map(|own| second.get(own.start..own.value.end))).collect();
    Ok(format!("{{{}}}", all.join(",")))
}

/// What stands in `object` under a name, unless that is null; the last of several counts, as everybody else reads it.
fn value<'b>(object: &'b [u8], members: &[Member<'_>], name: &str) -> Option<&'b str> {
    let member = members.iter().rfind(|member| is_called(member, name))?;
    let json = std::str::from_utf8(object.get(member.value.clone())?).ok()?.trim();
    (json != "null").then_some(json)
}

/// Gemini's names may be written with underscores as well.
fn is_called(member: &Member<'_>, name: &str) -> bool {
    let has_humps = name.bytes().any(|byte| byte.is_ascii_uppercase());
    member.key == name || (has_humps && member.key.replace('_', "").eq_ignore_ascii_case(name))
}

/// `object` with the changes behind what stays.
fn rewritten(object: &[u8], members: &[Member<'_>], changes: &Changes) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + 256);
    let mut member = |json: &[&[u8]]| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json.iter().for_each(|part| out.extend_from_slice(part));
    };
    for kept in members.iter().filter(|member| changes.iter().all(|(key, _)| !is_called(member, key))) {
        member(&[object.get(kept.start..kept.value.end).unwrap_or_default()]);
    }
    for (key, json) in changes {
        member(&[b"\"", key.as_bytes(), b"\":", json.as_bytes()]);
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

/// Instructions with these in front: a message of its own, a part of its own, or a paragraph.
fn with_prefix(surface: Surface, written: Option<&str>, prefix: &str) -> Option<String> {
    let text = Raw::of(prefix);
    let in_front = |item: &str, list: &str| {
        let rest = list.strip_prefix('[')?;
        let comma = if rest.trim_start().starts_with(']') { "" } else { "," };
        Some(format!("[{item}{comma}{rest}"))
    };
    let part = format!("{{\"text\":{}}}", text.get());
    match (surface, written) {
        (Surface::OpenAiChat | Surface::Cohere, _) => {
            in_front(&format!("{{\"role\":\"system\",\"content\":{}}}", text.get()), written?)
        }
        (Surface::Bedrock, _) => in_front(&part, written.unwrap_or("[]")),
        (Surface::Gemini, _) => {
            let written = written.and_then(|json| Raw::parse(json).ok());
            let parts = written.as_ref().and_then(|raw| raw.member("parts").or_else(|| Some(raw.borrowed())));
            let list = match &parts {
                Some(list) if list.is_array() => list.get().to_owned(),
                Some(one) if one.is_object() => format!("[{}]", one.get()),
                Some(words) => format!("[{{\"text\":{}}}]", words.get()),
                None => "[]".to_owned(),
            };
            Some(format!("{{\"parts\":{}}}", in_front(&part, &list)?))
        }
        (_, None) => Some(text.get().to_owned()),
        (_, Some(list)) if list.starts_with('[') => {
            in_front(&format!("{{\"type\":\"text\",\"text\":{}}}", text.get()), list)
        }
        (_, Some(json)) => Some(format!("{}\\n\\n{}", text.get().strip_suffix('"')?, json.strip_prefix('"')?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(overrides: &Overrides, body: &str, surface: Surface) -> serde_json::Value {
        let out = overrides.apply(body.as_bytes(), surface, &|_| EffortForm::Word).expect("an object");
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
        for body in [
            r#"{"max_tokens": 50, "max_completion_tokens": 500}"#,
            r#"{"max_tokens": 500, "max_completion_tokens": 50}"#,
        ] {
            let both = applied(&overrides, body, Surface::OpenAiChat);
            let limits = ["max_tokens", "max_completion_tokens"].map(|name| both[name].as_u64());
            assert!(limits.iter().flatten().all(|limit| *limit <= 100), "{both}");
        }
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
    fn each_protocol_is_changed_in_its_own_words() {
        let all = Overrides {
            temperature: Some(0.2),
            top_p: Some(0.9),
            max_tokens: Some(100),
            reasoning_effort: Some(Effort::Low),
            system_prefix: Some("First.".to_owned()),
        };
        let cases = [
            (
                Surface::OpenAiResponses,
                serde_json::json!({"input": "hi", "instructions": "Then.", "max_output_tokens": 500, "reasoning": {"summary": "auto"}}),
                serde_json::json!({"input": "hi", "instructions": "First.\n\nThen.", "temperature": 0.2, "top_p": 0.9,
                    "max_output_tokens": 100, "reasoning": {"summary": "auto", "effort": "low"}}),
            ),
            (
                Surface::Anthropic,
                serde_json::json!({"messages": [], "max_tokens": 50}),
                serde_json::json!({"messages": [], "max_tokens": 50, "system": "First.", "temperature": 0.2, "top_p": 0.9,
                    "output_config": {"effort": "low"}}),
            ),
            (
                Surface::Gemini,
                serde_json::json!({"contents": [], "generation_config": {"max_output_tokens": 500, "topK": 3, "temperature": 1,
                        "thinking_config": {"include_thoughts": true, "thinking_budget": 9}},
                    "system_instruction": {"role": "system", "parts": {"text": "Then."}}}),
                serde_json::json!({"contents": [], "systemInstruction": {"parts": [{"text": "First."}, {"text": "Then."}]},
                    "generationConfig": {"maxOutputTokens": 100, "topK": 3, "temperature": 0.2, "topP": 0.9,
                        "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "low"}}}),
            ),
            (
                Surface::Gemini,
                serde_json::json!({"contents": []}),
                serde_json::json!({"contents": [], "systemInstruction": {"parts": [{"text": "First."}]},
                    "generationConfig": {"maxOutputTokens": 100, "temperature": 0.2, "topP": 0.9,
                        "thinkingConfig": {"thinkingLevel": "low"}}}),
            ),
            (
                Surface::Bedrock,
                serde_json::json!({"messages": [], "system": [{"text": "Then."}], "inferenceConfig": {"maxTokens": 40}}),
                serde_json::json!({"messages": [], "system": [{"text": "First."}, {"text": "Then."}],
                    "inferenceConfig": {"maxTokens": 40, "temperature": 0.2, "topP": 0.9},
                    "additionalModelRequestFields": {"reasoning_effort": "low"}}),
            ),
            (
                Surface::Cohere,
                serde_json::json!({"messages": [{"role": "user", "content": "hi"}], "p": 0.5}),
                serde_json::json!({"messages": [{"role": "system", "content": "First."}, {"role": "user", "content": "hi"}],
                    "p": 0.9, "temperature": 0.2, "max_tokens": 100, "reasoning_effort": "low"}),
            ),
        ];
        for (surface, body, expected) in cases {
            assert_eq!(applied(&all, &body.to_string(), surface), expected, "{surface:?}");
        }
        let refused = all.apply(b"{}", Surface::Anthropic, &|_| EffortForm::Omitted).expect("an object");
        assert!(!String::from_utf8_lossy(&refused).contains("effort"), "the target does not take it");
    }

    #[test]
    fn what_the_model_takes_goes_where_it_stands() {
        let low = Overrides { reasoning_effort: Some(Effort::Low), ..Overrides::default() };
        let asked = |surface, body: serde_json::Value, own: &str| {
            let own = || EffortForm::Own(own.to_owned());
            let out = low.apply(body.to_string().as_bytes(), surface, &|_| own()).expect("an object");
            serde_json::from_slice::<serde_json::Value>(&out).expect("JSON")
        };
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let own = r#"{"thinkingBudget":1024}"#;
        let gemini = json(r#"{"generationConfig":{"topK":3,"thinkingConfig":{"thinkingLevel":"high"}}}"#);
        let expected = json(r#"{"generationConfig":{"topK":3,"thinkingConfig":{"thinkingBudget":1024}}}"#);
        assert_eq!(asked(Surface::Gemini, gemini, own), expected);
        let own = r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}"#;
        let converse = json(r#"{"additionalModelRequestFields":{"reasoning_config":{"type":"enabled"},"x":1}}"#);
        let expected = json(
            r#"{"additionalModelRequestFields":{"x":1,"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}}"#,
        );
        assert_eq!(asked(Surface::Bedrock, converse, own), expected);
        let own = r#"{"type":"enabled"}"#;
        assert_eq!(asked(Surface::Cohere, json("{}"), own), json(r#"{"thinking":{"type":"enabled"}}"#));
    }

    #[test]
    fn what_changes_nothing_changes_nothing() {
        let body = br#"{"a":1,"b":[1, 2]}"#;
        let apply = |body: &[u8]| Overrides::default().apply(body, Surface::OpenAiChat, &|_| EffortForm::Omitted);
        assert_eq!(apply(body).expect("an object"), br#"{"a":1,"b":[1, 2]}"#);
        assert_eq!(apply(b"{}").expect("an object"), b"{}");
        assert!(apply(b"[]").is_err());
    }
}
