//! What `GET /v1/models` says: the models that this gateway can call and a key may use.

mod messages;

use std::rc::Rc;

use super::resolve;
use crate::failure::{Failure, Kind};
use crate::json::{Array, Object, Text};
use crate::provider::models::{self, Entry, Mode};
use crate::provider::{Bucket, Capabilities, ModelFacts, Price, Quirks, Rates, Registry, SamplingRule, Upstream};
use crate::sorted::SortedMap;
use crate::units::{NanoUsd, UnixMillis};
use crate::wire::Format;
use crate::wire::losses::{Fate, fate};

/// Whether a key may use this model of this provider.
type Permitted<'p> = &'p dyn Fn(&str, &str) -> bool;

/// Names under which OpenRouter lists what a model takes, each with the ability it needs.
const PARAMETERS: [(&str, u32); 22] = [
    ("frequency_penalty", 0),
    ("include_reasoning", Capabilities::REASONING),
    ("logit_bias", 0),
    ("logprobs", 0),
    ("max_completion_tokens", 0),
    ("max_tokens", 0),
    ("min_p", 0),
    ("parallel_tool_calls", Capabilities::PARALLEL_TOOLS),
    ("presence_penalty", 0),
    ("reasoning", Capabilities::REASONING),
    ("reasoning_effort", Capabilities::REASONING),
    ("repetition_penalty", 0),
    ("response_format", 0),
    ("seed", 0),
    ("stop", 0),
    ("structured_outputs", Capabilities::JSON_SCHEMA),
    ("temperature", 0),
    ("tool_choice", Capabilities::TOOL_CHOICE),
    ("tools", Capabilities::TOOLS),
    ("top_logprobs", 0),
    ("top_p", 0),
    ("web_search_options", Capabilities::WEB_SEARCH),
];

impl Registry {
    /// The body of `GET /v1/models`: OpenAI's list, each model with what else is known of it, sorted by id.
    ///
    /// Models that are not chat, completion or embedding models, or whose provider has stopped serving them by `now`,
    /// are left out.
    #[must_use]
    pub fn models_json(&self, permitted: Permitted<'_>, now: UnixMillis) -> String {
        let mut out = Vec::new();
        let mut list = Object::open(&mut out);
        list.string("object", "list").array("data", |data| {
            for upstream in self.usable() {
                for (id, entry) in self.models_of(upstream) {
                    let listed = Listed { registry: self, upstream, id, entry };
                    if permitted(&upstream.id, id) && listed.is_served(now) {
                        data.object(|model| listed.write(model, now));
                    }
                }
            }
        });
        list.close();
        // Only text went in.
        String::from_utf8(out).unwrap_or_default()
    }

    /// The models of that list that can be chatted with.
    fn chat_models(&self, permitted: Permitted<'_>, now: UnixMillis) -> Vec<Listed<'_>> {
        let all = self.usable().flat_map(|upstream| {
            let of = self.models_of(upstream).into_iter();
            of.map(move |(id, entry)| Listed { registry: self, upstream, id, entry })
        });
        all.filter(|listed| permitted(&listed.upstream.id, listed.id) && listed.talks() && listed.is_served(now))
            .collect()
    }

    /// The body of `GET /v1/models/{id}`, by `provider/id` or bare id.
    ///
    /// # Errors
    /// As [`resolve()`]; `NotFound` too where the model is not known, cannot be called here, or is not for this key.
    pub fn model_json(&self, model: &str, permitted: Permitted<'_>, now: UnixMillis) -> Result<String, Failure> {
        let (upstream, id) = self.known(model, permitted)?;
        let entry = models::find(&upstream.catalog_id, &id);
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        Listed { registry: self, upstream: &upstream, id: &id, entry }.write(&mut object, now);
        object.close();
        Ok(String::from_utf8(out).unwrap_or_default())
    }

    /// A model that is known, can be called here, and is for this key.
    fn known(&self, model: &str, permitted: Permitted<'_>) -> Result<(Rc<Upstream>, String), Failure> {
        let found = resolve(self, model)?;
        let upstream = self.upstream(&found.provider).filter(|upstream| {
            upstream.is_usable() && self.lists(upstream, &found.model) && permitted(&found.provider, &found.model)
        });
        upstream.map(|upstream| (upstream, found.model)).ok_or_else(|| {
            let message = format!("There is no model `{model}` that this key may use.");
            Failure::new(Kind::NotFound, message).code("model_not_found").about("model")
        })
    }

    /// The ids of all chat models that are known to be at a provider.
    pub(super) fn model_ids<'r>(&'r self, upstream: &'r Upstream) -> Vec<&'r str> {
        let all = self.models_of(upstream).into_iter();
        let listed = all.map(|(id, entry)| Listed { registry: self, upstream, id, entry });
        listed.filter(|listed| listed.talks()).map(|listed| listed.id).collect()
    }

    /// When a provider stops serving a model, where that is known.
    pub(super) fn retires(&self, upstream: &Upstream, id: &str) -> Option<UnixMillis> {
        let entry = models::find(&upstream.catalog_id, id);
        let day = Listed { registry: self, upstream, id, entry }.retires()?;
        UnixMillis::parse_date(&day)
    }

    /// All that is known to be at a provider, by id: the catalogue's, the document's, the row's own.
    fn models_of<'r>(&'r self, upstream: &'r Upstream) -> SortedMap<&'r str, Option<Entry>> {
        let own = upstream.models.iter().map(|id| (id.as_str(), None));
        let written = self.written_of(&upstream.id).map(|(id, _)| (id, None));
        let listed = models::entries(&upstream.catalog_id, "").map(|entry| (entry.id(), Some(entry)));
        own.chain(written).chain(listed).collect()
    }
}

/// One model of the list.
struct Listed<'l> {
    registry: &'l Registry,
    upstream: &'l Upstream,
    id: &'l str,
    entry: Option<Entry>,
}

impl Listed<'_> {
    /// `provider/id`
    fn name(&self) -> String {
        format!("{}/{}", self.upstream.id, self.id)
    }

    fn mode(&self) -> Mode {
        let written = self.registry.written(&self.upstream.id, self.id).and_then(|written| written.mode);
        written.or_else(|| self.entry?.mode()).unwrap_or(Mode::Chat)
    }

    /// Whether it can be chatted with.
    fn talks(&self) -> bool {
        match self.mode() {
            Mode::Chat => true,
            Mode::Responses => self.upstream.endpoints.responses,
            _ => false,
        }
    }

    fn retires(&self) -> Option<String> {
        let written = self.registry.written(&self.upstream.id, self.id).and_then(|written| written.retires.clone());
        written.or_else(|| self.entry?.retires().map(str::to_owned))
    }

    /// Whether an endpoint of the gateway leads to it, and it still exists at `now`.
    fn is_served(&self, now: UnixMillis) -> bool {
        let services = &self.upstream.endpoints.services;
        let endpoint = match self.mode() {
            Mode::Chat | Mode::Responses => self.talks(),
            Mode::Completion => self.upstream.endpoints.completions,
            Mode::Embedding => self.upstream.endpoints.embeddings,
            Mode::Rerank => services.rerank.is_some(),
            Mode::Moderation => services.moderations.is_some(),
            // Price lists have a line for each size of an image, as `high/1024-x-1024/…`.
            Mode::ImageGeneration => services.images.is_some() && !self.id.contains("-x-"),
            Mode::ImageEdit => services.image_edits.or(services.image_edits_json).is_some(),
            Mode::Speech => services.speech.is_some(),
            Mode::Transcription => services.transcriptions.or(services.transcriptions_json).is_some(),
            Mode::Realtime => services.realtime.is_some(),
        };
        let retired = self.retires().and_then(|day| UnixMillis::parse_date(&day)).is_some_and(|day| day <= now);
        endpoint && !retired
    }

    fn write(&self, model: &mut Object<'_>, now: UnixMillis) {
        let facts = self.registry.facts(&self.upstream.id, self.id);
        let mode = self.mode();
        let created = UnixMillis::parse_date(&format!("{}-01", models::date())).unwrap_or_default();
        model
            .string("id", &self.name())
            .string("object", "model")
            // When a model came out is not known; OpenAI's clients want a number, so it is the catalogue's month.
            .number("created", created.seconds())
            .string("owned_by", &self.upstream.id)
            .string("mode", mode.name());
        if let Some(context) = facts.context {
            model.number("context_length", context);
        }
        if let Some(most) = facts.max_output {
            model.number("max_output_tokens", most);
        }
        if let Some(dimensions) = self.dimensions() {
            model.number("dimensions", dimensions);
        }
        model.object("architecture", |architecture| self.write_modalities(architecture, &facts));
        if let Some(price) = self.registry.price(&self.upstream.id, self.id, now) {
            write_price(model, &price);
        }
        if mode == Mode::Chat {
            let supported = supported_parameters(self.upstream.format, &self.upstream.quirks, &facts);
            model.array("supported_parameters", |names| write_strings(names, supported));
        }
        if let Some(day) = self.retires() {
            model.string("retires", &day);
        }
    }

    fn dimensions(&self) -> Option<u64> {
        let written = self.registry.written(&self.upstream.id, self.id).and_then(|written| written.dimensions);
        written.or_else(|| self.entry?.dimensions())
    }

    fn write_modalities(&self, architecture: &mut Object<'_>, facts: &ModelFacts) {
        let can = |ability| facts.capabilities.unwrap_or_default().has(ability);
        let (input, output) = match self.entry {
            Some(entry) => (
                entry.input_modalities().iter().map(|modality| modality.name()).collect(),
                entry.output_modalities().iter().map(|modality| modality.name()).collect(),
            ),
            None => {
                let abilities = [
                    (Capabilities::VISION, "image"),
                    (Capabilities::AUDIO_INPUT, "audio"),
                    (Capabilities::VIDEO_INPUT, "video"),
                ];
                let more = abilities.into_iter().filter(|(ability, _)| can(*ability)).map(|(_, name)| name);
                (["text"].into_iter().chain(more).collect::<Vec<_>>(), vec!["text"])
            }
        };
        architecture
            .array("input_modalities", |names| write_strings(names, input))
            .array("output_modalities", |names| write_strings(names, output));
    }
}

/// Prices twice: by the token as strings, as OpenRouter's clients read them, and by the million with all tiers.
fn write_price(model: &mut Object<'_>, price: &Price) {
    let named = [
        ("prompt", Bucket::Input),
        ("completion", Bucket::Output),
        ("request", Bucket::Request),
        ("input_cache_read", Bucket::CacheRead),
        ("input_cache_write", Bucket::CacheWrite),
        ("internal_reasoning", Bucket::Reasoning),
    ];
    model.object("pricing", |pricing| {
        for (name, bucket) in named {
            if let Some(rate) = price.rates.get(bucket) {
                pricing.string(name, &usd_each(rate));
            }
        }
    });
    model.object("usd_per_mtok", |rates| write_rates(rates, &price.rates));
    if !price.units.is_empty() {
        model.object("usd_per_unit", |units| {
            for (unit, rate) in &price.units {
                units.number(unit.name(), usd_each(*rate));
            }
        });
    }
    if !price.above.is_empty() {
        model.array("tiers_above", |tiers| {
            for above in &price.above {
                tiers.object(|tier| {
                    tier.number("input_tokens", above.tokens);
                    tier.object("usd_per_mtok", |rates| write_rates(rates, &above.rates));
                });
            }
        });
    }
    if !price.service_tiers.is_empty() {
        model.object("service_tiers", |tiers| {
            for (name, tier) in &price.service_tiers {
                // Names may come from the document, so they are written as text first.
                let name = Text::escape(name);
                tiers.object(name.escaped(), |rates| write_rates(rates, tier));
            }
        });
    }
}

fn write_rates(object: &mut Object<'_>, rates: &Rates) {
    for (bucket, rate) in rates.iter() {
        if bucket != Bucket::Request {
            object.number(bucket.name(), rate);
        }
    }
}

fn write_strings(array: &mut Array<'_>, names: Vec<&'static str>) {
    for name in names {
        array.text(&Text::escape(name));
    }
}

/// Dollars for one of what `rate` is the price of a million of.
///
/// A nano-dollar for a million is 10⁻¹⁵ dollars for one: the decimal point moves by fifteen places.
fn usd_each(rate: NanoUsd) -> String {
    let digits = format!("{:016}", rate.0.max(0));
    let (whole, fraction) = digits.split_at(digits.len() - 15);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// What can be asked of a model: what its format has a word for, its provider takes and it is able to do.
///
/// Where nothing is known of its abilities, it is taken to be able.
fn supported_parameters(format: Format, quirks: &Quirks, facts: &ModelFacts) -> Vec<&'static str> {
    let able = |ability| facts.capabilities.is_none_or(|capabilities| capabilities.has(ability));
    let known_by_format = |name: &str| match name {
        "include_reasoning" | "reasoning_effort" => true,
        "max_completion_tokens" => fate(format, "max_tokens") == Fate::Honoured,
        "structured_outputs" => fate(format, "response_format") == Fate::Honoured,
        name => fate(format, name) == Fate::Honoured,
    };
    let fixed = |name: &str| facts.sampling == SamplingRule::Fixed && matches!(name, "temperature" | "top_p");
    PARAMETERS
        .into_iter()
        .filter(|(name, ability)| {
            able(*ability)
                && known_by_format(name)
                && !quirks.refuses.contains(name)
                && !facts.refuses.contains(name)
                && !fixed(name)
        })
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests;
