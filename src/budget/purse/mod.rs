//! The isolate's side: what it has leased, what its calls hold, and what it owes a report on.
//!
//! [`Purse::take`] holds the worst case of a call in every pot that it draws from, or in none. What it cannot hold at once
//! it asks for. [`Purse::settle`] ends a hold at what was used. [`Purse::report`] says what the ledger does not know yet,
//! and asks for what the next seconds need, so that in steady traffic no call has to wait.

mod report;
mod slice;
mod take;

use std::cell::OnceCell;
use std::rc::Rc;

use crate::breaker::protocol::Switch;

use super::{Aim, Amounts, Draw, Drawn, Ended, Message, PotStanding, Rule, Spender, Terms};
use crate::sorted::SortedMap;
use crate::units::{Millis, NanoUsd, UnixMillis};
use slice::{Part, Slice};

/// How long before the end of a lease it is used no more: what clocks may differ by.
pub const MARGIN: Millis = Millis(5_000);

/// What one isolate may spend. See the module.
#[derive(Debug, Default)]
pub struct Purse {
    isolate: String,
    asks: u64,
    reports: u64,
    /// The pot of the first slice that the last report had no room for.
    unreported: String,
    keys: SortedMap<String, Known>,
    /// Keys of this beginning were forgotten, and when the ledger was first asked after that.
    forgotten: Option<(&'static str, Option<UnixMillis>)>,
    /// In boxes, because some thousand users may come and go.
    slices: SortedMap<String, Box<Slice>>,
    /// Slices whose lease was replaced, until all that they owe is reported.
    past: Vec<(String, Slice)>,
    holds: SortedMap<u64, Held>,
    last_hold: u64,
    /// Calls that the ledger was told of and that are over.
    closed: Vec<String>,
    /// Asks under way, by the moment at which they are given up.
    asking: Vec<UnixMillis>,
    /// Until when the ledger is taken to be away.
    away_until: UnixMillis,
    /// The report under way.
    reporting: Option<Message>,
    /// The revision of the kill switches that are known.
    switches: u64,
    /// Kill switches that came with a lease, until they are taken.
    switched: Option<Vec<Switch>>,
}

/// What is known of a key.
#[derive(Clone, Debug)]
struct Known {
    rules: Rc<[Rule]>,
    revision: u64,
    ended: Option<Ended>,
    until: UnixMillis,
    /// Served since the last report.
    served: bool,
    /// What all calls of the key draw from, and its team, once that was found; `None` where not all draw from the same.
    draws: OnceCell<Option<(Option<String>, Drawn)>>,
}

/// What a call under way holds.
#[derive(Debug)]
struct Held {
    request: String,
    key: String,
    parts: Vec<Part>,
    deadline: UnixMillis,
    announced: bool,
    /// Another ledger is told of the call too.
    counted_elsewhere: bool,
}

/// What a call wants to hold.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its request id.
    pub request: &'a str,
    /// What it takes at most.
    pub most: Amounts,
    /// What the key's record says: the ledger may not know it yet.
    pub terms: &'a Terms,
    /// When it is over at the latest.
    pub deadline: UnixMillis,
    /// Whether it was wanted before, and had to wait.
    pub again: bool,
}

/// What became of a wish to hold something.
#[derive(Debug)]
pub enum Taken<H = Option<Hold>> {
    /// It is held; to be ended with [`Purse::settle`]. `None` where no rule is about the call.
    Held(H),
    /// The ledger must be asked; then the call tries again.
    Ask(Message),
    /// Others are asking: the call tries again after this.
    Wait(Millis),
    /// The ledger does not answer.
    Away,
    /// The key has ended.
    Ended(Ended),
}

impl<H> Taken<H> {
    /// The same with something else in place of what is held.
    pub fn map<O>(self, held: impl FnOnce(H) -> O) -> Taken<O> {
        match self {
            Taken::Held(hold) => Taken::Held(held(hold)),
            Taken::Ask(message) => Taken::Ask(message),
            Taken::Wait(wait) => Taken::Wait(wait),
            Taken::Away => Taken::Away,
            Taken::Ended(ended) => Taken::Ended(ended),
        }
    }
}

/// Names what a call holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(u64);

/// How a rule stands for a call.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What is left, as far as is known here.
    pub left: i64,
    /// When it is whole again, where that is known.
    pub resets_at: Option<UnixMillis>,
}

/// The credit for the time without a ledger is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverCredit;

/// Why a call was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The rule it does not fit.
    pub rule: Rule,
    /// Whose part of it, where each spender has one.
    pub subject: Option<String>,
    /// How it stands.
    pub standing: PotStanding,
    /// When it would fit, where that is a matter of time.
    pub fits_at: Option<UnixMillis>,
    /// Whether it may fit in a moment, when other calls end.
    pub may_return: bool,
}

impl Purse {
    /// The purse of an isolate of this id, which no other has or had.
    #[must_use]
    pub fn new(isolate: String) -> Purse {
        Purse { isolate, ..Purse::default() }
    }

    /// The rules that can count calls of a key: as the ledger said, or until then as its record says.
    pub fn rules(&self, terms: &Terms) -> Rc<[Rule]> {
        match self.keys.get(&terms.key) {
            Some(known) => Rc::clone(&known.rules),
            None => take::rules_of(&terms.budgets, &terms.limits),
        }
    }

    /// What a call draws from, under the rules of [`Purse::rules`].
    #[must_use]
    pub fn draws(&self, terms: &Terms, spender: &Spender<'_>, aim: &Aim<'_>) -> Drawn {
        let find = || Drawn::of(self.rules(terms), spender, aim);
        let Some(known) = self.keys.get(&terms.key) else { return find() };
        let of_all = known.draws.get_or_init(|| {
            let is_one = known.rules.iter().all(Rule::counts_alike);
            is_one.then(|| (spender.team.map(str::to_owned), find()))
        });
        match of_all {
            Some((team, drawn)) if team.as_deref() == spender.team => drawn.clone(),
            _ => find(),
        }
    }

    /// Whether a key has ended, as far as is known.
    #[must_use]
    pub fn ended(&self, key: &str) -> Option<Ended> {
        self.keys.get(key).and_then(|known| known.ended)
    }

    /// Forgets what the ledger said of keys whose ids begin so: the next call of each tells it what its record says now.
    /// What it answers to those before is about the record as it was.
    pub fn forget_keys(&mut self, beginning: &'static str) {
        self.keys.retain(|key, _| !key.starts_with(beginning));
        self.forgotten = Some((beginning, None));
    }

    /// Whether what was asked at `sent` was asked before the key was forgotten.
    fn is_forgotten(&self, key: &str, sent: UnixMillis) -> bool {
        self.forgotten.is_some_and(|(beginning, asked_anew)| {
            key.starts_with(beginning) && asked_anew.is_none_or(|asked_anew| sent < asked_anew)
        })
    }

    /// Whether nothing counts calls of a key, and that is known for sure.
    pub fn is_free(&mut self, key: &str, now: UnixMillis) -> bool {
        let Some(known) = self.keys.get_mut(key) else { return false };
        known.served = true;
        now < known.until && known.rules.is_empty() && known.ended.is_none()
    }

    /// How a rule stands in one of its pots, as far as is known here.
    pub(super) fn figure<'a>(&self, rule: &'a Rule, draw: &Draw) -> Option<Figure<'a>> {
        let slice = self.slices.get_near(&*draw.pot, &draw.place).filter(|slice| slice.lease > 0)?;
        let standing = slice.standing;
        let left = match rule {
            Rule::Budget(_) => standing.limit.saturating_sub(slice.spent()),
            // What is leased to this isolate is gone from the bucket, and left all the same.
            Rule::Limit(_) => standing.limit.saturating_sub(standing.spent).saturating_add(slice.free().max(0)),
        };
        Some(Figure { rule, left: left.max(0), resets_at: standing.resets_at })
    }

    /// What one call can be sure to get of a budget, if it is to leave as much for each of the others under way: what is
    /// left over, in equal parts.
    pub(super) fn fair_share(&self, draw: &Draw) -> Option<NanoUsd> {
        let slice = self.slices.get_near(&*draw.pot, &draw.place).filter(|_| draw.unit.is_none())?;
        let left = slice.standing.limit.saturating_sub(slice.spent()).max(0);
        let before = self.past.iter().filter(|(pot, _)| **pot == *draw.pot).map(|(_, slice)| slice);
        let under_way: i64 = before.chain([&**slice]).map(|slice| i64::from(slice.holders)).sum();
        Some(NanoUsd(left / (under_way + 1)))
    }

    /// Ends a hold at what was used; nothing where the provider does not charge for the call.
    pub fn settle(&mut self, hold: Hold, used: &Amounts) {
        let Some(held) = self.holds.remove(&hold.0) else { return };
        for part in &held.parts {
            let amount = used.of(part.unit).max(0);
            if let Some(slice) = self.slice_of(part) {
                slice.settle(part.amount, amount);
            }
        }
        if held.announced {
            self.closed.push(name_of(&held.request, hold));
        }
    }

    /// Whether a hold is one of money.
    pub(super) fn holds_money(&self, hold: Hold) -> bool {
        self.holds.get(&hold.0).is_some_and(|held| held.parts.iter().any(|part| part.unit.is_none()))
    }

    /// The call is counted by another ledger too, which writes its row should nothing be heard of it.
    pub(super) fn count_elsewhere(&mut self, hold: Hold) {
        if let Some(held) = self.holds.get_mut(&hold.0) {
            held.counted_elsewhere = true;
        }
    }

    /// Whether nothing in it matters any more.
    pub(super) fn is_at_rest(&self, now: UnixMillis) -> bool {
        // What is granted in answer to an ask belongs to whoever asked.
        let is_asking = self.asking.iter().any(|until| *until > now);
        let has_words = self.owes_report() || self.reporting.is_some();
        !is_asking && !has_words && self.slices.values().all(|slice| slice.is_at_rest(now))
    }

    /// The operator's kill switches, where others came since this was last asked.
    pub fn take_switches(&mut self) -> Option<Vec<Switch>> {
        self.switched.take()
    }

    /// How many calls hold something.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.holds.len()
    }

    fn slice_of(&mut self, part: &Part) -> Option<&mut Slice> {
        match self.slices.get_mut_near(&*part.pot, &part.place) {
            // What was taken without a lease belongs to the first that came after it.
            Some(slice) if slice.lease == part.lease || part.lease == 0 => Some(slice),
            _ => self.past.iter_mut().find(|(_, slice)| slice.lease == part.lease).map(|(_, slice)| slice),
        }
    }
}

/// What the ledger knows a hold by: several attempts of a request can hold something.
fn name_of(request: &str, hold: Hold) -> String {
    format!("{request}.{}", hold.0)
}
