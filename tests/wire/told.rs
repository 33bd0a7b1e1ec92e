//! An answer is told alike whether it is streamed or not: what a client puts together of the events is what it gets
//! whole, however it ends and whatever it holds.

use latchkey::chat::{
    Answer, Arguments, Choice, Citation, EndKind, EndReason, Event, Media, MediaKind, Part, Request, Signature,
    SignatureRole, Usage, unfold,
};
use latchkey::json::{Raw, Text};
use latchkey::units::{Millis, NanoUsd};
use latchkey::wire::{Closing, Cost, Layout, Naming, Surface};
use serde_json::{Value, json};

use super::surfaces::{SURFACES, naming};
use super::turns;

const ENDS: [EndKind; 7] = [
    EndKind::Stop,
    EndKind::Length,
    EndKind::ToolCalls,
    EndKind::ContentFilter,
    EndKind::Paused,
    EndKind::Error,
    EndKind::Other,
];

/// Words of all vendors, some of which surfaces give on.
const WORDS: [Option<&str>; 8] = [
    None,
    Some("stop"),
    Some("stop_sequence"),
    Some("MAX_TOKENS"),
    Some("model_context_window_exceeded"),
    Some("guardrail_intervened"),
    Some("PROHIBITED_CONTENT"),
    Some("max_output_tokens"),
];

fn text(text: &str) -> Text<'static> {
    Text::escape_owned(text.to_owned())
}

fn signature(format: &str, role: SignatureRole) -> Option<Signature<'static>> {
    Some(Signature { format: text(format), data: text("c2ln"), id: None, role })
}

/// What answers are made of.
fn contents() -> Vec<Vec<Part<'static>>> {
    let words = |said: &str| Part::Text { text: text(said), cache: None, citations: Vec::new(), signature: None };
    let thought = |said: &str, signature| Part::Reasoning { text: text(said), signature };
    let call = |id: &str, arguments: &str, signature| Part::ToolCall {
        id: text(id),
        name: text("f"),
        arguments: Arguments::Quoted(text(arguments)),
        signature,
    };
    let refusal = || Part::Refusal { text: text("I will not.") };
    let page = Citation {
        url: Some(text("https://a.example")),
        title: Some(text("A")),
        quote: Some(text("so \"it\" is")),
        start: Some(0),
        end: Some(2),
    };
    let document = Citation { url: None, title: None, ..page.clone() };
    let cited = |citations| Part::Text { text: text("It is."), cache: None, citations, signature: None };
    let signed_words = |said: &str, format| Part::Text {
        text: text(said),
        cache: None,
        citations: Vec::new(),
        signature: signature(format, SignatureRole::Signs),
    };
    let mut all = vec![
        vec![],
        vec![words("Yes.")],
        vec![words("A line\nand \"more\" — ü")],
        vec![refusal()],
        vec![words("Well."), refusal()],
        vec![call("call_1", "{\"a\":1}", None)],
        vec![words("Wait."), call("call_1", "{\"a\":[1,2]}", None), call("call_2", "{}", None)],
        vec![call("call_1", "no json", None)],
        vec![cited(vec![page.clone()]), words("Else."), cited(vec![page, document])],
        vec![thought("Hm.", None), words("Yes.")],
        vec![thought("Hm.", None), call("call_1", "{}", None), words("And so.")],
    ];
    for format in ["", "anthropic-claude-v1", "openai-responses-v1", "google-gemini-v1"] {
        let signs = || signature(format, SignatureRole::Signs);
        let replaces = || signature(format, SignatureRole::Replaces);
        all.push(vec![thought("Hm.", signs()), words("Yes.")]);
        all.push(vec![thought("", replaces()), thought("Hm.", None), thought("", signs()), words("Yes.")]);
        all.push(vec![thought("Hm.", signs()), call("call_1", "{}", signs()), call("call_2", "{}", None)]);
        all.push(vec![signed_words("Yes.", format), signed_words("", format), words("No.")]);
    }
    all
}

fn answer(parts: Vec<Part<'static>>, end: EndReason<'static>) -> Answer<'static> {
    let picture = Media {
        kind: MediaKind::Image,
        id: None,
        media_type: text("image/png"),
        data: text("AAAA"),
        transcript: None,
        expires_at: None,
    };
    let media = if parts.len() == 1 { vec![picture] } else { Vec::new() };
    Answer {
        id: text("id_1"),
        model: text("m-1"),
        created: Some(1_763_700_001),
        choices: vec![Choice { index: 0, parts, media, logprobs: None, end }],
        usage: None,
    }
}

/// As a client of the surface has it in the end; what only one of the two ways has a place for is left out.
fn plainly(surface: Surface, mut told: Value) -> Value {
    match surface {
        // What stays empty is left out of the whole.
        Surface::Cohere => {
            let message = told["message"].as_object_mut().expect("a message");
            message.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        }
        // Its client has the parts in the order in which they came, each signature behind its words.
        Surface::Gemini => {
            let parts = told["candidates"][0]["content"]["parts"].as_array_mut().expect("parts");
            let mut joined: Vec<Value> = Vec::new();
            for part in std::mem::take(parts) {
                match joined.last_mut() {
                    Some(last)
                        if part["text"] == ""
                            && last["text"].is_string()
                            && last["thought"] == part["thought"]
                            && last["thoughtSignature"].is_null() =>
                    {
                        last["thoughtSignature"] = part["thoughtSignature"].clone();
                    }
                    _ => joined.push(part),
                }
            }
            *parts = joined;
        }
        _ => {}
    }
    told
}

fn check(surface: Surface, answer: &Answer<'_>, naming: &Naming, closing: &Closing) {
    let whole = surface.write_answer(answer, naming, closing);
    let mut writer = surface.writer(naming.clone(), Layout::Events);
    // Whatever keeps the line open changes nothing.
    writer.keep_alive();
    unfold(answer, &mut |event: Event<'_>| {
        writer.event(event);
        writer.keep_alive();
    });
    assert_eq!(writer.failure().is_some(), whole.is_err(), "{surface:?}: {answer:?}");
    let Ok(whole) = whole else { return };
    writer.close(closing);
    let mut out = Vec::new();
    writer.take(&mut out);
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    // A failed generation has an end of its own in a stream.
    if surface == Surface::OpenAiResponses && whole["status"] == "failed" {
        let shown = turns::shown(surface, out);
        let last = turns::events(surface, &shown).pop().expect("an event");
        assert_eq!((&last["type"], &last["response"]), (&json!("response.failed"), &whole), "{answer:?}");
        return;
    }
    let streamed = turns::gathered(surface, &turns::shown(surface, out));
    assert_eq!(plainly(surface, streamed), plainly(surface, whole), "{surface:?}: {answer:?}");
}

fn usage() -> Usage {
    Usage {
        input_fresh: 100,
        input_cache_read: Some(20),
        input_cache_write: Some(7),
        input_cache_write_1h: Some(3),
        output_text: 11,
        output_reasoning: Some(5),
        service_tier: Some("priority".to_owned()),
        ..Usage::default()
    }
}

/// What includes what differs: Anthropic and Bedrock count cached input beside the rest, the others within it; thoughts
/// stand beside the words in Gemini, and within the output elsewhere.
#[test]
fn tokens_are_counted_as_each_protocol_counts_them() {
    let closing = Closing { usage: Some(usage()), ..Closing::default() };
    let answer = answer(Vec::new(), EndReason::plain(EndKind::Stop));
    for (surface, place, count) in [
        (Surface::OpenAiChat, "/usage/prompt_tokens", 130),
        (Surface::OpenAiChat, "/usage/completion_tokens", 16),
        (Surface::OpenAiChat, "/usage/total_tokens", 146),
        (Surface::OpenAiChat, "/usage/prompt_tokens_details/cached_tokens", 20),
        (Surface::OpenAiChat, "/usage/completion_tokens_details/reasoning_tokens", 5),
        (Surface::OpenAiResponses, "/usage/input_tokens", 130),
        (Surface::OpenAiResponses, "/usage/output_tokens", 16),
        (Surface::OpenAiResponses, "/usage/total_tokens", 146),
        (Surface::OpenAiResponses, "/usage/input_tokens_details/cached_tokens", 20),
        (Surface::OpenAiResponses, "/usage/output_tokens_details/reasoning_tokens", 5),
        (Surface::Anthropic, "/usage/input_tokens", 100),
        (Surface::Anthropic, "/usage/output_tokens", 16),
        (Surface::Anthropic, "/usage/cache_read_input_tokens", 20),
        (Surface::Anthropic, "/usage/cache_creation_input_tokens", 10),
        (Surface::Anthropic, "/usage/cache_creation/ephemeral_5m_input_tokens", 7),
        (Surface::Anthropic, "/usage/cache_creation/ephemeral_1h_input_tokens", 3),
        (Surface::Gemini, "/usageMetadata/promptTokenCount", 130),
        (Surface::Gemini, "/usageMetadata/cachedContentTokenCount", 20),
        (Surface::Gemini, "/usageMetadata/candidatesTokenCount", 11),
        (Surface::Gemini, "/usageMetadata/thoughtsTokenCount", 5),
        (Surface::Gemini, "/usageMetadata/totalTokenCount", 146),
        (Surface::Bedrock, "/usage/inputTokens", 100),
        (Surface::Bedrock, "/usage/outputTokens", 16),
        (Surface::Bedrock, "/usage/totalTokens", 146),
        (Surface::Bedrock, "/usage/cacheReadInputTokens", 20),
        (Surface::Bedrock, "/usage/cacheWriteInputTokens", 10),
        (Surface::Bedrock, "/usage/cacheDetails/0/inputTokens", 7),
        (Surface::Bedrock, "/usage/cacheDetails/1/inputTokens", 3),
        (Surface::Cohere, "/usage/billed_units/input_tokens", 130),
        (Surface::Cohere, "/usage/billed_units/output_tokens", 16),
        (Surface::Cohere, "/usage/tokens/input_tokens", 130),
        (Surface::Cohere, "/usage/tokens/output_tokens", 16),
        (Surface::Cohere, "/usage/cached_tokens", 20),
    ] {
        let written = surface.write_answer(&answer, &naming(), &closing).expect("an answer");
        let written: Value = serde_json::from_slice(&written).expect("JSON");
        assert_eq!(written.pointer(place), Some(&json!(count)), "{surface:?}: {place} of {written}");
    }
}

/// Callers add up what they are told: sound, pictures and searches stand where their protocol has a place for them, and
/// what nobody counted is not told as nothing.
#[test]
fn what_was_counted_apart_is_told_and_silence_is_not() {
    let (bare, rich) = (
        Usage { input_fresh: 10, output_text: 4, ..Usage::default() },
        Usage {
            input_fresh: 10,
            input_cache_write: Some(7),
            input_audio: Some(2),
            input_image: Some(1),
            output_text: 4,
            output_image: Some(3),
            tool_requests: Some(5),
            service_tier: Some("priority".to_owned()),
            estimated: true,
            ..Usage::default()
        },
    );
    for (surface, place, expected_bare, expected_rich) in [
        (
            Surface::Anthropic,
            "/usage",
            json!({"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4}),
            json!({"input_tokens": 13, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 7, "server_tool_use": {"web_search_requests": 5}, "service_tier": "priority",
                "cost": 2.5, "cost_details": {"upstream_inference_cost": 2}, "estimated": true}),
        ),
        (
            Surface::Gemini,
            "/usageMetadata",
            json!({"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}),
            json!({"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}, {"modality": "IMAGE", "tokenCount": 1}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 3}],
                "cost": 2.5, "cost_details": {"upstream_inference_cost": 2}, "estimated": true}),
        ),
        (
            Surface::Bedrock,
            "/usage",
            json!({"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}),
            json!({"inputTokens": 13, "outputTokens": 7, "totalTokens": 27, "cacheReadInputTokens": 0,
                "cacheWriteInputTokens": 7, "cost": 2.5, "cost_details": {"upstream_inference_cost": 2},
                "estimated": true}),
        ),
    ] {
        let answer = answer(vec![], EndReason::plain(EndKind::Stop));
        let told = |closing: &Closing| {
            let written = surface.write_answer(&answer, &naming(), closing).expect("an answer");
            let written: Value = serde_json::from_slice(&written).expect("JSON");
            written.pointer(place).cloned().unwrap_or_default()
        };
        assert_eq!(told(&Closing { usage: Some(bare.clone()), ..Closing::default() }), expected_bare, "{surface:?}");
        let cost = Some(Cost { charged: NanoUsd(2_500_000_000), upstream: NanoUsd(2_000_000_000) });
        assert_eq!(
            told(&Closing { usage: Some(rich.clone()), cost, ..Closing::default() }),
            expected_rich,
            "{surface:?}"
        );
    }
}

#[test]
fn a_streamed_answer_is_the_one_that_is_told_whole() {
    let closings = [
        Closing::default(),
        Closing {
            usage: Some(usage()),
            latency: Millis(1234),
            latchkey: Raw::parse("{\"route\":[]}").ok(),
            ..Closing::default()
        },
    ];
    let hidden = Naming { hide_reasoning: true, ..naming() };
    let blank = Naming { omit_thoughts: true, ..naming() };
    let ends = || {
        ENDS.into_iter().flat_map(|kind| {
            let stops = [None, Some(text("END"))].into_iter();
            stops.flat_map(move |stop| {
                WORDS.map(|word| EndReason { stop: stop.clone(), ..EndReason::new(kind, word.map(text)) })
            })
        })
    };
    for surface in SURFACES {
        for (at, parts) in contents().into_iter().enumerate() {
            // What ends it matters beside words, a refusal and a call.
            let ends: Vec<EndReason<'_>> = if at < 6 { ends().collect() } else { ends().step_by(29).collect() };
            for end in ends {
                let answer = answer(parts.clone(), end);
                check(surface, &answer, &naming(), &closings[1]);
            }
            let answer = answer(parts, EndReason::plain(EndKind::Stop));
            check(surface, &answer, &blank, &closings[0]);
            // The others show thoughts wherever there are any.
            if surface.hides_reasoning(&Request::default()) {
                check(surface, &answer, &hidden, &closings[0]);
            }
        }
    }
}
