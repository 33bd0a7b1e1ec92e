//! An isolate's purses: one for the account's ledger, and one for each team that has a ledger of its own.
//!
//! Every pot lives in exactly one ledger. What only one team can draw from (its budgets and limits, and those of its keys)
//! is in the team's; what calls of several teams draw from (the account, users, sessions, tags) stays in the account's,
//! from which each isolate leases slices as ever. So nothing has to be divided, and no sum over ledgers can pass a limit:
//! a call of such a team holds its worst case in both, or in neither.

use std::rc::Rc;

use super::purse::OverCredit;
use super::{
    Aim, Amounts, Draw, Drawn, Draws, Figure, Hold, Message, Purse, Refusal, Refused, Reply, Rule, Spender, Taken,
    Terms, Wanted,
};
use crate::breaker::protocol::Switch;
use crate::sorted::SortedMap;
use crate::units::{NanoUsd, UnixMillis};

/// How the ids of teams begin that have a ledger of their own. It is decided when a team is made and never changes: what
/// was spent stays where it was counted.
pub const OWN_LEDGER: &str = "team_own";
/// With more teams than this, purses that are at rest are put away.
const MOST_AT_HAND: usize = 256;

/// The team whose own ledger counts calls of `team`; `None` is the account's.
#[must_use]
pub fn ledger_of(team: Option<&str>) -> Option<&str> {
    team.filter(|team| team.strip_prefix(OWN_LEDGER).is_some_and(|rest| rest.starts_with('_')))
}

/// See the module.
#[derive(Debug, Default)]
pub struct Purses {
    isolate: String,
    account: Purse,
    teams: SortedMap<String, Purse>,
    /// How many purses of teams there were: no two have the same name.
    made: u64,
}

/// What a call holds, of every ledger that counts it.
#[derive(Debug)]
pub struct Holds {
    account: Option<Hold>,
    team: Option<(String, Hold)>,
}

impl Holds {
    fn some(account: Option<Hold>, team: Option<(String, Hold)>) -> Option<Holds> {
        (account.is_some() || team.is_some()).then_some(Holds { account, team })
    }
}

impl Purses {
    /// Those of an isolate of this id, which no other has or had.
    #[must_use]
    pub fn new(isolate: String) -> Purses {
        Purses { account: Purse::new(isolate.clone()), isolate, ..Purses::default() }
    }

    /// Holds what a call wants in all pots of all its ledgers, or in none. The pots are those of [`Purses::draws`] just
    /// now. Where something has to be asked, `asked` is the team whose ledger that is.
    pub fn take(
        &mut self,
        wanted: &Wanted<'_>,
        draws: &Draws,
        asked: &mut Option<String>,
        now: UnixMillis,
    ) -> Taken<Option<Holds>> {
        *asked = None;
        let Some(team) = ledger_of(wanted.terms.team.as_deref()) else {
            return self.account.take(wanted, draws.shared.pots(), now).map(|hold| Holds::some(hold, None));
        };
        let own = match self.of_team(team, now).take(wanted, draws.of_own(), now) {
            Taken::Held(hold) => hold,
            other => {
                *asked = Some(team.to_owned());
                return other.map(|_| None);
            }
        };
        let shared = wanted.terms.shared();
        let taken = self.account.take(&Wanted { terms: &shared, ..*wanted }, draws.shared.pots(), now);
        match taken {
            Taken::Held(account) => Taken::Held(self.both(team, own, account)),
            other => {
                self.give_back(Some(team), own);
                other.map(|_| None)
            }
        }
    }

    /// Takes what a call wants although a ledger is away, see [`Purse::take_on_credit`]. The credit is for the one that
    /// is away; the other gives what it has, or has to be asked, as in [`Purses::take`].
    ///
    /// # Errors
    /// Where the credit is used up.
    pub fn take_on_credit(
        &mut self,
        wanted: &Wanted<'_>,
        draws: &Draws,
        asked: &mut Option<String>,
        now: UnixMillis,
    ) -> Result<Taken<Option<Holds>>, OverCredit> {
        *asked = None;
        let Some(team) = ledger_of(wanted.terms.team.as_deref()) else {
            let hold = self.account.take_on_credit(wanted, draws.shared.pots())?;
            return Ok(Taken::Held(Holds::some(hold, None)));
        };
        let shared = wanted.terms.shared();
        let of_account = Wanted { terms: &shared, ..*wanted };
        let (account, is_away) = match self.account.take(&of_account, draws.shared.pots(), now) {
            Taken::Held(hold) => (hold, false),
            Taken::Away => (None, true),
            other => return Ok(other.map(|_| None)),
        };
        let own = match self.of_team(team, now).take(wanted, draws.of_own(), now) {
            Taken::Held(hold) => Ok(hold),
            Taken::Away => self.of_team(team, now).take_on_credit(wanted, draws.of_own()),
            other => {
                self.give_back(None, account);
                *asked = Some(team.to_owned());
                return Ok(other.map(|_| None));
            }
        };
        let own = own.inspect_err(|_| self.give_back(None, account))?;
        let account = match is_away {
            true => self.account.take_on_credit(&of_account, draws.shared.pots()),
            false => Ok(account),
        };
        let account = account.inspect_err(|_| self.give_back(Some(team), own))?;
        Ok(Taken::Held(self.both(team, own, account)))
    }

    fn both(&mut self, team: &str, own: Option<Hold>, account: Option<Hold>) -> Option<Holds> {
        if let (Some(own), Some(account)) = (own, account)
            && self.teams.get(team).is_some_and(|purse| purse.holds_money(own))
        {
            // Should nothing be heard of the call, one ledger writes its row.
            self.account.count_elsewhere(account);
        }
        Holds::some(account, own.map(|own| (team.to_owned(), own)))
    }

    fn give_back(&mut self, ledger: Option<&str>, hold: Option<Hold>) {
        if let (Some(hold), Some(purse)) = (hold, self.of(ledger)) {
            purse.settle(hold, &Amounts::default());
        }
    }

    /// Ends what a call holds at what was used.
    pub fn settle(&mut self, holds: &Holds, used: &Amounts) {
        if let Some(hold) = holds.account {
            self.account.settle(hold, used);
        }
        if let Some((team, hold)) = &holds.team
            && let Some(purse) = self.teams.get_mut(team.as_str())
        {
            purse.settle(*hold, used);
        }
    }

    /// The rules that can count calls of a key, see [`Purse::rules`].
    pub fn rules(&self, terms: &Terms) -> Rc<[Rule]> {
        let Some(team) = ledger_of(terms.team.as_deref()) else { return self.account.rules(terms) };
        let own = self.teams.get(team).unwrap_or(&Purse::default()).rules(terms);
        let shared = self.account.rules(&terms.shared());
        own.iter().chain(shared.iter()).cloned().collect()
    }

    /// What a call draws from, in all its ledgers.
    #[must_use]
    pub fn draws(&self, terms: &Terms, spender: &Spender<'_>, aim: &Aim<'_>) -> Draws {
        let Some(team) = ledger_of(terms.team.as_deref()) else {
            return Draws { own: None, shared: self.account.draws(terms, spender, aim) };
        };
        let own = self.teams.get(team).unwrap_or(&Purse::default()).draws(terms, spender, aim);
        Draws { own: Some(own), shared: self.account.draws(&terms.shared(), spender, aim) }
    }

    /// See [`Purse::forget_keys`]; of keys that have no team.
    pub fn forget_keys(&mut self, beginning: &'static str) {
        self.account.forget_keys(beginning);
    }

    /// Whether nothing counts calls of a key, and that is known for sure.
    pub fn is_free(&mut self, terms: &Terms, now: UnixMillis) -> bool {
        match ledger_of(terms.team.as_deref()) {
            None => self.account.is_free(&terms.key, now),
            Some(team) => {
                let own = self.teams.get_mut(team).is_some_and(|purse| purse.is_free(&terms.key, now));
                own && self.account.is_free(&terms.key, now)
            }
        }
    }

    /// How the rules stand that a call of `team` draws from, as far as is known here.
    pub fn figures<'a>(&self, draws: &'a Draws, team: Option<&str>) -> impl Iterator<Item = Figure<'a>> {
        self.each(draws, team).filter_map(|(purse, drawn, draw)| purse.figure(drawn.rule(draw)?, draw))
    }

    /// What one call can be sure to get of the tightest of the budgets that it draws from, if it is to leave as much for
    /// each of the others under way. `None` where no budget is known here.
    #[must_use]
    pub fn fair_share(&self, draws: &Draws, team: Option<&str>) -> Option<NanoUsd> {
        self.each(draws, team).filter_map(|(purse, _, draw)| purse.fair_share(draw)).min()
    }

    /// The pots of a call of `team`, and the purses that lease of them.
    fn each<'s, 'd>(
        &'s self,
        draws: &'d Draws,
        team: Option<&str>,
    ) -> impl Iterator<Item = (&'s Purse, &'d Drawn, &'d Draw)> + use<'s, 'd> {
        let own = ledger_of(team).and_then(|team| self.teams.get(team)).zip(draws.own.as_ref());
        let ledgers = [(&self.account, &draws.shared)].into_iter().chain(own);
        ledgers.flat_map(|(purse, drawn)| drawn.pots().iter().map(move |draw| (purse, drawn, draw)))
    }

    /// What a refusal means, in the words of the rule.
    #[must_use]
    pub fn refused(&self, rules: &[Rule], refusal: &Refusal) -> Refused {
        self.account.refused(rules, refusal)
    }

    /// See [`Purse::answered`]; of which ledger is said as in [`Purses::take`].
    pub fn answered(&mut self, ledger: Option<&str>, reply: &Reply, sent: UnixMillis) -> Option<Refusal> {
        self.of(ledger).and_then(|purse| purse.answered(reply, sent))
    }

    /// See [`Purse::unanswered`].
    pub fn unanswered(&mut self, ledger: Option<&str>, now: UnixMillis) {
        if let Some(purse) = self.of(ledger) {
            purse.unanswered(now);
        }
    }

    /// See [`Purse::report`].
    pub fn report(&mut self, ledger: Option<&str>, now: UnixMillis) -> Message {
        match ledger {
            None => self.account.report(now),
            Some(team) => self.of_team(team, now).report(now),
        }
    }

    /// See [`Purse::reported`].
    pub fn reported(&mut self, ledger: Option<&str>, reply: &Reply, sent: UnixMillis) {
        if let Some(purse) = self.of(ledger) {
            purse.reported(reply, sent);
        }
    }

    /// Whether a report to this ledger would say anything.
    #[must_use]
    pub fn owes_report_to(&self, ledger: Option<&str>) -> bool {
        match ledger {
            None => self.account.owes_report(),
            Some(team) => self.teams.get(team).is_some_and(Purse::owes_report),
        }
    }

    /// Whether a report to any ledger would say anything.
    #[must_use]
    pub fn owes_report(&self) -> bool {
        self.account.owes_report() || self.teams.values().any(Purse::owes_report)
    }

    /// The teams of whose ledgers this isolate has something.
    pub fn teams(&self) -> impl Iterator<Item = &str> {
        self.teams.keys().map(String::as_str)
    }

    /// The operator's kill switches, where others came since this was last asked.
    pub fn take_switches(&mut self) -> Option<Vec<Switch>> {
        self.account.take_switches()
    }

    /// How many calls hold something.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.teams.values().map(Purse::holding).fold(self.account.holding(), usize::max)
    }

    fn of(&mut self, ledger: Option<&str>) -> Option<&mut Purse> {
        match ledger {
            None => Some(&mut self.account),
            Some(team) => self.teams.get_mut(team),
        }
    }

    fn of_team(&mut self, team: &str, now: UnixMillis) -> &mut Purse {
        if self.teams.len() >= MOST_AT_HAND && !self.teams.contains_key(team) {
            self.teams.retain(|_, purse| !purse.is_at_rest(now));
        }
        let Purses { teams, made, isolate, .. } = self;
        teams.get_or_insert_with(team.to_owned(), || {
            *made += 1;
            Purse::new(format!("{isolate}.{made}"))
        })
    }
}

#[cfg(test)]
mod tests;
