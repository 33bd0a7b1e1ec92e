//! Writes what a caller of Responses gets: a whole answer, and the pieces that a stream shares with it.

use crate::chat::{Answer, Citation, EndKind, EndReason, Media, Part, Signature};
use crate::json::{Array, Object, Raw, Text};
use crate::wire::carried::{Carrier, Owner};
use crate::wire::{Closing, Naming};

use super::follower::{self, Followed};
use super::own_tools::{Called, Kind, OwnTools};
use super::{SIGNED, echo, usage};

/// An item of an answer, complete.
#[derive(Debug)]
pub(super) enum Item {
    Message {
        text: Text<'static>,
        annotations: Vec<Citation<'static>>,
        /// Of its tokens: the elements of a JSON array.
        logprobs: String,
    },
    Refusal {
        text: Text<'static>,
    },
    Reasoning {
        text: Text<'static>,
        carried: Option<Text<'static>>,
    },
    Call {
        call_id: Text<'static>,
        tool: Called,
        arguments: Text<'static>,
    },
    /// The call of a tool that takes free text.
    FreeCall {
        call_id: Text<'static>,
        tool: Called,
        input: Text<'static>,
    },
    /// The call of the caller's search for tools.
    SearchCall {
        call_id: Text<'static>,
        arguments: Text<'static>,
    },
    Picture {
        data: Text<'static>,
        media_type: Text<'static>,
    },
    /// What another stream told whole, before this one went on behind it.
    Told(Raw<'static>),
    /// A message that another stream began.
    Begun(Box<Followed>),
}

/// How far an item has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of it is told but its head.
    Begun,
    /// The answer ended before it did.
    Cut,
    /// It is complete.
    Whole,
}

/// What a response is called, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub id: String,
    pub model: String,
    pub created_at: i64,
}

impl Head {
    pub fn of(model: &Text<'_>, created: Option<i64>, naming: &Naming) -> Head {
        Head {
            id: naming.fallback_id.clone(),
            model: if model.is_empty() { naming.model.clone() } else { model.decode().into_owned() },
            created_at: created.unwrap_or_else(|| naming.now.seconds()),
        }
    }

    /// The id of an item: of its kind, within this response.
    pub fn item_id(&self, prefix: &str, index: u64) -> String {
        let stem = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{prefix}_{stem}_{index}")
    }
}

/// Writes a whole answer: its first choice, for there are no others here.
#[must_use]
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
    let head = Head::of(&answer.model, answer.created, naming);
    let own = OwnTools::of(naming.echo.as_ref());
    let mut items = Vec::new();
    let choice = answer.choices.first();
    for part in choice.map(|choice| choice.parts.as_slice()).unwrap_or_default() {
        push(part, naming, &own, &mut items);
    }
    for media in choice.map(|choice| choice.media.as_slice()).unwrap_or_default() {
        items.extend(picture(media));
    }
    if let Some(logprobs) = choice.and_then(|choice| choice.logprobs.as_ref()) {
        add_logprobs(logprobs, &mut items);
    }
    let plain = EndReason::plain(EndKind::Other);
    let end = choice.map_or(&plain, |choice| &choice.end);
    let mut out = Vec::with_capacity(1024);
    let mut response = Object::open(&mut out);
    write_response(&head, Some(end), &items, naming, Some(closing), &mut response);
    response.close();
    out
}

/// The items of a part; a signature that has no place in an item of this kind stands in one of its own.
fn push(part: &Part<'_>, naming: &Naming, own: &OwnTools, items: &mut Vec<Item>) {
    match part {
        Part::Text { text, citations, signature, .. } => {
            if !text.is_empty() || !citations.is_empty() {
                let annotations = citations.iter().map(|citation| citation.clone().into_owned()).collect();
                items.push(Item::Message { text: text.clone().into_owned(), annotations, logprobs: String::new() });
            }
            items.extend(signature.as_ref().map(|signature| apart(signature, &Owner::Text, &naming.carrier)));
        }
        Part::Refusal { text } => items.push(Item::Refusal { text: text.clone().into_owned() }),
        Part::Reasoning { text, signature } => {
            let shown = if naming.hide_reasoning { Text::EMPTY } else { text.clone().into_owned() };
            let carried = signature.as_ref().map(|signature| carry(signature, &naming.carrier));
            if !shown.is_empty() || carried.is_some() {
                items.push(Item::Reasoning { text: shown, carried });
            }
        }
        Part::ToolCall { id, name, arguments, signature } => {
            let owner = Owner::Call(id.decode().into_owned());
            items.extend(signature.as_ref().map(|signature| apart(signature, &owner, &naming.carrier)));
            let (call_id, tool) = (id.clone().into_owned(), own.called(name));
            let arguments = arguments.quoted().into_owned();
            items.push(match tool.kind {
                Kind::Free => Item::FreeCall { call_id, tool, input: free_text(arguments) },
                Kind::Function => Item::Call { call_id, tool, arguments: whole(arguments) },
                Kind::Search => Item::SearchCall { call_id, arguments },
            });
        }
        _ => {}
    }
}

/// Gives the last message the probabilities of what it just said, out of Chat Completions' `logprobs` object, whose tokens
/// are spelled the same.
pub(super) fn add_logprobs(given: &Raw<'_>, items: &mut [Item]) {
    let given = given.borrowed();
    let Some(tokens) = given.member("content").filter(Raw::is_array) else { return };
    let message = items.iter_mut().rev().find_map(|item| match item {
        Item::Message { logprobs, .. } => Some(logprobs),
        _ => None,
    });
    let tokens = tokens.compact();
    let more = tokens.strip_prefix('[').and_then(|tokens| tokens.strip_suffix(']')).unwrap_or_default();
    if let Some(known) = message.filter(|_| !more.is_empty()) {
        if !known.is_empty() {
            known.push(',');
        }
        known.push_str(more);
    }
}

/// What a thought is carried in: the token itself where it is this protocol's own.
pub(super) fn carry(signature: &Signature<'_>, carrier: &Carrier) -> Text<'static> {
    carrier.wrap(signature, SIGNED, &Owner::Here).into_owned()
}

/// A signature in an item of its own.
pub(super) fn apart(signature: &Signature<'_>, owner: &Owner, carrier: &Carrier) -> Item {
    Item::Reasoning { text: Text::EMPTY, carried: Some(carrier.wrap(signature, SIGNED, owner).into_owned()) }
}

/// The arguments of a function, which are never empty.
pub(super) fn whole(arguments: Text<'static>) -> Text<'static> {
    if arguments.is_empty() { Text::from_escaped("{}") } else { arguments }
}

/// The text in the arguments of a tool that takes free text.
pub(in crate::wire) fn free_text(arguments: Text<'static>) -> Text<'static> {
    let plain = arguments.decode();
    let given = Raw::parse(&plain).ok().and_then(|given| given.member("input")?.into_text());
    // What the model wrote instead is not lost.
    given.map_or_else(|| arguments.clone(), Text::into_owned)
}

pub(super) fn picture(media: &Media<'_>) -> Option<Item> {
    (media.kind == crate::chat::MediaKind::Image).then(|| Item::Picture {
        data: media.data.clone().into_owned(),
        media_type: media.media_type.clone().into_owned(),
    })
}

/// The number of the item that the end of an answer cut: the last, but for signatures in items of their own.
pub(super) fn cut(end: Option<&EndReason<'_>>, items: &[Item]) -> Option<usize> {
    let signs = |item: &Item| matches!(item, Item::Reasoning { text, .. } if text.is_empty());
    let cuts = matches!(end?.kind, EndKind::Length | EndKind::ContentFilter | EndKind::Error);
    items.iter().rposition(|item| !signs(item)).filter(|_| cuts)
}

/// Writes the members of a response. Without an end it is still being made.
pub(super) fn write_response(
    head: &Head,
    end: Option<&EndReason<'_>>,
    items: &[Item],
    naming: &Naming,
    closing: Option<&Closing>,
    response: &mut Object<'_>,
) {
    response.string("id", &head.id).string("object", "response").number("created_at", head.created_at);
    let why = match end.map(|end| end.kind) {
        Some(EndKind::Length) => Some("max_output_tokens"),
        Some(EndKind::ContentFilter) => Some("content_filter"),
        _ => None,
    };
    let failed = end.filter(|end| end.kind == EndKind::Error);
    let status = match (end, why) {
        (None, _) => "in_progress",
        _ if failed.is_some() => "failed",
        (_, Some(_)) => "incomplete",
        (_, None) => "completed",
    };
    response.string("status", status).boolean("background", false);
    match failed {
        None => response.null("error"),
        Some(end) => response.object("error", |error| {
            error.string("code", "server_error").string("message", &end.failure().message);
        }),
    };
    match why {
        Some(reason) => response.object("incomplete_details", |details| {
            details.string("reason", reason);
        }),
        None => response.null("incomplete_details"),
    };
    response.string("model", &head.model);
    let cut = cut(end, items);
    response.array("output", |output| {
        for (index, item) in items.iter().enumerate() {
            output.object(|object| item.write(head, index as u64, Stage::of(index, cut), object));
        }
    });
    echo::write(naming.echo.as_ref(), end.is_none(), response);
    let usage = closing.and_then(|closing| Some((closing.usage.as_ref()?, closing)));
    let tier = usage.and_then(|(usage, _)| usage.service_tier.as_deref());
    response.string("service_tier", tier.unwrap_or("default"));
    match usage {
        Some((counted, closing)) => response.object("usage", |object| usage::write(counted, closing, object)),
        None => response.null("usage"),
    };
    if let Some(latchkey) = closing.and_then(|closing| closing.latchkey.as_ref()) {
        response.raw("latchkey", latchkey);
    }
}

impl Stage {
    /// Of the item with this number, once it has ended.
    pub fn of(item: usize, cut: Option<usize>) -> Stage {
        if cut == Some(item) { Stage::Cut } else { Stage::Whole }
    }
}

impl Item {
    /// How the ids of its kind begin.
    pub fn prefix(&self) -> &'static str {
        match self {
            Item::Message { .. } | Item::Refusal { .. } => "msg",
            Item::Reasoning { .. } => "rs",
            Item::Call { .. } => "fc",
            Item::FreeCall { .. } => "ctc",
            Item::SearchCall { .. } => "tsc",
            Item::Picture { .. } => "ig",
            Item::Told(_) | Item::Begun(_) => "",
        }
    }

    /// Its id, where it has this number.
    pub fn id(&self, head: &Head, index: u64) -> String {
        match self {
            Item::Begun(item) => item.id.clone(),
            _ => head.item_id(self.prefix(), index),
        }
    }

    /// Writes its members; one that has only begun has only its head.
    pub fn write(&self, head: &Head, index: u64, stage: Stage, item: &mut Object<'_>) {
        if !matches!(self, Item::Told(_) | Item::Begun(_)) {
            item.string("id", &self.id(head, index));
        }
        let complete = stage != Stage::Begun;
        let status = match stage {
            Stage::Begun => "in_progress",
            // A picture comes whole or not at all.
            Stage::Cut if !matches!(self, Item::Picture { .. }) => "incomplete",
            Stage::Cut | Stage::Whole => "completed",
        };
        match self {
            Item::Message { .. } | Item::Refusal { .. } => {
                item.string("type", "message").string("status", status).string("role", "assistant");
                item.array("content", |content| {
                    if complete {
                        content.object(|part| self.write_part(true, part));
                    }
                });
            }
            Item::Reasoning { text, carried } => {
                item.string("type", "reasoning").array("summary", |summary| {
                    if complete && !text.is_empty() {
                        summary.object(|part| self.write_part(true, part));
                    }
                });
                if let Some(carried) = carried.as_ref().filter(|_| complete) {
                    item.text("encrypted_content", carried);
                }
            }
            Item::Call { call_id, tool, arguments } => {
                item.string("type", "function_call").string("status", status);
                item.text("arguments", if complete { arguments } else { &Text::EMPTY });
                write_called(call_id, tool, item);
            }
            Item::FreeCall { call_id, tool, input } => {
                item.string("type", "custom_tool_call").string("status", status);
                item.text("input", if complete { input } else { &Text::EMPTY });
                write_called(call_id, tool, item);
            }
            Item::SearchCall { call_id, arguments } => {
                item.string("type", "tool_search_call").string("status", status);
                item.text("call_id", call_id).string("execution", "client");
                // What the model wrote instead of an object is for its caller to judge.
                let given = Raw::parse_owned(arguments.decode().into_owned()).ok().filter(|_| complete);
                match given {
                    Some(given) => item.raw("arguments", &given),
                    None if complete && !arguments.is_empty() => item.text("arguments", arguments),
                    None => item.raw("arguments", &Raw::EMPTY_OBJECT),
                };
            }
            Item::Picture { data, media_type } => {
                let format = media_type.escaped().strip_prefix("image/").unwrap_or("png").to_owned();
                item.string("type", "image_generation_call").string("status", status);
                item.string("output_format", &format).text("result", data);
            }
            Item::Told(told) => follower::repeat(told, item),
            Item::Begun(begun) => begun.write(status, item),
        }
    }

    /// Writes the one part that a message or its thought has.
    pub fn write_part(&self, complete: bool, part: &mut Object<'_>) {
        match self {
            Item::Message { text, annotations, logprobs } => {
                part.string("type", "output_text").text("text", if complete { text } else { &Text::EMPTY });
                part.array("annotations", |list| {
                    for citation in annotations.iter().filter(|_| complete) {
                        write_citation(citation, list);
                    }
                });
                write_logprobs(logprobs, part);
            }
            Item::Refusal { text } => {
                part.string("type", "refusal").text("refusal", if complete { text } else { &Text::EMPTY });
            }
            Item::Reasoning { text, .. } => {
                part.string("type", "summary_text").text("text", if complete { text } else { &Text::EMPTY });
            }
            Item::Begun(begun) => begun.write_part(part),
            Item::Call { .. }
            | Item::FreeCall { .. }
            | Item::SearchCall { .. }
            | Item::Picture { .. }
            | Item::Told(_) => {}
        }
    }
}

/// Writes `logprobs`, of which `tokens` are the elements.
pub(super) fn write_logprobs(tokens: &str, object: &mut Object<'_>) {
    let out = object.key("logprobs");
    for piece in ["[", tokens, "]"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

fn write_called(call_id: &Text<'_>, tool: &Called, item: &mut Object<'_>) {
    item.text("call_id", call_id).text("name", &tool.name);
    if let Some(namespace) = &tool.namespace {
        item.text("namespace", namespace);
    }
}

/// A source of the text. Numbers and title are always there, because clients that check the shape want them.
pub(super) fn write_citation(citation: &Citation<'_>, list: &mut Array<'_>) {
    if let Some(url) = &citation.url {
        list.object(|annotation| write_url_citation(url, citation, annotation));
    }
}

pub(super) fn write_url_citation(url: &Text<'_>, citation: &Citation<'_>, annotation: &mut Object<'_>) {
    let start = citation.start.unwrap_or(0);
    annotation
        .string("type", "url_citation")
        .text("url", url)
        .text("title", citation.title.as_ref().unwrap_or(url))
        .number("start_index", start)
        .number("end_index", citation.end.unwrap_or(start));
}
