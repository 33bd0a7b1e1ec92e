use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Task};
use crate::json::{self, Raw, readable};
use crate::provider::Service;
use crate::route::Preferences;
use crate::route::objective::Objective;
use crate::wire::{Layout, openai_chat};

use super::Incoming;
use super::service::whole;

/// What must be known of a body before a target is chosen. Everything else stays a span.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Asked {
    /// The model string.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How the stream is framed.
    pub layout: Layout,
    /// Whether the usage chunk of the stream is wanted.
    pub include_usage: bool,
    /// Whether it is Chat Completions in words of other protocols ([`crate::wire::openai_chat::borrows`]).
    pub borrows: bool,
    /// Whether the answer may have to be JSON.
    pub structured: bool,
    /// Whether targets that cannot honour every parameter are out.
    pub require_parameters: bool,
    /// The caller's own end user, as the body names them.
    pub user: Option<String>,
    /// Where else it may go, where the body says anything of that.
    pub preferences: Option<Box<Preferences>>,
    /// How its target is chosen, where the body says anything of that.
    pub objective: Option<Box<Objective>>,
}

#[derive(Default)]
struct Written<'a> {
    model: Option<Raw<'a>>,
    stream: Option<Raw<'a>>,
    stream_options: Option<Raw<'a>>,
    usage: Option<Raw<'a>>,
    messages: Option<Raw<'a>>,
    tools: Option<Raw<'a>>,
    input: Option<Raw<'a>>,
    prompt: Option<Raw<'a>>,
    query: Option<Raw<'a>>,
    file: Option<Raw<'a>>,
    input_audio: Option<Raw<'a>>,
    provider: Option<Raw<'a>>,
    models: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    response_format: Option<Raw<'a>>,
    output_config: Option<Raw<'a>>,
    output_format: Option<Raw<'a>>,
    text: Option<Raw<'a>>,
    // What is held of budgets goes by these too: here they are only seen to be there once.
    n: Option<Raw<'a>>,
    quality: Option<Raw<'a>>,
    documents: Option<Raw<'a>>,
}
readable! { Written<'a> {
    model, stream, stream_options, usage, messages, tools, input, prompt, query, file, input_audio, provider, models, user,
    response_format, output_config, output_format, text, n, quality, documents,
} }

#[derive(Default)]
struct StreamOptions {
    include_usage: Option<bool>,
}
readable! { StreamOptions { include_usage } }

#[derive(Default)]
struct ProviderPreferences<'a> {
    require_parameters: Option<bool>,
    allow_fallbacks: Option<bool>,
    order: Option<Raw<'a>>,
    only: Option<Raw<'a>>,
    ignore: Option<Raw<'a>>,
}
readable! { ProviderPreferences<'a> { require_parameters, allow_fallbacks, order, only, ignore } }

/// Characters of an end user's name; what is longer is cut, and counted under what is left.
const LONGEST_USER: usize = 200;
/// Models or providers that one call can name in one list.
const MOST_NAMES: usize = 16;

impl Asked {
    /// What a call asks for whose path names the model and whose method says whether it streams.
    ///
    /// # Errors
    /// `BadRequest` where the body is not a JSON object.
    pub fn of_path(endpoint: Endpoint, model: &str, incoming: &Incoming) -> Result<Asked, Failure> {
        if incoming.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Failure::new(Kind::BadRequest, "The body must be a JSON object."));
        }
        let stream = matches!(endpoint, Endpoint::StreamGenerateContent | Endpoint::ConverseStream);
        let events = !stream || incoming.parameter("alt") == Some("sse");
        let layout = match endpoint {
            Endpoint::ConverseStream => Layout::EventStream,
            _ if events => Layout::Events,
            _ => Layout::Array,
        };
        let structured =
            [&b"application/json"[..], b"\"jsonSchema\""].iter().any(|word| json::mentions(&incoming.body, word));
        Ok(Asked { model: model.to_owned(), stream, layout, structured, ..Asked::default() })
    }

    /// The same of what came; of a form that is too long to be kept only its beginning is known.
    ///
    /// # Errors
    /// As [`Asked::read`].
    pub fn of(endpoint: Endpoint, incoming: &Incoming) -> Result<Asked, Failure> {
        Asked::read(endpoint, &incoming.body).map_err(|mut failure| {
            if incoming.once && incoming.is_form() {
                failure.message.push_str(" In a form of more than 25 MB, put it before the file.");
            }
            failure
        })
    }

    /// The providers that it names first, in their order.
    pub(super) fn wished(&self) -> &[String] {
        self.preferences.as_ref().map_or(&[], |preferences| &preferences.order)
    }

    /// Reads what a body of `endpoint` asks for.
    ///
    /// # Errors
    /// `BadRequest` where the body is not a JSON object, or lacks what every call must have; the field is named.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Result<Asked, Failure> {
        let written: Written<'_> = crate::json::from_slice(body).map_err(|error| unreadable(body, &error))?;
        let mut models = names("models", written.models.as_ref())?;
        let model = match written.model.as_ref().filter(|raw| !raw.is_null()).map(Raw::text) {
            Some(Some(text)) if !text.is_empty() => text.decode().into_owned(),
            // The first of `models` stands in for `model`.
            None if !models.is_empty() => models.remove(0),
            Some(Some(_)) | None => return Err(missing("model", "a model string such as \"openai/gpt-4o\"")),
            Some(None) => return Err(Failure::bad_request("model", "`model` must be a string.")),
        };
        let [messages, input, tools] = [&written.messages, &written.input, &written.tools].map(Option::as_ref);
        let borrows = endpoint == Endpoint::ChatCompletions && openai_chat::borrows(messages, input, tools);
        written.check_content(endpoint, borrows)?;
        let stream = written.wants_stream(endpoint)?;
        let told = written.text.as_ref().and_then(|text| text.member("format"));
        let shapes = [&written.response_format, &written.output_config, &written.output_format, &told];
        let provider = written.provider.filter(Raw::is_object);
        let objective = provider.as_ref().map(Objective::read).transpose()?.flatten();
        let (require_parameters, preferences) = preferences(provider, models)?;
        Ok(Asked {
            model,
            stream,
            layout: Layout::default(),
            borrows,
            include_usage: wants_usage(written.stream_options.as_ref())? || includes_usage(written.usage.as_ref()),
            structured: shapes.into_iter().flatten().any(Raw::is_object),
            require_parameters,
            user: written
                .user
                .and_then(|raw| raw.text().map(|text| text.decode().chars().take(LONGEST_USER).collect())),
            preferences,
            objective: objective.map(Box::new),
        })
    }
}

impl Written<'_> {
    /// Checks that what the call is about is there: messages, a prompt, a file.
    fn check_content(&self, endpoint: Endpoint, borrows: bool) -> Result<(), Failure> {
        let (content, name, what) = match endpoint.task() {
            Task::Compaction => (&self.input, "input", "a string or a list of items"),
            Task::Chat if endpoint == Endpoint::Responses || (borrows && self.messages.is_none()) => {
                (&self.input, "input", "a string or a list of items")
            }
            Task::Chat | Task::Count => (&self.messages, "messages", "a list of messages"),
            Task::Embeddings => (&self.input, "input", "a string or a list of strings"),
            Task::Completions => (&self.prompt, "prompt", "a string or a list of strings"),
            Task::Service(Service::Rerank) => (&self.query, "query", "a string"),
            Task::Service(Service::Moderation) => (&self.input, "input", "a string or a list"),
            Task::Service(Service::ImageGeneration | Service::ImageEdit) => (&self.prompt, "prompt", "a string"),
            Task::Service(Service::Speech) => (&self.input, "input", "the text to speak"),
            // Some providers take sound within JSON.
            Task::Service(Service::Transcription) if self.input_audio.is_some() => {
                (&self.input_audio, "input_audio", "the sound")
            }
            Task::Service(Service::Transcription | Service::Translation) | Task::Passthrough | Task::Talk => {
                (&self.file, "file", "the sound, in a multipart form")
            }
        };
        match content {
            None => return Err(missing(name, what)),
            Some(raw) if name == "messages" && !raw.is_array() => {
                return Err(Failure::bad_request("messages", "`messages` must be an array."));
            }
            Some(_) => {}
        }
        let is_image = matches!(endpoint, Endpoint::ImageGenerations | Endpoint::ImageEdits);
        if self.n.as_ref().is_some_and(|n| is_image && !n.is_null() && whole(n).is_none()) {
            return Err(Failure::bad_request("n", "`n` must be a whole number."));
        }
        Ok(())
    }

    /// Whether the answer is streamed, of those that can be.
    fn wants_stream(&self, endpoint: Endpoint) -> Result<bool, Failure> {
        let task = endpoint.task();
        let wanted = match &self.stream {
            Some(raw) if !raw.is_null() => {
                // Fields of a form are all strings.
                let word = raw.text().map(|text| text.is("true"));
                let told = raw.boolean().or(word.filter(|_| matches!(task, Task::Service(_))));
                told.ok_or_else(|| Failure::bad_request("stream", "`stream` must be true or false."))?
            }
            // Sound is passed on as it comes.
            _ => endpoint == Endpoint::Speech,
        };
        Ok(wanted && matches!(task, Task::Chat | Task::Completions | Task::Service(_)))
    }
}

/// Whether everything must be honoured, and where the call may go; nothing where it does not say.
fn preferences(
    provider: Option<Raw<'_>>,
    mut models: Vec<String>,
) -> Result<(bool, Option<Box<Preferences>>), Failure> {
    let wanted: ProviderPreferences<'_> = match &provider {
        None => ProviderPreferences::default(),
        // A wish that is misspelt must not be passed over: it may say where data must not go.
        Some(raw) => raw
            .read_borrowed()
            .map_err(|error| Failure::bad_request("provider", format!("`provider` cannot be read: {error}.")))?,
    };
    models.dedup();
    let preferences = Preferences {
        models,
        order: names("provider.order", wanted.order.as_ref())?,
        only: names("provider.only", wanted.only.as_ref())?,
        ignore: names("provider.ignore", wanted.ignore.as_ref())?,
        allow_fallbacks: wanted.allow_fallbacks,
    };
    let says_anything = preferences != Preferences::default();
    Ok((wanted.require_parameters.unwrap_or(false), says_anything.then(|| Box::new(preferences))))
}

/// A list of names, each a string.
fn names(field: &'static str, list: Option<&Raw<'_>>) -> Result<Vec<String>, Failure> {
    let Some(list) = list.filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    match list.read::<Vec<String>>() {
        Ok(names) if names.len() <= MOST_NAMES => Ok(names),
        Ok(_) => Err(Failure::bad_request(field, format!("`{field}` may have at most {MOST_NAMES} entries."))),
        Err(_) => Err(Failure::bad_request(field, format!("`{field}` must be a list of strings."))),
    }
}

fn wants_usage(options: Option<&Raw<'_>>) -> Result<bool, Failure> {
    match options {
        Some(raw) if !raw.is_null() => raw
            .read::<StreamOptions>()
            .map(|options| options.include_usage.unwrap_or(false))
            .map_err(|_| Failure::bad_request("stream_options", "`stream_options` must be an object.")),
        _ => Ok(false),
    }
}

/// OpenRouter's way to ask for it: `usage: {"include": true}`.
fn includes_usage(wish: Option<&Raw<'_>>) -> bool {
    wish.is_some_and(|raw| raw.borrowed().member("include").and_then(|include| include.boolean()) == Some(true))
}

fn missing(field: &'static str, what: &str) -> Failure {
    Failure::bad_request(field, format!("Missing required parameter `{field}`: {what}."))
        .code("missing_required_parameter")
}

/// Says where the JSON breaks, and what to send where there is none at all.
fn unreadable(body: &[u8], error: &crate::json::Error) -> Failure {
    let message = if body.iter().all(u8::is_ascii_whitespace) {
        "The request has no body; send a JSON object.".to_owned()
    } else if error.is_data() {
        format!("The body must be a JSON object: {error}.")
    } else {
        format!("The body is not valid JSON: {error}.")
    };
    Failure::new(Kind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read() {
        let body = br#"{"model":"openai\/gpt-4o","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
        let asked = Asked::read(Endpoint::ChatCompletions, body).expect("a request");
        assert_eq!((asked.model.as_str(), asked.stream, asked.include_usage), ("openai/gpt-4o", true, true));
    }

    /// Whether an answer is judged by its schema hangs on it, whatever protocol asks.
    #[test]
    fn a_schema_is_seen_in_every_protocol() {
        let shape = r#"{"type":"json_schema","name":"n","schema":{"type":"object"}}"#;
        let of = |body: String| Asked::read(Endpoint::Responses, body.as_bytes()).expect("a request").structured;
        assert!(of(format!(r#"{{"model":"m","input":"x","text":{{"format":{shape}}}}}"#)));
        assert!(!of(r#"{"model":"m","input":"x","text":{"verbosity":"low"}}"#.to_owned()));
        let of = |body: &str| {
            let incoming = Incoming { body: body.as_bytes().to_vec(), ..Incoming::default() };
            Asked::of_path(Endpoint::Converse, "m", &incoming).expect("a request").structured
        };
        assert!(of(r#"{"outputConfig":{"textFormat":{"structure":{"jsonSchema":{"schema":"{}"}}}}}"#));
        assert!(!of(r#"{"messages":[]}"#));
    }

    #[test]
    fn the_usage_chunk_may_be_asked_for_as_routers_callers_do() {
        for (usage, wanted) in [(r#"{"include": true}"#, true), (r#"{"include":false}"#, false), ("3", false)] {
            let body = format!(r#"{{"model":"m","messages":[],"stream":true,"usage":{usage}}}"#);
            let asked = Asked::read(Endpoint::ChatCompletions, body.as_bytes()).expect("a request");
            assert_eq!(asked.include_usage, wanted, "{usage}");
        }
    }

    #[test]
    fn a_field_behind_a_long_file_is_asked_for_before_it() {
        let headers = vec![("content-type".to_owned(), "multipart/form-data; boundary=x".to_owned())];
        let mut incoming = Incoming { headers, body: br#"{"file":"9"}"#.to_vec(), once: true, ..Incoming::default() };
        let said = |incoming: &Incoming| {
            let failure = Asked::of(Endpoint::Transcriptions, incoming).expect_err("no model");
            (failure.message.contains("before the file"), failure.param.clone())
        };
        assert_eq!(said(&incoming), (true, Some("model".into())));
        incoming.once = false;
        assert_eq!(said(&incoming), (false, Some("model".into())));
    }

    #[test]
    fn every_fault_names_its_field() {
        let cases: &[(&str, Option<&str>)] = &[
            ("", None),
            ("[]", None),
            ("{", None),
            (r#"{"messages":[]}"#, Some("model")),
            (r#"{"model":"","messages":[]}"#, Some("model")),
            (r#"{"model":3,"messages":[]}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("messages")),
            (r#"{"model":"m","messages":"hi"}"#, Some("messages")),
            (r#"{"model":"m","messages":[],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[],"stream_options":3}"#, Some("stream_options")),
        ];
        for (body, param) in cases {
            let failure = Asked::read(Endpoint::ChatCompletions, body.as_bytes()).expect_err(body);
            assert_eq!(failure.param.as_deref(), *param, "{body}: {failure}");
        }
    }
}
