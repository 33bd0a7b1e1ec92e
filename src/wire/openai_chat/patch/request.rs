//! Requests.

use std::borrow::Cow;

use crate::chat::{Effort, Reasoning};
use crate::failure::Failure;
use crate::json::{Cursor, Edits, Kind, Member, Object, Raw, Text};
use crate::provider::{OutputCap, Quirks, ReasoningParameter};
use crate::wire::anthropic::request::tools::demand;
use crate::wire::losses::lose;
use crate::wire::{Adjusted, Change, Format, RequestPatch};

use super::super::{known_tier, read, thinking};
use super::messages;
use super::reply::find;

/// Members that say which target to take, and are the gateway's to read; only another router gets to see them.
const OURS: &[&str] = &["models", "route", "transforms", "plugins", "preset"];

/// A request for an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchedRequest<'b> {
    /// The caller's body, borrowed where nothing changed.
    pub body: Cow<'b, [u8]>,
    /// The caller does not want to see reasoning.
    pub hide_reasoning: bool,
}

/// Puts a caller's request right for an upstream of the same protocol: of a chat, legacy completions or embeddings.
///
/// Changed are the model, `stream_options`, members that are the gateway's own, and what the vendor or the model is known
/// to refuse. Everything else stays byte for byte. Doing it twice changes nothing more.
///
/// # Errors
/// `BadRequest` where the body is no JSON object; `Unsupported` where a parameter would be lost to the caller's harm.
pub fn patch_request<'b>(
    body: &'b [u8],
    patch: &RequestPatch<'_>,
    quirks: &Quirks,
    adjusted: &mut Adjusted,
) -> Result<PatchedRequest<'b>, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    cursor.finish()?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let thinks = patch.facts.thinks_unasked;
    let mut patching = Patching {
        thinks,
        text,
        members,
        edits: Edits::of(body),
        removed: Vec::new(),
        inserted: Vec::new(),
        quirks,
        patch,
    };
    patching.model();
    patching.stream_options()?;
    patching.ours();
    let mut hide_reasoning = false;
    if find(&patching.members, "messages").is_some() {
        hide_reasoning = patching.reasoning(adjusted)?;
        patching.output_cap();
        patching.names();
        patching.sampling(adjusted);
        patching.shape(adjusted)?;
        patching.messages(adjusted)?;
    }
    patching.refused(adjusted)?;
    patching.service_tier(adjusted);
    Ok(PatchedRequest { body: patching.apply(open), hide_reasoning })
}

struct Patching<'b, 'p> {
    text: &'b str,
    members: Vec<Member<'b>>,
    edits: Edits<'b>,
    removed: Vec<&'p str>,
    inserted: Vec<(&'p str, Vec<u8>)>,
    quirks: &'p Quirks,
    patch: &'p RequestPatch<'p>,
    /// Whether the model will think over this.
    thinks: bool,
}

impl<'b, 'p> Patching<'b, 'p> {
    /// The value of a member that is still there; `None` for `null`.
    fn value(&self, key: &str) -> Option<&'b str> {
        let member = find(&self.members, key).filter(|_| !self.removed.contains(&key))?;
        self.text.get(member.value.clone()).filter(|value| *value != "null")
    }

    fn remove(&mut self, key: &'p str) {
        if find(&self.members, key).is_some() && !self.removed.contains(&key) {
            self.removed.push(key);
        }
    }

    fn model(&mut self) {
        let mut model = Vec::new();
        Text::escape(self.patch.model).write(&mut model);
        // Whichever of repeated keys the upstream goes by.
        for member in self.members.iter().filter(|member| member.key == "model") {
            self.edits.replace(member.value.clone(), model.clone());
        }
        if find(&self.members, "model").is_none() {
            self.inserted.push(("model", model));
        }
    }

    /// Asks for usage, keeping what else the options say.
    fn stream_options(&mut self) -> Result<(), Failure> {
        if !self.quirks.takes_stream_options() {
            self.remove("stream_options");
            return Ok(());
        }
        if !self.patch.stream {
            return Ok(());
        }
        const ASKED: &[u8] = b"{\"include_usage\":true}";
        let Some(options) = find(&self.members, "stream_options") else {
            self.inserted.push(("stream_options", ASKED.to_vec()));
            return Ok(());
        };
        let open = options.value.start;
        let mut cursor = Cursor::at(self.text, open);
        if cursor.kind() != Some(Kind::Object) {
            self.edits.replace(options.value.clone(), ASKED);
            return Ok(());
        }
        let members = cursor.spans()?;
        let told = find(&members, "include_usage").and_then(|told| self.text.get(told.value.clone()));
        if told != Some("true") {
            self.edits.object(open, &members, |member| member.key == "include_usage", &[("include_usage", b"true")]);
        }
        Ok(())
    }

    fn ours(&mut self) {
        if self.quirks.routes_itself {
            return;
        }
        for key in OURS {
            self.remove(key);
        }
        if self.value("provider").is_some_and(|value| value.starts_with('{')) {
            self.remove("provider");
        }
        if self.value("usage").is_some_and(|value| value.starts_with('{')) {
            self.remove("usage");
        }
    }

    /// How much to think, in the vendor's words; answers whether the caller wants to see it.
    fn reasoning(&mut self, adjusted: &mut Adjusted) -> Result<bool, Failure> {
        let (whole, word) = (self.value("reasoning"), self.value("reasoning_effort"));
        let shown = self.value("include_reasoning").is_none_or(|value| value != "false");
        let mut wish = read::reasoning_wish(whole, word)?;
        let own_words = self.value("thinking").is_some() || self.value("enable_thinking").is_some();
        let forced = self.value("tool_choice").is_some_and(|choice| !matches!(choice, "\"auto\"" | "\"none\""));
        if forced && thinking::never_forced(self.quirks, self.patch.facts) {
            self.ask_for_call(adjusted)?;
        } else if forced && !own_words {
            wish = thinking::unforced(wish, self.quirks, self.patch.facts, adjusted);
        }
        if let Some(wish) = &wish {
            let off = wish.effort == Some(Effort::None) || wish.enabled == Some(false);
            self.thinks = !off && (self.thinks || *wish != Reasoning::default());
        }
        let hide = !shown || wish.as_ref().is_some_and(|wish| wish.exclude);
        if self.quirks.reasoning_control == ReasoningParameter::Object {
            return Ok(hide);
        }
        self.remove("include_reasoning");
        let Some(wish) = wish.filter(|wish| *wish != Reasoning::default() && !own_words) else {
            self.remove("reasoning");
            return Ok(hide);
        };
        let members = thinking::members(&wish, self.quirks, self.patch.facts, adjusted);
        self.remove("reasoning");
        if members.iter().all(|(key, value)| *key != "reasoning_effort" || word.map(str::as_bytes) != Some(value)) {
            self.remove("reasoning_effort");
        }
        for (key, value) in members {
            if self.value(key).map(str::as_bytes) != Some(&value) {
                self.remove(key);
                self.inserted.push((key, value));
            }
        }
        Ok(hide)
    }

    /// Asks in words for the call that the model refuses to be made to make.
    fn ask_for_call(&mut self, adjusted: &mut Adjusted) -> Result<(), Failure> {
        let choice = Raw::parse(self.value("tool_choice").unwrap_or_default()).unwrap_or(Raw::NULL);
        let name = choice.member("function").and_then(|function| function.member("name")?.into_text());
        self.remove("tool_choice");
        self.inserted.push(("tool_choice", b"\"auto\"".to_vec()));
        adjusted.note("tool_choice", Change::Changed);
        self.instruct(&demand(name.as_ref()))
    }

    /// The output limit where the caller names none.
    fn output_cap(&mut self) {
        const NAMES: [&str; 2] = ["max_tokens", "max_completion_tokens"];
        let Some(most) = self.patch.default_max_tokens.filter(|_| NAMES.iter().all(|name| self.value(name).is_none()))
        else {
            return;
        };
        NAMES.into_iter().for_each(|name| self.remove(name));
        let name = match self.quirks.output_cap {
            OutputCap::MaxCompletionTokens => "max_completion_tokens",
            OutputCap::MaxTokens | OutputCap::Either => "max_tokens",
        };
        self.inserted.push((name, most.to_string().into_bytes()));
    }

    /// Parameters that the vendor calls something else.
    fn names(&mut self) {
        let (from, to) = match self.quirks.output_cap {
            OutputCap::MaxTokens => ("max_completion_tokens", "max_tokens"),
            OutputCap::MaxCompletionTokens if self.patch.facts.completion_cap_only => {
                ("max_tokens", "max_completion_tokens")
            }
            OutputCap::MaxCompletionTokens | OutputCap::Either => ("", ""),
        };
        for (from, to) in [(from, to), ("seed", self.quirks.seed)] {
            if let Some(value) = self.value(from).filter(|_| from != to) {
                self.remove(from);
                self.remove(to);
                self.inserted.push((to, value.as_bytes().to_vec()));
            }
        }
    }

    fn sampling(&mut self, adjusted: &mut Adjusted) {
        let has_temperature = self.value("temperature").is_some();
        for key in self.patch.facts.sampling.refused(self.thinks, has_temperature) {
            // One is what such models do anyway, and what they take.
            if self.value(key).is_some_and(|value| value != "1") {
                self.remove(key);
                adjusted.note(*key, Change::Dropped);
            }
        }
    }

    /// A schema for a vendor that only knows `json_object` is put into words.
    fn shape(&mut self, adjusted: &mut Adjusted) -> Result<(), Failure> {
        let Some(format) = self.value("response_format").filter(|_| !self.quirks.json_schema) else { return Ok(()) };
        let format = Raw::parse(format).unwrap_or(Raw::NULL);
        if !format.member("type").and_then(Raw::into_text).is_some_and(|kind| kind.is("json_schema")) {
            return Ok(());
        }
        self.remove("response_format");
        self.inserted.push(("response_format", b"{\"type\":\"json_object\"}".to_vec()));
        adjusted.note("response_format", Change::Changed);
        match format.member("json_schema").and_then(|described| described.member("schema")) {
            Some(schema) => self.instruct(&messages::schema_in_words(schema.get())),
            None => Ok(()),
        }
    }

    /// Puts a message of the system's in front of the others.
    fn instruct(&mut self, words: &str) -> Result<(), Failure> {
        let Some(start) = find(&self.members, "messages").map(|messages| messages.value.start) else { return Ok(()) };
        let mut cursor = Cursor::at(self.text, start);
        let mut any = false;
        cursor.items(|_, cursor| {
            any = true;
            cursor.value().map(drop)
        })?;
        if any {
            let mut message = Vec::new();
            let mut object = Object::open(&mut message);
            object.string("role", "system").string("content", words);
            object.close();
            message.push(b',');
            self.edits.replace(start + 1..start + 1, message);
        }
        Ok(())
    }

    fn messages(&mut self, adjusted: &mut Adjusted) -> Result<(), Failure> {
        let marks = self.quirks.refuses.contains(&"cache_control");
        let Some(start) = find(&self.members, "messages").map(|messages| messages.value.start) else { return Ok(()) };
        messages::patch(self.text, start, self.quirks, marks, &mut self.edits, adjusted)?;
        if let Some(tools) = find(&self.members, "tools").filter(|_| marks) {
            messages::unmark(self.text, tools.value.start, &mut self.edits, adjusted)?;
        }
        Ok(())
    }

    /// What the vendor answers with an error.
    fn refused(&mut self, adjusted: &mut Adjusted) -> Result<(), Failure> {
        let (quirks, facts) = (self.quirks, self.patch.facts);
        let lists = [quirks.refuses, facts.refuses, quirks.thinkers_refuse];
        for key in lists.into_iter().flatten().filter(|key| quirks.refuses(key, facts)) {
            let Some(value) = self.value(key) else { continue };
            self.remove(key);
            let usual = match *key {
                "n" | "temperature" | "top_p" => value == "1",
                "modalities" => matches!(value, "[\"text\"]" | "[]"),
                "parallel_tool_calls" => value == "true",
                _ => matches!(value, "false" | "{}" | "[]" | "0" | "0.0"),
            };
            if !usual && *key != "stream_options" {
                lose(Format::OpenAiChat, *key, adjusted)?;
            }
        }
        Ok(())
    }

    /// A tier of another vendor's.
    fn service_tier(&mut self, adjusted: &mut Adjusted) {
        let tier = self.value("service_tier").map(|tier| tier.trim_matches('"'));
        if tier.is_some_and(|tier| !known_tier(tier, &[], self.quirks, adjusted)) {
            self.remove("service_tier");
        }
    }

    fn apply(mut self, open: usize) -> Cow<'b, [u8]> {
        let removed = self.removed;
        let inserted: Vec<(&str, &[u8])> = self.inserted.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        self.edits.object(open, &self.members, |member| removed.contains(&&*member.key), &inserted);
        self.edits.apply()
    }
}
