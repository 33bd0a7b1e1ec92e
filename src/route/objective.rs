//! What a call itself says of how its target is chosen: OpenRouter's `provider` object, beyond order and names.
//!
//! Source: <https://openrouter.ai/docs/guides/routing/provider-selection>.

use super::alias::{LatencyBudget, Strategy};
use super::decide::Preferred;
use super::demands::{Demands, MaxPrice};
use crate::failure::Failure;
use crate::json::{Raw, readable};
use crate::units::{Millis, NanoUsd};

/// How a call wants its target chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objective {
    /// By what targets are ordered.
    pub sort: Option<Strategy>,
    /// Those of all models that the call names are ordered as one; else those of each by themselves.
    pub mixes_models: bool,
    /// What they must be.
    pub demands: Demands,
    /// What they should be.
    pub preferred: Preferred,
    /// How long the answer may take.
    pub latency_budget: LatencyBudget,
}

#[derive(Default)]
struct Written<'a> {
    sort: Option<Raw<'a>>,
    max_price: Option<Raw<'a>>,
    data_collection: Option<Raw<'a>>,
    zdr: Option<bool>,
    quantizations: Option<Raw<'a>>,
    preferred_min_throughput: Option<Raw<'a>>,
    preferred_max_latency: Option<Raw<'a>>,
    latency_budget_ms: Option<Raw<'a>>,
}
readable! { Written<'a> {
    sort, max_price, data_collection, zdr, quantizations, preferred_min_throughput, preferred_max_latency,
    latency_budget_ms,
} }

impl Objective {
    /// Reads a `provider` object; `None` where it says nothing of this.
    ///
    /// `sort` is `price`, `throughput` or `latency`, alone or as `{"by": …, "partition": "model" | "none"}`; `max_price` is
    /// in US dollars per million tokens (`prompt`, `completion`) and per request; latencies are in seconds, at one
    /// percentile or several (`p50`, `p75`, `p90`, `p99`, of which those above the median are held against p95).
    /// `latency_budget_ms` is this gateway's own: to the first token, or `{"first_token", "total"}`.
    ///
    /// # Errors
    /// `BadRequest` naming the field: a wish that is misspelt must not be passed over.
    pub fn read(provider: &Raw<'_>) -> Result<Option<Objective>, Failure> {
        let unreadable = |error: crate::json::Error| {
            Failure::bad_request("provider", format!("`provider` cannot be read: {error}."))
        };
        let written: Written<'_> = provider.read_borrowed().map_err(unreadable)?;
        let mut objective = Objective::default();
        if let Some(raw) = written.sort.as_ref().filter(|raw| !raw.is_null()) {
            objective.sort = Some(sort(raw)?);
            objective.mixes_models = match raw.member("partition").as_ref().and_then(Raw::text) {
                None => false,
                Some(word) if word.is("model") => false,
                Some(word) if word.is("none") => true,
                Some(_) => return Err(bad("provider.sort.partition", "`model` or `none`")),
            };
        }
        let demands = &mut objective.demands;
        demands.zero_retention = written.zdr.unwrap_or(false);
        demands.no_training = match written.data_collection.as_ref().and_then(Raw::text) {
            None => false,
            Some(word) if word.is("deny") => true,
            Some(word) if word.is("allow") => false,
            Some(_) => return Err(bad("provider.data_collection", "`allow` or `deny`")),
        };
        if let Some(list) = written.quantizations.as_ref().filter(|raw| !raw.is_null()) {
            demands.quantizations = list.read().map_err(|_| bad("provider.quantizations", "a list of strings"))?;
        }
        if let Some(most) = written.max_price.as_ref().filter(|raw| !raw.is_null()) {
            demands.max_price = max_price(most)?;
        }
        if let Some(raw) = written.preferred_min_throughput.as_ref().filter(|raw| !raw.is_null()) {
            let (middle, tail) = percentiles(raw, "provider.preferred_min_throughput")?;
            objective.preferred.throughput = middle.or(tail);
        }
        if let Some(raw) = written.preferred_max_latency.as_ref().filter(|raw| !raw.is_null()) {
            let (middle, tail) = percentiles(raw, "provider.preferred_max_latency")?;
            let wait = |seconds: f64| Millis((seconds * 1_000.0) as u64);
            objective.preferred.latency_p50 = middle.map(wait);
            objective.preferred.latency_p95 = tail.map(wait);
        }
        if let Some(raw) = written.latency_budget_ms.as_ref().filter(|raw| !raw.is_null()) {
            objective.latency_budget = latency_budget(raw)?;
        }
        Ok((objective != Objective::default()).then_some(objective))
    }
}

fn bad(field: &'static str, what: &str) -> Failure {
    Failure::bad_request(field, format!("`{field}` must be {what}."))
}

fn sort(raw: &Raw<'_>) -> Result<Strategy, Failure> {
    let by = if raw.is_object() { raw.member("by") } else { Some(raw.borrowed()) };
    let word = by.as_ref().and_then(Raw::text);
    match word.map(|word| word.decode().into_owned()).as_deref() {
        Some("price") => Ok(Strategy::Cheapest),
        Some("throughput") => Ok(Strategy::Throughput),
        Some("latency") => Ok(Strategy::Fastest),
        _ => Err(bad("provider.sort", "`price`, `throughput` or `latency`")),
    }
}

fn max_price(raw: &Raw<'_>) -> Result<MaxPrice, Failure> {
    let field = |name: &str| -> Result<Option<NanoUsd>, Failure> {
        let Some(amount) = raw.member(name).filter(|raw| !raw.is_null()) else { return Ok(None) };
        // Clients send it as a number or, like OpenRouter's own price list, as a string.
        let text = amount.text().map_or_else(|| amount.get().to_owned(), |text| text.decode().into_owned());
        let usd = NanoUsd::parse_usd(&text).filter(|usd| *usd >= NanoUsd::ZERO);
        usd.map(Some).ok_or_else(|| bad("provider.max_price", "US dollars, such as {\"prompt\": 1, \"completion\": 2}"))
    };
    let request = field("request")?;
    Ok(MaxPrice {
        input: field("prompt")?,
        output: field("completion")?,
        request: request.map(|usd| NanoUsd(usd.0.saturating_mul(1_000_000))),
    })
}

fn latency_budget(raw: &Raw<'_>) -> Result<LatencyBudget, Failure> {
    let wrong = || bad("provider.latency_budget_ms", "milliseconds, or {\"first_token\": 900, \"total\": 5000}");
    let wait = |raw: &Raw<'_>| raw.get().parse().map(Millis).map_err(|_| wrong());
    if !raw.is_object() {
        return Ok(LatencyBudget { first_token: Some(wait(raw)?), total: None });
    }
    let at = |name: &str| raw.member(name).map(|raw| wait(&raw)).transpose();
    let budget = LatencyBudget { first_token: at("first_token")?, total: at("total")? };
    // An empty one is a slip of the pen, too.
    if budget == LatencyBudget::default() { Err(wrong()) } else { Ok(budget) }
}

/// What is wished for at the median and in the tail. A bare number is meant for the median.
fn percentiles(raw: &Raw<'_>, field: &'static str) -> Result<(Option<f64>, Option<f64>), Failure> {
    let wrong = || bad(field, "a number, or numbers by percentile such as {\"p90\": 2}");
    let number = |raw: &Raw<'_>| raw.number().filter(|number| *number >= 0.0).ok_or_else(wrong);
    if !raw.is_object() {
        return Ok((Some(number(raw)?), None));
    }
    let at = |name: &str| raw.member(name).map(|raw| number(&raw)).transpose();
    let tail = [at("p75")?, at("p90")?, at("p99")?];
    Ok((at("p50")?, tail.into_iter().flatten().reduce(f64::min)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Objective>, Failure> {
        Objective::read(&Raw::parse(json).expect("JSON"))
    }

    #[test]
    fn each_wish_means_what_it_says() {
        let json = r#"{"sort": {"by": "throughput"}, "max_price": {"prompt": 1.5, "completion": "2", "request": 0.01},
            "data_collection": "deny", "zdr": true, "quantizations": ["fp8"], "preferred_min_throughput": 50,
            "preferred_max_latency": {"p50": 0.5, "p90": 2, "p99": 3}, "latency_budget_ms": 900, "order": ["a"]}"#;
        let objective = read(json).expect("good").expect("something");
        assert_eq!(objective.sort, Some(Strategy::Throughput));
        let price = objective.demands.max_price;
        assert_eq!((price.input, price.output), (Some(NanoUsd(1_500_000_000)), Some(NanoUsd(2_000_000_000))));
        assert_eq!(price.request, Some(NanoUsd(10_000_000 * 1_000_000)));
        assert!(objective.demands.zero_retention && objective.demands.no_training);
        assert_eq!(objective.demands.quantizations, ["fp8"]);
        assert_eq!(objective.preferred.throughput, Some(50.0));
        assert_eq!(objective.preferred.latency_p50, Some(Millis(500)));
        assert_eq!(objective.preferred.latency_p95, Some(Millis(2_000)));
        assert_eq!(objective.latency_budget.first_token, Some(Millis(900)));
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        for json in ["{}", r#"{"order": ["a"], "sort": null, "data_collection": "allow", "zdr": false}"#] {
            assert_eq!(read(json).expect("good"), None, "{json}");
        }
    }

    #[test]
    fn a_wish_that_is_misspelt_is_named() {
        let cases = [
            (r#"{"sort": "cheap"}"#, "provider.sort"),
            (r#"{"sort": {"by": "price", "partition": "all"}}"#, "provider.sort.partition"),
            (r#"{"data_collection": "never"}"#, "provider.data_collection"),
            (r#"{"max_price": {"prompt": "one"}}"#, "provider.max_price"),
            (r#"{"max_price": {"completion": -1}}"#, "provider.max_price"),
            (r#"{"preferred_max_latency": "fast"}"#, "provider.preferred_max_latency"),
            (r#"{"quantizations": "fp8"}"#, "provider.quantizations"),
            (r#"{"latency_budget_ms": "900"}"#, "provider.latency_budget_ms"),
            (r#"{"latency_budget_ms": {"whole": 900}}"#, "provider.latency_budget_ms"),
            (r#"{"zdr": "yes"}"#, "provider"),
        ];
        for (json, field) in cases {
            assert_eq!(read(json).expect_err(json).param.as_deref(), Some(field), "{json}");
        }
    }
}
