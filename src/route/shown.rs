//! A decision as JSON, for who asks why.

use super::contender::Figures;
use super::decide::Decision;
use super::demands::Exclusion;
use super::expand::Expanded;
use super::router::Routed;
use crate::failure::Detail;
use crate::json::{Array, Object};

/// A decision among many more than any alias should have is not kept.
const LONGEST: usize = 24_000;

impl Routed {
    /// All that [`Routed::write`] writes, as an object to be kept.
    #[must_use]
    pub fn explained(&self) -> Option<String> {
        let mut json = Vec::with_capacity(1_024);
        let mut object = Object::open(&mut json);
        self.write(&mut object);
        object.close();
        String::from_utf8(json).ok().filter(|json| json.len() <= LONGEST)
    }

    /// Writes who was considered, who is out and why, the scores and what they were made of.
    pub fn write(&self, object: &mut Object<'_>) {
        if let Some(alias) = &self.alias {
            object.string("alias", alias);
        }
        if let Some((experiment, variant)) = &self.variant {
            object.string("experiment", experiment).string("variant", variant);
        }
        object.string("strategy", self.strategy.name());
        // As text: it does not fit a number of JavaScript's.
        object.string("seed", &self.seed.to_string());
        object.array("rules", |rules| {
            for rule in &self.rules {
                rules.text(&crate::json::Text::escape(rule));
            }
        });
        if let Some(class) = self.class {
            object.object("class", |shown| {
                shown.string("kind", class.kind.name()).number("difficulty", class.difficulty);
                shown.number("confidence", rounded(class.confidence, 1e3));
            });
        }
        if let Some(meaning) = &self.meaning {
            object.object("meaning", |shown| {
                match &meaning.route {
                    Some(route) => shown.string("route", route),
                    None => shown.null("route"),
                };
                shown.number("similarity", rounded(meaning.similarity, 1e3));
            });
        }
        if self.decision.latency_unmet {
            object.boolean("latency_budget_unmet", true);
        }
        if self.decision.explored {
            object.boolean("explored", true);
        }
        if self.expanded.left_out > 0 {
            object.number("left_out", self.expanded.left_out);
        }
        object.array("candidates", |list| {
            for ranked in &self.decision.order {
                let Some(contender) = self.expanded.contenders.get(ranked.contender) else { continue };
                list.object(|entry| {
                    entry.string("target", &contender.target);
                    if ranked.score.is_finite() {
                        entry.number("score", rounded(ranked.score, 1e4));
                    }
                    entry.number("group", ranked.group);
                    if let Some(cost) = ranked.cost {
                        entry.number("expected_cost", cost);
                    }
                    let terms = self.decision.terms.iter().find(|(contender, _)| *contender == ranked.contender);
                    if let Some((_, terms)) = terms {
                        entry.object("terms", |shown| {
                            for (name, value) in terms {
                                shown.number(name, value);
                            }
                        });
                    }
                    if let Some(figures) = self.figures.get(ranked.contender) {
                        entry.object("telemetry", |telemetry| write_figures(telemetry, figures));
                    }
                });
            }
        });
        let excluded = Excluded { decision: &self.decision, by: &self.excluded_by, expanded: &self.expanded };
        object.array("excluded", |list| excluded.write(list, &self.figures));
    }
}

/// Who is out, and why.
pub(super) struct Excluded<'e> {
    pub(super) decision: &'e Decision,
    /// For those that a rule took out, which.
    pub(super) by: &'e [(usize, String)],
    pub(super) expanded: &'e Expanded,
}

impl Excluded<'_> {
    pub(super) fn write(&self, list: &mut Array<'_>, figures: &[Figures]) {
        for (at, exclusion) in &self.decision.excluded {
            let Some(contender) = self.expanded.contenders.get(*at) else { continue };
            list.object(|entry| {
                entry.string("target", &contender.target).string("reason", exclusion.name());
                if let Some((_, rule)) = self.by.iter().find(|(excluded, _)| excluded == at) {
                    entry.string("rule", rule);
                }
                if let Some(figures) = figures.get(*at).filter(|_| *exclusion == Exclusion::Latency) {
                    entry.object("telemetry", |telemetry| write_figures(telemetry, figures));
                }
                match exclusion {
                    Exclusion::Capability(ability) => {
                        entry.string("lacks", ability);
                    }
                    Exclusion::Context { tokens, limit } => {
                        entry.number("tokens", tokens).number("limit", limit);
                    }
                    _ => {}
                }
            });
        }
        for model in &self.expanded.not_set_up {
            list.object(|entry| {
                entry.string("target", model).string("reason", Exclusion::NotSetUp.name());
            });
        }
    }

    /// The same as a member of an error.
    pub(super) fn detail(&self) -> Option<Box<Detail>> {
        let mut json = Vec::new();
        let mut list = Array::open(&mut json);
        self.write(&mut list, &[]);
        list.close();
        Some(Box::new(Detail { name: "excluded", json: String::from_utf8(json).ok()? }))
    }
}

/// To so many parts of one: more of it says nothing.
fn rounded(figure: f64, parts: f64) -> f64 {
    (figure * parts).round() / parts
}

fn write_figures(object: &mut Object<'_>, figures: &Figures) {
    if let Some(wait) = figures.first_token_p50 {
        object.number("first_token_p50_ms", wait.0);
    }
    if let Some(wait) = figures.first_token_p95 {
        object.number("first_token_p95_ms", wait.0);
    }
    if let Some(wait) = figures.whole_p50 {
        object.number("whole_p50_ms", wait.0);
    }
    if let Some(wait) = figures.whole_p95 {
        object.number("whole_p95_ms", wait.0);
    }
    if let Some(speed) = figures.tokens_per_second {
        object.number("tokens_per_second", speed);
    }
    if let Some(speed) = figures.whole_tokens_per_second {
        object.number("whole_tokens_per_second", speed);
    }
    object.number("error_ratio", figures.error_ratio).number("in_flight", figures.in_flight);
    if let Some(until) = figures.blocked_until {
        object.number("blocked_until", until.0);
    }
}
