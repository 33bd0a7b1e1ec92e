//! Budgets and limits on the path of a call.

use latchkey::budget::{Budget, Enforcement, Match, Period, Rule, Scope, ScopeKind};
use latchkey::config::OwnDeadlines;
use latchkey::gateway::{Exchanged, Input, Step};
use latchkey::keys::{Factor, Key, Markup, OnLedgerOutage, UnknownPrice};
use latchkey::limit::{Limit, Per, Unit};
use latchkey::units::{Millis, NanoUsd};

use super::world::{World, header, json, refused, sent};

/// 2 dollars a million in, 8 out; and one model without a price.
pub const PRICED: &str = r#"{"version": 1, "failover": {"enabled": false}, "health": {"enabled": false}, "providers": {"cave": {
    "base_url": "https://cave.example/v1", "format": "openai_chat", "auth": "none", "key_variables": [],
    "models": ["m", "free"]}},
    "models": {"cave/m": {"mode": "chat", "prices": [{"usd_per_mtok": {"input": 2, "output": 8}}]}}}"#;

pub const CALL: &str = r#"{"model":"cave/m","messages":[{"role":"user","content":"hi"}],"max_tokens":100}"#;
pub const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"ho"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}"#;
/// 10 × 2 + 20 × 8 micro-dollars.
pub const COST: i64 = 180_000;
/// The 100 tokens that [`CALL`] allows; its prompt comes on top.
pub const WORST: i64 = 800_000;

pub fn world(budgets: Vec<Budget>, limits: Vec<Limit>) -> World {
    World::with(Key { budgets, limits, ..Key::default() }, Some(PRICED))
}

pub fn budget(limit: i64) -> Budget {
    Budget {
        id: "bud".into(),
        scope: Scope::key("*"),
        limit: NanoUsd(limit),
        period: Period::Total,
        ..Budget::default()
    }
}

pub fn limit(unit: Unit, max: u64) -> Limit {
    let per = (unit != Unit::Parallel).then_some(Per::Minute);
    Limit { id: "lim".into(), scope: Scope::key("*"), unit, per, max, ..Limit::default() }
}

/// What the ledger has booked, once it has heard of it.
pub fn spent(world: &mut World) -> i64 {
    world.report();
    let now = world.now;
    world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known").spent
}

#[test]
fn a_call_is_charged_what_it_used() {
    let mut world = world(vec![budget(10_000_000)], Vec::new());
    let (id, step) = world.chat(CALL);
    sent(step);
    let answer = world.answer(id, 200, &[], ANSWER);
    let header = |name: &str| answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    assert_eq!(header("x-latchkey-budget-remaining").as_deref(), Some("0.01"));
    assert_eq!(spent(&mut world), COST);
    assert_eq!(world.gateway.purse.holding(), 0);
}

#[test]
fn steady_calls_ask_nobody() {
    let mut world = world(vec![budget(NanoUsd::DOLLAR.0)], vec![limit(Unit::Requests, 1_000_000)]);
    for _ in 0..3 {
        let (id, step) = world.chat(CALL);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        world.report();
    }
    let before = world.asked;
    for _ in 0..100 {
        let (id, step) = world.chat(CALL);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        world.report();
    }
    assert_eq!(world.asked, before);
    assert_eq!(spent(&mut world), 103 * COST);
}

#[test]
fn a_call_that_may_cost_too_much_is_refused_before_it_is_sent() {
    let mut world = world(vec![budget(500_000)], Vec::new());
    let (status, body) = refused(world.chat(CALL).1);
    assert_eq!((status, body["error"]["code"].as_str()), (402, Some("budget_exceeded")));
    assert_eq!(body["error"]["budget"]["id"], "bud");
    assert_eq!(body["error"]["budget"]["scope"], serde_json::json!({"type": "key", "id": "key_test"}));
    assert_eq!(body["error"]["budget"]["remaining"].to_string(), "0.0005");
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let most =
        message.split("could cost up to $").nth(1).and_then(|rest| rest.trim_end_matches('.').parse::<f64>().ok());
    assert!(most.is_some_and(|most| most > 0.0005), "whoever sets budgets can see what would do: {message}");
    assert_eq!(spent(&mut world), 0);
}

#[test]
fn what_a_failed_call_held_is_free_again() {
    let mut world = world(vec![budget(1_200_000)], Vec::new());
    for _ in 0..5 {
        let (id, step) = world.chat(CALL);
        sent(step);
        world.refuse(id, 500, &[], "{}");
    }
    assert_eq!(spent(&mut world), 0);
    let (id, step) = world.chat(CALL);
    sent(step);
    world.resume(id, Input::Gone);
    assert!(spent(&mut world) > 0, "the provider has the prompt, and charges for it");
    assert_eq!(world.gateway.purse.holding(), 0);
}

#[test]
fn a_strict_budget_caps_the_output_of_calls_that_name_no_cap() {
    let uncapped = r#"{"model":"cave/m","messages":[{"role":"user","content":"hi"}]}"#;
    let mut plain = world(Vec::new(), Vec::new());
    let body = sent(plain.chat(uncapped).1).body;
    assert!(!String::from_utf8_lossy(&body).contains("4096"));
    let mut strict = world(vec![budget(NanoUsd::DOLLAR.0)], Vec::new());
    let body = sent(strict.chat(uncapped).1).body;
    assert!(String::from_utf8_lossy(&body).contains("4096"), "{}", String::from_utf8_lossy(&body));
}

#[test]
fn the_first_call_is_capped_by_a_budget_that_only_the_ledger_knows() {
    let uncapped = r#"{"model":"cave/m","messages":[{"role":"user","content":"hi"}]}"#;
    let mut world = world(Vec::new(), Vec::new());
    let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
    let of_all = Rule::Budget(Budget { scope, ..budget(NanoUsd::DOLLAR.0) });
    world.ledger.as_mut().expect("there").set_rule(of_all);
    for _ in 0..2 {
        let body = sent(world.chat(uncapped).1).body;
        assert!(String::from_utf8_lossy(&body).contains("4096"), "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn a_strict_budget_of_others_asks_nothing_of_a_call() {
    let image = r#"{"model":"cave/m","user":"ada","messages":[{"role":"user","content":[{"type":"image_url",
        "image_url":{"url":"https://pictures.example/a.png"}}]}]}"#;
    for (kind, id, counts) in [
        (ScopeKind::Tag, "batch", false),
        (ScopeKind::Tag, "*", false),
        (ScopeKind::User, "bob", false),
        (ScopeKind::User, "ada", true),
        (ScopeKind::User, "*", true),
    ] {
        let mut world = world(Vec::new(), Vec::new());
        let scope = Scope { kind, id: id.into() };
        let rule = Rule::Budget(Budget { scope, ..budget(NanoUsd::DOLLAR.0) });
        world.ledger.as_mut().expect("there").set_rule(rule);
        let (_, step) = world.chat(image);
        if counts {
            assert_eq!(refused(step).1["error"]["code"], "cost_unbounded", "{kind:?} {id}");
        } else {
            let body = sent(step).body;
            assert!(!String::from_utf8_lossy(&body).contains("4096"), "{kind:?} {id}");
        }
    }
}

#[test]
fn what_cannot_be_bounded_needs_a_ceiling() {
    let image = r#"{"model":"cave/m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image_url",
        "image_url":{"url":"https://pictures.example/a.png"}}]}]}"#;
    let unpriced = CALL.replace("cave/m", "cave/free");
    let mut strict = world(vec![budget(NanoUsd::DOLLAR.0)], Vec::new());
    for (body, code) in [(image, "cost_unbounded"), (unpriced.as_str(), "price_unknown")] {
        let (status, answer) = refused(strict.chat(body).1);
        assert_eq!((status, answer["error"]["code"].as_str()), (400, Some(code)));
    }
    let ceiling = Some(UnknownPrice::Hold(NanoUsd(5_000_000)));
    let key = Key { budgets: vec![budget(NanoUsd::DOLLAR.0)], unknown_price: ceiling, ..Key::default() };
    let mut allowed = World::with(key, Some(PRICED));
    sent(allowed.chat(image).1);
    let (id, step) = allowed.chat(&unpriced);
    sent(step);
    allowed.answer(id, 200, &[], ANSWER);
    assert_eq!(spent(&mut allowed), 5_000_000, "an unknown price is never nothing");
}

/// Gemini's protocol has its own name for it, and Vertex a header.
#[test]
fn a_dearer_tier_is_held_wherever_it_is_asked_for() {
    let prices = r#"{"mode": "chat", "prices": [{"usd_per_mtok": {"input": 1, "output": 1},
        "service_tiers": {"priority": {"input": 100, "output": 100}}}]}"#;
    let document = format!(
        r#"{{"version": 1, "models": {{"gemini/gemini-2.5-flash": {prices}, "vertex/gemini-2.5-flash": {prices}}}}}"#
    );
    let account = r#"{"project_id":"shop","private_key_id":"k1","client_email":"bot@shop.iam","private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0a2V5\n-----END PRIVATE KEY-----\n"}"#;
    let variables = [("VERTEX_SERVICE_ACCOUNT", account), ("VERTEX_LOCATION", "global")];
    let key = Key { max_cost_per_call: Some(NanoUsd(20_000_000)), ..Key::default() };
    let mut world = World::of(key, &document, &variables);
    for provider in ["gemini", "vertex"] {
        for (tier, fits) in [("", true), ("priority", false)] {
            let chat = format!(
                r#"{{"model":"{provider}/gemini-2.5-flash","max_tokens":1000,"service_tier":"{tier}","messages":[{{"role":"user","content":"hi"}}]}}"#
            );
            let own = format!(
                r#"{{"generationConfig":{{"maxOutputTokens":1000}},"serviceTier":"{tier}","contents":[{{"role":"user","parts":[{{"text":"hi"}}]}}]}}"#
            );
            let path = format!("/v1beta/models/{provider}/gemini-2.5-flash:generateContent");
            for (path, body) in [("/v1/chat/completions", chat), (path.as_str(), own)] {
                let body = body.replace(r#""service_tier":"","#, "").replace(r#""serviceTier":"","#, "");
                let (id, mut step) = world.send(path, &body, &[]);
                if let Step::Exchange(_) = step {
                    let token =
                        Exchanged { status: 200, body: br#"{"access_token":"one"}"#, sent: world.now, is_copy: false };
                    step = world.resume(id, Input::Token(Ok(token)));
                }
                if fits {
                    sent(step);
                } else {
                    let (_, answer) = refused(step);
                    assert!(answer.to_string().contains("max_cost_per_call"), "{path} {provider}: {answer}");
                }
            }
        }
    }
}

#[test]
fn a_limit_is_a_429_that_says_which_and_until_when() {
    let mut world = world(Vec::new(), vec![limit(Unit::Requests, 2)]);
    for _ in 0..2 {
        let (id, step) = world.chat(CALL);
        sent(step);
        let answer = world.answer(id, 200, &[], ANSWER);
        assert!(answer.headers.iter().any(|(name, _)| *name == "x-ratelimit-remaining-requests"));
    }
    let Step::Respond(answer) = world.chat(CALL).1 else { panic!("let through") };
    assert_eq!(answer.status, 429);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    let limit = &body["error"]["limit"];
    assert_eq!((&limit["unit"], &limit["max"]), (&"requests".into(), &2.into()));
    let reset = limit["reset_at"].as_i64().expect("a moment") - world.now.0;
    assert!((20_000..=31_000).contains(&reset), "{reset}");
    for name in ["retry-after", "ratelimit", "x-ratelimit-limit-requests"] {
        assert!(answer.headers.iter().any(|(known, _)| *known == name), "{name}");
    }
}

#[test]
fn what_reached_a_provider_is_a_request_though_the_next_target_is_not_asked() {
    let fallback = r#""fallbacks": {"cave/m": ["cave/free"]}, "failover": {"same_target": 0}"#;
    let document = PRICED.replace(r#""failover": {"enabled": false}"#, fallback);
    let limits = vec![limit(Unit::Requests, 1)];
    let key = Key { budgets: vec![budget(NanoUsd::DOLLAR.0)], limits, ..Key::default() };
    let mut world = World::with(key, Some(&document));
    let (id, step) = world.chat(CALL);
    sent(step);
    // Of the next no price is known, and a budget has to hold.
    let (status, _) = refused(world.refuse(id, 500, &[], "{}"));
    assert_eq!((status, world.gateway.purse.holding()), (400, 0));
    let (status, body) = refused(world.chat(CALL).1);
    assert_eq!((status, body["error"]["code"].as_str()), (429, Some("rate_limit_exceeded")));
}

#[test]
fn calls_at_once_are_counted_while_they_run() {
    let mut world = world(Vec::new(), vec![limit(Unit::Parallel, 1)]);
    let (first, step) = world.chat(CALL);
    sent(step);
    let step = world.chat(CALL).1;
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    world.answer(first, 200, &[], ANSWER);
    sent(world.chat(CALL).1);
}

#[test]
fn without_the_ledger_the_key_says_what_happens() {
    let outage = |on_ledger_outage| {
        let key = Key { budgets: vec![budget(150_000_000)], on_ledger_outage, ..Key::default() };
        let mut world = World::with(key, Some(PRICED));
        world.ledger = None;
        world
    };
    let (status, body) = refused(outage(OnLedgerOutage::Strict).chat(CALL).1);
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("ledger_unavailable")));
    let mut soft = outage(OnLedgerOutage::Soft);
    let (id, step) = soft.chat(CALL);
    sent(step);
    soft.answer(id, 200, &[], ANSWER);
    // A hundredth of the limit is the credit; then it is refused all the same.
    let (status, _) = refused(soft.chat(CALL).1);
    assert_eq!(status, 503);
    // Back again, the ledger is told what was used meanwhile.
    soft.ledger = Some(latchkey::budget::Ledger::default());
    soft.now.0 += 10_000;
    let (id, step) = soft.chat(CALL);
    sent(step);
    soft.answer(id, 200, &[], ANSWER);
    assert_eq!(spent(&mut soft), 2 * COST);
}

#[test]
fn a_key_without_rules_is_let_through_while_the_ledger_is_away() {
    let mut world = world(Vec::new(), Vec::new());
    world.ledger = None;
    sent(world.chat(CALL).1);
}

#[test]
fn an_end_user_has_a_budget_of_their_own() {
    let each = Budget { scope: Scope { kind: ScopeKind::User, id: "*".into() }, ..budget(1_200_000) };
    let mut world = world(Vec::new(), Vec::new());
    if let Some(ledger) = &mut world.ledger {
        ledger.set_rule(Rule::Budget(each));
    }
    let by = |user: &str| CALL.replace("\"max_tokens\"", &format!("\"user\":\"{user}\",\"max_tokens\""));
    sent(world.chat(&by("ada")).1);
    let step = world.chat(&by("ada")).1;
    assert!(matches!(step, Step::Wait(_)), "what the first call holds may come back: {step:?}");
    sent(world.chat(&by("grace")).1);
    sent(world.chat(CALL).1);
}

#[test]
fn a_tier_that_an_account_has_unasked_is_in_the_worst_case() {
    let tiered = PRICED.replace(
        r#""output": 8}}]}}}"#,
        r#""output": 8}, "service_tiers": {"priority": {"input": 20, "output": 80}}}]}}}"#,
    );
    for (said, worst) in [("", WORST), (r#""priority": true, "#, 10 * WORST)] {
        let document = tiered.replace(r#""auth": "none""#, &format!(r#"{said}"auth": "none""#));
        let key = Key { budgets: vec![budget(NanoUsd::DOLLAR.0)], ..Key::default() };
        let mut world = World::with(key, Some(&document));
        let (id, step) = world.chat(CALL);
        sent(step);
        world.resume(id, Input::Gone);
        let cost = world.gateway.records.take(9).pop().and_then(|record| record.cost_nano).expect("a cost");
        assert!((worst..2 * worst).contains(&cost), "{cost}");
    }
}

#[test]
fn a_key_is_told_what_it_has_left() {
    let mut world = world(vec![budget(10_000_000)], vec![limit(Unit::Requests, 60)]);
    if let Some(ledger) = &mut world.ledger {
        let scope = |kind, id: &str| Scope { kind, id: id.into() };
        let everybody = scope(ScopeKind::Account, "");
        ledger.set_rule(Rule::Budget(Budget { id: "all".into(), scope: everybody, ..budget(NanoUsd::DOLLAR.0) }));
        let users = scope(ScopeKind::User, "*");
        ledger.set_rule(Rule::Budget(Budget { id: "users".into(), scope: users, ..budget(5) }));
        let other = scope(ScopeKind::Key, "key_other");
        ledger.set_rule(Rule::Budget(Budget { id: "other".into(), scope: other, ..budget(5) }));
    }
    let (id, step) = world.chat(CALL);
    sent(step);
    world.answer(id, 200, &[], ANSWER);
    // Until the isolate gives back what it leased, that is not left.
    for _ in 0..2 {
        world.report();
        world.now.0 += 4_000;
    }
    let Step::Respond(answer) = world.get("/v1/key") else { panic!("no answer") };
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let ids: Vec<_> = told["budgets"].as_array().expect("a list").iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, ["all", "bud", "users"]);
    let own = &told["budgets"][1];
    assert_eq!((own["spent"].to_string(), own["remaining"].to_string()), (usd(COST), usd(10_000_000 - COST)));
    assert!(told["budgets"][2].get("remaining").is_none(), "users have a part each");
    assert!(told["limits"][0]["remaining"].as_i64().is_some_and(|left| left >= 59), "{}", told["limits"][0]);
    world.ledger = None;
    let Step::Respond(answer) = world.get("/v1/key") else { panic!("no answer") };
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(told["budgets"][0]["id"], "bud", "without the ledger its own rules are known");
}

fn usd(nano: i64) -> String {
    NanoUsd(nano).to_string()
}

#[test]
fn a_call_holds_what_it_may_take_for_as_long_as_its_own_deadline_lets_it() {
    let hours = OwnDeadlines { total: Some(Millis(2 * 3_600_000)), ..OwnDeadlines::default() };
    let key = Key { budgets: vec![budget(10_000_000)], deadlines: hours, ..Key::default() };
    let mut world = World::with(key, Some(PRICED));
    let (id, step) = world.chat(CALL);
    sent(step);
    for _ in 0..2 {
        world.now.0 += 1_800_000;
        world.report();
        assert_eq!(world.gateway.purse.holding(), 1, "it is under way, long after the gateway's own deadline");
    }
    world.answer(id, 200, &[], ANSWER);
    assert_eq!(spent(&mut world), COST, "charged what it used");
}

#[test]
fn a_call_that_never_fits_a_limit_is_not_told_to_come_back() {
    let mut world = world(Vec::new(), vec![limit(Unit::OutputTokens, 120)]);
    let (id, step) = world.chat(CALL);
    sent(step);
    world.answer(id, 200, &[], ANSWER);
    for (tokens, comes_back) in [(120, true), (121, false)] {
        let Step::Respond(refused) = world.chat(&CALL.replace("100", &tokens.to_string())).1 else {
            panic!("let through")
        };
        assert_eq!(refused.status, 429);
        assert_eq!(header(&refused, "retry-after").is_some(), comes_back, "{tokens}");
        let limit = json(&refused.body)["error"]["limit"].clone();
        assert_eq!(limit["reset_at"].is_number(), comes_back, "{limit}");
    }
}

/// A key of a team that has a ledger of its own, with a budget there, and one of the account.
fn split(account: i64, team: i64) -> World {
    let key = Key { team_id: Some(TEAM.to_owned()), budgets: vec![budget(team)], ..Key::default() };
    let mut world = World::with(key, Some(PRICED));
    let shared =
        Budget { id: "all".into(), scope: Scope { kind: ScopeKind::Account, id: String::new() }, ..budget(account) };
    if let Some(ledger) = &mut world.ledger {
        ledger.set_rule(Rule::Budget(shared));
    }
    world.team_ledgers.insert(TEAM.to_owned(), latchkey::budget::Ledger::default());
    world
}

const TEAM: &str = "team_own_1";

/// What each ledger has booked: the account's, and the team's.
fn spent_in_both(world: &mut World) -> (i64, i64) {
    world.report();
    let now = world.now;
    let own = world.team_ledgers.get_mut(TEAM).and_then(|ledger| ledger.standing("bud/key_test", now));
    let account = world.ledger.as_mut().and_then(|ledger| ledger.standing("all", now));
    (account.expect("known").spent, own.expect("known").spent)
}

#[test]
fn a_call_of_a_team_with_its_own_ledger_is_counted_there_and_by_the_account() {
    let mut world = split(NanoUsd::DOLLAR.0, NanoUsd::DOLLAR.0);
    for _ in 0..20 {
        let (id, step) = world.chat(CALL);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        world.report();
    }
    assert_eq!(spent_in_both(&mut world), (20 * COST, 20 * COST));
    assert_eq!(world.gateway.purse.holding(), 0);
    let before = world.asked;
    let (id, step) = world.chat(CALL);
    sent(step);
    world.answer(id, 200, &[], ANSWER);
    assert_eq!(world.asked, before, "and in steady traffic it asks neither");
}

#[test]
fn what_one_ledger_refuses_is_held_in_neither() {
    for (account, team, id) in [(500_000, 5_000_000, "all"), (5_000_000, 500_000, "bud")] {
        let mut world = split(account, team);
        let (status, body) = refused(world.chat(CALL).1);
        assert_eq!((status, &body["error"]["budget"]["id"]), (402, &id.into()), "{body}");
        assert_eq!(world.gateway.purse.holding(), 0);
        world.report();
        assert_eq!(spent_in_both(&mut world), (0, 0));
    }
}

#[test]
fn either_ledger_being_away_is_the_keys_own_policy() {
    for account_is_away in [true, false] {
        let mut world = split(10_000_000, 10_000_000);
        match account_is_away {
            true => world.ledger = None,
            false => world.team_ledgers.clear(),
        }
        let (status, body) = refused(world.chat(CALL).1);
        assert_eq!((status, body["error"]["code"].as_str()), (503, Some("ledger_unavailable")));
    }
}

#[test]
fn who_names_no_output_limit_gets_one_under_a_strict_budget_and_a_fair_share_of_a_tight_one() {
    let open = CALL.replace(",\"max_tokens\":100", "");
    let asked = |world: &mut World| {
        let (id, step) = world.chat(&open);
        let body = json(&sent(step).body);
        let cap = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| body[name].as_u64());
        let answer = world.answer(id, 200, &[], ANSWER);
        world.report();
        (cap, header(&answer, "x-latchkey-adjusted").map(str::to_owned))
    };
    let soft = Budget { enforcement: Enforcement::Soft, ..budget(NanoUsd::DOLLAR.0) };
    assert_eq!(asked(&mut world(vec![soft], Vec::new())), (None, None), "nothing has to be bounded");
    assert_eq!(asked(&mut world(vec![budget(NanoUsd::DOLLAR.0)], Vec::new())), (Some(4_096), None));
    // Of 4 cents a first call may take nearly all; the second gets what half of the rest buys at 8 dollars a million.
    let mut tight = world(vec![budget(40_000_000)], Vec::new());
    assert_eq!(asked(&mut tight), (Some(4_096), None));
    let (cap, adjusted) = asked(&mut tight);
    let affordable = |left: i64| u64::try_from(left / 2 / 8_000).expect("tokens");
    let fair = affordable(40_000_000 - 2 * COST)..=affordable(40_000_000);
    assert!(cap.is_some_and(|cap| fair.contains(&cap)), "{cap:?} of {fair:?}");
    assert_eq!(adjusted.as_deref(), Some("max_tokens=clamped"));
}

#[test]
fn what_is_held_is_what_the_call_may_be_charged_with_its_mark_up() {
    // Of the worst case 800,000 are output; with the little prompt it fits, and marked up it does not.
    let limit = budget(WORST + WORST / 2);
    let plain = Markup::default();
    let double = Markup { factor: Factor(2 * plain.factor.0), ..plain };
    let fixed = Markup { fixed: NanoUsd(WORST), ..plain };
    for (markup, fits) in [(plain, true), (double, false), (fixed, false)] {
        let key = Key { budgets: vec![limit.clone()], markup: Some(markup), ..Key::default() };
        let step = World::with(key, Some(PRICED)).chat(CALL).1;
        if fits {
            sent(step);
        } else {
            assert_eq!(refused(step).0, 402, "{markup:?}");
        }
    }
}

#[test]
fn what_one_call_may_cost_holds_for_a_key_without_budgets_too() {
    let most = Some(NanoUsd(WORST / 2));
    let mut world = World::with(Key { max_cost_per_call: most, ..Key::default() }, Some(PRICED));
    let small = CALL.replace("100", "1");
    for _ in 0..2 {
        let (id, step) = world.chat(&small);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        // From now on the ledger is known to count nothing of this key.
        world.report();
        let (status, body) = refused(world.chat(CALL).1);
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some("max_cost_per_call_exceeded")));
        let (status, body) = refused(world.chat(&CALL.replace("cave/m", "cave/free")).1);
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some("price_unknown")), "it may cost anything");
    }
}

#[test]
fn a_key_without_budgets_that_refuses_unknown_prices_goes_on_refusing_them() {
    let mut world = World::with(Key { unknown_price: Some(UnknownPrice::Refuse), ..Key::default() }, Some(PRICED));
    for _ in 0..2 {
        let (status, body) = refused(world.chat(&CALL.replace("cave/m", "cave/free")).1);
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some("price_unknown")));
        let (id, step) = world.chat(CALL);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        world.report();
    }
}

#[test]
fn a_budget_for_an_alias_counts_each_call_that_the_alias_serves() {
    let aliases = r#"{"version": 1, "aliases": {"quick": {"candidates": ["cave/m"], "variants": {"now": "fastest"}}},
        "rules": [{"name": "all of them", "when": {"tag": "batch"}, "alias": "quick"}],"#;
    let document = PRICED.replacen(r#"{"version": 1,"#, aliases, 1);
    let of_alias = Match { alias: Some("quick".into()), ..Match::default() };
    for (model, tag, counts) in [
        ("quick", "", true),
        ("quick:floor", "", true),
        ("quick:now", "", true),
        ("cave/m", "batch", true),
        ("cave/m", "", false),
        ("m:floor", "", false),
    ] {
        let own = Budget { matches: of_alias.clone(), ..budget(WORST / 2) };
        let mut world = World::with(Key { budgets: vec![own], ..Key::default() }, Some(&document));
        let body = CALL.replace("cave/m", model);
        let step = world.send("/v1/chat/completions", &body, &[("x-latchkey-tags", tag)]).1;
        match counts {
            true => assert_eq!(refused(step).0, 402, "{model} {tag}"),
            false => drop(sent(step)),
        }
    }
}

#[test]
fn what_is_left_of_an_aliass_budget_decides_for_calls_that_name_it_otherwise() {
    let aliases = r#"{"version": 1, "aliases": {"quick": {"candidates": ["cave/m", "cave/cheap"],
        "strategy": "budget_aware", "variants": {"now": "budget_aware"}}},
        "rules": [{"name": "all of them", "when": {"tag": "batch"}, "alias": "quick"}],"#;
    let cheap = r#""models": {"cave/cheap": {"prices": [{"usd_per_mtok": {"input": 1, "output": 1}}]}, "cave/m""#;
    let document = PRICED.replacen(r#""models": {"cave/m""#, cheap, 1).replacen(r#"{"version": 1,"#, aliases, 1);
    let of_alias = Match { alias: Some("quick".into()), ..Match::default() };
    for (model, tag) in [("quick", ""), ("quick:now", ""), ("cave/m", "batch")] {
        let own = Budget { matches: of_alias.clone(), ..budget(WORST + 2 * COST) };
        let mut world = World::with(Key { budgets: vec![own], ..Key::default() }, Some(&document));
        let body = CALL.replace("cave/m", model);
        let mut next = |expected: &str| {
            let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-tags", tag)]);
            assert_eq!(json(&sent(step).body)["model"], expected, "{model} {tag}");
            world.answer(id, 200, &[], &ANSWER.replace("\"completion_tokens\":20", "\"completion_tokens\":70"));
        };
        next("m");
        next("cheap");
    }
}

#[test]
fn a_key_goes_to_no_model_that_is_dearer_than_it_may_use() {
    let cheap = r#""models": {"cave/cheap": {"prices": [{"usd_per_mtok": {"input": 1, "output": 1}}]}, "cave/m""#;
    let aliases = r#"{"version": 1, "aliases": {"any": {"candidates": ["cave/m", "cave/cheap"]}},"#;
    let plain = PRICED.replacen(r#""models": {"cave/m""#, cheap, 1);
    let routed = plain.replacen(r#"{"version": 1,"#, aliases, 1);
    let world = |most: &str, document: &str| {
        let max_price = latchkey::json::from_str(most).expect("prices");
        World::with(Key { max_price, ..Key::default() }, Some(document))
    };
    for most in [r#"{"input": 2, "output": 8}"#, r#"{"output": 8.5}"#, "{}"] {
        sent(world(most, &plain).chat(CALL).1);
    }
    for most in [r#"{"input": 1.999999999}"#, r#"{"output": 7}"#] {
        let mut world = world(most, &plain);
        for model in ["cave/m", "cave/free"] {
            let (status, body) = refused(world.chat(&CALL.replace("cave/m", model)).1);
            assert_eq!((status, body["error"]["code"].as_str()), (403, Some("model_not_allowed")), "{model}");
        }
        let several = CALL.replace(r#""model":"cave/m""#, r#""models":["cave/m","cave/cheap"]"#);
        assert_eq!(json(&sent(world.chat(&several).1).body)["model"], "cheap");
        let listed = refused(world.get("/v1/models")).1.to_string();
        assert!(listed.contains("cave/cheap") && !listed.contains("cave/m\""), "{listed}");
    }
    let any = CALL.replace("cave/m", "any");
    assert_eq!(json(&sent(world("{}", &routed).chat(&any).1).body)["model"], "m");
    assert_eq!(json(&sent(world(r#"{"output": 7}"#, &routed).chat(&any).1).body)["model"], "cheap");
    assert_eq!(refused(world(r#"{"output": 0.5}"#, &routed).chat(&any).1).0, 403);
    // Vectors are no output that somebody could ask a price of.
    let vectors = r#""models": {"openai/text-embedding-3-small": {"prices": [{"usd_per_mtok": {"input": 1}}]}, "#;
    let vectors = plain.replacen(r#""models": {"#, vectors, 1);
    let embedding = r#"{"model":"openai/text-embedding-3-small","input":"hi"}"#;
    sent(world(r#"{"input": 2, "output": 8}"#, &vectors).post("/v1/embeddings", embedding).1);
    assert_eq!(refused(world(r#"{"input": 0.5}"#, &vectors).post("/v1/embeddings", embedding).1).0, 403);
}
