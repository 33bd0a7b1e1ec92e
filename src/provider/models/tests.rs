use std::collections::{HashMap, HashSet};
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::chat::Usage;
use crate::provider::{Bucket, Capabilities, PROVIDERS, Price, Rates, cost};
use crate::units::NanoUsd;

fn all() -> Vec<Entry> {
    TEXT.lines().filter(|line| !line.starts_with('#')).map(|line| Entry::read(line).expect(line)).collect()
}

#[test]
fn lines_are_sorted_and_stand_there_once() {
    let keys: Vec<&str> = TEXT.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
    let unsorted = keys.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(unsorted, None);
}

#[test]
fn every_line_is_found_and_read() {
    for entry in all() {
        let found = find(entry.catalog_id(), entry.id()).expect("every entry is found");
        assert_eq!(found.id(), entry.id());
        assert!(found.mode().is_some(), "{}", entry.id());
        assert_eq!(found.price().is_none(), entry.price_text().is_empty(), "{}", entry.id());
    }
    let providers: HashSet<&str> = all().iter().map(Entry::catalog_id).collect();
    assert!(all().len() >= 1_000 && providers.len() >= 25, "{} models of {}", all().len(), providers.len());
}

#[test]
fn a_known_model_has_its_known_facts() {
    let entry = find("openai", "gpt-4o-2024-08-06").expect("a known model");
    assert_eq!((entry.mode(), entry.context(), entry.max_output()), (Some(Mode::Chat), Some(128_000), Some(16_384)));
    assert_eq!(entry.retires(), Some("2027-01-14"));
    assert!(entry.capabilities().unwrap_or_default().has(Capabilities::TOOLS | Capabilities::VISION));
    assert_eq!(entry.input_modalities(), [Modality::Text, Modality::Image]);
    let price = entry.price().expect("a known price");
    assert_eq!(price.rates.get(Bucket::Input), Some(NanoUsd(2_500_000_000)));
    assert_eq!(price.rates.get(Bucket::CacheRead), Some(NanoUsd(1_250_000_000)));
    assert_eq!(price.service_tiers.len(), 2);
    assert_eq!(date().len(), "2026-11".len());
}

/// What a faster or a regional service costs more is told by no more than a word beside the tokens.
#[test]
fn faster_modes_and_regions_have_their_prices() {
    for (provider, model, tier, nanos) in [
        ("anthropic", "claude-opus-5-5", "standard", 24_000_000),
        ("anthropic", "claude-opus-5-5", "fast", 48_000_000),
        ("anthropic", "claude-opus-5-5", "us", 26_400_000),
        ("anthropic", "claude-opus-5-5", "fast-us", 52_800_000),
        ("anthropic", "claude-opus-4-5", "us", 30_000_000),
        ("openai", "gpt-6-astra", "priority", 120_000_000),
        ("openai", "gpt-6-astra", "fast", 120_000_000),
        ("openai", "gpt-6-astra", "ultrafast", 360_000_000),
    ] {
        let price = find(provider, model).and_then(|entry| entry.price()).expect("a known price");
        let service_tier = Some(tier.to_owned());
        let usage = Usage { input_fresh: 1_000, output_text: 1_000, service_tier, ..Usage::default() };
        assert_eq!(cost(&usage, &price), Some(NanoUsd(nanos)), "{model} {tier}");
    }
}

/// Price lists forget the mark of open models here and there, and efforts are dropped where it is not.
#[test]
fn a_model_that_thinks_is_marked_wherever_it_is_served() {
    let thinks = |provider, model: &str| {
        let entry = find(provider, model).unwrap_or_else(|| panic!("{model} is listed"));
        entry.capabilities().unwrap_or_default().has(Capabilities::REASONING)
    };
    for (provider, model) in [
        ("together", "deepseek-ai/DeepSeek-V4.1-Flash"),
        ("deepinfra", "Qwen/Qwen3-235B-A22B-Thinking-2507"),
        ("baseten", "zai-org/GLM-4.7"),
        ("ollama", "deepseek-v3.1:671b-cloud"),
        ("fireworks", "accounts/fireworks/models/kimi-k2p5"),
    ] {
        assert!(thinks(provider, model), "{model}");
    }
    for (provider, model) in [
        ("deepinfra", "Qwen/Qwen3-Coder-480B-A35B-Instruct"),
        ("qwen", "qwen3-next-80b-a3b-instruct"),
        ("xai", "grok-4.20-0309-non-reasoning"),
    ] {
        assert!(!thinks(provider, model), "{model}");
    }
}

#[test]
fn searches_are_priced_where_the_price_is_known() {
    let search = |provider, model: &str| {
        let entry = entries(provider, model).next().expect("a known model");
        entry.price().and_then(|price| price.rates.get(Bucket::Request)).map(|rate| rate.per_million(1))
    };
    assert_eq!(search("anthropic", "claude-sonnet-4-5"), Some(NanoUsd(10_000_000)));
    assert_eq!(search("gemini", "gemini-3"), Some(NanoUsd(14_000_000)));
    assert_eq!(search("gemini", "gemini-2.5-pro"), None);
}

#[test]
fn what_is_not_there_is_not_found() {
    for (provider, model) in [("openai", "gpt-4o-"), ("openai", ""), ("", ""), ("zzz", "z"), ("open", "ai/gpt-4o")] {
        assert!(find(provider, model).is_none(), "{provider}/{model}");
    }
    assert_eq!(entries("open", "").count(), 0);
    assert!(entries("openai", "gpt-4o-2024").count() >= 3);
    assert_eq!(entries("zai", "").count(), all().iter().filter(|entry| entry.catalog_id() == "zai").count());
}

#[test]
fn makers_are_sorted_and_in_the_catalogue() {
    assert!(MAKERS.is_sorted());
    for maker in MAKERS {
        assert!(entries(maker, "").next().is_some(), "{maker}");
    }
}

/// Prices that no provider asks: whoever finds one in a new price list corrects it in `data/exceptions.json`.
#[test]
fn no_price_is_impossible() {
    let plausible = exceptions().plausible;
    let faults: Vec<String> = all()
        .iter()
        .filter_map(|entry| Some((format!("{}/{}", entry.catalog_id(), entry.id()), entry.mode()?, entry.price()?)))
        .filter(|(key, ..)| !plausible.contains_key(key))
        .flat_map(|(key, mode, price)| impossible(mode, &price).into_iter().map(move |fault| format!("{key}: {fault}")))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn impossible(mode: Mode, price: &Price) -> Vec<&'static str> {
    let sets = [&price.rates].into_iter().chain(price.above.iter().map(|above| &above.rates));
    sets.chain(price.service_tiers.iter().map(|(_, rates)| rates)).flat_map(|rates| faults(mode, rates)).collect()
}

fn faults(mode: Mode, rates: &Rates) -> Vec<&'static str> {
    let talks = matches!(mode, Mode::Chat | Mode::Responses | Mode::Completion);
    let pair = |left, right| Some((rates.get(left)?.0, rates.get(right)?.0));
    let input_and = |bucket| pair(Bucket::Input, bucket);
    let checks = [
        ("output cheaper than a tenth of input", input_and(Bucket::Output).is_some_and(|(i, o)| talks && o < i / 10)),
        ("a cached read dearer than fresh input", input_and(Bucket::CacheRead).is_some_and(|(i, read)| read > i)),
        ("a cache write four times as dear", input_and(Bucket::CacheWrite).is_some_and(|(i, write)| write > 4 * i)),
        (
            "an hour cheaper than five minutes",
            pair(Bucket::CacheWrite, Bucket::CacheWrite1h).is_some_and(|(w, h)| h < w),
        ),
        ("over 1,000 dollars", rates.iter().any(|(kind, rate)| kind != Bucket::Request && rate.0 > 1_000_000_000_000)),
        ("below zero", rates.iter().any(|(_, rate)| rate < NanoUsd::ZERO)),
    ];
    checks.into_iter().filter_map(|(fault, there)| there.then_some(fault)).collect()
}

#[derive(Deserialize)]
struct Exceptions {
    free: HashMap<String, String>,
    plausible: HashMap<String, String>,
    unpriced: HashMap<String, String>,
}

fn exceptions() -> Exceptions {
    serde_json::from_str(include_str!("../data/exceptions.json")).expect("exceptions.json")
}

/// No model is free unless somebody vouches for it: an unknown price must not become zero.
#[test]
fn a_price_of_zero_is_vouched_for() {
    let free = exceptions().free;
    let vouched = |key: &str| {
        free.keys().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => key.starts_with(start) && key.ends_with(end),
            None => pattern == key,
        })
    };
    for entry in all() {
        let key = format!("{}/{}", entry.catalog_id(), entry.id());
        let talks = matches!(entry.mode(), Some(Mode::Chat | Mode::Responses | Mode::Completion | Mode::Embedding));
        let costs_nothing = |price: &Price| price.units.is_empty() && price.rates.iter().all(|(_, rate)| rate.0 == 0);
        if talks && entry.price().as_ref().is_some_and(costs_nothing) {
            assert!(vouched(&key), "{key} is free");
        }
    }
    assert!(exceptions().unpriced.keys().all(|key| {
        let (provider, id) = key.split_once('/').expect("provider/id");
        find(provider, id).is_some_and(|entry| entry.price().is_none())
    }));
}

#[derive(Deserialize)]
struct Listed<'s> {
    provider: &'s str,
    id: &'s str,
    context: Option<u64>,
    max_output: Option<u64>,
    #[serde(borrow, default)]
    usd_per_mtok: HashMap<&'s str, f64>,
    #[serde(borrow, default)]
    tiers_above: Vec<ListedAbove<'s>>,
    #[serde(borrow, default)]
    service_tiers: HashMap<&'s str, HashMap<&'s str, f64>>,
    retires: Option<&'s str>,
}

#[derive(Deserialize)]
struct ListedAbove<'s> {
    input_tokens: u64,
    #[serde(borrow)]
    usd_per_mtok: HashMap<&'s str, f64>,
}

/// Compares with the price list itself, read independently of the generator.
#[test]
fn the_catalogue_says_what_the_price_list_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/catalog/models.json");
    let Ok(source) = std::fs::read_to_string(&source) else {
        eprintln!("SKIPPED: no price list at ../shared/catalog/models.json");
        return;
    };
    let listed: Vec<Listed<'_>> = serde_json::from_str(&source).expect("the price list");
    assert_eq!(listed.len(), all().len());
    let exceptions = exceptions();
    let (mut priced, mut further) = (0, 0);
    for model in listed {
        let key = format!("{}/{}", model.provider, model.id);
        let entry = find(model.provider, model.id).expect(&key);
        assert_eq!((entry.context(), entry.max_output()), (model.context, model.max_output), "{key}");
        assert_eq!(entry.retires(), model.retires, "{key}");
        let Some(price) = entry.price() else {
            let charged = model.usd_per_mtok.values().any(|usd| *usd > 0.0);
            assert!(!charged || exceptions.unpriced.contains_key(&key), "{key} lost its price");
            continue;
        };
        for bucket in Bucket::ALL {
            if let Some(usd) = model.usd_per_mtok.get(bucket.name()) {
                // A zero beside prices by the query is left out, like every zero that nobody vouches for.
                let ours = price.rates.get(bucket).map_or(0.0, |rate| rate.0 as f64 / 1e9);
                assert!((ours - usd).abs() < 1e-9, "{key} {}: {ours} is not {usd}", bucket.name());
                priced += 1;
            }
        }
        assert_eq!(price.above.len(), model.tiers_above.len(), "{key}");
        for name in model.service_tiers.keys() {
            assert!(price.service_tiers.iter().any(|(known, _)| known == name), "{key} lost its {name} price");
        }
        let above = price.above.iter().zip(&model.tiers_above).map(|(ours, listed)| {
            assert_eq!(ours.tokens, listed.input_tokens, "{key}");
            (&ours.rates, &listed.usd_per_mtok)
        });
        // Tiers that the price list lacks are multiples of the standard prices.
        let tiers = price
            .service_tiers
            .iter()
            .filter_map(|(name, rates)| Some((rates, model.service_tiers.get(name.as_str())?)));
        for (rates, listed) in above.chain(tiers) {
            for bucket in Bucket::ALL {
                let ours = rates.get(bucket).map_or(-1.0, |rate| rate.0 as f64 / 1e9);
                let usd = listed.get(bucket.name()).copied().unwrap_or(-1.0);
                assert!((ours - usd).abs() < 1e-9, "{key} {}: {ours} is not {usd}", bucket.name());
            }
            further += 1;
        }
    }
    assert!(priced > 6_000 && further > 1_000, "only {priced} prices and {further} further sets compared");
}

#[test]
fn provider_rows_point_into_the_catalogue_or_nowhere() {
    let known: HashSet<&str> = all().iter().map(Entry::catalog_id).collect();
    let found = PROVIDERS.iter().filter(|row| known.contains(row.catalog_id)).count();
    assert!(found >= 3, "only {found} provider rows have models in the catalogue");
}

proptest! {
    #[test]
    fn any_name_is_looked_up_without_panic(provider in "\\PC{0,12}", model in "\\PC{0,24}") {
        let found = find(&provider, &model);
        prop_assert!(found.is_none_or(|entry| entry.id() == model));
    }

    #[test]
    fn looking_from_anywhere_gives_the_first_line_not_before(provider in "[a-z]{0,8}", model in "[ -~]{0,12}") {
        let key = format!("{provider}/{model}");
        let expected = TEXT.lines().find(|line| line.split('\t').next().unwrap_or_default() >= key.as_str());
        prop_assert_eq!(lines_from(&provider, &model).next(), expected);
    }
}
