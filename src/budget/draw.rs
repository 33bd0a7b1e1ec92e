use std::rc::Rc;

use super::{Aim, Enforcement, Rule, Spender};
use crate::limit::Unit;

/// What a call draws from: found once, for all that is asked of it on the call's way.
#[derive(Clone, Debug, Default)]
pub struct Draws {
    /// The rules that can count calls of the key.
    rules: Rc<[Rule]>,
    /// The pots of those that count this one, each once.
    pots: Vec<Draw>,
    /// How many of the pots, from the first, are in the ledger of the call's own team.
    own: usize,
}

/// A pot that a call draws from.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The pot's name.
    pub(super) pot: Rc<str>,
    /// The place of its rule.
    rule: usize,
    /// What it counts: `None` is money.
    pub(super) unit: Option<Unit>,
    /// What may be taken of it while the ledger is away.
    pub(super) credit: i64,
}

impl Draws {
    /// What a call of `spender` to `aim` draws from under these rules, of which the first `own` are its own team's.
    pub(super) fn of(rules: Rc<[Rule]>, own: usize, spender: &Spender<'_>, aim: &Aim<'_>) -> Draws {
        let (mut pots, mut owned) = (Vec::new(), 0);
        for (place, rule) in rules.iter().enumerate() {
            if !rule.matches().counts(aim.provider, aim.model, aim.alias) {
                continue;
            }
            let credit = match rule {
                Rule::Budget(budget) => budget.limit.0 / if budget.enforcement == Enforcement::Soft { 10 } else { 100 },
                Rule::Limit(_) => 0,
            };
            let unit = rule.unit();
            rule.pots(spender, &mut |name| pots.push(Draw { pot: name.text().into(), rule: place, unit, credit }));
            if place < own {
                owned = pots.len();
            }
        }
        Draws { rules, pots, own: owned }
    }

    /// The pots in the ledger of the call's own team.
    pub(super) fn own(&self) -> &[Draw] {
        self.pots.get(..self.own).unwrap_or_default()
    }

    /// The pots in the account's ledger.
    pub(super) fn shared(&self) -> &[Draw] {
        self.pots.get(self.own..).unwrap_or_default()
    }

    /// All pots.
    pub(super) fn all(&self) -> &[Draw] {
        &self.pots
    }

    /// The rule that a pot is of.
    pub(super) fn rule(&self, draw: &Draw) -> Option<&Rule> {
        self.rules.get(draw.rule)
    }

    /// Whether nothing counts calls of the key.
    #[must_use]
    pub fn have_no_rules(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a strict budget counts the call: one of somebody else, or of a user that it does not name, does not.
    #[must_use]
    pub fn are_strict(&self) -> bool {
        self.pots.iter().filter_map(|draw| self.rule(draw)).any(Rule::is_strict_budget)
    }
}
