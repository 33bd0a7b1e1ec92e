//! The `providers` section: servers of the operator's own, and departures of built-in rows.

use url::Url;

use super::place::Place;
use super::quirks;
use crate::json::tree::Node;
use crate::provider::{self, Auth, Endpoints, Quirks, SANDBOX, Services};
use crate::sorted::SortedMap;
use crate::wire::Format;

/// What the operator says of one provider. What is not said is as in the built-in row, or the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderEntry {
    /// What it is called, for people.
    pub name: Option<String>,
    /// Where it is, without a trailing slash. Always there for a provider that has no built-in row.
    pub base_url: Option<String>,
    /// The protocol it speaks.
    pub format: Option<Format>,
    /// How it wants its key.
    pub auth: Option<Auth>,
    /// The variables that hold its keys, tried in this order.
    pub key_variables: Option<Vec<String>>,
    /// How it departs from its format: the built-in row's quirks with what was written put in their place.
    pub quirks: Option<Quirks>,
    /// Ids of models that it serves and the catalogue does not list.
    pub models: Vec<String>,
    /// Endpoints beyond chat that it serves.
    pub endpoints: Option<Endpoints>,
    /// Whether its account serves calls at a dearer service tier (`priority`) that ask for none.
    pub priority: bool,
}

const FORMATS: [(&str, Format); 8] = [
    ("openai_chat", Format::OpenAiChat),
    ("openai_responses", Format::OpenAiResponses),
    ("anthropic", Format::Anthropic),
    ("gemini", Format::Gemini),
    ("bedrock", Format::Bedrock),
    ("cohere", Format::Cohere),
    ("ollama", Format::Ollama),
    ("workers_ai", Format::WorkersAi),
];

/// Headers in which servers are known to take a key.
const KEY_HEADERS: [(&str, &str); 7] = [
    ("api-key", "api-key"),
    ("cf-aig-authorization", "cf-aig-authorization"),
    ("ocp-apim-subscription-key", "ocp-apim-subscription-key"),
    ("x-api-key", "x-api-key"),
    ("x-auth-token", "x-auth-token"),
    ("x-goog-api-key", "x-goog-api-key"),
    ("x-litellm-api-key", "x-litellm-api-key"),
];

/// The providers of the document by id.
pub(super) fn read(place: &Place<'_>) -> SortedMap<String, ProviderEntry> {
    let mut providers = SortedMap::new();
    for (id, place) in place.entries() {
        let well_formed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > 40 || !id.bytes().all(well_formed) {
            place.fault("a provider's id has 1 to 40 of a-z, 0-9 and -");
        } else if id == SANDBOX {
            place.fault("is built in and cannot be changed");
        }
        providers.insert(id.to_owned(), entry(id, &place));
    }
    providers
}

fn entry(id: &str, place: &Place<'_>) -> ProviderEntry {
    let mut entry = ProviderEntry::default();
    let mut quirks = None;
    let known = ["name", "base_url", "format", "auth", "key_variables", "quirks", "models", "endpoints", "priority"];
    for (key, place) in place.members(&known) {
        match key {
            "name" => entry.name = place.text(80).map(str::to_owned),
            "base_url" => entry.base_url = base_url(&place),
            "format" => entry.format = place.word(&FORMATS),
            "auth" => entry.auth = auth(&place),
            "key_variables" => entry.key_variables = Some(place.items(9).iter().filter_map(key_variable).collect()),
            "quirks" => quirks = Some(place),
            "models" => {
                entry.models = place.items(2_000).iter().filter_map(|item| item.text(200)).map(str::to_owned).collect();
            }
            "priority" => entry.priority = place.boolean().unwrap_or_default(),
            _ => entry.endpoints = Some(endpoints(&place)),
        }
    }
    let row = provider::find(id);
    let written = matches!(place.node(), Node::Object(members) if members.has("base_url"));
    if row.is_none() && !written {
        place.lacks("base_url", "there is no built-in provider of this id");
    }
    if let Some(place) = quirks {
        let before = row.map_or(default_quirks(entry.format.unwrap_or(Format::OpenAiChat)), |row| row.quirks);
        entry.quirks = Some(quirks::read(&place, before));
    }
    entry
}

/// What is expected of a server of which nothing is known.
#[must_use]
pub fn default_quirks(format: Format) -> Quirks {
    match format {
        Format::OpenAiChat | Format::OpenAiResponses => Quirks::COMPATIBLE,
        _ => Quirks::NONE,
    }
}

fn base_url(place: &Place<'_>) -> Option<String> {
    let text = place.text(1_000)?;
    let well_formed = Url::parse(text).is_ok_and(|url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.fragment().is_none()
    });
    if !well_formed {
        place.fault("must be an http or https URL without credentials, query and fragment");
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// `bearer`, `none`, `{"header": "api-key"}` or `{"bearer_in": "x-api-key"}`.
fn auth(place: &Place<'_>) -> Option<Auth> {
    if !matches!(place.node(), Node::Object(_)) {
        return place.word(&[("bearer", Auth::Bearer), ("none", Auth::Optional)]);
    }
    let members = place.members(&["header", "bearer_in"]);
    if members.len() != 1 {
        place.fault("must have one of `header` and `bearer_in`");
    }
    let (key, header) = members.first()?;
    let name = header.word(&KEY_HEADERS)?;
    Some(if *key == "header" { Auth::Header(name) } else { Auth::BearerIn(name) })
}

/// The name of a variable that may be sent to a provider: the gateway's own secrets may not.
fn key_variable(place: &Place<'_>) -> Option<String> {
    let name = place.text(64)?;
    let well_formed = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !well_formed {
        place.expected("a variable's name of A-Z, 0-9 and _");
        return None;
    }
    if name.starts_with("LATCHKEY_") || matches!(name, "ADMIN_KEY" | "LOCAL_KEY") {
        place.fault("is the gateway's own secret");
        return None;
    }
    Some(name.to_owned())
}

/// Those beside conversation are where most servers have them.
fn endpoints(place: &Place<'_>) -> Endpoints {
    const USUAL: Services = Services::USUAL;
    let mut endpoints = Endpoints::default();
    let known = [
        "embeddings",
        "completions",
        "responses",
        "rerank",
        "moderations",
        "images",
        "image_edits",
        "speech",
        "transcriptions",
        "translations",
        "realtime",
    ];
    for (key, place) in place.members(&known) {
        let value = place.boolean().unwrap_or_default();
        let usual = |path: Option<&'static str>| path.filter(|_| value);
        let services = &mut endpoints.services;
        match key {
            "embeddings" => endpoints.embeddings = value,
            "completions" => endpoints.completions = value,
            "responses" => endpoints.responses = value,
            "rerank" => services.rerank = USUAL.rerank.filter(|_| value),
            "moderations" => services.moderations = usual(USUAL.moderations),
            "images" => services.images = USUAL.images.filter(|_| value),
            "image_edits" => services.image_edits = usual(USUAL.image_edits),
            "speech" => services.speech = usual(USUAL.speech),
            "transcriptions" => services.transcriptions = usual(USUAL.transcriptions),
            "translations" => services.translations = usual(USUAL.translations),
            _ => services.realtime = usual(USUAL.realtime),
        }
    }
    endpoints
}
