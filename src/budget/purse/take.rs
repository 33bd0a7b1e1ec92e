use std::cell::OnceCell;
use std::rc::Rc;

use super::Held;
use super::slice::{Part, Slice};
use super::{Hold, Known, MARGIN, OverCredit, Purse, Refused, Taken, Wanted};
use crate::budget::{Budget, Draw, KeyAsked, LeaseTold, Message, Need, PROTOCOL, PotName, Refusal, Reply, Rule};
use crate::limit::Limit;
use crate::units::{Millis, UnixMillis};

/// Asks of one isolate at the same time: a burst of calls waits for the answer to a few.
const MOST_ASKING: usize = 4;
/// How long a call waits before it looks whether others' asks have helped it.
const LOOK_AGAIN: Millis = Millis(20);
/// When an ask is given up.
const ASK_WITHIN: Millis = Millis(3_000);
/// After an ask that was not answered, how long nobody asks again.
const AWAY: Millis = Millis(2_000);
/// Keys and pots that an isolate knows at a time: some hundred bytes each.
const MOST_KNOWN: usize = 8_192;

impl Purse {
    /// Holds what a call wants in all pots that it draws from, or in none. The pots are those of [`Purse::draws`] just now.
    pub fn take(&mut self, wanted: &Wanted<'_>, draws: &[Draw], now: UnixMillis) -> Taken {
        let Some(known) = self.keys.get_mut(&wanted.terms.key) else { return self.ask(wanted, draws, now) };
        known.served = true;
        let fresh = now < known.until;
        if fresh && let Some(ended) = known.ended {
            return Taken::Ended(ended);
        }
        if fresh && known.rules.is_empty() {
            return Taken::Held(None);
        }
        let mut affords = fresh;
        for Draw { pot, place, unit, .. } in draws {
            let amount = wanted.most.of(*unit);
            let slice = self.slices.get_or_default_near(&**pot, place);
            if !wanted.again {
                slice.wanted(amount, now);
            }
            affords = affords && slice.affords(amount, now);
        }
        if affords {
            return Taken::Held(self.hold(wanted, draws));
        }
        self.ask(wanted, draws, now)
    }

    /// Takes what a call wants although the ledger is away, as far as each budget's credit for that goes.
    ///
    /// The credit is a hundredth of the limit and counts from when the ledger was last heard of.
    ///
    /// # Errors
    /// Where the credit is used up.
    pub fn take_on_credit(&mut self, wanted: &Wanted<'_>, draws: &[Draw]) -> Result<Option<Hold>, OverCredit> {
        for draw in draws {
            let slice = self.slices.get_or_default_of(&*draw.pot);
            if draw.unit.is_none() && slice.on_credit.saturating_add(wanted.most.cost.0) > draw.credit {
                return Err(OverCredit);
            }
        }
        for draw in draws {
            if let Some(slice) = self.slices.get_mut(&*draw.pot) {
                slice.on_credit = slice.on_credit.saturating_add(wanted.most.of(draw.unit));
            }
        }
        Ok(self.hold(wanted, draws))
    }

    /// The answer to an ask that was sent at `sent` came. Says why nothing was granted, where that is so.
    pub fn answered(&mut self, reply: &Reply, sent: UnixMillis) -> Option<Refusal> {
        self.asking.pop();
        self.away_until = UnixMillis(0);
        self.learn(reply, sent);
        reply.refusal.clone()
    }

    /// An ask was not answered.
    pub fn unanswered(&mut self, now: UnixMillis) {
        self.asking.pop();
        self.away_until = now.plus(AWAY);
    }

    /// What a refusal means, in the words of the rule.
    #[must_use]
    pub fn refused(&self, rules: &[Rule], refusal: &Refusal) -> Refused {
        let name = PotName::read(&refusal.pot);
        let rule = rules.iter().find(|rule| rule.id() == name.rule).cloned();
        Refused {
            rule: rule.unwrap_or_else(|| Rule::Budget(Budget { id: name.rule.to_owned(), ..Budget::default() })),
            subject: name.subject.map(str::to_owned),
            standing: refusal.standing,
            fits_at: refusal.fits_at,
            may_return: refusal.may_return,
        }
    }

    /// Takes in what a reply says. What it says holds from when the message was sent.
    pub(super) fn learn(&mut self, reply: &Reply, sent: UnixMillis) {
        let until = UnixMillis(sent.plus(reply.term).0.saturating_sub(MARGIN.0.cast_signed()));
        for news in &reply.keys {
            if self.is_forgotten(&news.key, sent) {
                continue;
            }
            if self.keys.len() >= MOST_KNOWN {
                self.keys.retain(|_, known| known.until > sent);
            }
            let before = self.keys.get(&news.key);
            let rules = news.rules.as_ref().map(|rules| rules_of(&rules.budgets, &rules.limits));
            // Without rules in it, it can only be about what is known.
            let Some(rules) = rules.or_else(|| before.map(|known| Rc::clone(&known.rules))) else { continue };
            // An answer that was overtaken by a newer one says nothing.
            if before.is_some_and(|known| known.revision > news.revision) {
                continue;
            }
            let until = before.map_or(until, |known| known.until.max(until));
            let served = before.is_some_and(|known| known.served);
            let (revision, ended) = (news.revision, news.ended);
            let known = Known { rules, revision, ended, until, served, draws: OnceCell::new() };
            self.keys.insert(news.key.clone(), known);
        }
        for told in &reply.leases {
            self.learn_lease(told, until);
        }
        // Of two answers the older one may come later.
        if let Some(news) = reply.switches.as_ref().filter(|news| news.revision > self.switches) {
            self.switches = news.revision;
            self.switched = Some(news.holding.clone());
        }
    }

    fn learn_lease(&mut self, told: &LeaseTold, until: UnixMillis) {
        let slice = self.slices.get_or_default_of(told.pot.as_str());
        if told.lease < slice.lease {
            return;
        }
        if slice.lease > 0 && told.lease > slice.lease {
            let fresh = slice.successor();
            let old = std::mem::replace(&mut **slice, fresh);
            if !old.is_settled() {
                self.past.push((told.pot.clone(), old));
            }
        }
        let Some(slice) = self.slices.get_mut(&told.pot) else { return };
        if slice.lease == 0 {
            // What calls hold that were let in without a lease, they hold of this one.
            let parts = self.holds.values_mut().flat_map(|held| &mut held.parts);
            parts.filter(|part| part.lease == 0 && *part.pot == *told.pot).for_each(|part| part.lease = told.lease);
        }
        slice.told(told, until);
    }

    fn hold(&mut self, wanted: &Wanted<'_>, draws: &[Draw]) -> Option<Hold> {
        if draws.is_empty() {
            return None;
        }
        let mut parts = Vec::with_capacity(draws.len());
        for Draw { pot, place, unit, .. } in draws {
            let amount = wanted.most.of(*unit);
            let Some(slice) = self.slices.get_mut_near(&**pot, place) else { continue };
            slice.hold(amount);
            parts.push(Part { lease: slice.lease, pot: Rc::clone(pot), place: place.clone(), unit: *unit, amount });
        }
        self.last_hold += 1;
        let (request, key) = (wanted.request.to_owned(), wanted.terms.key.clone());
        let held = Held { request, key, parts, deadline: wanted.deadline, announced: false, counted_elsewhere: false };
        self.holds.insert(self.last_hold, held);
        Some(Hold(self.last_hold))
    }

    fn ask(&mut self, wanted: &Wanted<'_>, draws: &[Draw], now: UnixMillis) -> Taken {
        if now < self.away_until {
            return Taken::Away;
        }
        self.asking.retain(|until| *until > now);
        if self.asking.len() >= MOST_ASKING {
            return Taken::Wait(LOOK_AGAIN);
        }
        if self.slices.len() >= MOST_KNOWN {
            self.slices.retain(|_, slice| !slice.is_at_rest(now));
        }
        self.asking.push(now.plus(ASK_WITHIN));
        if let Some((_, asked_anew)) = &mut self.forgotten {
            asked_anew.get_or_insert(now);
        }
        self.asks += 1;
        let known = self.keys.get(&wanted.terms.key);
        let key = KeyAsked {
            key: wanted.terms.key.clone(),
            have: known.map_or(0, |known| known.revision),
            terms: known.is_none().then(|| wanted.terms.clone()),
        };
        let needs = draws.iter().filter_map(|draw| self.need(draw, wanted, now)).collect();
        let isolate = self.isolate.clone();
        let (ask, switches) = (self.asks, self.switches);
        Taken::Ask(Message { version: PROTOCOL, isolate, ask, keys: vec![key], needs, switches, ..Message::default() })
    }

    /// What a call lacks in a pot.
    fn need(&self, draw: &Draw, wanted: &Wanted<'_>, now: UnixMillis) -> Option<Need> {
        let amount = wanted.most.of(draw.unit);
        let none = Slice::default();
        let slice = self.slices.get(&*draw.pot).map_or(&none, |slice| slice);
        if slice.affords(amount, now) {
            return None;
        }
        let least = amount.saturating_sub(slice.free()).max(0);
        Some(Need { pot: draw.pot.to_string(), least, want: slice.want(amount, now).max(least) })
    }
}

/// The rules of a message in one list.
pub(super) fn rules_of(budgets: &[Budget], limits: &[Limit]) -> Rc<[Rule]> {
    let budgets = budgets.iter().cloned().map(Rule::Budget);
    budgets.chain(limits.iter().cloned().map(Rule::Limit)).collect()
}
