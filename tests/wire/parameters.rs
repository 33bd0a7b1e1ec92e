//! Nothing that a caller says is lost in silence: each parameter that the hub knows reaches each format, is listed as
//! dropped, or is refused by its name, as the table of losses says; and what is written is what the format takes.

use latchkey::failure::Kind;
use latchkey::provider::{ModelFacts, OwnThinking, PROVIDERS, Quirks, ReasoningControl, ReasoningParameter};
use latchkey::wire::losses::{Fate, LOSSES, fate};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Surface, Target};
use serde_json::{Value, json};

use super::schema;

const PIXEL: &str = "data:image/png;base64,iVBORw0KGgo=";

/// What asks for a parameter, on the OpenAI surface; `None` where its test stands elsewhere.
fn asking(parameter: &str) -> Option<Value> {
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]});
    let tool =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    Some(match parameter {
        "temperature" | "top_p" | "min_p" | "frequency_penalty" | "presence_penalty" => json!({parameter: 0.25}),
        "repetition_penalty" => json!({parameter: 1.25}),
        "top_k" | "seed" => json!({parameter: 7}),
        "n" => json!({"n": 2}),
        "logit_bias" => json!({"logit_bias": {"50256": -100}}),
        "stop" => json!({"stop": ["END"]}),
        "logprobs" => json!({"logprobs": true}),
        "top_logprobs" => json!({"logprobs": true, "top_logprobs": 2}),
        "max_tokens" => json!({"max_tokens": 77}),
        "tools" => json!({"tools": [tool]}),
        "tool_choice" => json!({"tools": [tool], "tool_choice": "required"}),
        "parallel_tool_calls" => json!({"tools": [tool], "parallel_tool_calls": false}),
        "response_format" => {
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}})
        }
        "reasoning" => json!({"reasoning": {"effort": "high"}}),
        "service_tier" => json!({"service_tier": "priority"}),
        "user" => json!({"user": "u-1"}),
        "metadata" => json!({"metadata": {"team": "a"}, "store": true}),
        "store" => json!({"store": true}),
        "prompt_cache_key" => json!({"prompt_cache_key": "k"}),
        "cache_control" => json!({"cache_control": {"type": "ephemeral"}}),
        "prediction" => json!({"prediction": {"type": "content", "content": "x"}}),
        "modalities" => json!({"modalities": ["text", "image"]}),
        "audio" => json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}),
        "web_search_options" => json!({"web_search_options": {}}),
        "image_url" => part(json!({"type": "image_url", "image_url": {"url": PIXEL}})),
        "detail" => part(json!({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}})),
        "input_audio" => part(json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})),
        "video_url" => part(json!({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}})),
        "file" => {
            let file = json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="});
            part(json!({"type": "file", "file": file}))
        }
        "name" => json!({"messages": [{"role": "user", "name": "ann", "content": "Hi"}]}),
        // `fidelity` of the conformance suite.
        "reasoning_details" => return None,
        other => panic!("`{other}` has no test: say what asks for it"),
    })
}

fn written(format: Format, parameter: &str, more: &Value) -> Result<(Value, String), latchkey::failure::Failure> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let request = Surface::OpenAiChat.read_request(body.as_bytes()).expect(&body);
    let (facts, inlined) = (facts(format, parameter), InlinedMedia::new());
    let bound = || PROVIDERS.iter().find_map(|row| row.bound.as_ref()).expect("a row with a binding");
    // What another vendor's dialect takes beside OpenAI's own words.
    let quirks = match format {
        Format::WorkersAi => bound().quirks,
        _ => Quirks { reasoning_control: ReasoningParameter::Object, ..Quirks::NONE },
    };
    let target = Target { model: "m", quirks: &quirks, facts: &facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = format.write_request(&request, &target, &mut adjusted)?;
    Ok((serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted.header()))
}

/// A model that can do all that the format has words for.
fn facts(format: Format, parameter: &str) -> ModelFacts {
    let reasoning = match format {
        // What thinks has no penalties there.
        Format::Gemini if parameter.ends_with("penalty") => ReasoningControl::None,
        _ => ReasoningControl::Budget { min: 1024, max: 24_576, optional: true },
    };
    ModelFacts { reasoning, max_output: Some(64_000), own_thinking: OwnThinking::Thinking, ..ModelFacts::default() }
}

#[test]
fn every_parameter_is_written_or_listed_or_refused() {
    let mut wrong = Vec::new();
    for format in Format::ALL.iter().copied() {
        for row in LOSSES {
            let Some(asked) = asking(row.parameter) else { continue };
            if let Err(why) = check(format, row.parameter, &asked) {
                wrong.push(format!("`{}` over {}: {why}", row.parameter, format.as_str()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whose meaning nobody here knows.
#[test]
fn what_is_new_is_listed_wherever_it_goes() {
    for format in Format::ALL.iter().copied() {
        let (body, adjusted) = written(format, "", &json!({"something_new": {"a": 1}})).expect("a request");
        assert!(adjusted.contains("something_new=dropped"), "{}: {adjusted}: {body}", format.as_str());
    }
}

fn check(format: Format, parameter: &str, asked: &Value) -> Result<(), String> {
    // The same without what is asked for, and with what it needs beside it.
    let mut without = asked.clone();
    match parameter {
        "tool_choice" | "parallel_tool_calls" | "top_logprobs" | "audio" => {
            without.as_object_mut().unwrap().remove(parameter);
        }
        "detail" => without = asking("image_url").unwrap(),
        "metadata" => without = asking("store").unwrap(),
        _ => without = json!({}),
    }
    let made = written(format, parameter, asked);
    let dropped = format!("{parameter}=dropped");
    match fate(format, parameter) {
        Fate::Honoured => {
            let (body, adjusted) = made.map_err(|failure| failure.to_string())?;
            if adjusted.contains(&dropped) {
                return Err(format!("it is honoured, and listed: {adjusted}"));
            }
            if written(format, parameter, &without).is_ok_and(|(plain, _)| plain == body) {
                return Err(format!("it changes nothing: {body}"));
            }
            // What models of Workers AI and of others who speak Chat Completions take is in their rows.
            if matches!(format, Format::OpenAiChat | Format::WorkersAi) { Ok(()) } else { schema::holds(format, &body) }
        }
        Fate::Harmless => match made {
            Ok((_, adjusted)) if adjusted.contains(&dropped) => Ok(()),
            Ok((body, adjusted)) => Err(format!("its loss is not listed in `{adjusted}`: {body}")),
            Err(failure) => Err(format!("its loss does no harm: {failure}")),
        },
        Fate::Harmful => match made {
            Err(failure) if failure.kind == Kind::Unsupported && names(&failure.message, parameter) => Ok(()),
            other => Err(format!("it should be refused by its name: {other:?}")),
        },
    }
}

/// Whether a refusal names the parameter, or what it stands beside.
fn names(message: &str, parameter: &str) -> bool {
    let beside = match parameter {
        "top_logprobs" => "`logprobs`",
        "audio" => "`modalities`",
        _ => "",
    };
    message.contains(&format!("`{parameter}`")) || (!beside.is_empty() && message.contains(beside))
}
