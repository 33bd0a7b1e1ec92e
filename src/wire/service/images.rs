//! Images from models that make them in another protocol than OpenAI's: those that answer with pictures where others
//! answer with words, and those that predict.
//!
//! Sources: <https://ai.google.dev/gemini-api/docs/image-generation>, <https://ai.google.dev/gemini-api/docs/imagen>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api>; recordings
//! `gemini.image-out.dbd0d079c4`, `vertex.image-out.21b7af14d2`. No predicted image was recorded.

use crate::chat::{MediaKind, Part, Usage};
use crate::failure::{Failure, Kind};
use crate::json::{Members, Object, Raw, Text, readable};
use crate::provider::Quirks;
use crate::units::UnixMillis;
use crate::wire::{Adjusted, Change, Outgoing, gemini};

/// Models of this name predict; all others of their maker's answer.
const PREDICTS: &str = "imagen";
/// The most images of one prediction.
const MOST_PREDICTED: u64 = 4;
/// The shapes that are known by their two sides.
const SHAPES: [(u64, u64); 10] = [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// The shapes of predictions.
const PREDICTED_SHAPES: [(u64, u64); 5] = [(1, 1), (3, 4), (4, 3), (9, 16), (16, 9)];
/// Members of a request that change nothing about what is in an image, where they are not known.
const HARMLESS: [&str; 6] = ["quality", "style", "moderation", "output_compression", "input_fidelity", "user"];

/// Writes a request for images.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the field that is wrong or cannot be had.
pub fn write_images(body: &[u8], model: &str, quirks: &Quirks, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    let wish = Wish::read(body, adjusted)?;
    let predicts = model.trim_start_matches("models/").starts_with(PREDICTS);
    let most = if predicts { MOST_PREDICTED } else { 1 };
    if wish.count > most {
        return Err(Failure::unsupported("n", format!("`{model}` makes at most {most} a call; got {}.", wish.count)));
    }
    let shape = wish.shape(if predicts { &PREDICTED_SHAPES } else { &SHAPES }, adjusted);
    let mut out = Vec::new();
    let mut request = Object::open(&mut out);
    if predicts {
        wish.predict(shape, &mut request);
    } else {
        wish.ask(shape, &mut request);
    }
    request.close();
    let method = if predicts { "predict" } else { "generateContent" };
    Ok(Outgoing { path: gemini::path(model, method, quirks.hosting), headers: Vec::new(), body: out })
}

/// What is wanted, in OpenAI's words.
#[derive(Default)]
struct Wish<'a> {
    prompt: Text<'a>,
    count: u64,
    size: Option<Text<'a>>,
    media_type: Option<&'static str>,
}

impl<'a> Wish<'a> {
    fn read(body: &'a [u8], adjusted: &mut Adjusted) -> Result<Wish<'a>, Failure> {
        let Members(members): Members<'_> = crate::json::from_slice(body).map_err(|error| {
            Failure::new(Kind::BadRequest, "The body must be a JSON object.").because(error.to_string())
        })?;
        let mut wish = Wish { count: 1, ..Wish::default() };
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            let text = value.clone().into_text();
            match (name.as_str(), text) {
                ("prompt", Some(text)) => wish.prompt = text,
                ("size", Some(text)) => wish.size = Some(text).filter(|size| !size.is("auto")),
                ("n", _) => {
                    let wrong = || Failure::bad_request("n", "`n` must be a whole number above 0.");
                    wish.count = value.get().parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
                }
                ("output_format", Some(format)) => wish.media_type = Some(media_type(&format)?),
                ("response_format", Some(format)) if format.is("b64_json") => {}
                ("response_format", _) => {
                    let message = "Images of this model come as base64 alone: leave it out, or say `b64_json`.";
                    return Err(Failure::unsupported("response_format", message));
                }
                ("background", Some(text)) if !text.is("transparent") => {}
                ("prompt" | "size" | "output_format" | "background", _) => {
                    let message = format!("`{name}` cannot be that for this model.");
                    return Err(Failure::bad_request(name, message));
                }
                ("stream", _) if value.boolean() == Some(true) => {
                    return Err(Failure::unsupported("stream", "This model's images come whole."));
                }
                (name, _) if HARMLESS.contains(&name) => adjusted.note(name.to_owned(), Change::Dropped),
                _ => {}
            }
        }
        if wish.prompt.is_empty() {
            return Err(Failure::bad_request("prompt", "`prompt` must be a text.").code("missing_required_parameter"));
        }
        Ok(wish)
    }

    /// The known shape that is nearest to the size.
    fn shape(&self, known: &[(u64, u64)], adjusted: &mut Adjusted) -> Option<String> {
        let size = self.size.as_ref()?.decode();
        let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let sides =
            sides.filter(|(width, height): &(u64, u64)| (1..=65_536).contains(width) && (1..=65_536).contains(height));
        let Some((width, height)) = sides else {
            adjusted.note("size", Change::Dropped);
            return None;
        };
        // How far apart two shapes are: the larger of their quotients, in thousandths.
        let apart = |(across, down): &&(u64, u64)| {
            let (one, other) = (width * down, height * across);
            one.max(other) * 1_000 / one.min(other)
        };
        let (across, down) = known.iter().min_by_key(apart)?;
        // Pixels are not said there, only shapes.
        adjusted.note("size", Change::Changed);
        Some(format!("{across}:{down}"))
    }

    fn predict(&self, shape: Option<String>, request: &mut Object<'_>) {
        request.array("instances", |instances| {
            instances.object(|instance| {
                instance.text("prompt", &self.prompt);
            });
        });
        request.object("parameters", |parameters| {
            parameters.number("sampleCount", self.count);
            if let Some(shape) = &shape {
                parameters.string("aspectRatio", shape);
            }
            if let Some(media_type) = self.media_type {
                parameters.object("outputOptions", |options| {
                    options.string("mimeType", media_type);
                });
            }
        });
    }

    fn ask(&self, shape: Option<String>, request: &mut Object<'_>) {
        request.array("contents", |contents| {
            contents.object(|content| {
                content.string("role", "user").array("parts", |parts| {
                    parts.object(|part| {
                        part.text("text", &self.prompt);
                    });
                });
            });
        });
        request.object("generationConfig", |config| {
            config.array("responseModalities", |kinds| {
                kinds.text(&Text::from_escaped("TEXT")).text(&Text::from_escaped("IMAGE"));
            });
            if let Some(shape) = &shape {
                config.object("imageConfig", |image| {
                    image.string("aspectRatio", shape);
                });
            }
        });
    }
}

fn media_type(format: &Text<'_>) -> Result<&'static str, Failure> {
    match format.escaped() {
        "png" => Ok("image/png"),
        "jpeg" => Ok("image/jpeg"),
        _ => Err(Failure::unsupported("output_format", "This model makes `png` and `jpeg`.")),
    }
}

#[derive(Default)]
struct Predicted<'a> {
    predictions: Vec<Prediction<'a>>,
}
readable! { Predicted<'a> { predictions } }

#[derive(Default)]
struct Prediction<'a> {
    bytes_base64_encoded: Option<Text<'a>>,
    rai_filtered_reason: Option<Text<'a>>,
}
readable! { camel Prediction<'a> { bytes_base64_encoded, rai_filtered_reason } }

/// Reads an answer with images and writes it in OpenAI's shape, without its cost.
///
/// # Errors
/// `BadAnswer` where it is none; `ContentFiltered` where there is no image in it, with the reason that the model gives.
pub fn rewrite_images(body: &[u8], quirks: &Quirks, now: UnixMillis) -> Result<Vec<u8>, Failure> {
    let holds = |name: &str| Raw::parse(std::str::from_utf8(body).unwrap_or_default()).ok()?.member(name).map(drop);
    if holds("candidates").is_none() && holds("promptFeedback").is_none() {
        let unreadable = |error: crate::json::Error| {
            Failure::bad_answer("The provider's answer holds no images.").because(error.to_string())
        };
        let Predicted { predictions } = crate::json::from_slice(body).map_err(unreadable)?;
        let images: Vec<Text<'_>> =
            predictions.iter().filter_map(|one| one.bytes_base64_encoded.as_ref()).map(Text::borrowed).collect();
        let reason = predictions.iter().find_map(|one| one.rai_filtered_reason.as_ref()).map(|text| text.decode());
        return write(&images, None, reason.as_deref(), now);
    }
    let answer = gemini::read_answer(body, quirks)?;
    let choice = answer.choices.first();
    let media = choice.map(|choice| choice.media.as_slice()).unwrap_or_default();
    let images: Vec<Text<'_>> =
        media.iter().filter(|media| media.kind == MediaKind::Image).map(|media| media.data.borrowed()).collect();
    let said = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default().iter().find_map(|part| match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(text.decode()),
        _ => None,
    });
    let ended = choice.and_then(|choice| choice.end.raw.as_ref()).map(Text::decode);
    write(&images, answer.usage.as_ref(), said.or(ended).as_deref(), now)
}

fn write(
    images: &[Text<'_>],
    usage: Option<&Usage>,
    reason: Option<&str>,
    now: UnixMillis,
) -> Result<Vec<u8>, Failure> {
    if images.is_empty() {
        let reason: String = reason.unwrap_or("it gave no reason").chars().take(300).collect();
        let message = format!("The model made no image: {reason}");
        return Err(Failure::new(Kind::ContentFiltered, message).about("prompt"));
    }
    let mut out = Vec::new();
    let mut answer = Object::open(&mut out);
    answer.number("created", now.seconds()).array("data", |data| {
        for image in images {
            data.object(|one| {
                one.text("b64_json", image);
            });
        }
    });
    if let Some(usage) = usage {
        let image = usage.output_image.unwrap_or(0);
        let output = usage.total_tokens().saturating_sub(usage.prompt_tokens());
        answer.object("usage", |counted| {
            counted.number("total_tokens", usage.total_tokens()).number("input_tokens", usage.prompt_tokens());
            counted.number("output_tokens", output).object("input_tokens_details", |details| {
                let image = usage.input_image.unwrap_or(0);
                details
                    .number("text_tokens", usage.prompt_tokens().saturating_sub(image))
                    .number("image_tokens", image);
            });
            counted.object("output_tokens_details", |details| {
                details.number("text_tokens", output.saturating_sub(image)).number("image_tokens", image);
            });
        });
    }
    answer.close();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Hosting;
    use serde_json::{Value, json};

    fn asked(body: &Value, model: &str) -> Result<(String, Value, String), Failure> {
        let mut adjusted = Adjusted::default();
        let quirks = Quirks { hosting: Hosting::Own, ..Quirks::NONE };
        let outgoing = write_images(body.to_string().as_bytes(), model, &quirks, &mut adjusted)?;
        Ok((outgoing.path, serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted.header()))
    }

    #[test]
    fn a_picture_is_asked_for_as_its_model_wants_it() {
        let wish = json!({"model": "x", "prompt": "A \"cat\"", "size": "1536x1024", "quality": "high", "n": 1});
        let (path, request, adjusted) = asked(&wish, "gemini-2.5-flash-image").expect("a request");
        assert_eq!(path, "/v1beta/models/gemini-2.5-flash-image:generateContent");
        let config = json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:2"}});
        let contents = json!([{"role": "user", "parts": [{"text": "A \"cat\""}]}]);
        assert_eq!(request, json!({"contents": contents, "generationConfig": config}));
        assert_eq!(adjusted, "quality=dropped, size=changed");
        let several = json!({"prompt": "p", "n": 3, "size": "1792x1024", "output_format": "jpeg"});
        let (path, request, _) = asked(&several, "imagen-4.0-generate-001").expect("a request");
        assert_eq!(path, "/v1beta/models/imagen-4.0-generate-001:predict");
        let options = json!({"mimeType": "image/jpeg"});
        let parameters = json!({"sampleCount": 3, "aspectRatio": "16:9", "outputOptions": options});
        assert_eq!(request, json!({"instances": [{"prompt": "p"}], "parameters": parameters}));
    }

    #[test]
    fn what_cannot_be_had_names_its_field() {
        for (body, param) in [
            (json!({}), "prompt"),
            (json!({"prompt": 7}), "prompt"),
            (json!({"prompt": "p", "n": 2}), "n"),
            (json!({"prompt": "p", "n": 0}), "n"),
            (json!({"prompt": "p", "n": "2"}), "n"),
            (json!({"prompt": "p", "response_format": "url"}), "response_format"),
            (json!({"prompt": "p", "output_format": "webp"}), "output_format"),
            (json!({"prompt": "p", "background": "transparent"}), "background"),
            (json!({"prompt": "p", "stream": true}), "stream"),
        ] {
            assert_eq!(
                asked(&body, "gemini-2.5-flash-image").expect_err("a fault").param.as_deref(),
                Some(param),
                "{body}"
            );
        }
        let (_, _, adjusted) = asked(&json!({"prompt": "p", "size": "big"}), "imagen-4").expect("a request");
        assert_eq!(adjusted, "size=dropped");
    }

    #[test]
    fn images_come_in_one_shape() {
        let shown = |body: &str| -> Value {
            let written = rewrite_images(body.as_bytes(), &Quirks::NONE, UnixMillis(7_000)).expect("images");
            serde_json::from_slice(&written).expect("JSON")
        };
        let predicted = shown(
            r#"{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"AA"},{"bytesBase64Encoded":"BB"}]}"#,
        );
        assert_eq!(predicted, json!({"created": 7, "data": [{"b64_json": "AA"}, {"b64_json": "BB"}]}));
        let answered = shown(
            r#"{"candidates":[{"content":{"parts":[{"text":"Here"},{"inlineData":{"mimeType":"image/png","data":"CC"}}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1290,"totalTokenCount":1295,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}"#,
        );
        assert_eq!(
            (&answered["data"], &answered["usage"]["output_tokens"]),
            (&json!([{"b64_json": "CC"}]), &json!(1290))
        );
        assert_eq!(answered["usage"]["output_tokens_details"]["image_tokens"], json!(1290));
        for refused in [
            r#"{"predictions":[{"raiFilteredReason":"It shows a person."}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"It shows a person."}]},"finishReason":"IMAGE_SAFETY"}]}"#,
        ] {
            let failure = rewrite_images(refused.as_bytes(), &Quirks::NONE, UnixMillis(0)).expect_err("no image");
            assert!(failure.kind == Kind::ContentFiltered && failure.message.contains("a person"), "{failure}");
        }
        assert_eq!(rewrite_images(b"[", &Quirks::NONE, UnixMillis(0)).expect_err("none").kind, Kind::BadAnswer);
    }

    #[test]
    fn recorded_images_are_found() {
        for id in ["gemini.image-out.dbd0d079c4", "vertex.image-out.21b7af14d2"] {
            let provider = id.split('.').next().unwrap();
            let path = format!("{}/../shared/wire/{provider}/{id}.json", env!("CARGO_MANIFEST_DIR"));
            let Ok(text) = std::fs::read_to_string(&path) else {
                eprintln!("SKIPPED: no recording {id}");
                continue;
            };
            let recorded: Value = serde_json::from_str(&text).expect("a recording");
            let body = recorded["response"]["body"].as_str().expect("a body");
            let written = rewrite_images(body.as_bytes(), &Quirks::NONE, UnixMillis(0)).expect(id);
            let shown: Value = serde_json::from_slice(&written).expect("JSON");
            assert!(shown["data"][0]["b64_json"].as_str().is_some_and(|data| !data.is_empty()), "{id}");
            assert!(shown["usage"]["total_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{id}");
        }
    }
}
