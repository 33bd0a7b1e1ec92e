//! Calls beside conversation: what is sent, what of the answer goes on, and what it took.

use std::borrow::Cow;

use crate::budget::{Amounts, Estimate};
use crate::chat::{Counted, Unit, Usage};
use crate::failure::{Failure, Kind};
use crate::json::{Raw, SyntaxError, readable};
use crate::provider::{Bucket, Images, Price, Service};
use crate::units::{NanoUsd, UnixMillis};
use crate::wire::Outgoing;
use crate::wire::service::{read_rerank, rewrite_images, see_answer, write_images, write_rerank};
use base64::Engine as _;

use super::Incoming;
use super::attempt::Attempt;
use super::call::Call;
use super::plain::Plain;
use super::send::patched_at;

/// Documents that one query of a reranker may have (<https://docs.cohere.com/docs/rerank>).
const DOCUMENTS_A_QUERY: u64 = 100;
/// A document longer than this, in bytes, may count as several.
const DOCUMENT: u64 = 500;
/// Bytes of a second of sound, where only its size is known: 64 kbit/s. Most sound has more, so the guess errs upwards.
const SOUND_A_SECOND: u64 = 8_000;
/// Characters that are spoken in a second.
const SPOKEN_A_SECOND: u64 = 15;
/// Tokens that an image or a piece of speech is taken to have, where nothing has to hold for sure.
const MEDIA_TOKENS: u64 = 4_096;
/// The most that an image of a quality has that is asked for by name.
///
/// Source: <https://platform.openai.com/docs/guides/image-generation#cost-and-latency>, GPT Image.
const IMAGE_TOKENS: [(&str, u64); 3] = [("low", 408), ("medium", 1_584), ("high", 6_240)];

/// The request of a service; nothing where the target does not have it.
pub(super) fn write(service: Service, incoming: &Incoming, attempt: &mut Attempt) -> Result<Option<Outgoing>, Failure> {
    let services = attempt.upstream.endpoints.services;
    let form = incoming.is_form();
    if service == Service::Rerank {
        let Some(rerank) = services.rerank else { return Ok(None) };
        return write_rerank(&incoming.body, &attempt.model, rerank, &mut attempt.adjusted).map(Some);
    }
    if service == Service::ImageGeneration && services.images == Some(Images::ByMethod) {
        let quirks = &attempt.upstream.quirks;
        return write_images(&incoming.body, &attempt.model, quirks, &mut attempt.adjusted).map(Some);
    }
    let Some(path) = services.path(service, form) else {
        let has_forms = service == Service::Transcription && !form && services.transcriptions.is_some();
        return if has_forms { Err(wants_form()) } else { Ok(None) };
    };
    if form {
        // The form itself never comes in here: the edge puts the model's name into it.
        let body = attempt.model.clone().into_bytes();
        return Ok(Some(Outgoing { path: path.to_owned(), headers: Vec::new(), body }));
    }
    if service == Service::Translation {
        return Err(wants_form());
    }
    patched_at(path, incoming, attempt, false).map(Some)
}

fn wants_form() -> Failure {
    let message = "Send the sound as `file` in a form (`content-type: multipart/form-data`).";
    Failure::new(Kind::UnsupportedMediaType, message).about("file")
}

/// Reads a successful answer that came in one piece.
pub(super) fn read<'b>(
    service: Service,
    call: &Call,
    attempt: &Attempt,
    content_type: &str,
    body: &'b [u8],
    now: UnixMillis,
) -> Result<(Usage, Plain<'b>), Failure> {
    let quirks = &attempt.upstream.quirks;
    let complete = |told| used(service, told, &Sizes::read(&call.incoming), attempt.price.as_deref());
    if service == Service::Rerank {
        let answer = read_rerank(body, &call.incoming.body, quirks)?;
        let usage = complete(answer.usage.clone());
        return Ok((usage, Plain::Ranking(answer, call.request_id.clone(), attempt.model.clone())));
    }
    if !content_type.contains("json") {
        // Subtitles, plain text, sound: as it came.
        return Ok((complete(None), Plain::Bytes(body.to_vec(), content_type.to_owned())));
    }
    let by_method = attempt.upstream.endpoints.services.images == Some(Images::ByMethod);
    if service == Service::ImageGeneration && by_method {
        let body = rewrite_images(body, quirks, now)?;
        let usage = complete(see_answer(service, &body, quirks)?.usage);
        return Ok((usage, Plain::Service(Cow::Owned(body))));
    }
    let seen = see_answer(service, body, quirks)?;
    let usage = complete(seen.usage);
    let Some(sound) = seen.sound.filter(|_| service == Service::Speech) else {
        return Ok((usage, Plain::Service(Cow::Borrowed(body))));
    };
    let decoded = base64::engine::general_purpose::STANDARD.decode(sound.decode().as_bytes());
    let decoded = decoded
        .map_err(|error| Failure::bad_answer("The provider's sound is no base64.").because(error.to_string()))?;
    Ok((usage, Plain::Bytes(decoded, sound_type(&call.incoming).to_owned())))
}

/// What a call used: what the provider says, and what it was asked for where that is how it is paid.
pub(super) fn used(service: Service, told: Option<Usage>, sizes: &Sizes, price: Option<&Price>) -> Usage {
    let told = told.filter(Usage::is_credible);
    let counts_tokens = told.as_ref().is_some_and(|usage| usage.total_tokens() > 0);
    let mut usage = told.unwrap_or_default();
    // What is made is not text, also where the provider does not tell it apart (`openai.audio-stream.bd240f3089`).
    let made = match service {
        Service::Speech => Some(&mut usage.output_audio),
        Service::ImageGeneration | Service::ImageEdit => Some(&mut usage.output_image),
        _ => None,
    };
    if let Some(made) = made.filter(|made| made.is_none()) {
        *made = Some(std::mem::take(&mut usage.output_text)).filter(|tokens| *tokens > 0);
    }
    let by_token = counts_tokens && price.is_some_and(|price| !price.rates.is_empty());
    let is_media = !matches!(service, Service::Rerank | Service::Moderation);
    if usage.counted.is_none() && !(by_token && is_media) {
        let unit = unit_of(service, price);
        usage.counted = unit.map(|unit| sizes.count(unit));
        // How long sound is can only be guessed from its size, or from the length of what is spoken.
        let guessed = matches!(unit, Some(Unit::InputSecond | Unit::OutputSecond));
        usage.estimated |= guessed && !counts_tokens;
    }
    if !is_media && !counts_tokens {
        usage.input_fresh = sizes.bytes.div_ceil(4);
        usage.estimated |= usage.counted.is_none();
    }
    usage
}

/// What a call takes at most, before it is sent.
pub(super) fn bound(service: Service, incoming: &Incoming, price: Option<&Price>, strict: bool) -> Estimate {
    let sizes = Sizes::read(incoming);
    let unit = unit_of(service, price);
    let rate = |unit| price?.units.iter().find(|(known, _)| Some(*known) == unit).map(|(_, rate)| *rate);
    let rates = price.map(|price| price.rates).unwrap_or_default();
    let is_media = !matches!(service, Service::Rerank | Service::Moderation);
    // A reranker reads the query beside each document.
    let read = sizes.bytes + sizes.query_bytes.saturating_mul(sizes.documents);
    let input_tokens = if strict { read } else { read.div_ceil(4) };
    // What is sold by the piece or the second has no tokens.
    let has_tokens = is_media && (rate(unit).is_none() || !rates.is_empty());
    let output_tokens = if has_tokens { sizes.media_tokens.saturating_mul(sizes.images) } else { 0 };
    let (cost, unbounded) = match (rate(unit), unit) {
        (Some(rate), Some(unit)) => {
            let counted = match unit {
                Unit::Query => Unit::Query.times(queries(sizes.documents + sizes.bytes / DOCUMENT)),
                unit => sizes.count(unit),
            };
            let lasts = matches!(unit, Unit::InputSecond | Unit::OutputSecond);
            let also_by_token = unit == Unit::Image && !rates.is_empty();
            let cost = rate.per_million_thousandths(counted.thousandths);
            (Some(cost), (lasts || also_by_token).then_some("sound or images of a length that is not known before"))
        }
        _ => {
            let of = |bucket, tokens| rates.with_parents(bucket).map(|rate| rate.per_million(tokens));
            let output = match service {
                Service::ImageGeneration | Service::ImageEdit => Bucket::ImageOutput,
                Service::Speech => Bucket::AudioOutput,
                _ => Bucket::Output,
            };
            let made = if is_media { of(output, output_tokens) } else { Some(NanoUsd::ZERO) };
            let cost = of(Bucket::Input, input_tokens).zip(made).map(|(read, made)| read + made);
            (cost, is_media.then_some("sound or images that are sold by the token"))
        }
    };
    let most = Amounts { cost: cost.unwrap_or(NanoUsd::ZERO), requests: 1, input_tokens, output_tokens, parallel: 1 };
    let priced = cost.is_some();
    Estimate { most, priced, unbounded: unbounded.filter(|_| priced) }
}

/// The unit in which a service is paid at this price; else the one in which it would be.
fn unit_of(service: Service, price: Option<&Price>) -> Option<Unit> {
    let units: &[Unit] = match service {
        Service::Rerank => &[Unit::Query],
        Service::Moderation => &[],
        Service::ImageGeneration | Service::ImageEdit => &[Unit::Image],
        Service::Speech => &[Unit::InputCharacter, Unit::OutputSecond],
        Service::Transcription | Service::Translation => &[Unit::InputSecond],
    };
    let sells = |unit: &Unit| price.is_some_and(|price| price.units.iter().any(|(known, _)| known == unit));
    let sold = units.iter().find(|unit| sells(unit)).copied();
    // A reranker that sells tokens counts no queries.
    sold.or(units.first().filter(|_| service != Service::Rerank).copied())
}

fn queries(documents: u64) -> u64 {
    documents.div_ceil(DOCUMENTS_A_QUERY).max(1)
}

/// How much is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Of the request, the file of a form left out.
    bytes: u64,
    file_bytes: u64,
    characters: u64,
    documents: u64,
    query_bytes: u64,
    images: u64,
    /// Of one image, or one piece of speech, before it is there.
    media_tokens: u64,
}

/// The members of any service's request, or fields of its form, that say how much there is.
#[derive(Default)]
struct Asks<'a> {
    input: Option<Raw<'a>>,
    documents: Option<Raw<'a>>,
    query: Option<Raw<'a>>,
    n: Option<Raw<'a>>,
    file: Option<Raw<'a>>,
    input_audio: Option<Raw<'a>>,
    response_format: Option<Raw<'a>>,
    quality: Option<Raw<'a>>,
}
readable! { Asks<'a> { input, documents, query, n, file, input_audio, response_format, quality } }

impl Sizes {
    /// Reads a request, or what the edge tells of a form: its fields, and as `file` how many bytes its files have.
    pub(super) fn read(incoming: &Incoming) -> Sizes {
        let asks: Asks<'_> = crate::json::from_slice(&incoming.body).unwrap_or_default();
        let mut documents = 0;
        if let Some(list) = &asks.documents {
            // What is no list was refused before anything is counted.
            let _ = list.cursor().items(|_, cursor| {
                documents += 1;
                cursor.value().map(drop).map_err(|error: SyntaxError| error)
            });
        }
        let number = |raw: &Option<Raw<'_>>| raw.as_ref().and_then(whole);
        let quality = asks.quality.as_ref().and_then(Raw::text);
        let quality = quality.as_ref().map(|text| text.decode()).unwrap_or_default();
        let known = IMAGE_TOKENS.iter().find(|(name, _)| *name == quality);
        let file_bytes = match &asks.input_audio {
            _ if incoming.is_form() => number(&asks.file).unwrap_or(0),
            // Base64 has four characters for three bytes.
            Some(sound) => sound.get().len() as u64 / 4 * 3,
            None => 0,
        };
        Sizes {
            bytes: incoming.body.len() as u64,
            file_bytes,
            characters: asks.input.as_ref().and_then(Raw::text).map_or(0, |text| text.characters()),
            documents,
            query_bytes: asks.query.map_or(0, |query| query.get().len() as u64),
            images: number(&asks.n).unwrap_or(1).max(1),
            media_tokens: known.map_or(MEDIA_TOKENS, |(_, tokens)| *tokens),
        }
    }

    fn count(&self, unit: Unit) -> Counted {
        match unit {
            Unit::Query => unit.times(queries(self.documents)),
            Unit::Image | Unit::InputImage => unit.times(self.images),
            Unit::InputCharacter => unit.times(self.characters),
            Unit::InputSecond => {
                Counted { unit, thousandths: self.file_bytes.saturating_mul(1_000).div_ceil(SOUND_A_SECOND) }
            }
            Unit::OutputSecond => Counted { unit, thousandths: (self.characters * 1_000).div_ceil(SPOKEN_A_SECOND) },
        }
    }
}

/// A whole number, of which a form has the digits alone.
pub(super) fn whole(raw: &Raw<'_>) -> Option<u64> {
    raw.text().map_or_else(|| raw.get().parse().ok(), |text| text.decode().parse().ok())
}

/// What the sound is that was asked for.
fn sound_type(incoming: &Incoming) -> &'static str {
    let asks: Asks<'_> = crate::json::from_slice(&incoming.body).unwrap_or_default();
    let format = asks.response_format.as_ref().and_then(Raw::text).map(|text| text.decode().into_owned());
    match format.as_deref() {
        Some("wav") => "audio/wav",
        Some("opus") => "audio/ogg",
        Some("flac") => "audio/flac",
        Some("aac") => "audio/aac",
        Some("pcm") => "audio/pcm",
        _ => "audio/mpeg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_as_long_as_it_is_whatever_its_caller_says() {
        let told = |content_type: &str, file: &str| {
            let headers = vec![("content-type".to_owned(), content_type.to_owned())];
            let body = format!(r#"{{"file": {file}, "input_audio": {{"data": "{}"}}}}"#, "A".repeat(64_000));
            let sizes = Sizes::read(&Incoming { headers, body: body.into_bytes(), ..Incoming::default() });
            sizes.count(Unit::InputSecond).thousandths
        };
        assert_eq!(told("application/json", "1"), 6_002, "the sound within the JSON");
        assert_eq!(told("multipart/form-data; boundary=x", r#""16000""#), 2_000, "what the edge tells of its files");
        assert_eq!(told("multipart/form-data; boundary=x", &u64::MAX.to_string()), u64::MAX.div_ceil(8_000));
    }
}
