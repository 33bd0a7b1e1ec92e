use std::cell::Cell;
use std::rc::Rc;

use super::{Aim, Enforcement, Rule, Spender};
use crate::limit::Unit;

/// What a call draws from: found once, for all that is asked of it on the call's way.
#[derive(Clone, Debug, Default)]
pub struct Draws {
    /// In the ledger of the call's own team, where that has one.
    pub(super) own: Option<Drawn>,
    /// In the account's ledger.
    pub(super) shared: Drawn,
}

/// What a call draws from in one ledger.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// The rules that can count calls of the key.
    rules: Rc<[Rule]>,
    /// The pots of those that count this one, each once.
    pots: Rc<[Draw]>,
    /// One of those is a strict budget.
    is_strict: bool,
}

/// A pot that a call draws from.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The pot's name.
    pub(super) pot: Rc<str>,
    /// Where its slice stood among the isolate's when it was last looked for.
    pub(super) place: Cell<usize>,
    /// The place of its rule.
    rule: usize,
    /// What it counts: `None` is money.
    pub(super) unit: Option<Unit>,
    /// What may be taken of it while the ledger is away.
    pub(super) credit: i64,
}

impl Draws {
    /// The pots in the ledger of the call's own team.
    pub(super) fn of_own(&self) -> &[Draw] {
        self.own.as_ref().map_or(&[], Drawn::pots)
    }

    /// Whether nothing counts calls of the key.
    #[must_use]
    pub fn have_no_rules(&self) -> bool {
        self.own.iter().chain([&self.shared]).all(|drawn| drawn.rules.is_empty())
    }

    /// Whether a strict budget counts the call: one of somebody else, or of a user that it does not name, does not.
    #[must_use]
    pub fn are_strict(&self) -> bool {
        self.own.iter().chain([&self.shared]).any(|drawn| drawn.is_strict)
    }
}

impl Drawn {
    /// What a call of `spender` to `aim` draws from under these rules.
    pub(super) fn of(rules: Rc<[Rule]>, spender: &Spender<'_>, aim: &Aim<'_>) -> Drawn {
        let (mut pots, mut is_strict) = (Vec::new(), false);
        for (place, rule) in rules.iter().enumerate() {
            if !rule.matches().counts(aim.provider, aim.model, aim.alias) {
                continue;
            }
            let credit = match rule {
                Rule::Budget(budget) => budget.limit.0 / if budget.enforcement == Enforcement::Soft { 10 } else { 100 },
                Rule::Limit(_) => 0,
            };
            let unit = rule.unit();
            rule.pots(spender, &mut |name| {
                is_strict |= rule.is_strict_budget();
                pots.push(Draw { pot: name.text().into(), place: Cell::default(), rule: place, unit, credit });
            });
        }
        Drawn { rules, pots: pots.into(), is_strict }
    }

    /// The pots.
    pub(super) fn pots(&self) -> &[Draw] {
        &self.pots
    }

    /// The rule that a pot is of.
    pub(super) fn rule(&self, draw: &Draw) -> Option<&Rule> {
        self.rules.get(draw.rule)
    }
}
