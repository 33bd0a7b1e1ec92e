use proptest::prelude::*;

use super::*;
use crate::units::UnixMillis;

fn rates(prices: &[(Bucket, &str)]) -> Rates {
    let mut rates = Rates::default();
    for (bucket, usd) in prices {
        rates.set(*bucket, NanoUsd::parse_usd(usd).unwrap());
    }
    rates
}

fn price(prices: &[(Bucket, &str)]) -> Price {
    Price { rates: rates(prices), ..Price::default() }
}

/// Every bucket with a price of its own: a prime number of cents, so that no two sums agree by chance.
fn complete() -> Price {
    price(&[
        (Bucket::Input, "0.02"),
        (Bucket::Output, "0.03"),
        (Bucket::CacheRead, "0.05"),
        (Bucket::CacheWrite, "0.07"),
        (Bucket::CacheWrite1h, "0.11"),
        (Bucket::Reasoning, "0.13"),
        (Bucket::AudioInput, "0.17"),
        (Bucket::AudioOutput, "0.19"),
        (Bucket::ImageInput, "0.23"),
        (Bucket::ImageOutput, "0.29"),
        (Bucket::Request, "0.31"),
    ])
}

#[test]
fn each_bucket_is_charged_at_its_own_rate() {
    let one_each = |usage: Usage| cost(&usage, &complete()).unwrap().0;
    let none = Usage::default;
    let cases = [
        (Usage { input_fresh: 1_000, ..none() }, 20_000),
        (Usage { output_text: 1_000, ..none() }, 30_000),
        (Usage { input_cache_read: Some(1_000), ..none() }, 50_000),
        (Usage { input_cache_write: Some(1_000), ..none() }, 70_000),
        (Usage { input_cache_write_1h: Some(1_000), ..none() }, 110_000),
        (Usage { output_reasoning: Some(1_000), ..none() }, 130_000),
        (Usage { input_audio: Some(1_000), ..none() }, 170_000),
        (Usage { output_audio: Some(1_000), ..none() }, 190_000),
        (Usage { input_image: Some(1_000), ..none() }, 230_000),
        (Usage { output_image: Some(1_000), ..none() }, 290_000),
        (Usage { tool_requests: Some(1_000), ..none() }, 310_000),
        (Usage { accepted_prediction: Some(9), rejected_prediction: Some(9), ..none() }, 0),
    ];
    for (usage, nanos) in cases {
        assert_eq!(one_each(usage.clone()), nanos, "{usage:?}");
    }
}

#[test]
fn a_bucket_without_a_price_is_priced_as_its_parent() {
    let only = price(&[(Bucket::Input, "2"), (Bucket::Output, "8")]);
    let usage = Usage {
        input_fresh: 1,
        input_cache_read: Some(1),
        input_cache_write: Some(1),
        input_cache_write_1h: Some(1),
        input_audio: Some(1),
        input_image: Some(1),
        output_text: 1,
        output_reasoning: Some(1),
        output_audio: Some(1),
        output_image: Some(1),
        ..Usage::default()
    };
    assert_eq!(cost(&usage, &only), Some(NanoUsd(6 * 2_000 + 4 * 8_000)));
    let written = price(&[(Bucket::Input, "2"), (Bucket::CacheWrite, "2.5")]);
    let hour = Usage { input_cache_write_1h: Some(1), ..Usage::default() };
    assert_eq!(cost(&hour, &written), Some(NanoUsd(2_500)));
}

#[test]
fn what_has_no_price_makes_the_cost_unknown() {
    let only_input = price(&[(Bucket::Input, "2")]);
    let searched = Usage { input_fresh: 10, tool_requests: Some(1), ..Usage::default() };
    assert_eq!(cost(&searched, &only_input), None);
    let bill: Vec<Line> = lines(&searched, &only_input).collect();
    assert_eq!(bill[0].amount, Some(NanoUsd(20_000)));
    assert_eq!((bill[1].bucket, bill[1].per_million), (Bucket::Request, None));
    assert_eq!(cost(&Usage::default(), &Price::default()), Some(NanoUsd::ZERO));
}

#[test]
fn what_is_sold_by_the_unit_is_not_paid_for_by_the_token_as_well() {
    let images = vec![(Unit::Image, NanoUsd::DOLLAR)];
    let by_both = Price { units: images.clone(), ..price(&[(Bucket::Output, "2")]) };
    let by_unit = Price { units: images, ..Price::default() };
    let by_token = price(&[(Bucket::Output, "2")]);
    let free = price(&[(Bucket::Output, "0")]);
    let drawn = |tokens| Usage { output_text: tokens, counted: Some(Unit::Image.times(3)), ..Usage::default() };
    for (price, tokens, nanos) in [
        (&by_both, 0, Some(3_000)),
        (&by_both, 1, Some(2_000)),
        (&by_unit, 1, Some(3_000)),
        (&by_token, 1, Some(2_000)),
        (&by_token, 0, None),
        (&free, 0, Some(0)),
    ] {
        assert_eq!(cost(&drawn(tokens), price), nanos.map(NanoUsd), "{tokens} tokens at {price:?}");
    }
    let heard = Usage { output_text: 1, counted: Some(Unit::InputSecond.times(1)), ..Usage::default() };
    let by_second = Price { units: vec![(Unit::InputSecond, NanoUsd::DOLLAR)], ..by_token };
    assert_eq!(cost(&heard, &by_second), Some(NanoUsd(1_000)), "only images are sold by either");
}

#[test]
fn each_line_is_rounded_up_once() {
    // 0.0025 dollars a million is 2.5 nano-dollars a token.
    let odd = price(&[(Bucket::Input, "0.0025"), (Bucket::Output, "0.0025")]);
    assert_eq!(cost(&Usage { input_fresh: 1, output_text: 1, ..Usage::default() }, &odd), Some(NanoUsd(6)));
    assert_eq!(cost(&Usage { input_fresh: 2, output_text: 2, ..Usage::default() }, &odd), Some(NanoUsd(10)));
}

/// Gemini 2.5 Pro as of November 2026.
fn two_lengths() -> Price {
    Price {
        above: vec![LongPrompt {
            tokens: 200_000,
            rates: rates(&[(Bucket::Input, "2.5"), (Bucket::Output, "15"), (Bucket::CacheRead, "0.25")]),
        }],
        service_tiers: vec![
            ("flex".to_owned(), rates(&[(Bucket::Input, "0.625"), (Bucket::Output, "5")])),
            (
                "priority".to_owned(),
                rates(&[(Bucket::Input, "2.25"), (Bucket::Output, "18"), (Bucket::CacheRead, "0.225")]),
            ),
        ],
        ..price(&[(Bucket::Input, "1.25"), (Bucket::Output, "10"), (Bucket::CacheRead, "0.125")])
    }
}

#[test]
fn the_length_of_the_whole_prompt_picks_the_tier() {
    let short = Usage { input_fresh: 150_000, input_cache_read: Some(50_000), output_text: 10, ..Usage::default() };
    // 150,000 × 1.25 + 50,000 × 0.125 + 10 × 10 micro-dollars
    assert_eq!(cost(&short, &two_lengths()), Some(NanoUsd(187_500_000 + 6_250_000 + 100_000)));
    let long = Usage { input_fresh: 150_001, ..short };
    assert_eq!(cost(&long, &two_lengths()), Some(NanoUsd(375_002_500 + 12_500_000 + 150_000)));
    let since = Price { validity: Validity { from: Some(UnixMillis(10)), ..Validity::default() }, ..two_lengths() };
    let bill = receipt(&long, &since);
    let own = Price { source: Source::Configuration, ..since.clone() };
    assert!(receipt(&long, &own).starts_with(r#"{"source":"configuration","from":10,"#), "{}", receipt(&long, &own));
    assert!(bill.contains(r#","from":10,"above":200000,"lines":[["input",150001,2500000000],"#), "{bill}");
}

#[test]
fn the_service_tier_that_was_used_sets_the_price() {
    let on = |tier: &str, fresh: u64| Usage {
        input_fresh: fresh,
        input_cache_read: Some(100),
        output_text: 100,
        service_tier: Some(tier.to_owned()),
        ..Usage::default()
    };
    let amount = |tier, fresh| cost(&on(tier, fresh), &two_lengths()).unwrap().0;
    assert_eq!(amount("default", 100), 125_000 + 12_500 + 1_000_000);
    // Flex names no price for cached input: the standard one stays.
    assert_eq!(amount("flex", 100), 62_500 + 12_500 + 500_000);
    assert_eq!(amount("priority", 100), 225_000 + 22_500 + 1_800_000);
    // Above 200,000 tokens input doubles and output is half as much again, whatever the tier.
    assert_eq!(amount("flex", 300_000), 375_000_000 + 25_000 + 750_000);
    assert_eq!(amount("priority", 300_000), 1_350_000_000 + 45_000 + 2_700_000);
}

/// A millionth of a cent too little in a rate is money once there are enough tokens.
#[test]
fn a_tier_of_a_long_prompt_is_moved_to_the_nano_dollar() {
    let rate = |price: &Price, tier: &str| {
        let usage = Usage { input_fresh: 300_000, service_tier: Some(tier.to_owned()), ..Usage::default() };
        price.rates_for(&usage).get(Bucket::Input)
    };
    assert_eq!(rate(&two_lengths(), "default"), Some(NanoUsd(2_500_000_000)));
    assert_eq!(rate(&two_lengths(), "flex"), Some(NanoUsd(1_250_000_000)));
    let mut odd = two_lengths();
    odd.rates.set(Bucket::Input, NanoUsd(3));
    odd.service_tiers[0].1.set(Bucket::Input, NanoUsd(1));
    assert_eq!(rate(&odd, "flex"), Some(NanoUsd(833_333_334)), "rounded up");
}

/// Gemini 3 Flash as of November 2026: its list names reasoning, its tiers do not.
#[test]
fn what_costs_the_same_as_its_parent_follows_it_into_every_tier() {
    let flash = Price {
        service_tiers: vec![("flex".to_owned(), rates(&[(Bucket::Input, "0.25"), (Bucket::Output, "1.5")]))],
        ..price(&[(Bucket::Input, "0.5"), (Bucket::Output, "3"), (Bucket::Reasoning, "3"), (Bucket::AudioInput, "1")])
    };
    let usage = Usage {
        output_text: 10,
        output_reasoning: Some(10),
        input_audio: Some(10),
        service_tier: Some("flex".to_owned()),
        ..Usage::default()
    };
    // Audio has a price of its own, which flex says nothing of.
    assert_eq!(cost(&usage, &flash), Some(NanoUsd(15_000 + 15_000 + 10_000)));
}

#[test]
fn hours_may_pass_midnight() {
    let night = Hours::parse("16:30-00:30").unwrap();
    let at = |hour: i64, minute: i64| UnixMillis(86_400_000 * 20_000 + (hour * 60 + minute) * 60_000);
    assert!(!night.hold(at(16, 29)) && night.hold(at(16, 30)) && night.hold(at(23, 59)));
    assert!(night.hold(at(0, 29)) && !night.hold(at(0, 30)));
    let noon = Hours::parse("09:00-12:00").unwrap();
    assert!(noon.hold(at(9, 0)) && !noon.hold(at(12, 0)) && !noon.hold(at(0, 0)));
    for text in ["", "9:00-12:00", "09:60-12:00", "09:00-09:00", "24:00-01:00", "09:00-25:00", "-09:0-10:00"] {
        assert_eq!(Hours::parse(text), None, "{text}");
    }
}

#[test]
fn a_price_holds_from_its_first_to_before_its_last_moment() {
    let validity = Validity { from: Some(UnixMillis(10)), until: Some(UnixMillis(20)), hours: None };
    assert_eq!([9, 10, 19, 20].map(|now| validity.holds(UnixMillis(now))), [false, true, true, false]);
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![0u64..10, 0u64..2_000_000, Just(u64::MAX)];
    let maybe = || proptest::option::of(prop_oneof![0u64..10, 0u64..2_000_000, Just(u64::MAX)]);
    let tier = proptest::option::of(prop_oneof![Just("flex"), Just("priority"), Just("default")]);
    (count(), maybe(), maybe(), maybe(), count(), maybe(), maybe(), tier).prop_map(
        |(
            input_fresh,
            input_cache_read,
            input_cache_write,
            input_audio,
            output_text,
            output_reasoning,
            requests,
            tier,
        )| {
            Usage {
                input_fresh,
                input_cache_read,
                input_cache_write,
                input_audio,
                output_text,
                output_reasoning,
                tool_requests: requests,
                service_tier: tier.map(str::to_owned),
                ..Usage::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn the_cost_is_the_sum_of_its_lines(usage in any_usage()) {
        let mut price = two_lengths();
        price.rates.set(Bucket::Request, NanoUsd(10_000_000_000_000));
        let sum: NanoUsd = lines(&usage, &price).filter_map(|line| line.amount).sum();
        prop_assert_eq!(cost(&usage, &price), Some(sum));
        prop_assert!(sum >= NanoUsd::ZERO);
        let mut seen = std::collections::HashSet::new();
        prop_assert!(lines(&usage, &price).all(|line| seen.insert(line.bucket)), "a bucket is charged once");
    }

    #[test]
    fn more_tokens_never_cost_less(usage in any_usage(), more in 0u64..1_000_000) {
        let price = complete();
        let before = cost(&usage, &price);
        let fresh = Usage { input_fresh: usage.input_fresh.saturating_add(more), ..usage.clone() };
        let text = Usage { output_text: usage.output_text.saturating_add(more), ..usage };
        prop_assert!(cost(&fresh, &price) >= before);
        prop_assert!(cost(&text, &price) >= before);
    }

    #[test]
    fn any_text_of_hours_is_read_or_refused(text in "[0-9:-]{0,14}") {
        if let Some(hours) = Hours::parse(&text) {
            prop_assert!(hours.from < 1440 && hours.until <= 1440);
        }
    }
}
