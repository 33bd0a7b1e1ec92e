//! Structured output for models that have no word for it: a tool that the model is made to call, whose input is the
//! answer.
//!
//! The request writer adds [`TOOL`] with the schema as its input and forces it where it can. Whoever reads the answer
//! knows the tool by its name alone and gives its input as text, so nothing has to be remembered between the two. The
//! caller sees `content` and `stop`, never the tool. A list or any other value that is no object stands in one under
//! `VALUE`, by which whoever reads the answer knows to take it out again: of the tool's input, and of the text where a
//! protocol has a word for schemas, but for those of objects alone.

use crate::chat::{Answer, BlockKind, Event, Part, Sink};
use crate::failure::Failure;
use crate::json::{Members, Object, Raw, Text, readable};

use super::schema::fold_root;
use super::sse::Frame;
use super::{Adjusted, Change, Decoded, StreamDecoder};

/// The tool's name: fixed, because answers are told by it, and unlikely to be a caller's.
pub const TOOL: &str = "latchkey_structured_answer";

/// The one property of an input that is no object by itself: as fixed and as unlikely.
const VALUE: &str = "latchkey_value";

/// What the tool is for, as the model reads it.
pub const PURPOSE: &str = "Gives the final answer. Its input is the whole answer, as the user will read it.";

/// Asks for the tool where it cannot be forced, because the model thinks or has other tools to choose from.
pub const INSTRUCTION: &str = "Give your final answer by calling the tool `latchkey_structured_answer`, and only \
    through it: no text before or after the call. Call other tools first where you need them.";

/// Asks for JSON where any object will do.
pub const OBJECT_INSTRUCTION: &str =
    "Answer with one JSON object and nothing else: no text around it and no code fence.";

/// Whether `name` is the tool's.
#[must_use]
pub fn is_tool(name: &Text<'_>) -> bool {
    name.escaped() == TOOL
}

/// `schema` as the input of a tool, which has to say that it is an object, and whether that took more than saying so.
///
/// Providers refuse alternatives at the root: "input_schema does not support oneOf, allOf, or anyOf at the top level",
/// "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf' at the top level".
///
/// # Errors
/// With a sentence for the caller where the schema describes something else.
pub fn input_schema<'s>(schema: Option<&'s Raw<'_>>) -> Result<(Raw<'s>, bool), String> {
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else {
        return Ok((object_schema(), false));
    };
    let members = schema.get().trim().strip_prefix('{').ok_or("the schema must be a JSON object")?.trim_start();
    let root: Root<'_> = schema.read_borrowed().map_err(|error| format!("the schema cannot be read: {error}"))?;
    let is_plain = [&root.any_of, &root.one_of, &root.all_of, &root.reference].iter().all(|keyword| keyword.is_none());
    match root.kind.as_ref().map(Raw::text) {
        None if members == "}" => Ok((object_schema(), false)),
        // The type goes first, so that what follows stays as it was written.
        None if is_plain => {
            let typed = Raw::parse_owned(format!("{{\"type\":\"object\",{members}"));
            typed.map(|schema| (schema, false)).map_err(|error| error.to_string())
        }
        Some(Some(kind)) if is_plain && kind.is("object") => Ok((schema.borrowed(), false)),
        _ => fold_root(schema)?.ok_or_else(|| "the schema's root must be of type `object`".to_owned()),
    }
}

/// The parameters of the tool at `at` in the request, as [`input_schema`] has them.
///
/// # Errors
/// `BadRequest`, naming the field, where they are no object.
pub fn parameters<'s>(parameters: Option<&'s Raw<'_>>, at: usize, adjusted: &mut Adjusted) -> Result<Raw<'s>, Failure> {
    let (schema, folded) = input_schema(parameters)
        .map_err(|message| Failure::bad_request(format!("tools.{at}.function.parameters"), message))?;
    if folded {
        adjusted.note("tools.parameters", Change::Changed);
    }
    Ok(schema)
}

/// The schema of the answer, where it has to be an object: what is none stands in one.
///
/// # Errors
/// `BadRequest`, naming the field, where that cannot be.
pub fn answer_schema<'s>(schema: Option<&'s Raw<'_>>, adjusted: &mut Adjusted) -> Result<Raw<'s>, Failure> {
    if let Some(wrapped) = schema.and_then(wrapped) {
        return Ok(wrapped);
    }
    let (schema, folded) = input_schema(schema).map_err(|message| {
        let message = format!("{message} for this model: put the value into a property of one");
        Failure::bad_request("response_format.json_schema.schema", message)
    })?;
    if folded {
        adjusted.note("response_format", Change::Changed);
    }
    Ok(schema)
}

/// The schema of the tool's input for an answer that is no object, where `schema` describes one. Nothing where it speaks
/// of itself as the root, which it is not any more.
#[must_use]
pub fn wrapped(schema: &Raw<'_>) -> Option<Raw<'static>> {
    if input_schema(Some(schema)).is_ok() || schema.get().contains("\"#\"") {
        return None;
    }
    let Members(members) = schema.read_borrowed().ok()?;
    let (definitions, described): (Vec<_>, Vec<_>) =
        members.iter().partition(|(key, _)| matches!(key.as_str(), "$defs" | "definitions"));
    let mut out = Vec::with_capacity(schema.get().len() + 96);
    let mut object = Object::open(&mut out);
    object.string("type", "object").object("properties", |properties| {
        properties.object(VALUE, |value| {
            for (key, member) in described {
                value.raw(Text::escape(key).escaped(), member);
            }
        });
    });
    object.raw("required", &Raw::parse("[\"latchkey_value\"]").ok()?).boolean("additionalProperties", false);
    for (key, member) in definitions {
        object.raw(key, member);
    }
    object.close();
    // Too deep with what stands around it now, it is refused: any other schema would be one that nobody asked for.
    Raw::parse_owned(String::from_utf8(out).ok()?).ok()
}

/// The answer that the tool's whole input holds.
#[must_use]
pub fn answer(input: &Raw<'_>) -> Text<'static> {
    // As in a stream, where all before it would be with the caller: only where it comes first.
    let value = value_in(input.get()).ok().and_then(|_| input.member(VALUE));
    Text::escape(value.as_ref().unwrap_or(input).compact().as_ref()).into_owned()
}

/// Takes answers out of the objects around them, where they were given as text and not through the tool.
pub fn unwrap_texts(answer: &mut Answer<'_>) {
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        let Part::Text { text, .. } = part else { continue };
        let plain = text.decode();
        if let (Ok(Some(_)), Ok(input)) = (value_in(&plain), Raw::parse(plain.trim())) {
            *text = self::answer(&input);
        }
    }
}

/// Does the same with a stream.
pub struct Unwrapped {
    decoder: Box<dyn StreamDecoder>,
    /// By choice and block.
    texts: Vec<((u32, u32), Unwrapping)>,
}

impl Unwrapped {
    /// Reads what `decoder` does.
    #[must_use]
    pub fn new(decoder: Box<dyn StreamDecoder>) -> Unwrapped {
        Unwrapped { decoder, texts: Vec::new() }
    }
}

impl StreamDecoder for Unwrapped {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        self.decoder.push(frame, &mut Taken { texts: &mut self.texts, sink })
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(&mut Taken { texts: &mut self.texts, sink })
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}

struct Taken<'t> {
    texts: &'t mut Vec<((u32, u32), Unwrapping)>,
    sink: &'t mut dyn Sink,
}

impl Sink for Taken<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::BlockStart { choice, block, kind: BlockKind::Text } => {
                self.texts.push(((choice, block), Unwrapping::default()));
                self.sink.event(event);
            }
            Event::TextDelta { choice, block, text } => {
                let unwrapping = self.texts.iter_mut().find(|(of, _)| *of == (choice, block));
                let text = unwrapping.map_or(text.borrowed(), |(_, unwrapping)| unwrapping.take(text.borrowed()));
                if !text.is_empty() {
                    self.sink.event(Event::TextDelta { choice, block, text });
                }
            }
            Event::BlockEnd { choice, block } => {
                if let Some(at) = self.texts.iter().position(|(of, _)| *of == (choice, block)) {
                    let text = self.texts.swap_remove(at).1.undecided();
                    if !text.is_empty() {
                        self.sink.event(Event::TextDelta { choice, block, text });
                    }
                }
                self.sink.event(event);
            }
            event => self.sink.event(event),
        }
    }
}

/// How much may come before it is clear whether a value stands in an object: models are known to write blanks without
/// end.
const MOST_HELD: usize = 1024;

/// Takes the answer out of the tool's input as it comes in pieces.
#[derive(Debug, Default)]
pub struct Unwrapping {
    /// Whether the answer is the input, or a value of it; nothing as long as its beginning may still be either's.
    is_value: Option<bool>,
    /// What may be the beginning of the object around a value.
    held: String,
    /// How many lists and objects of the value are open.
    depth: usize,
    quoted: bool,
    escaped: bool,
    /// The value has ended: what may follow is none of the answer.
    over: bool,
}

impl Unwrapping {
    /// Gives `sink` what the next piece of the input says of the answer, as text of `block`.
    pub fn push(&mut self, block: u32, piece: Text<'_>, sink: &mut dyn Sink) {
        let text = self.take(piece);
        if !text.is_empty() {
            sink.event(Event::TextDelta { choice: 0, block, text });
        }
    }

    fn take<'t>(&mut self, piece: Text<'t>) -> Text<'t> {
        if self.is_value == Some(false) {
            return piece;
        }
        if self.over {
            return Text::EMPTY;
        }
        self.held.push_str(&piece.decode());
        if self.is_value.is_none() {
            match value_in(&self.held) {
                Ok(None) if self.held.len() <= MOST_HELD => return Text::EMPTY,
                Ok(Some(value)) => (self.is_value, self.held) = (Some(true), value.to_owned()),
                Ok(None) | Err(()) => {
                    self.is_value = Some(false);
                    return Text::escape_owned(std::mem::take(&mut self.held));
                }
            }
        }
        let mut held = std::mem::take(&mut self.held);
        if let Some(end) = held.bytes().position(|byte| self.ends(byte)) {
            held.truncate(end);
        }
        // Blanks behind the value are none of it.
        if self.depth == 0 && !self.quoted {
            held.truncate(held.trim_end().len());
        }
        Text::escape_owned(held)
    }

    /// What was held back of a text that ended before it was known whether a value would come.
    fn undecided(self) -> Text<'static> {
        if self.is_value.is_none() { Text::escape_owned(self.held) } else { Text::EMPTY }
    }

    /// Passes a byte. Whether the value has ended before it.
    fn ends(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' | b',' if self.depth == 0 => self.over = true,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        self.over
    }
}

/// What stands behind `{"latchkey_value":` in a beginning of the tool's input; none as long as that may still come.
fn value_in(input: &str) -> Result<Option<&str>, ()> {
    let mut rest = input;
    for part in ["{", "\"latchkey_value\"", ":"] {
        rest = rest.trim_start();
        rest = match rest.strip_prefix(part) {
            Some(rest) => rest,
            None if part.starts_with(rest) => return Ok(None),
            None => return Err(()),
        };
    }
    let value = rest.trim_start();
    Ok(Some(value).filter(|value| !value.is_empty()))
}

#[derive(Default)]
struct Root<'a> {
    kind: Option<Raw<'a>>,
    any_of: Option<Raw<'a>>,
    one_of: Option<Raw<'a>>,
    all_of: Option<Raw<'a>>,
    reference: Option<Raw<'a>>,
}
readable! { camel Root<'a> { kind = "type", any_of, one_of, all_of, reference = "$ref" } }

fn object_schema() -> Raw<'static> {
    Raw::parse(r#"{"type":"object","properties":{}}"#).unwrap_or(Raw::EMPTY_OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Fold;

    #[test]
    fn a_tools_input_is_an_object() {
        let of = |schema: &str| {
            let raw = Raw::parse(schema).unwrap();
            input_schema(Some(&raw)).map(|(schema, folded)| (schema.get().to_owned(), folded))
        };
        let plain = |schema: &str| Ok((schema.to_owned(), false));
        assert_eq!(input_schema(None).unwrap().0.get(), r#"{"type":"object","properties":{}}"#);
        assert_eq!(of("{}"), plain(r#"{"type":"object","properties":{}}"#));
        assert_eq!(of("null"), plain(r#"{"type":"object","properties":{}}"#));
        assert_eq!(of(r#"{ "type" : "object"}"#), plain(r#"{ "type" : "object"}"#));
        assert_eq!(of(r#"{"properties":{"a":{}}}"#), plain(r#"{"type":"object","properties":{"a":{}}}"#));
        assert_eq!(of(r#"{"type":["object","null"]}"#), plain(r#"{"type":"object"}"#));
        for wrong in [r#"{"type":"array"}"#, "[]", "true", r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn alternatives_and_references_at_a_root_become_one_object() {
        let of = |schema: &str| {
            input_schema(Some(&Raw::parse(schema).unwrap()))
                .map(|(schema, folded)| (serde_json::from_str::<serde_json::Value>(schema.get()).unwrap(), folded))
        };
        for (schema, expected, folded) in [
            // As servers of MCP say that one of two is wanted.
            (
                r#"{"type":"object","properties":{"route":{"type":"string"},"file":{"type":"string"},"n":{"type":"integer"}},
                "required":["n"],"anyOf":[{"required":["route"]},{"required":["file"]}]}"#,
                r#"{"type":"object","properties":{"route":{"type":"string"},"file":{"type":"string"},"n":{"type":"integer"}},
                "required":["n"]}"#,
                true,
            ),
            (
                r#"{"oneOf":[{"type":"object","properties":{"a":{"type":"string"},"c":{}},"required":["a","c"]},
                {"type":"object","properties":{"b":{"type":"string"},"c":{}},"required":["b","c"]}]}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{}},"required":["c"]}"#,
                true,
            ),
            // As libraries write a type by its name.
            (
                r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"next":{"$ref":"#/$defs/A"}}}}}"##,
                r##"{"type":"object","properties":{"next":{"$ref":"#/$defs/A"}},
                "$defs":{"A":{"type":"object","properties":{"next":{"$ref":"#/$defs/A"}}}}}"##,
                false,
            ),
            (
                r#"{"allOf":[{"type":"object","properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]}"#,
                r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#,
                false,
            ),
        ] {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(of(schema), Ok((expected, folded)), "{schema}");
        }
        assert!(of(r##"{"$ref":"#"}"##).is_err(), "a circle");
    }

    #[test]
    fn what_is_no_object_stands_in_one() {
        let of = |schema: &str| wrapped(&Raw::parse(schema).unwrap()).map(|schema| schema.get().to_owned());
        let list = r##"{"$defs":{"A":{"type":"string"}},"type":"array","items":{"$ref":"#/$defs/A"}}"##;
        let expected = r##"{"type":"object","properties":{"latchkey_value":{"type":"array","items":{"$ref":"#/$defs/A"}}},"required":["latchkey_value"],"additionalProperties":false,"$defs":{"A":{"type":"string"}}}"##;
        assert_eq!(of(list).as_deref(), Some(expected));
        assert!(of(r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#).is_some());
        for kept in [r#"{"type":"object"}"#, "{}", "[]", "true", r##"{"$ref":"#"}"##] {
            assert_eq!(of(kept), None, "{kept}");
        }
        let odd = of(r#"{"type":"array","x-\"\\":1,"$defs":{},"\"":2}"#).expect("a list");
        assert!(odd.contains(r#""x-\"\\":1,"\"":2}"#), "{odd}");
        let deep = [&"{\"type\":\"array\",\"items\":".repeat(127), "{}", &"}".repeat(127)].concat();
        assert_eq!(of(&deep), None, "no other schema in its place");
    }

    #[test]
    fn a_value_is_taken_out_however_it_is_cut() {
        for (input, expected) in [
            (r#"{"latchkey_value":[{"a":"}"},{"b":{}}]}"#, r#"[{"a":"}"},{"b":{}}]"#),
            ("\n{ \"latchkey_value\" :\n \"say } \\\" ü\" \n}\n", "\"say } \\\" ü\""),
            (r#"{"latchkey_value":{"a":{}}}"#, r#"{"a":{}}"#),
            (r#"{"latchkey_value":["\\",",]"] , "more":{"a":[2]}}"#, r#"["\\",",]"]"#),
            (r#"{"more":1,"latchkey_value":2}"#, r#"{"more":1,"latchkey_value":2}"#),
            (r#"{"latchkey_valued":1}"#, r#"{"latchkey_valued":1}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
            ("{}", "{}"),
        ] {
            let whole = answer(&Raw::parse(input.trim()).unwrap());
            assert_eq!(whole.decode(), expected, "{input}");
            let characters: Vec<char> = input.chars().collect();
            for length in 1..=characters.len() {
                let mut unwrapping = Unwrapping::default();
                let pieces = characters.chunks(length).map(|piece| {
                    let piece: String = piece.iter().collect();
                    unwrapping.take(Text::escape_owned(piece)).decode().into_owned()
                });
                assert_eq!(pieces.collect::<String>(), expected, "in pieces of {length}");
            }
        }
    }

    /// Nothing is kept of blanks that never end, and none is gone through again with every piece.
    #[test]
    fn blanks_without_end_are_not_gathered() {
        for start in ["", "{", "{\"latchkey_value\":[1", "{\"latchkey_value\":\"a", "{\"latchkey_value\":1"] {
            let (mut unwrapping, mut out) = (Unwrapping::default(), String::new());
            for piece in std::iter::once(start).chain(std::iter::repeat_n(" ", 2 * MOST_HELD)) {
                out.push_str(&unwrapping.take(Text::escape_owned(piece.to_owned())).decode());
                assert!(unwrapping.held.len() <= MOST_HELD, "{start}");
            }
            let blanks = out.len() - out.trim_end().len();
            assert_eq!(blanks, if start.ends_with(":1") { 0 } else { 2 * MOST_HELD }, "{start}");
        }
    }

    #[test]
    fn a_text_that_ends_early_loses_nothing() {
        for said in ["{", " {\"latch", "no JSON", "{\"a\":1}", ""] {
            let (mut fold, mut texts) = (Fold::default(), Vec::new());
            let mut taken = Taken { texts: &mut texts, sink: &mut fold };
            taken.event(Event::Start { id: Text::EMPTY, model: Text::EMPTY, created: None });
            taken.event(Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text });
            for letter in said.chars() {
                taken.event(Event::TextDelta { choice: 0, block: 0, text: Text::escape_owned(letter.to_string()) });
            }
            taken.event(Event::BlockEnd { choice: 0, block: 0 });
            taken.event(Event::End { choice: 0, reason: crate::chat::EndReason::plain(crate::chat::EndKind::Length) });
            let answer = fold.finish().expect("an answer");
            let Some(Part::Text { text, .. }) = answer.choices[0].parts.first() else { panic!("{answer:?}") };
            assert_eq!((&*text.decode(), texts.len()), (said, 0));
        }
    }
}
