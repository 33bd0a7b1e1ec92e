//! The `aliases` section: logical names, their candidates and how these are ordered.

use super::super::place::Place;
use super::conditions::{self, range};
use super::{LONGEST, checks, owned};
use crate::chat::Effort;
use crate::config::OwnDeadlines;
use crate::json::tree::Node;
use crate::route::alias::{Alias, Balance, LatencyBudget, Named, Overlay, Overrides, Policy, Strategy};
use crate::route::check::Escalation;
use crate::route::classify::Kind;
use crate::route::expand::MOST_SOURCES;
use crate::sorted::SortedMap;
use crate::units::{Millis, NanoUsd};

/// Candidates of one alias; what patterns match is capped where they are filled in.
const MAX_CANDIDATES: usize = 64;
const MAX_ALIASES: usize = 1_000;
/// An alias may stand for another, that for another, and so on, so far.
pub(crate) const MAX_DEPTH: usize = 5;

/// What one call may cost at most for the sake of a better answer.
const MAX_USD: NanoUsd = NanoUsd(10_000 * NanoUsd::DOLLAR.0);

const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::XHigh),
    ("max", Effort::Max),
];

/// The aliases by name.
pub(in super::super) fn read(place: &Place<'_>) -> SortedMap<String, Alias> {
    let entries = place.entries();
    if entries.len() > MAX_ALIASES {
        place.fault(format!("has {} aliases; at most {MAX_ALIASES} are allowed", entries.len()));
    }
    let mut aliases = SortedMap::new();
    for (name, place) in entries.iter().take(MAX_ALIASES) {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if name.is_empty() || name.len() > 80 || !name.bytes().all(plain) {
            place.fault("an alias has 1 to 80 printable characters without blanks and `:`");
        }
        aliases.insert((*name).to_owned(), alias(place));
    }
    let endless = endless(&aliases);
    let sources = Sources::of(&aliases);
    for (name, place) in &entries {
        if endless.binary_search(name).is_ok() {
            place.fault(format!("`{name}` stands for itself by way of its candidates"));
            continue;
        }
        let Some(alias) = aliases.get(*name) else { continue };
        let lists = alias.overlays.iter().map(|overlay| &overlay.candidates).chain([&alias.candidates]);
        sources.check(lists.map(Vec::as_slice), place);
    }
    aliases
}

/// To how many candidates each alias leads, by way of other aliases.
pub(super) struct Sources<'a>(SortedMap<&'a str, usize>);

impl<'a> Sources<'a> {
    pub(super) fn of(aliases: &'a SortedMap<String, Alias>) -> Sources<'a> {
        let mut sources = Sources(SortedMap::new());
        // Each round knows those of one more level; deeper ones are a fault already.
        for _ in 0..=MAX_DEPTH {
            let count = |(name, alias): (&'a String, &'a Alias)| (name.as_str(), sources.sum(&alias.candidates));
            sources = Sources(aliases.iter().map(count).collect());
        }
        sources
    }

    fn sum(&self, candidates: &[Named]) -> usize {
        let counts = candidates.iter().map(|named| self.0.get(named.model.as_str()).copied().unwrap_or(1));
        counts.fold(0, usize::saturating_add)
    }

    /// Whether each list leads to no more than are looked at.
    pub(super) fn check<'n>(&self, lists: impl Iterator<Item = &'n [Named]>, place: &Place<'_>) {
        let most = lists.map(|list| self.sum(list)).max().unwrap_or_default();
        if most > MOST_SOURCES {
            place.fault(format!("leads to {most} candidates by way of aliases; at most {MOST_SOURCES} are looked at"));
        }
    }
}

/// The aliases that stand for further ones for longer than any may, in the order of their names: in a circle, or too deep.
///
/// Each round leaves those that lead to one that the round before left, so no way is gone twice however many there are.
fn endless(aliases: &SortedMap<String, Alias>) -> Vec<&str> {
    let mut left: Vec<&str> = aliases.keys().map(String::as_str).collect();
    for _ in 0..=MAX_DEPTH {
        let goes_on = |name: &&str| {
            let Some(alias) = aliases.get(*name) else { return false };
            let named = alias.candidates.iter().chain(alias.overlays.iter().flat_map(|overlay| &overlay.candidates));
            let mut models = named.map(|named| named.model.as_str()).chain(alias.fallbacks.iter().map(String::as_str));
            models.any(|model| left.binary_search(&model).is_ok())
        };
        left = left.iter().copied().filter(goes_on).collect();
    }
    left
}

fn alias(place: &Place<'_>) -> Alias {
    let mut alias = Alias::default();
    let known = [
        "candidates",
        "fallbacks",
        "strategy",
        "explore",
        "latency_budget",
        "margin",
        "budget_steps",
        "balance",
        "least_confidence",
        "sticky",
        "variants",
        "deadlines",
        "overlays",
        "escalation",
        "failover",
    ];
    for (key, place) in place.members(&known) {
        match key {
            "candidates" => alias.candidates = candidates(&place),
            "fallbacks" => {
                alias.fallbacks = owned(&place, MAX_CANDIDATES);
                alias.fallbacks.iter().for_each(|model| place.names(model));
            }
            "variants" => alias.variants = variants(&place),
            "deadlines" => alias.deadlines = deadlines(&place),
            "failover" => alias.failover = super::super::failover::own(&place),
            "escalation" => alias.policy.escalation = escalation(&place),
            "overlays" => alias.overlays = place.items(50).iter().map(overlay).collect(),
            key => policy(key, &place, &mut alias.policy),
        }
    }
    if alias.candidates.is_empty() {
        place.lacks("candidates", "write at least one, such as \"provider/model\"");
    }
    alias
}

fn policy(key: &str, place: &Place<'_>, policy: &mut Policy) {
    let mut set = |field: fn(&mut Policy) -> &mut f64, most: f64| {
        if let Some(value) = place.decimal(0.0, most) {
            *field(policy) = value;
        }
    };
    match key {
        "explore" => set(|policy| &mut policy.explore, 0.5),
        "margin" => set(|policy| &mut policy.margin, 1.0),
        "least_confidence" => set(|policy| &mut policy.least_confidence, 1.0),
        "strategy" => policy.strategy = strategy(place).unwrap_or_default(),
        "latency_budget" => policy.latency_budget = latency_budget(place),
        "sticky" => policy.sticky = place.boolean().unwrap_or(true),
        "balance" => policy.balance = balance(place),
        _ => {
            let steps: Vec<f64> = place.items(16).iter().filter_map(|item| item.decimal(0.0, 1.0)).collect();
            if !steps.is_sorted() {
                place.fault("steps must ascend");
            }
            policy.budget_steps = steps;
        }
    }
}

/// One of the strategies.
pub(super) fn strategy(place: &Place<'_>) -> Option<Strategy> {
    place.word(&Strategy::NAMES)
}

/// `{"first_token_ms": 2000, "total_ms": 10000}`, or one of them.
pub(super) fn latency_budget(place: &Place<'_>) -> LatencyBudget {
    let mut budget = LatencyBudget::default();
    for (key, place) in place.members(&["first_token_ms", "total_ms"]) {
        let most = place.integer(1..=3_600_000).map(Millis);
        match key {
            "first_token_ms" => budget.first_token = most,
            _ => budget.total = most,
        }
    }
    budget
}

fn balance(place: &Place<'_>) -> Balance {
    let mut balance = Balance::default();
    for (key, place) in place.members(&["price", "latency", "errors"]) {
        let Some(exponent) = place.decimal(0.0, 10.0) else { continue };
        match key {
            "price" => balance.price = exponent,
            "latency" => balance.latency = exponent,
            _ => balance.errors = exponent,
        }
    }
    balance
}

/// Candidates: model strings, or objects that say more of them.
pub(super) fn candidates(place: &Place<'_>) -> Vec<Named> {
    place.items(MAX_CANDIDATES).iter().map(candidate).collect()
}

fn candidate(place: &Place<'_>) -> Named {
    let mut named = Named { weight: 1, difficulty: (1, 5), ..Named::default() };
    if let Node::String(_) = place.node() {
        named.model = place.model(LONGEST);
        return named;
    }
    for (key, place) in place.members(&["model", "latest", "weight", "when", "difficulty", "kinds", "check", "with"]) {
        match key {
            "model" => named.model = place.model(LONGEST),
            "latest" => named.latest = place.boolean().unwrap_or_default(),
            "weight" => named.weight = place.integer(1..=1_000_000).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            "when" => named.when = conditions::read(&place),
            "difficulty" => {
                let level = |value: u64| u8::try_from(value).unwrap_or(5);
                named.difficulty = range(&place, 1, 5).map_or((1, 5), |(from, to)| (level(from), level(to)));
            }
            "kinds" => {
                let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
                named.kinds = place.items(kinds.len()).iter().filter_map(|item| item.word(&kinds)).collect();
            }
            "check" => named.check = Some(checks::read(&place)),
            _ => named.overrides = overrides(&place),
        }
    }
    if named.model.is_empty() {
        place.lacks("model", "write a model string such as \"provider/model\"");
    }
    if named.latest && !named.model.contains('*') {
        place.fault("`latest` chooses among what a pattern matches: write a `*` in `model`");
    }
    named
}

fn escalation(place: &Place<'_>) -> Escalation {
    let mut escalation = Escalation::default();
    for (key, place) in place.members(&["within_ms", "max_usd", "streams"]) {
        match key {
            "within_ms" => escalation.within = place.integer(1..=3_600_000).map(Millis),
            "streams" => escalation.streams = place.boolean().unwrap_or_default(),
            _ => escalation.most = place.usd(MAX_USD),
        }
    }
    escalation
}

fn overrides(place: &Place<'_>) -> Overrides {
    let mut overrides = Overrides::default();
    let known = ["temperature", "top_p", "max_tokens", "reasoning_effort", "system_prefix"];
    for (key, place) in place.members(&known) {
        match key {
            "temperature" => overrides.temperature = place.decimal(0.0, 2.0),
            "top_p" => overrides.top_p = place.decimal(0.0, 1.0),
            "max_tokens" => overrides.max_tokens = place.integer(1..=10_000_000),
            "reasoning_effort" => overrides.reasoning_effort = place.word(&EFFORTS),
            _ => overrides.system_prefix = place.prose(20_000).map(str::to_owned),
        }
    }
    overrides
}

fn variants(place: &Place<'_>) -> SortedMap<String, Strategy> {
    let entries = place.entries().into_iter();
    entries.filter_map(|(name, place)| Some((name.to_owned(), strategy(&place)?))).collect()
}

fn overlay(place: &Place<'_>) -> Overlay {
    let mut overlay = Overlay::default();
    for (key, place) in place.members(&["when", "candidates", "strategy"]) {
        match key {
            "when" => overlay.when = conditions::read(&place),
            "candidates" => overlay.candidates = candidates(&place),
            _ => overlay.strategy = strategy(&place),
        }
    }
    overlay
}

fn deadlines(place: &Place<'_>) -> OwnDeadlines {
    let mut deadlines = OwnDeadlines::default();
    for (key, place) in place.members(&["connect_ms", "first_token_ms", "idle_ms", "total_ms"]) {
        let wait = place.integer(100..=3_600_000).map(Millis);
        match key {
            "connect_ms" => deadlines.connect = wait,
            "first_token_ms" => deadlines.first_token = wait,
            "idle_ms" => deadlines.idle = wait,
            _ => deadlines.total = wait,
        }
    }
    deadlines
}
