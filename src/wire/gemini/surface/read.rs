//! Reads what a caller of `generateContent` asks for. The model stands in the path.

use std::borrow::Cow;

use crate::chat::{Effort, Message, OutputShape, Part, Reasoning, Request, Role, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::place::Place;
use crate::wire::schema::from_openapi;

use super::{camel, contents, tools};

/// Reads the body of `:generateContent` or `:streamGenerateContent`.
///
/// # Errors
/// `BadRequest` with the first fault and its place.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let mut reading = Reading::default();
    cursor.members(|key, cursor| reading.member(&key, cursor))?;
    cursor.finish()?;
    reading.finish()
}

#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    system: Vec<Part<'a>>,
    has_contents: bool,
    answers_json: bool,
    schema: Option<Raw<'a>>,
}

impl<'a> Reading<'a> {
    fn member(&mut self, key: &str, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let place = Place::top(key);
        let request = &mut self.request;
        match &*camel(key) {
            "contents" => {
                self.has_contents = cursor.kind() != Some(Kind::Null);
                request.messages.clear();
                contents::read(&place, cursor, request)?;
            }
            "systemInstruction" => {
                self.system.clear();
                contents::read_system(&place, cursor, &mut self.system, request)?;
            }
            "tools" => tools::read_list(&place, cursor, request)?,
            "toolConfig" => tools::read_config(&place, cursor, request)?,
            "generationConfig" => {
                if place.opens(cursor)? {
                    cursor.members(|key, cursor| self.config(&place.member(&key), &camel(&key), cursor))?;
                }
            }
            "serviceTier" => {
                let tier =
                    place.text(cursor)?.map(|tier| Text::escape(&tier.decode().to_ascii_lowercase()).into_owned());
                let renamed = |tier: Text<'a>| if tier.is("standard") { Text::from_escaped("default") } else { tier };
                request.service_tier = tier.filter(|tier| !tier.is("unspecified")).map(renamed);
            }
            "cachedContent" => {
                if place.text(cursor)?.is_some_and(|name| !name.is_empty()) {
                    let message =
                        "`cachedContent` is kept by another provider than this model's; send the content itself.";
                    request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
                }
            }
            // Said by the path.
            "model" => drop(cursor.value()?),
            _ => {
                let value = cursor.value()?;
                if !value.is_null() && !matches!(&*value.compact(), "{}" | "[]") && !GATEWAY.contains(&key) {
                    request.unsayable.push(Cow::Owned(key.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// A member of `generationConfig`.
    fn config(&mut self, place: &Place<'_>, key: &str, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let request = &mut self.request;
        let sampling = &mut request.sampling;
        match key {
            "maxOutputTokens" => request.max_output_tokens = place.count(cursor)?,
            "temperature" => sampling.temperature = place.number(cursor)?,
            "topP" => sampling.top_p = place.number(cursor)?,
            // The SDK for Python has it as a float; elsewhere it is a whole number.
            "topK" => {
                let top_k = place.number(cursor)?;
                let whole = |top_k: &Raw<'a>| Raw::parse_owned(top_k.get().strip_suffix(".0")?.to_owned()).ok();
                sampling.top_k = top_k.as_ref().and_then(whole).or(top_k);
            }
            "seed" => sampling.seed = place.number(cursor)?,
            "presencePenalty" => sampling.presence_penalty = place.number(cursor)?,
            "frequencyPenalty" => sampling.frequency_penalty = place.number(cursor)?,
            "candidateCount" => sampling.n = place.count(cursor)?,
            "stopSequences" => sampling.stop = place.texts(cursor)?,
            "responseLogprobs" => sampling.logprobs = place.boolean(cursor)?,
            "logprobs" => sampling.top_logprobs = place.count(cursor)?,
            "responseMimeType" => {
                let kind = place.text(cursor)?;
                self.answers_json = kind.as_ref().is_some_and(|kind| kind.is("application/json"));
                // There the answer is a bare word, which others give in quotes.
                if kind.is_some_and(|kind| kind.is("text/x.enum")) {
                    let message = "`text/x.enum` means nothing to this model's provider; ask for `application/json`.";
                    request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
                }
            }
            "responseSchema" | "responseJsonSchema" => {
                self.schema = Some(cursor.value()?).filter(Raw::is_object).or(self.schema.take());
            }
            "responseModalities" => {
                let lower = |word: Text<'a>| Text::escape_owned(word.decode().to_ascii_lowercase());
                request.modalities = place.texts(cursor)?.into_iter().map(lower).collect();
                if matches!(request.modalities.as_slice(), [only] if only.is("text")) {
                    request.modalities.clear();
                }
            }
            "thinkingConfig" => request.reasoning = thinking(place, cursor)?,
            _ => {
                let value = cursor.value()?;
                if !value.is_null() {
                    request.unsayable.push(Cow::Owned(key.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request<'a>, Failure> {
        // Google demands no call where there is no function.
        let has_function = self.request.tools.iter().any(|tool| matches!(tool, Tool::Function { .. }));
        self.request.tool_choice.take_if(|choice| !has_function && matches!(choice, ToolChoice::Required));
        if !self.has_contents || self.request.messages.is_empty() {
            return Err(Place::top("contents").missing());
        }
        if !self.system.is_empty() {
            let message = Message { role: Role::System, name: None, parts: self.system };
            self.request.messages.insert(0, message);
        }
        if let Some(schema) = self.schema {
            let place = "generationConfig.responseSchema";
            let schema = from_openapi(&schema).map_err(|message| Failure::bad_request(place, message))?;
            let name = Text::from_escaped("response");
            self.request.output =
                OutputShape::JsonSchema { name, description: None, schema: Some(schema), strict: None };
        } else if self.answers_json {
            self.request.output = OutputShape::JsonObject;
        }
        Ok(self.request)
    }
}

/// `{"includeThoughts", "thinkingBudget", "thinkingLevel"}`; a budget of -1 leaves it to the model.
pub(super) fn thinking(place: &Place<'_>, cursor: &mut Cursor<'_>) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut wish = Reasoning { exclude: true, ..Reasoning::default() };
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*camel(&key) {
            "includeThoughts" => wish.exclude = place.boolean(cursor)? != Some(true),
            "thinkingBudget" => match place.number(cursor)?.and_then(|budget| budget.get().parse::<i64>().ok()) {
                Some(0) => wish.enabled = Some(false),
                Some(budget) => {
                    wish.enabled = Some(true);
                    wish.max_tokens = u64::try_from(budget).ok();
                }
                None => {}
            },
            "thinkingLevel" => {
                let level = place.text(cursor)?.map(|word| word.decode().to_ascii_lowercase());
                wish.effort = level.and_then(|word| Effort::parse(&word));
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some(wish))
}
