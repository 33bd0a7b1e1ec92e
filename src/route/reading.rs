//! What a body says that matters for where the call goes, in any of the protocols that callers speak.
//!
//! They agree in more than they differ: messages with a role and content, content as a string or as typed parts. What
//! is not understood here is passed over; whether the body is a good one is for others to say.

use super::chance::hash_of_long;
use super::classify::Hints;
use super::condition::Content;
use super::facts::Prompt;
use crate::chat::Effort;
use crate::json::{self, Cursor, Kind, Raw, SyntaxError, Text};
use crate::provider::Capabilities;
use crate::sorted::SortedMap;
use crate::units::Millis;

/// How long a cache lives that is marked for an hour.
const HOUR: Millis = Millis(3_600_000);
/// Text that is kept for conditions and the classifier, of what is said in a conversation and of what is said before it.
const MOST_TEXT: usize = 64 << 10;
/// Bytes that make a token, as estimates go.
const BYTES_PER_TOKEN: u64 = 4;
/// What an image or a page is taken for; providers count between some hundred and two thousand.
const TOKENS_PER_MEDIUM: u64 = 800;
/// The beginning of a prompt by which its cache is recognised.
const PREFIX: usize = 2_048;

/// What was read of a body.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What the prompt is like.
    pub prompt: Prompt,
    /// What people wrote in it, the system's words first, up to a cap.
    pub texts: Vec<String>,
    /// What a target must be able to do: a set of [`Capabilities`].
    pub needs: u32,
    /// The output limit.
    pub output_tokens: Option<u64>,
    /// The end user.
    pub user: Option<String>,
    /// What belongs together.
    pub session: Option<String>,
    /// The call's own metadata.
    pub metadata: Vec<(String, String)>,
    /// What the call says of its difficulty beside its words.
    pub hints: Hints,
    /// The last text of the user: what the classifier reads.
    pub last: String,
    /// The service tier that is asked for.
    pub service_tier: Option<String>,
    /// A hash of the prompt's beginning, where that is long enough to be cached.
    pub prefix: Option<u64>,
    /// How long the call wants its prompt's beginning cached after its last use, where it says so.
    pub cache_lives: Option<Millis>,
    /// Bytes of text that were kept.
    pub kept: usize,
}

/// The members of a body that matter here, as they stand; those that are `null` are not there.
#[derive(Default)]
struct Body<'a> {
    system: Option<Raw<'a>>,
    instructions: Option<Raw<'a>>,
    system_instruction: Option<Raw<'a>>,
    tools: Option<Raw<'a>>,
    tool_config: Option<Raw<'a>>,
    response_format: Option<Raw<'a>>,
    /// How the answer is drawn, and in which shape, where a protocol has that in an object of its own.
    generation: Option<Raw<'a>>,
    /// The shape of the answer in the words of Responses, of Messages and of Converse.
    shape: Option<Raw<'a>>,
    modalities: Option<Raw<'a>>,
    max_tokens: Option<Raw<'a>>,
    max_completion_tokens: Option<Raw<'a>>,
    max_output_tokens: Option<Raw<'a>>,
    reasoning_effort: Option<Raw<'a>>,
    reasoning: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    session_id: Option<Raw<'a>>,
    prompt_cache_key: Option<Raw<'a>>,
    prompt_cache_retention: Option<Raw<'a>>,
    metadata: Option<Raw<'a>>,
    service_tier: Option<Raw<'a>>,
}

impl<'a> Body<'a> {
    fn place(&mut self, name: &str) -> Option<&mut Option<Raw<'a>>> {
        Some(match name {
            "system" => &mut self.system,
            "instructions" => &mut self.instructions,
            "systemInstruction" | "system_instruction" => &mut self.system_instruction,
            "tools" => &mut self.tools,
            "toolConfig" => &mut self.tool_config,
            "generationConfig" | "generation_config" | "inferenceConfig" => &mut self.generation,
            "text" | "output_config" | "outputConfig" | "output_format" => &mut self.shape,
            "response_format" => &mut self.response_format,
            "modalities" => &mut self.modalities,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "max_output_tokens" => &mut self.max_output_tokens,
            "reasoning_effort" => &mut self.reasoning_effort,
            "reasoning" => &mut self.reasoning,
            "user" => &mut self.user,
            "session_id" => &mut self.session_id,
            "prompt_cache_key" => &mut self.prompt_cache_key,
            "prompt_cache_retention" => &mut self.prompt_cache_retention,
            "metadata" | "requestMetadata" | "labels" => &mut self.metadata,
            "service_tier" => &mut self.service_tier,
            _ => return None,
        })
    }
}

impl Reading {
    /// Reads a body; one that is no JSON object reads as nothing.
    #[must_use]
    pub fn of(body: &[u8]) -> Reading {
        let cache_lives = lives_for_an_hour(body).then_some(HOUR);
        let mut reading = Reading { cache_lives, ..Reading::default() };
        let Ok(body) = reading.body(body) else { return Reading::default() };
        reading.instructions(&body);
        reading.options(&body);
        reading.prefix = (reading.kept >= PREFIX).then(|| {
            let mut beginning = Vec::with_capacity(PREFIX);
            for text in &reading.texts {
                beginning.extend_from_slice(text.as_bytes().get(..PREFIX - beginning.len()).unwrap_or(text.as_bytes()));
            }
            hash_of_long(&beginning)
        });
        reading
    }

    /// Reads the conversation where it stands, as most of a body is, and gives what else matters.
    fn body<'b>(&mut self, body: &'b [u8]) -> Result<Body<'b>, SyntaxError> {
        let mut found = Body::default();
        let mut cursor = Cursor::new(body)?;
        cursor.members(|name, cursor| {
            if matches!(&*name, "messages" | "contents" | "input" | "prompt") {
                return self.conversation(cursor);
            }
            let value = cursor.value()?;
            if let Some(place) = found.place(&name) {
                *place = Some(value).filter(|value| !value.is_null());
            }
            Ok::<(), SyntaxError>(())
        })?;
        cursor.finish()?;
        Ok(found)
    }

    /// What is said before the conversation, wherever it stands in the body. A long conversation leaves it its room.
    fn instructions(&mut self, body: &Body<'_>) {
        let (kept, messages) = (std::mem::take(&mut self.kept), self.texts.len());
        for raw in [&body.system, &body.instructions].into_iter().flatten() {
            self.content(raw, false);
        }
        if let Some(raw) = &body.system_instruction {
            self.content(&raw.member("parts").unwrap_or_else(|| raw.clone()), false);
        }
        self.kept += kept;
        self.texts.rotate_left(messages);
    }

    fn options(&mut self, body: &Body<'_>) {
        let tools = body.tools.as_ref().and_then(|raw| raw.read_borrowed::<Vec<Raw<'_>>>().ok());
        self.prompt.tools = tools.map_or(0, |tools| tools.iter().map(declared).sum());
        let config = body.tool_config.as_ref().and_then(|config| config.member("tools"));
        self.prompt.tools += config.map_or(0, |tools| items(&tools));
        if self.prompt.tools > 0 {
            self.prompt.content |= Content::TOOLS;
            self.needs |= Capabilities::TOOLS;
        }
        let format = body.response_format.as_ref().and_then(|raw| raw.member("type"));
        if let Some(kind) = format.as_ref().and_then(Raw::text) {
            self.prompt.content |= if kind.is("text") { 0 } else { Content::SCHEMA };
            self.needs |= if kind.is("json_schema") { Capabilities::JSON_SCHEMA } else { 0 };
        }
        if [&body.generation, &body.shape].into_iter().flatten().any(has_schema) {
            self.prompt.content |= Content::SCHEMA;
            self.needs |= Capabilities::JSON_SCHEMA;
        }
        let modalities = body.modalities.as_ref().and_then(|raw| raw.read::<Vec<String>>().ok()).unwrap_or_default();
        if modalities.iter().any(|modality| modality == "audio") {
            self.needs |= Capabilities::AUDIO_OUTPUT;
        }
        let limits = [&body.max_completion_tokens, &body.max_output_tokens, &body.max_tokens];
        let own = body.generation.as_ref().and_then(|own| {
            ["maxOutputTokens", "max_output_tokens", "maxTokens"].into_iter().find_map(|name| own.member(name))
        });
        let own = own.iter();
        self.output_tokens = limits.into_iter().flatten().chain(own).find_map(|raw| raw.get().parse().ok());
        let word = |raw: &Option<Raw<'_>>| raw.as_ref().and_then(Raw::text).map(|text| text.decode().into_owned());
        let nested = body.reasoning.as_ref().and_then(|raw| raw.member("effort"));
        let effort = word(&body.reasoning_effort).or_else(|| word(&nested));
        self.user = word(&body.user);
        self.session = word(&body.session_id).or_else(|| word(&body.prompt_cache_key));
        if word(&body.prompt_cache_retention).is_some_and(|word| word == "24h") {
            self.cache_lives = Some(Millis(24 * HOUR.0));
        }
        self.service_tier = word(&body.service_tier).filter(|tier| tier != "auto" && tier != "default");
        if let Some(raw) = body.metadata.as_ref().filter(|raw| raw.is_object()) {
            self.metadata = metadata(raw);
        }
        self.hints = Hints {
            effort: effort.as_deref().and_then(Effort::parse),
            messages: self.prompt.messages,
            tokens: self.prompt.tokens,
            tools: self.prompt.tools,
        };
    }

    /// A list of messages, or the only one.
    fn conversation(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        match cursor.kind() {
            Some(Kind::Array) => cursor.items(|_, cursor| self.message(cursor)),
            Some(Kind::Null) => cursor.value().map(drop),
            _ => self.message(cursor),
        }
    }

    /// One message or item, or the text of one.
    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.prompt.messages += 1;
        if cursor.kind() != Some(Kind::Object) {
            self.content(&cursor.value()?, true);
            return Ok(());
        }
        let (mut content, mut is_users) = (None, true);
        cursor.members(|name, cursor| {
            let value = cursor.value()?;
            match &*name {
                "role" => is_users = value.text().is_none_or(|role| role.is("user")),
                "content" | "parts" => content = Some(value),
                // What a tool returned, as an item.
                "output" => (content, is_users) = (Some(value), false),
                _ => {}
            }
            Ok::<(), SyntaxError>(())
        })?;
        if let Some(content) = content {
            self.content(&content, is_users);
        }
        Ok(())
    }

    /// A text, or parts.
    fn content(&mut self, raw: &Raw<'_>, is_users: bool) {
        self.content_at(raw, is_users, 0);
    }

    fn content_at(&mut self, raw: &Raw<'_>, is_users: bool, depth: usize) {
        if let Some(text) = raw.text() {
            self.text(&text, is_users);
            return;
        }
        let mut last = std::mem::take(&mut self.last);
        let mut cursor = raw.cursor();
        let mut part = |cursor: &mut Cursor<'_>| {
            if cursor.kind() != Some(Kind::Object) {
                return cursor.value().map(drop);
            }
            if self.part(cursor, is_users, depth)? && is_users {
                last = std::mem::take(&mut self.last);
            }
            Ok(())
        };
        let _ = if raw.is_object() { part(&mut cursor) } else { cursor.items(|_, cursor| part(cursor)) };
        self.last = last;
    }

    /// One part: typed, or with the one member that says what it is. Whether it is words.
    fn part(&mut self, cursor: &mut Cursor<'_>, is_users: bool, depth: usize) -> Result<bool, SyntaxError> {
        let (mut kind, mut text, mut medium, mut returned) = (None, None, None, None);
        cursor.members(|name, cursor| {
            let value = cursor.value()?;
            match &*name {
                "type" => kind = value.into_text(),
                "text" => text = value.into_text(),
                "image" | "document" | "video" | "audio" if value.is_object() => medium = Some(name.into_owned()),
                "inlineData" | "inline_data" | "fileData" | "file_data" if value.is_object() => {
                    let kind = value.member("mimeType").or_else(|| value.member("mime_type")).and_then(Raw::into_text);
                    let kind = kind.map(|kind| kind.decode().into_owned()).unwrap_or_default();
                    let is_file = !["image/", "audio/", "video/"].iter().any(|class| kind.starts_with(class));
                    medium = Some(if is_file { "file".to_owned() } else { kind });
                }
                "content" | "toolResult" | "functionResponse" => returned = Some(value),
                _ => {}
            }
            Ok::<(), SyntaxError>(())
        })?;
        if let Some(text) = text {
            self.text(&text, is_users);
            return Ok(true);
        }
        let kind = kind.as_ref().map_or("", Text::escaped);
        if let Some(returned) = returned.filter(|_| depth == 0) {
            self.returned(&returned);
        }
        self.medium(medium.as_deref().unwrap_or(kind));
        Ok(false)
    }

    /// What a tool returned, in a part of a message: words and media, or any JSON.
    fn returned(&mut self, raw: &Raw<'_>) {
        let inner = raw.member("content").or_else(|| raw.member("response"));
        let inner = inner.as_ref().unwrap_or(raw);
        if inner.is_object() {
            self.text(&Text::escape(inner.get()), false);
        } else {
            self.content_at(inner, false, 1);
        }
    }

    /// A part that is no text, by its type.
    fn medium(&mut self, kind: &str) {
        let media = [
            ("image", Content::IMAGE, Capabilities::VISION),
            ("audio", Content::AUDIO, Capabilities::AUDIO_INPUT),
            ("video", Content::FILE, Capabilities::VIDEO_INPUT),
            ("file", Content::FILE, 0),
            ("document", Content::FILE, 0),
        ];
        if let Some((_, content, needs)) = media.into_iter().find(|(word, ..)| kind.contains(word)) {
            self.prompt.content |= content;
            self.needs |= needs;
            self.prompt.tokens += TOKENS_PER_MEDIUM;
        }
    }

    fn text(&mut self, text: &Text<'_>, is_users: bool) {
        self.prompt.tokens += (text.escaped().len() as u64).div_ceil(BYTES_PER_TOKEN) + 4;
        let plain = text.decode();
        if json::mentions(plain.as_bytes(), b"```") {
            self.prompt.content |= Content::CODE;
        }
        if self.kept < MOST_TEXT && !plain.is_empty() {
            let room = plain.floor_char_boundary(MOST_TEXT - self.kept);
            self.kept += room;
            self.texts.push(plain.get(..room).unwrap_or_default().to_owned());
        }
        if is_users {
            self.last = plain.into_owned();
        }
    }
}

/// Whether a mark of a cache says `"ttl": "1h"`. In a text its quotes would be escaped.
fn lives_for_an_hour(body: &[u8]) -> bool {
    const TTL: &str = "\"ttl\"";
    let says_so = |rest: &str| {
        let value = rest.trim_start().strip_prefix(':').map(str::trim_start);
        value.is_some_and(|value| value.starts_with("\"1h\""))
    };
    // Of the two the value has the rarer letter.
    json::mentions(body, b"\"1h\"") && std::str::from_utf8(body).is_ok_and(|body| body.split(TTL).skip(1).any(says_so))
}

/// How many tools a declaration has: one, or as many functions as it lists.
fn declared(tool: &Raw<'_>) -> u64 {
    let tool = tool.borrowed();
    let functions = tool.member("functionDeclarations").or_else(|| tool.member("function_declarations"));
    functions.map_or(1, |functions| items(&functions).max(1))
}

fn items(list: &Raw<'_>) -> u64 {
    let mut count = 0;
    let walked = list.cursor().items(|_, cursor| {
        count += 1;
        cursor.value().map(drop)
    });
    walked.map_or(0, |()| count)
}

/// Whether an object that shapes the answer names a schema, in the words of any protocol but Chat Completions.
fn has_schema(shape: &Raw<'_>) -> bool {
    let named = ["responseSchema", "response_schema", "responseJsonSchema", "response_json_schema", "schema"];
    let within = shape.member("format").or_else(|| shape.member("textFormat"));
    let is_schema = |raw: &Raw<'_>| {
        let kind = raw.member("type").and_then(Raw::into_text);
        kind.is_some_and(|kind| kind.is("json_schema")) || named.iter().any(|name| raw.member(name).is_some())
    };
    is_schema(shape) || within.is_some_and(|within| is_schema(&within))
}

/// The members of a metadata object, up to 16; values that are no strings as they were written.
#[must_use]
pub fn metadata(raw: &Raw<'_>) -> Vec<(String, String)> {
    let members: SortedMap<String, Raw<'_>> = raw.read_borrowed().unwrap_or_default();
    let value = |raw: &Raw<'_>| match raw.text() {
        Some(text) => text.decode().into_owned(),
        None => raw.get().to_owned(),
    };
    members.into_iter().take(16).map(|(name, raw)| (name, value(&raw))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::facts::CallFacts;
    use proptest::prelude::*;

    fn mentions(read: &Reading, word: &str) -> bool {
        CallFacts { texts: &read.texts, ..CallFacts::default() }.mentions(&[word.to_owned()])
    }

    #[test]
    fn a_chat_call_is_read() {
        let body = br#"{"model": "auto", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "user", "content": [{"type": "text", "text": "What is \u00e4 this?\n```x```"},
                {"type": "image_url", "image_url": {"url": "https://x"}}]}],
            "tools": [{"type": "function"}], "response_format": {"type": "json_schema"}, "max_tokens": 50,
            "user": "ada", "metadata": {"tier": "gold", "n": 3}, "reasoning_effort": "high", "service_tier": "flex"}"#;
        let read = Reading::of(body);
        assert_eq!((read.prompt.messages, read.prompt.tools, read.output_tokens), (4, 1, Some(50)));
        assert_eq!(read.last, "What is ä this?\n```x```");
        assert_eq!(read.prompt.content, Content::TOOLS | Content::SCHEMA | Content::IMAGE | Content::CODE);
        assert_eq!(read.needs, Capabilities::TOOLS | Capabilities::JSON_SCHEMA | Capabilities::VISION);
        assert_eq!((read.user.as_deref(), read.service_tier.as_deref()), (Some("ada"), Some("flex")));
        assert_eq!(read.metadata, [("n".into(), "3".into()), ("tier".into(), "gold".into())]);
        assert_eq!(read.hints.effort, Some(Effort::High));
        assert!(read.prompt.tokens > 800 && mentions(&read, "brief"));
    }

    #[test]
    fn other_protocols_are_read_too() {
        let messages = br#"{"system": [{"type": "text", "text": "S"}], "messages": [{"role": "user", "content": "U"}],
            "max_tokens": 9}"#;
        assert_eq!(Reading::of(messages).last, "U");
        let responses = br#"{"instructions": "S", "input": [{"role": "user", "content": [{"type": "input_text",
            "text": "U"}, {"type": "input_image"}]}], "max_output_tokens": 9}"#;
        let read = Reading::of(responses);
        assert_eq!((read.last.as_str(), read.output_tokens, read.needs), ("U", Some(9), Capabilities::VISION));
        assert_eq!(Reading::of(br#"{"input": "plain"}"#).last, "plain");
        assert_eq!(Reading::of(br#"{"input": ["one", "two"]}"#).prompt.messages, 2);
    }

    #[test]
    fn calls_of_gemini_and_converse_are_read_too() {
        let gemini = br#"{"systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "My diagnosis?"},
                    {"inlineData": {"mimeType": "image/png", "data": "AA"}}, {"fileData": {"mimeType": "application/pdf"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "tumour"}}}]}],
            "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}], "labels": {"tier": "gold"},
            "generationConfig": {"maxOutputTokens": 7, "responseSchema": {"type": "OBJECT"}}}"#;
        let converse = br#"{"system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"text": "My diagnosis?"}, {"image": {"format": "png"}},
                    {"document": {"format": "pdf"}}]},
                {"role": "assistant", "content": [{"toolUse": {"name": "f"}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "tumour"}]}}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, {"toolSpec": {"name": "g"}}]},
            "inferenceConfig": {"maxTokens": 7}, "requestMetadata": {"tier": "gold"},
            "outputConfig": {"textFormat": {"type": "json_schema", "structure": {}}}}"#;
        for body in [&gemini[..], converse] {
            let read = Reading::of(body);
            assert_eq!((read.prompt.messages, read.prompt.tools, read.output_tokens), (3, 2, Some(7)));
            assert_eq!(read.last, "My diagnosis?");
            assert_eq!(read.metadata, [("tier".into(), "gold".into())]);
            for word in ["brief", "diagnosis", "tumour"] {
                assert!(mentions(&read, word), "{word}: {:?}", read.texts);
            }
            let content = Content::TOOLS | Content::SCHEMA | Content::IMAGE | Content::FILE;
            assert_eq!((read.prompt.content, read.prompt.tokens > 1_600), (content, true));
            assert_eq!(read.needs, Capabilities::TOOLS | Capabilities::JSON_SCHEMA | Capabilities::VISION);
        }
        let one = Reading::of(br#"{"contents": {"parts": {"text": "U"}}, "system_instruction": "S"}"#);
        assert_eq!((one.last.as_str(), one.prompt.messages), ("U", 1));
    }

    #[test]
    fn what_tools_returned_counts_in_every_protocol() {
        for body in [
            &br#"{"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "tumour"}]}]}"#[..],
            br#"{"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "tumour"}]}]}]}"#,
            br#"{"input": [{"type": "function_call_output", "call_id": "c", "output": "tumour"}]}"#,
            br#"{"messages": [{"role": "tool", "content": "tumour"}]}"#,
        ] {
            let read = Reading::of(body);
            assert!(mentions(&read, "tumour"), "{}", String::from_utf8_lossy(body));
            assert_eq!(read.last, "", "nobody asked that");
        }
        for body in [
            &br#"{"input": "x", "text": {"format": {"type": "json_schema", "schema": {}}}}"#[..],
            br#"{"messages": [], "output_config": {"format": {"type": "json_schema", "schema": {}}}}"#,
        ] {
            assert_eq!(Reading::of(body).needs, Capabilities::JSON_SCHEMA);
        }
        assert_eq!(Reading::of(br#"{"input": "x", "text": {"format": {"type": "text"}}}"#).needs, 0);
    }

    #[test]
    fn of_texts_without_a_word_nothing_is_kept() {
        let parts = vec![r#"{"type":"text","text":""}"#; 1_000].join(",");
        let read = Reading::of(format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#).as_bytes());
        assert_eq!((read.prompt.messages, read.texts.len()), (1, 0));
    }

    #[test]
    fn a_long_beginning_is_recognised_and_a_short_one_is_not() {
        let body = |text: &str, end: &str| {
            format!(
                r#"{{"messages": [{{"role": "system", "content": "{text}"}}, {{"role": "user", "content": "{end}"}}]}}"#
            )
        };
        let long = "the same long instructions ".repeat(100);
        let prefix = |text: &str, end: &str| Reading::of(body(text, end).as_bytes()).prefix;
        assert_eq!(prefix("short", "x"), None);
        assert!(prefix(&long, "one").is_some());
        assert_eq!(prefix(&long, "one"), prefix(&long, "two"));
        assert_ne!(prefix(&long, "one"), prefix(&long.replace("same", "other"), "one"));
    }

    proptest! {
        #[test]
        fn any_body_is_read(body in proptest::collection::vec(any::<u8>(), 0..200), text in ".*") {
            let _ = Reading::of(&body);
            let json = serde_json::json!({"messages": [{"role": "user", "content": [text, {"type": 3}]}, 7, [1]]});
            let _ = Reading::of(json.to_string().as_bytes());
        }
    }
}
