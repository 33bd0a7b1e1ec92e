//! The `models` section: models that the catalogue lacks, and other limits or prices for those it has.

use super::ProviderEntry;
use super::place::Place;
use crate::chat::Unit;
use crate::json::tree::Node;
use crate::provider::models::Mode;
use crate::provider::{self, Bucket, Capabilities, Hours, LongPrompt, Price, Rates, SANDBOX, Validity};
use crate::sorted::{self, SortedMap};
use crate::units::{NanoUsd, UnixMillis};

/// 100,000 dollars per million tokens: whoever writes more has mistaken the unit.
const MAX_USD_PER_MTOK: NanoUsd = NanoUsd(100_000 * NanoUsd::DOLLAR.0);
/// A thousand dollars for one search: the same mistake.
const MAX_USD_PER_REQUEST: NanoUsd = NanoUsd(1_000 * NanoUsd::DOLLAR.0);
const MAX_PRICES: usize = 64;

/// What the operator says of one model. What is not said is as in the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// What it is for.
    pub mode: Option<Mode>,
    /// Tokens of input and output together.
    pub context: Option<u64>,
    /// The most tokens it produces.
    pub max_output: Option<u64>,
    /// The length of its vectors.
    pub dimensions: Option<u64>,
    /// What it can do.
    pub capabilities: Option<Capabilities>,
    /// The day from which it is no longer served, as `2026-11-30`.
    pub retires: Option<String>,
    /// Prices, of which those hold whose time it is; at other times the catalogue's does.
    pub prices: Vec<Price>,
}

/// What a model can do, by the names that the document uses.
pub(super) const CAPABILITIES: [(&str, u32); 14] = [
    ("tools", Capabilities::TOOLS),
    ("parallel_tools", Capabilities::PARALLEL_TOOLS),
    ("tool_choice", Capabilities::TOOL_CHOICE),
    ("vision", Capabilities::VISION),
    ("pdf", Capabilities::PDF),
    ("audio_input", Capabilities::AUDIO_INPUT),
    ("audio_output", Capabilities::AUDIO_OUTPUT),
    ("video_input", Capabilities::VIDEO_INPUT),
    ("json_schema", Capabilities::JSON_SCHEMA),
    ("reasoning", Capabilities::REASONING),
    ("prompt_caching", Capabilities::PROMPT_CACHING),
    ("web_search", Capabilities::WEB_SEARCH),
    ("prefill", Capabilities::PREFILL),
    ("system", Capabilities::SYSTEM),
];

const MODES: [(&str, Mode); 4] = [
    ("chat", Mode::Chat),
    ("responses", Mode::Responses),
    ("completion", Mode::Completion),
    ("embedding", Mode::Embedding),
];

/// The models of the document by `provider/id`.
pub(super) fn read(place: &Place<'_>, declared: &SortedMap<String, ProviderEntry>) -> SortedMap<String, ModelEntry> {
    let mut models = SortedMap::new();
    for (key, place) in place.entries() {
        let provider =
            key.split_once('/').filter(|(_, id)| !id.is_empty() && key.len() <= 256).map(|(provider, _)| provider);
        match provider {
            None => place.fault("a model is called provider/id, in at most 256 bytes"),
            Some(id) if !(declared.contains_key(id) || provider::find(id).is_some() || id == SANDBOX) => {
                place.fault(format!("there is no provider `{id}`: declare it under `providers`"));
            }
            Some(_) => {}
        }
        models.insert(key.to_owned(), model(&place));
    }
    models
}

fn model(place: &Place<'_>) -> ModelEntry {
    let mut entry = ModelEntry::default();
    let known = ["mode", "context", "max_output", "dimensions", "capabilities", "retires", "prices"];
    for (key, place) in place.members(&known) {
        match key {
            "mode" => entry.mode = place.word(&MODES),
            "context" => entry.context = place.integer(1..=1_000_000_000),
            "max_output" => entry.max_output = place.integer(1..=1_000_000_000),
            "dimensions" => entry.dimensions = place.integer(1..=1_000_000),
            "capabilities" => entry.capabilities = Some(capabilities(&place)),
            "retires" => entry.retires = retirement(&place),
            _ => entry.prices = prices(&place),
        }
    }
    entry
}

fn capabilities(place: &Place<'_>) -> Capabilities {
    let bits = place.items(CAPABILITIES.len()).into_iter().filter_map(|item| item.word(&CAPABILITIES));
    Capabilities(bits.fold(0, |all, bit| all | bit))
}

fn retirement(place: &Place<'_>) -> Option<String> {
    let date = place.text(10)?;
    if UnixMillis::parse_date(date).is_none() {
        place.expected("a day such as `2026-11-30`");
        return None;
    }
    Some(date.to_owned())
}

fn prices(place: &Place<'_>) -> Vec<Price> {
    let mut prices: Vec<Price> = Vec::new();
    for item in place.items(MAX_PRICES) {
        let price = price(&item);
        let same_time =
            |other: &Price| (other.validity.from, other.validity.hours) == (price.validity.from, price.validity.hours);
        if prices.iter().any(same_time) {
            item.fault("begins at the same moment and holds at the same hours as one before it");
        }
        prices.push(price);
    }
    prices
}

fn price(place: &Place<'_>) -> Price {
    let mut price = Price::default();
    let known =
        ["from", "until", "hours", "usd_per_mtok", "usd_per_unit", "usd_per_request", "tiers_above", "service_tiers"];
    let mut request = None;
    for (key, place) in place.members(&known) {
        match key {
            "from" => price.validity.from = moment(&place),
            "until" => price.validity.until = moment(&place),
            "hours" => price.validity.hours = hours(&place),
            "usd_per_mtok" => price.rates = rates(&place),
            "usd_per_unit" => price.units = units(&place),
            "usd_per_request" => request = place.usd(MAX_USD_PER_REQUEST),
            "tiers_above" => price.above = place.items(8).iter().map(long_prompt).collect(),
            _ => {
                price.service_tiers =
                    place.entries().into_iter().map(|(name, place)| (name.to_owned(), rates(&place))).collect();
            }
        }
    }
    if let Some(usd) = request {
        // Rates are per million.
        price.rates.set(Bucket::Request, NanoUsd(usd.0.saturating_mul(1_000_000)));
    }
    check_price(place, &mut price);
    price
}

fn check_price(place: &Place<'_>, price: &mut Price) {
    if price.rates.is_empty() && price.units.is_empty() {
        place.lacks("usd_per_mtok", "a price needs at least one rate");
    }
    if let Validity { from: Some(from), until: Some(until), .. } = price.validity
        && until <= from
    {
        place.fault("`until` must be after `from`");
    }
    sorted::sort_by_key(&mut price.above, |above| above.tokens);
    let same = |pair: &[LongPrompt]| matches!(pair, [first, second] if first.tokens == second.tokens);
    if price.above.windows(2).any(same) {
        place.fault("two of `tiers_above` begin at the same length");
    }
}

fn rates(place: &Place<'_>) -> Rates {
    let mut rates = Rates::default();
    let known: Vec<&str> =
        Bucket::ALL.into_iter().filter(|bucket| *bucket != Bucket::Request).map(Bucket::name).collect();
    for (key, place) in place.members(&known) {
        let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == key);
        if let (Some(bucket), Some(rate)) = (bucket, place.usd(MAX_USD_PER_MTOK)) {
            rates.set(bucket, rate);
        }
    }
    rates
}

/// What one of each unit costs, held as the price of a million.
fn units(place: &Place<'_>) -> Vec<(Unit, NanoUsd)> {
    let unit = |name: &str| Unit::ALL.into_iter().find(|unit| unit.name() == name);
    let members = place.members(&Unit::ALL.map(Unit::name));
    let priced = members.into_iter().filter_map(|(name, place)| unit(name).zip(place.usd(MAX_USD_PER_REQUEST)));
    priced.map(|(unit, usd)| (unit, NanoUsd(usd.0.saturating_mul(1_000_000)))).collect()
}

fn long_prompt(place: &Place<'_>) -> LongPrompt {
    let mut above = LongPrompt { tokens: 0, rates: Rates::default() };
    let members = place.members(&["input_tokens", "usd_per_mtok"]);
    if !members.iter().any(|(key, _)| *key == "input_tokens") {
        place.lacks("input_tokens", "the length above which the prices hold");
    }
    for (key, place) in members {
        match key {
            "input_tokens" => above.tokens = place.integer(1..=1_000_000_000).unwrap_or(0),
            _ => above.rates = rates(&place),
        }
    }
    above
}

/// A day (its first moment in UTC), or milliseconds since the epoch.
fn moment(place: &Place<'_>) -> Option<UnixMillis> {
    if matches!(place.node(), Node::Number(_)) {
        let milliseconds = place.integer(0..=253_402_300_799_999)?;
        return i64::try_from(milliseconds).ok().map(UnixMillis);
    }
    let day = place.text(10).and_then(UnixMillis::parse_date);
    if day.is_none() {
        place.expected("a day such as `2026-11-30` or milliseconds since 1970");
    }
    day
}

fn hours(place: &Place<'_>) -> Option<Hours> {
    let hours = place.text(11).and_then(Hours::parse);
    if hours.is_none() {
        place.expected("hours in UTC such as `16:30-00:30`");
    }
    hours
}
