//! Endpoints beside conversation, each with two providers or more, whose answers were recorded: the gateway asks where
//! they were recorded, and callers of one endpoint read one shape.
//!
//! Of a second provider's translation of speech nobody has published a recording under a licence: `services.rs` plays it.
//! Recorded talks are in `talks.rs`.

use base64::Engine as _;
use latchkey::gateway::{Input, Step};
use latchkey::http::Response;
use latchkey::keys::Key;
use latchkey::observe::Record;
use serde_json::{Value, json};

use crate::world::{World, json as read, sent};

struct Recording {
    endpoint: String,
    request: Value,
    content_type: String,
    body: Vec<u8>,
}

fn recording(id: &str) -> Recording {
    let provider = id.split('.').next().expect("a provider");
    let path = format!("{}/tests/fixtures/{provider}/{id}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let recorded: Value = serde_json::from_str(&text).expect("a recording");
    let answer = &recorded["response"];
    let body = answer["body"].as_str().expect("a body");
    Recording {
        endpoint: recorded["endpoint"].as_str().expect("a path").to_owned(),
        request: recorded["request"]["body"].clone(),
        content_type: answer["headers"]["content-type"].as_str().unwrap_or("application/json").to_owned(),
        body: match answer["encoding"].as_str() {
            Some(_) => base64::engine::general_purpose::STANDARD.decode(body).expect("base64"),
            None => body.as_bytes().to_vec(),
        },
    }
}

fn world() -> World {
    let names = ["COHERE", "VOYAGE", "QWEN", "MISTRAL", "XAI", "TOGETHER", "VENICE", "OPENROUTER"];
    let variables: Vec<(String, &str)> = names.iter().map(|name| (format!("{name}_API_KEY"), "secret")).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    World::of(Key::default(), r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false}}"#, &variables)
}

/// Asks `model` at `path` and answers with the recording; gives the answer and its record.
fn play(path: &str, model: &str, ask: Value, id: &str) -> (Response, Record) {
    let recording = recording(id);
    let mut world = world();
    let mut ask = ask;
    if !path.contains(':') {
        ask["model"] = json!(model);
    }
    let is_form = path.contains("/audio/tr") || recording.request.is_array();
    let (call, step) = if is_form {
        world.form(path, &ask.to_string(), &[("content-type", "multipart/form-data; boundary=x")])
    } else {
        world.post(path, &ask.to_string())
    };
    let outbound = sent(step);
    let (own, theirs) = (model.split_once('/').expect("provider/model").1, &recording.endpoint);
    let expected = theirs.replace("{model}", own);
    let url = outbound.url.replace("/compatible-mode/../..", "");
    // A path of an earlier version has the same end.
    let end = expected.trim_start_matches("/api").trim_start_matches("/v1").trim_start_matches("/v2");
    assert!(url.ends_with(end), "{id}: {url} for {expected}");
    assert_eq!(outbound.outside, is_form, "{id}");
    let headers = [("content-type", recording.content_type.as_str())];
    let step = match world.resume(call, Input::Headers(200, &headers)) {
        Step::ReadBody(_) => world.resume(call, Input::Body(&recording.body)),
        step => panic!("{id}: {step:?}"),
    };
    let Step::Respond(response) = step else { panic!("{id}: {step:?}") };
    assert_eq!(response.status, 200, "{id}: {}", String::from_utf8_lossy(&response.body));
    (response, world.only_record())
}

#[test]
fn embeddings() {
    for (model, id) in [
        ("openai/text-embedding-3-small", "openai.embeddings.1dd58b1969"),
        ("mistral/mistral-embed", "mistral.embeddings.298904f0c0"),
        ("cohere/embed-v4.0", "cohere.embeddings.6f73f5927c"),
        ("gemini/text-embedding-004", "gemini.embeddings.18d75fd121"),
    ] {
        let (response, record) = play("/v1/embeddings", model, json!({"input": ["Hello"]}), id);
        let answer = read(&response.body);
        let vector = answer["data"][0]["embedding"].as_array().map_or(0, Vec::len);
        assert!(vector >= 256 && record.input_fresh > 0, "{id}: {vector} numbers, {record:?}");
    }
}

#[test]
fn legacy_completions() {
    for (model, id, tokens) in [
        ("openai/gpt-3.5-turbo-instruct", "openai.completions.3eed99595b", 29),
        ("together/mistralai/Mixtral-8x7B-Instruct-v0.1", "together.completions.3397da544f", 10),
    ] {
        let ask = json!({"prompt": recording(id).request["prompt"], "max_tokens": 256});
        let (response, record) = play("/v1/completions", model, ask, id);
        assert!(read(&response.body)["choices"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{id}");
        assert_eq!((record.endpoint, record.input_fresh), ("completions", tokens), "{id}");
    }
}

#[test]
fn moderation() {
    for (model, id, category) in [
        ("openai/omni-moderation-latest", "openai.moderations.9e9844583b", "harassment"),
        ("openai/omni-moderation-latest", "openai.moderations.4096aa71f0", "violence/graphic"),
        ("mistral/mistral-moderation-2603", "mistral.moderations.195c7062fd", "selfharm"),
    ] {
        let ask = json!({"input": recording(id).request["input"]});
        let (response, record) = play("/v1/moderations", model, ask, id);
        assert_eq!(read(&response.body)["results"][0]["categories"][category], json!(false), "{id}");
        assert_eq!((record.endpoint, record.cost_nano), ("moderations", Some(0)), "{id}");
    }
}

#[test]
fn reranking() {
    for (model, id, first) in [
        ("cohere/rerank-v3.5", "cohere.rerank.4807361e71", 3),
        ("voyage/rerank-2-lite", "voyage.rerank.cda9925f13", 3),
        ("qwen/gte-rerank", "dashscope.rerank.f07bc5d0d6", 0),
    ] {
        let ask = json!({"query": "q", "documents": ["a", "b", "c", "d"]});
        let (response, _) = play("/v1/rerank", model, ask, id);
        assert_eq!(read(&response.body)["results"][0]["index"], json!(first), "{id}");
    }
}

#[test]
fn images() {
    for (model, id, member) in [
        ("openai/dall-e-2", "openai.images.0947d4a413", "url"),
        ("together/stabilityai/stable-diffusion-xl-base-1.0", "together.images.d900bde764", "url"),
        ("openrouter/google/gemini-3.1-flash-lite-image", "openrouter.images.5f5cb648d2", "b64_json"),
        ("gemini/gemini-2.0-flash-exp-image-generation", "gemini.image-out.dbd0d079c4", "b64_json"),
    ] {
        let (response, record) = play("/v1/images/generations", model, json!({"prompt": "A bear"}), id);
        let answer = read(&response.body);
        let image = answer["data"][0].get(member).or(answer["data"][0].get("b64_json"));
        assert!(image.and_then(Value::as_str).is_some_and(|image| !image.is_empty()), "{id}: {answer}");
        assert_eq!(record.endpoint, "images/generations");
        // Of these only one states what it cost.
        let stated = model.starts_with("openrouter/").then_some(34_226_750);
        assert!(stated.is_none() || record.cost_nano == stated, "{id}: {record:?}");
    }
}

#[test]
fn image_edits() {
    for (model, id, member, cost) in [
        // By a form: 45 tokens of text at $5 a million, 194 of an image at $10 and 4,160 of another at $40; then twice that.
        ("openai/gpt-image-1", "openai.images.c1242759a4", "b64_json", 225_000 + 1_940_000 + 166_400_000),
        ("openai/gpt-image-1", "openai.images.0ea6a0875c", "b64_json", 2 * (225_000 + 1_940_000 + 166_400_000)),
        // 27 tokens of text at $5 a million and 194 of images at $8; 143 of text at $10 and 272 of images at $32.
        ("openai/gpt-image-1.5", "openai.images.0c7acdd26b", "b64_json", 135_000 + 1_552_000 + 1_430_000 + 8_704_000),
        ("xai/grok-imagine-image-quality", "xai.images.d00189d7d9", "url", 70_000_000),
    ] {
        let ask = match recording(id).request {
            Value::Array(_) => json!({"prompt": "A big cat", "size": "1024x1024", "file": "848000"}),
            ask => ask,
        };
        let (response, record) = play("/v1/images/edits", model, ask, id);
        let answer = read(&response.body);
        assert!(answer["data"][0][member].as_str().is_some_and(|image| !image.is_empty()), "{id}: {answer}");
        assert_eq!((record.endpoint, record.cost_nano), ("images/edits", Some(cost)), "{id}");
    }
}

/// See the module for the second provider.
#[test]
fn translation() {
    let ask = json!({"response_format": "json", "file": "122080"});
    let (response, record) = play("/v1/audio/translations", "openai/whisper-1", ask, "openai.audio.b5b64daa82");
    assert!(read(&response.body)["text"].as_str().is_some_and(|text| text.contains("whither")));
    assert_eq!(record.endpoint, "audio/translations");
}

#[test]
fn speech() {
    for (model, id) in [
        ("openai/gpt-4o-mini-tts", "openai.audio.81aea773ae"),
        ("mistral/voxtral-mini-tts-latest", "mistral.audio.6f7f677cdb"),
    ] {
        let recording = recording(id);
        let ask = json!({"input": recording.request["input"], "voice": recording.request["voice"]});
        // Sound streams to the caller as it comes, and comes whole where it stands within JSON.
        if recording.content_type.contains("json") {
            let (response, _) = play("/v1/audio/speech", model, ask, id);
            assert!(response.body.starts_with(b"ID3"), "{id}");
            continue;
        }
        let record = pass("/v1/audio/speech", model, ask, id);
        assert_eq!(record.endpoint, "audio/speech");
    }
}

/// What comes in events says what it used, and is sound all of it: 10 tokens of text at $0.60 a million, and 93 at $12.
#[test]
fn speech_in_events_is_paid_by_the_token() {
    let id = "openai.audio-stream.bd240f3089";
    let record = pass("/v1/audio/speech", "openai/gpt-4o-mini-tts", recording(id).request, id);
    assert_eq!((record.input_fresh, record.output_audio, record.output_text), (10, 93, 0));
    assert_eq!((record.cost_nano, record.state), (Some(6_000 + 1_116_000), "settled_actual"));
}

/// Asks `model` and gets the recording as a body that passes as it comes; gives the record.
fn pass(path: &str, model: &str, ask: Value, id: &str) -> Record {
    let recording = recording(id);
    let mut world = world();
    let mut ask = ask;
    ask["model"] = json!(model);
    let (call, step) = match path.contains("/audio/tr") {
        true => world.form(path, &ask.to_string(), &[("content-type", "multipart/form-data; boundary=x")]),
        false => world.post(path, &ask.to_string()),
    };
    assert!(sent(step).url.ends_with(&recording.endpoint), "{id}");
    let opened = world.resume(call, Input::Headers(200, &[("content-type", &recording.content_type)]));
    assert!(matches!(opened, Step::Hold), "{opened:?}");
    let step = world.resume(call, Input::Chunk(&recording.body));
    let Step::Commit { head, relay: true } = step else { panic!("{step:?}") };
    assert_eq!(head.body, recording.body, "as it came");
    assert!(matches!(world.resume(call, Input::End), Step::Finish(_)));
    world.only_record()
}

#[test]
fn transcription() {
    for (model, id, words) in [
        ("openai/gpt-4o-transcribe", "openai.audio.0338b8b9c4", "あたし"),
        ("mistral/voxtral-mini-latest", "mistral.audio.0a46c31a25", "developer happiness"),
        ("venice/whisper-large-v3", "venice.audio.f31bed171a", "The sun was setting slowly"),
    ] {
        let ask = json!({"response_format": "json", "file": "24000"});
        let (response, record) = play("/v1/audio/transcriptions", model, ask, id);
        assert!(read(&response.body)["text"].as_str().is_some_and(|text| text.contains(words)), "{id}");
        assert_eq!(record.endpoint, "audio/transcriptions", "{id}");
    }
}

/// However a transcript is written, it comes as it is, and is paid for what it says of itself where it says it.
#[test]
fn transcripts_in_every_form() {
    let path = "/v1/audio/transcriptions";
    for (model, id, cost) in [
        // 17 tokens of sound at $1.25 a million and 10 of text at $5; 64 at $2.50 and 225 at $10.
        ("openai/gpt-4o-mini-transcribe", "openai.audio-stream.12b871d5f8", 21_250 + 50_000),
        ("openai/gpt-4o-transcribe-diarize", "openai.audio-stream.3d30ed1aa7", 160_000 + 2_250_000),
    ] {
        let record = pass(path, model, json!({"stream": "true", "file": "24000"}), id);
        assert_eq!((record.cost_nano, record.state), (Some(cost), "settled_actual"), "{id}");
    }
    let ask = json!({"response_format": "diarized_json", "file": "24000"});
    let (response, record) = play(path, "openai/gpt-4o-transcribe-diarize", ask, "openai.audio.033495ef72");
    assert_eq!(read(&response.body)["segments"][1]["speaker"], json!("B"));
    assert_eq!(record.cost_nano, Some(160_000 + 2_240_000), "one token less");
    let ask = json!({"response_format": "srt", "file": "24000"});
    let (response, record) = play(path, "openai/whisper-1", ask, "openai.audio.6b9f2abeb5");
    assert!(response.body.starts_with(b"1\n00:00:00,000 --> 00:00:02,000\nHello, world!"));
    assert_eq!(record.state, "settled_estimate", "subtitles do not say how long the sound was");
}

#[test]
fn compaction() {
    let id = "openai.compact.1fe4ead2d3";
    let (response, record) = play("/v1/responses/compact", "openai/gpt-4o-mini", recording(id).request, id);
    let answer = read(&response.body);
    assert_eq!(answer["object"], json!("response.compaction"));
    assert_eq!(answer["output"][1]["type"], json!("compaction"));
    // 1,027 tokens at $0.15 a million and 449 at $0.60.
    assert_eq!(record.cost_nano, Some(154_050 + 269_400));
}

#[test]
fn counted_tokens() {
    let (response, _) = play(
        "/v1/messages/count_tokens",
        "anthropic/claude-sonnet-4-5",
        json!({"messages": [{"role": "user", "content": "Hi"}]}),
        "anthropic.count-tokens.3a89853809",
    );
    assert_eq!(read(&response.body)["input_tokens"], json!(641));
    let model = "gemini/gemini-2.5-flash";
    let ask = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    let path = format!("/v1beta/models/{model}:countTokens");
    let (response, _) = play(&path, model, ask, "gemini.count-tokens.4ed23b4573");
    assert_eq!(read(&response.body)["totalTokens"], json!(61));
}
