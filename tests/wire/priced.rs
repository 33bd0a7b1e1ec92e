//! What recorded answers cost, worked out a second time from the counts that the independent reading found and the
//! prices as the catalogue's source spells them.

use std::collections::BTreeMap;

use latchkey::chat::Usage;
use latchkey::provider::{PROVIDERS, cost, models};
use latchkey::units::NanoUsd;
use serde_json::Value;

use super::answers::expected;
use super::corpus::{Recording, corpus, root};
use super::expected::Tokens;
use super::scope::{Scope, scope};

#[test]
fn recorded_answers_cost_what_their_counts_and_the_price_list_say() {
    let Some(prices) = price_list() else { return };
    let (mut checked, mut with_cache, mut apart, mut wrong) = (0, 0, 0, Vec::new());
    for recording in corpus().0 {
        let Some((usage, tokens)) = counted(recording) else { continue };
        let Some(catalog_id) = catalog_id(&recording.provider) else { continue };
        let Some(listed) = prices.get(&(catalog_id.to_owned(), recording.model.clone())) else { continue };
        let Some(price) = models::find(catalog_id, &recording.model).and_then(|entry| entry.price()) else { continue };
        // Sound, pictures and searches have counts of their own, which the reading leaves out.
        let others = [usage.input_audio, usage.input_image, usage.output_audio, usage.output_image];
        let both_writes = usage.input_cache_write_1h.is_some();
        if others.iter().flatten().any(|count| *count > 0) || both_writes || usage.tool_requests.is_some() {
            apart += 1;
            continue;
        }
        let (cost, by_hand) = (cost(&usage, &price), by_hand(&tokens, listed, usage.service_tier.as_deref()));
        checked += 1;
        with_cache += usize::from(tokens.cached.is_some() || tokens.cache_write.is_some());
        if cost != by_hand {
            wrong.push(format!("{}: {cost:?}, by hand {by_hand:?} for {tokens:?}", recording.id));
        }
    }
    println!("priced {checked} answers, {with_cache} of them with a cache; {apart} count something else as well");
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
    assert!(!corpus().1 || checked > 150 && with_cache > 10, "only {checked} answers, {with_cache} with a cache");
}

/// What an answer in one piece used, as the code under test reads it and as the other reading does.
fn counted(recording: &Recording) -> Option<(Usage, Tokens)> {
    let Scope::Chat { format, quirks } = scope(recording) else { return None };
    if recording.status != 200 || recording.is_streamed() {
        return None;
    }
    let body = recording.body.as_deref()?;
    let usage = format.read_answer(body.as_bytes(), quirks).ok()?.usage?;
    Some((usage, expected(format, quirks, recording).tokens?))
}

fn catalog_id(folder: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|row| row.recordings == Some(folder)).map(|row| row.catalog_id)
}

/// Entries by provider and id.
fn price_list() -> Option<BTreeMap<(String, String), Value>> {
    let path = root().join("../shared/catalog/models.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no catalogue at {}", path.display());
        return None;
    };
    let entries: Vec<Value> = serde_json::from_str(&text).expect("the catalogue is JSON");
    let name = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    Some(entries.into_iter().map(|entry| ((name(&entry, "provider"), name(&entry, "id")), entry)).collect())
}

/// The cost in whole nano-dollars, each line rounded up; `None` where a price is missing.
fn by_hand(tokens: &Tokens, listed: &Value, tier: Option<&str>) -> Option<NanoUsd> {
    let mut tiers = listed["tiers_above"].as_array().into_iter().flatten();
    let long = tiers.rfind(|above| above["input_tokens"].as_u64().is_some_and(|most| tokens.prompt > most));
    let tier = tier.map(|tier| &listed["service_tiers"][tier]).filter(|rates| rates.is_object());
    assert!(long.is_none() || tier.is_none(), "a long prompt in a service tier takes more than this");
    let better = long.map(|long| &long["usd_per_mtok"]).or(tier);
    let rate = |name: &str| {
        let told = better.map(|rates| &rates[name]).filter(|rate| !rate.is_null());
        picodollars(told.unwrap_or(&listed["usd_per_mtok"][name]))
    };
    let (cached, written) = (tokens.cached.unwrap_or(0), tokens.cache_write.unwrap_or(0));
    let thought = tokens.reasoning.unwrap_or(0);
    let lines = [
        (tokens.prompt - cached - written, rate("input")),
        (cached, rate("cache_read").or(rate("input"))),
        (written, rate("cache_write").or(rate("input"))),
        (tokens.completion - thought, rate("output")),
        (thought, rate("reasoning").or(rate("output"))),
    ];
    let amounts = lines.into_iter().filter(|(count, _)| *count > 0);
    // A picodollar a token is a nano-dollar for a thousand.
    let sum = amounts.map(|(count, rate)| Some((u128::from(count) * rate?).div_ceil(1_000))).sum::<Option<u128>>()?;
    Some(NanoUsd(i64::try_from(sum).expect("a bill that fits")))
}

/// Dollars for a million tokens as picodollars for one, from the digits as they are written.
fn picodollars(rate: &Value) -> Option<u128> {
    let written = rate.as_number()?.to_string();
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let fraction = fraction.trim_end_matches('0');
    assert!(fraction.len() <= 6 && !written.contains('e'), "{written} has more digits than a picodollar");
    format!("{whole}{fraction:0<6}").parse().ok()
}
