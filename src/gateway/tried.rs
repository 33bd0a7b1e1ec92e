//! What was tried for a call: one entry for each request to an upstream.

use std::borrow::Cow;

use crate::chat::Usage;
use crate::failure::Failure;
use crate::json::{Array, Object, Raw};
use crate::units::{Millis, UnixMillis};
use crate::wire::Cost;

use super::call::Call;

/// One request to an upstream that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// `provider/model`.
    pub target: String,
    /// Which of the provider's credentials, from 1; 0 where the caller brought one.
    pub credential: usize,
    /// The status it answered with, where it did.
    pub status: Option<u16>,
    /// `served`, or the code of what went wrong.
    pub reason: Cow<'static, str>,
    /// When it was sent.
    pub started: UnixMillis,
    /// When it was over.
    pub ended: UnixMillis,
    /// How long its first real token took.
    pub first_token: Option<Millis>,
    /// What it used, where anything.
    pub usage: Option<Usage>,
    /// What that costs, where the price is known.
    pub cost: Option<Cost>,
}

impl Tried {
    fn write(&self, list: &mut Array<'_>) {
        list.object(|entry| {
            entry.string("target", &self.target).number("credential", self.credential);
            match self.status {
                Some(status) => entry.number("status", status),
                None => entry.null("status"),
            };
            entry.string("reason", &self.reason);
            entry.number("started_at", self.started.0).number("duration_ms", self.ended.since(self.started).0);
            if let Some(Millis(wait)) = self.first_token {
                entry.number("first_token_ms", wait);
            }
            if let Some(usage) = &self.usage {
                entry.number("input_tokens", usage.prompt_tokens());
                entry.number("output_tokens", usage.completion_tokens());
            }
            if let Some(cost) = &self.cost {
                entry.number("cost", cost.charged);
            }
        });
    }
}

impl Call {
    /// The attempt under way as it would be listed if it were over now, served or failed.
    pub(super) fn tried_now(&self, failure: Option<&Failure>, now: UnixMillis) -> Option<Tried> {
        let attempt = self.attempt.as_ref()?;
        Some(Tried {
            target: attempt.target.clone(),
            credential: if attempt.own_key { 0 } else { attempt.credential + 1 },
            status: failure.and_then(|failure| failure.upstream_status).or(attempt.status),
            reason: failure.map_or("served".into(), Failure::reason),
            started: attempt.sent,
            ended: now,
            first_token: self.first_token.filter(|_| self.asked.stream).map(|at| at.since(attempt.sent)),
            usage: None,
            cost: None,
        })
    }

    /// Notes that the attempt under way has failed.
    pub(super) fn note_failed(&mut self, failure: &Failure, now: UnixMillis) {
        self.tried.extend(self.tried_now(Some(failure), now));
        if let Some(attempt) = &mut self.attempt {
            attempt.in_flight = false;
        }
    }

    /// Notes that the attempt under way was served, unless it is the only one: of that the record says it all.
    pub(super) fn note_served(&mut self, now: UnixMillis) {
        if !self.tried.is_empty() {
            self.tried.extend(self.tried_now(None, now));
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.in_flight = false;
        }
    }

    /// Notes what the attempt that was noted last used and cost.
    pub(super) fn note_used(&mut self, usage: Option<&Usage>, cost: Option<Cost>) {
        if let Some(tried) = self.tried.last_mut() {
            (tried.usage, tried.cost) = (usage.cloned(), cost);
        }
    }

    /// The `latchkey` object: what was tried, `last` included, and what became of it.
    pub(super) fn explanation(&self, last: Option<&Tried>) -> Raw<'static> {
        let mut json = Vec::with_capacity(256);
        let mut object = Object::open(&mut json);
        object.string("request_id", &self.request_id);
        object.array("attempts", |list| self.tried.iter().chain(last).for_each(|tried| tried.write(list)));
        object.number("config", self.config);
        if let Some(routed) = &self.routed {
            routed.write(&mut object);
        }
        object.array("adjusted", |list| {
            for (parameter, change) in self.attempt.iter().flat_map(|attempt| attempt.adjusted.iter()) {
                list.object(|entry| {
                    entry.string("parameter", parameter).string("change", change.as_str());
                });
            }
        });
        object.boolean("continued", self.continued);
        object.close();
        Raw::written(json)
    }

    /// All attempts as a JSON array, for the record; `None` for the usual single one, of which the record says it all.
    pub(super) fn attempts_json(&self) -> Option<String> {
        if self.tried.len() < 2 {
            return None;
        }
        let mut json = Vec::with_capacity(256);
        let mut list = Array::open(&mut json);
        self.tried.iter().for_each(|tried| tried.write(&mut list));
        list.close();
        String::from_utf8(json).ok()
    }
}
