use std::borrow::Cow;

use super::{Budget, Enforcement, Match, Scope, ScopeKind};
use crate::chat::Usage;
use crate::limit::{Limit, Unit};
use crate::units::NanoUsd;

/// A budget or a limit: to the ledger both are an amount of something that spenders draw from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Money.
    Budget(Budget),
    /// Requests, tokens or calls at once.
    Limit(Limit),
}

/// Who makes a call, as far as rules can ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spender<'a> {
    /// The key's id.
    pub key: &'a str,
    /// The team of the key.
    pub team: Option<&'a str>,
    /// The end user.
    pub user: Option<&'a str>,
    /// The session.
    pub session: Option<&'a str>,
    /// The tags, each once.
    pub tags: &'a [&'a str],
}

/// Where a call goes, as far as rules can ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aim<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The model, as the provider spells it.
    pub model: &'a str,
    /// The alias that serves the call, where one does.
    pub alias: Option<&'a str>,
}

/// What a call takes, or took: of everything that can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// What is charged for it.
    pub cost: NanoUsd,
    /// Requests to a provider.
    pub requests: u64,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Calls at once: 1 while it runs, 0 afterwards.
    pub parallel: u64,
}

impl Rule {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Rule::Budget(budget) => &budget.id,
            Rule::Limit(limit) => &limit.id,
        }
    }

    /// Whose calls it counts.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        match self {
            Rule::Budget(budget) => &budget.scope,
            Rule::Limit(limit) => &limit.scope,
        }
    }

    /// Which of their calls it counts.
    #[must_use]
    pub fn matches(&self) -> &Match {
        match self {
            Rule::Budget(budget) => &budget.matches,
            Rule::Limit(limit) => &limit.matches,
        }
    }

    /// Whether the worst case of a call must be held before it is sent.
    #[must_use]
    pub fn is_strict_budget(&self) -> bool {
        matches!(self, Rule::Budget(budget) if budget.enforcement == Enforcement::Strict)
    }

    /// Whether it can count calls of a key at all, whoever its users are and wherever they go.
    #[must_use]
    pub fn concerns(&self, key: &str, team: Option<&str>) -> bool {
        let scope = self.scope();
        match scope.kind {
            ScopeKind::Key => scope.is_each() || scope.id == key,
            ScopeKind::Team => team.is_some_and(|team| scope.is_each() || scope.id == team),
            ScopeKind::Account | ScopeKind::User | ScopeKind::Session | ScopeKind::Tag => true,
        }
    }

    /// Whether it counts all calls of a key alike, whoever its users are and wherever they go.
    #[must_use]
    pub fn counts_alike(&self) -> bool {
        let is_for_all = matches!(self.scope().kind, ScopeKind::Account | ScopeKind::Team | ScopeKind::Key);
        is_for_all && *self.matches() == Match::default()
    }

    /// What it counts of a call: `None` is money.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        match self {
            Rule::Budget(_) => None,
            Rule::Limit(limit) => Some(limit.unit),
        }
    }

    /// Hands the ids of the pots that a call of `spender` draws from under this rule to `found`; none where it is not
    /// about them.
    pub fn pots<'a>(&'a self, spender: &Spender<'a>, found: &mut impl FnMut(PotName<'a>)) {
        let scope = self.scope();
        let mut draw = |subject: &'a str| {
            if scope.is_each() {
                found(PotName { rule: self.id(), subject: Some(subject) });
            } else if scope.id == subject {
                found(PotName { rule: self.id(), subject: None });
            }
        };
        match scope.kind {
            ScopeKind::Account => found(PotName { rule: self.id(), subject: None }),
            ScopeKind::Key => draw(spender.key),
            ScopeKind::Team => spender.team.into_iter().for_each(draw),
            ScopeKind::User => spender.user.into_iter().for_each(draw),
            ScopeKind::Session => spender.session.into_iter().for_each(draw),
            ScopeKind::Tag => spender.tags.iter().copied().for_each(draw),
        }
    }
}

/// What a spender draws from: a rule, and whose part of it where each spender has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PotName<'a> {
    /// The id of the rule.
    pub rule: &'a str,
    /// The spender, where the rule is for each of them.
    pub subject: Option<&'a str>,
}

impl<'a> PotName<'a> {
    /// As text: `bud_1`, or `bud_1/alice`. The ids of rules have no `/`.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self.subject {
            None => Cow::Borrowed(self.rule),
            // Every call makes several of these: no formatting.
            Some(subject) => Cow::Owned([self.rule, "/", subject].concat()),
        }
    }

    /// Reads [`PotName::text`].
    #[must_use]
    pub fn read(text: &'a str) -> PotName<'a> {
        match text.split_once('/') {
            None => PotName { rule: text, subject: None },
            Some((rule, subject)) => PotName { rule, subject: Some(subject) },
        }
    }
}

impl Amounts {
    /// How much it is of a unit; `None` is money, in nano-dollars.
    #[must_use]
    pub fn of(&self, unit: Option<Unit>) -> i64 {
        let count = match unit {
            None => return self.cost.0,
            Some(Unit::Requests) => self.requests,
            Some(Unit::InputTokens) => self.input_tokens,
            Some(Unit::OutputTokens) => self.output_tokens,
            Some(Unit::Tokens) => self.input_tokens.saturating_add(self.output_tokens),
            Some(Unit::Parallel) => self.parallel,
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// What a call took in the end.
    #[must_use]
    pub fn used(usage: &Usage, cost: NanoUsd, requests: u64) -> Amounts {
        Amounts {
            cost,
            requests,
            input_tokens: usage.prompt_tokens(),
            output_tokens: usage.completion_tokens(),
            parallel: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pots(scope: Scope, spender: &Spender<'_>) -> Vec<String> {
        let rule = Rule::Budget(Budget { id: "b".into(), scope, ..Budget::default() });
        let mut names = Vec::new();
        rule.pots(spender, &mut |name| names.push(name.text().into_owned()));
        names
    }

    #[test]
    fn a_rule_concerns_those_whom_it_may_count() {
        let rule = |kind, id: &str| {
            let scope = Scope { kind, id: id.to_owned() };
            Rule::Budget(Budget { id: "b".into(), scope, ..Budget::default() })
        };
        for (kind, id, concerned) in [
            (ScopeKind::Key, "k", [true, true, false]),
            (ScopeKind::Key, "*", [true, true, true]),
            (ScopeKind::Team, "t", [false, true, false]),
            (ScopeKind::Team, "*", [false, true, true]),
            (ScopeKind::Account, "", [true, true, true]),
            (ScopeKind::User, "*", [true, true, true]),
        ] {
            let rule = rule(kind, id);
            let found =
                [("k", None), ("k", Some("t")), ("other", Some("u"))].map(|(key, team)| rule.concerns(key, team));
            assert_eq!(found, concerned, "{kind:?} {id}");
        }
    }

    #[test]
    fn each_spender_has_a_pot_of_its_own_under_a_star() {
        let scope = |kind, id: &str| Scope { kind, id: id.to_owned() };
        let spender = Spender { key: "k", team: Some("t"), user: Some("a/b"), session: None, tags: &["x", "y"] };
        assert_eq!(pots(scope(ScopeKind::Account, ""), &spender), ["b"]);
        assert_eq!(pots(scope(ScopeKind::Key, "k"), &spender), ["b"]);
        assert_eq!(pots(scope(ScopeKind::Key, "other"), &spender), Vec::<String>::new());
        assert_eq!(pots(scope(ScopeKind::User, "*"), &spender), ["b/a/b"]);
        assert_eq!(PotName::read("b/a/b"), PotName { rule: "b", subject: Some("a/b") });
        assert_eq!(pots(scope(ScopeKind::Session, "*"), &spender), Vec::<String>::new());
        assert_eq!(pots(scope(ScopeKind::Tag, "*"), &spender), ["b/x", "b/y"]);
        assert_eq!(pots(scope(ScopeKind::Tag, "y"), &spender), ["b"]);
    }
}
