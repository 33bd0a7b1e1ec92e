//! How budgets and limits stand, as those are told who set them or are subject to them.

use serde::Serialize;

use super::{Budget, PotStanding};
use crate::json::{self, FromJson, Reader, readable};
use crate::limit::Limit;
use crate::units::{NanoUsd, UnixMillis};

/// Everything that a key is subject to, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyStandings {
    /// In money.
    pub budgets: Vec<Stood<Budget>>,
    /// In requests, tokens and calls.
    pub limits: Vec<Stood<Limit>>,
}
readable! { KeyStandings { budgets, limits } }

/// A rule, and how it stands for one spender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stood<R> {
    /// The rule.
    pub rule: R,
    /// `None` where each user, session or tag has a part of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<PotStanding>,
}

impl<'a, R: Default + FromJson<'a>> FromJson<'a> for Stood<R> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Stood<R>, json::Error> {
        let mut stood: Stood<R> = Stood::default();
        reader.object(&["rule", "standing"], &[], &mut |field, reader| match field {
            0 => stood.rule.read_into(reader),
            _ => stood.standing.read_into(reader),
        })?;
        Ok(stood)
    }
}

/// A rule as it is shown: its own fields, and its figures where they are known.
#[derive(Debug, Serialize)]
pub struct Shown<'a, R> {
    #[serde(flatten)]
    rule: &'a R,
    #[serde(flatten)]
    figures: Option<Figures>,
}

/// What is spent and left of a rule.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of a budget.
    Money {
        /// Spent in the period.
        spent: NanoUsd,
        /// Held for calls under way.
        held: NanoUsd,
        /// Leased to isolates beyond that, and not spent yet.
        leased: NanoUsd,
        /// Of that, leased to isolates that are most likely dead: it stays charged until they report after all, the period
        /// is over, or the operator releases it.
        #[serde(skip_serializing_if = "Option::is_none")]
        lost: Option<NanoUsd>,
        /// What is neither spent, held nor leased.
        remaining: NanoUsd,
        /// When the period ends.
        resets_at: Option<UnixMillis>,
    },
    /// Of a limit.
    Count {
        /// How many more fit now.
        remaining: i64,
        /// When all of it is there again.
        resets_at: Option<UnixMillis>,
    },
}

impl Figures {
    /// The figures of a budget.
    #[must_use]
    pub fn of_budget(standing: &PotStanding) -> Figures {
        let PotStanding { limit, spent, leased, held, lost, resets_at } = *standing;
        let held = held.clamp(0, leased.max(0));
        let lost = lost.clamp(0, leased.max(0) - held);
        Figures::Money {
            spent: NanoUsd(spent),
            held: NanoUsd(held),
            leased: NanoUsd(leased - held),
            lost: (lost > 0).then_some(NanoUsd(lost)),
            remaining: NanoUsd(limit.saturating_sub(spent).saturating_sub(leased).max(0)),
            resets_at,
        }
    }

    /// The figures of a limit.
    #[must_use]
    pub fn of_limit(standing: &PotStanding) -> Figures {
        let left = standing.limit.saturating_sub(standing.spent).saturating_sub(standing.leased);
        Figures::Count { remaining: left.max(0), resets_at: standing.resets_at }
    }
}

impl<'a> Shown<'a, Budget> {
    /// A budget as it is shown.
    #[must_use]
    pub fn budget(stood: &'a Stood<Budget>) -> Shown<'a, Budget> {
        Shown { rule: &stood.rule, figures: stood.standing.as_ref().map(Figures::of_budget) }
    }
}

impl<'a> Shown<'a, Limit> {
    /// A limit as it is shown.
    #[must_use]
    pub fn limit(stood: &'a Stood<Limit>) -> Shown<'a, Limit> {
        Shown { rule: &stood.rule, figures: stood.standing.as_ref().map(Figures::of_limit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_to_the_limit() {
        let standing =
            PotStanding { limit: 1_000, spent: 300, leased: 250, held: 100, lost: 0, resets_at: Some(UnixMillis(7)) };
        let json = serde_json::to_string(&Figures::of_budget(&standing)).expect("JSON");
        let expected = "{\"spent\":0.0000003,\"held\":0.0000001,\"leased\":0.00000015,\"remaining\":0.00000045,\
                        \"resets_at\":7}";
        assert_eq!(json, expected);
        let json = serde_json::to_string(&Figures::of_budget(&PotStanding { lost: 50, ..standing })).expect("JSON");
        assert!(json.contains("\"leased\":0.00000015,\"lost\":0.00000005,"), "{json}");
        let slots = PotStanding { limit: 4, leased: 1, ..PotStanding::default() };
        let json = serde_json::to_string(&Figures::of_limit(&slots)).expect("JSON");
        assert_eq!(json, r#"{"remaining":3,"resets_at":null}"#);
    }

    #[test]
    fn a_rule_is_shown_with_its_figures_beside_its_own_fields() {
        let stood =
            Stood { rule: Budget { id: "b".into(), ..Budget::default() }, standing: Some(PotStanding::default()) };
        let json = serde_json::to_value(Shown::budget(&stood)).expect("JSON");
        assert_eq!((&json["id"], json["remaining"].as_f64()), (&"b".into(), Some(0.0)));
    }
}
