//! Probes by the schedule: of blocked targets that nobody calls, where the operator wants that.

use std::cell::RefCell;

use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;

use super::health::{GROUPS, Group, REPLY, ask, chance};
use super::together::all;
use super::{hot, now};
use crate::breaker::{Outcome, Permit, TargetId, Verdict, View, What};
use crate::failure::Kind;
use crate::sorted;
use crate::units::Millis;

/// So many targets are probed at once.
const MOST_TARGETS: usize = 8;

/// The schedule's own talk with one region group, and the targets whose probe it has.
struct Talk {
    group: &'static Group,
    view: View,
    probed: Vec<(TargetId, Permit)>,
}

thread_local! {
    static TALKS: RefCell<Vec<Talk>> = const { RefCell::new(Vec::new()) };
}

/// Asks the objects of all region groups for the probes of targets that nobody calls; gives the targets (a JSON list)
/// that are now to be called with [`begin_probe`].
#[wasm_bindgen]
pub async fn claim_probes(env: Env) -> String {
    let policy = hot::with_gateway(|gateway| gateway.setup().config.health).unwrap_or_default();
    if !policy.enabled || !policy.active_probe {
        return "[]".to_owned();
    }
    let claimed = GROUPS.iter().map(|group| {
        let view = View::new(policy, chance().unwrap_or_default());
        claim(&env, Talk { group, view, probed: Vec::new() })
    });
    let talks: Vec<Talk> = all(claimed).await.into_iter().filter(|talk| !talk.probed.is_empty()).collect();
    let mut targets: Vec<String> =
        talks.iter().flat_map(|talk| talk.probed.iter().map(|(target, _)| target.to_string())).collect();
    sorted::sort(&mut targets);
    targets.dedup();
    TALKS.set(talks);
    crate::json::to_string(&targets)
}

async fn claim(env: &Env, mut talk: Talk) -> Talk {
    if !exchange(env, &mut talk).await {
        return talk;
    }
    let mut unattended = talk.view.unattended(now());
    unattended.retain(|target| hot::with_gateway(|gateway| gateway.can_probe(target.as_str())).unwrap_or_default());
    unattended.truncate(MOST_TARGETS);
    if unattended.is_empty() {
        return talk;
    }
    // To be told that it is blocked is to ask for its probe.
    unattended.retain(|target| matches!(talk.view.verdict(target.as_str(), now()), Verdict::Blocked { .. }));
    if exchange(env, &mut talk).await {
        let take = |target: TargetId| talk.view.take_probe(target.as_str(), now()).map(|permit| (target, permit));
        talk.probed = unattended.into_iter().filter_map(take).collect();
    }
    talk
}

/// Begins the call that probes a target; its first step.
#[wasm_bindgen]
pub fn begin_probe(target: &str, now: f64) -> String {
    hot::begin_probe(target, now)
}

/// The probe of a target was answered with this status, as callers would read it.
#[wasm_bindgen]
pub fn probed(target: &str, status: u16) {
    let what = match status {
        200..=299 => What::Served { first_token: None, generation: Millis(0), output_tokens: 0 },
        429 | 500..=599 => What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(status) },
        _ => What::Void,
    };
    TALKS.with_borrow_mut(|talks| {
        for Talk { view, probed, .. } in talks {
            let permit = probed.iter().find(|(probed, _)| probed.as_str() == target).map(|(_, permit)| *permit);
            if permit.is_some() {
                view.report(target, Outcome { what, sent: now(), probe: permit }, now());
            }
        }
    });
}

/// Tells the objects what came of the probes.
#[wasm_bindgen]
pub async fn report_probes(env: Env) {
    let told = TALKS.take().into_iter().map(|mut talk| {
        let env = &env;
        async move { exchange(env, &mut talk).await }
    });
    all(told).await;
}

/// Whether the object was heard.
async fn exchange(env: &Env, talk: &mut Talk) -> bool {
    let Some(batch) = talk.view.batch(now()) else { return false };
    match ask(env, talk.group, "/batch", Some(batch), REPLY).await {
        Ok(reply) => talk.view.absorb(&reply, now()).is_ok(),
        Err(_) => false,
    }
}
