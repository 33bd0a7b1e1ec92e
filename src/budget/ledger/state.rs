use std::collections::HashMap;

use serde::Serialize;

use super::{Isolate, Lease, Pot};
use crate::breaker::{Order, Switches};
use crate::budget::{
    Budget, KeyStandings, Part, PotName, PotStanding, Rule, ScopeKind, Spender, Stood, SwitchNews, Terms,
};
use crate::json::readable;
use crate::limit::Limit;
use crate::sorted::{self, SortedMap};
use crate::units::{Millis, UnixMillis};

/// How long a lease lasts, and how long a change of a key takes to be in force everywhere.
pub const TERM: Millis = Millis(10_000);

/// Pots of users, sessions and tags: beyond this many, those that rest longest are given up. A pot and a lease of it take
/// some 300 bytes of the object's 128 MB; with more than 114,688 of them the table of pots doubles.
pub(super) const MOST_POTS: usize = 110_000;

/// What the ledger object knows. See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(super) meta: Meta,
    /// Rules by id, those of keys included.
    pub(super) rules: HashMap<String, Known>,
    pub(super) keys: HashMap<String, Standing>,
    pub(super) pots: HashMap<String, Pot>,
    pub(super) isolates: HashMap<String, Isolate>,
    pub(super) switches: Switches,
    /// Rows to be written, some of them more than once.
    pub(super) changed: Vec<Row>,
    pub(super) notices: Vec<Notice>,
    pub(super) committed: Vec<Committed>,
    pub(super) swept_at: UnixMillis,
    pub(super) aged_at: UnixMillis,
}

/// Counters of the ledger as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Meta {
    /// The number of the last lease.
    pub(super) lease: u64,
    /// Grows with every change of a rule or a key.
    pub(super) revision: u64,
    /// The revision at which a rule of no key in particular changed last.
    pub(super) common: u64,
    /// Grows with every decision about a kill switch.
    pub(super) switched: u64,
}
readable! { Meta { lease, revision, common, switched } }

/// A rule, and the key whose own it is.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) rule: Rule,
    pub(super) key: Option<String>,
}

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    pub(super) terms: Terms,
    /// The revision at which they changed last.
    pub(super) revision: u64,
}
readable! { Standing { terms, revision } }

/// A row of the object's storage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Counters of the whole.
    Meta,
    /// A budget of no key in particular, by id.
    Budget(String),
    /// A limit of no key in particular, by id.
    Limit(String),
    /// A key's terms, by its id.
    Key(String),
    /// A pot, by name.
    Pot(String),
    /// An isolate with its calls under way, by id.
    Isolate(String),
    /// A lease, by its isolate's id and its number: of an isolate that serves thousands of users, a row cannot hold all.
    Lease(String),
    /// The operator's kill switches.
    Switches,
}

/// A row with what is to stand in it; `None` where there is to be none.
pub type StoredRow = (Row, Option<String>);

/// A threshold that a budget has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The budget's id.
    pub budget: String,
    /// Whose part of it, where each spender has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The window, as the moment it began: with it, a notice is unlike any other.
    pub window: UnixMillis,
    /// The share of the limit that was reached, in thousandths; 1000 is all of it.
    pub share: u16,
    /// In nano-dollars.
    pub spent: i64,
    /// In nano-dollars.
    pub limit: i64,
}

/// A call of which nothing was heard until its deadline, or one of which something was heard after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The request it was told of under.
    pub request: String,
    /// The id of its key.
    pub key: String,
    /// The team of the key.
    pub team: Option<String>,
    /// What it is booked at, in nano-dollars; negative takes back what was booked before.
    pub cost: i64,
    /// When.
    pub at: UnixMillis,
}

impl Ledger {
    /// Takes a stored row. What cannot be read is an error: money would be counted wrongly without it.
    ///
    /// # Errors
    /// Where the row is none of this or an earlier version.
    pub fn restore(&mut self, row: &Row, json: &str) -> Result<(), crate::json::Error> {
        match row {
            Row::Meta => self.meta = crate::json::from_str(json)?,
            Row::Budget(_) => self.know(Rule::Budget(crate::json::from_str(json)?), None),
            Row::Limit(_) => self.know(Rule::Limit(crate::json::from_str(json)?), None),
            Row::Key(id) => {
                let standing: Standing = crate::json::from_str(json)?;
                self.know_terms(&standing.terms);
                self.keys.insert(id.clone(), standing);
            }
            Row::Pot(name) => {
                let pot = crate::json::from_str(json)?;
                let holders = self.pots.remove(name).map(|known| known.holders).unwrap_or_default();
                self.pots.insert(name.clone(), Pot { holders, ..pot });
            }
            Row::Isolate(id) => {
                let mut isolate: Isolate = crate::json::from_str(json)?;
                let leases = std::mem::take(&mut isolate.leases);
                if let Some(known) = self.isolates.remove(id) {
                    isolate.seen_at = isolate.seen_at.max(known.seen_at);
                    isolate.leases = known.leases;
                }
                self.isolates.insert(id.clone(), isolate);
                for (number, lease) in leases {
                    // An earlier version wrote it: from the next change on it has its own row.
                    self.changed.extend([Row::Isolate(id.clone()), Row::lease(id, number)]);
                    self.restore_lease(id, number, lease);
                }
            }
            Row::Lease(name) => {
                if let Some((id, number)) = lease_named(name) {
                    self.restore_lease(id, number, crate::json::from_str(json)?);
                }
            }
            Row::Switches => self.switches = crate::json::from_str(json)?,
        }
        Ok(())
    }

    fn restore_lease(&mut self, isolate: &str, number: u64, lease: Lease) {
        let held = self.isolates.entry(isolate.to_owned()).or_default();
        // It was heard of when it drew last.
        held.seen_at = held.seen_at.max(UnixMillis(lease.until.0.saturating_sub(TERM.0.cast_signed())));
        if !lease.closed {
            self.pots.entry(lease.pot.clone()).or_default().held_by(isolate, number);
        }
        held.leases.insert(number, lease);
    }

    /// The rows that changed since this was last asked.
    pub fn take_changes(&mut self) -> Vec<StoredRow> {
        let mut rows = std::mem::take(&mut self.changed);
        sorted::sort(&mut rows);
        rows.dedup();
        rows.into_iter().map(|row| (row.clone(), self.stored(&row))).collect()
    }

    /// The thresholds that were reached since this was last asked.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The calls that were booked at their ceilings, or corrected, since this was last asked.
    pub fn take_committed(&mut self) -> Vec<Committed> {
        std::mem::take(&mut self.committed)
    }

    /// Takes what a key's record says, unless something newer is known.
    pub fn set_terms(&mut self, terms: Terms) {
        let known = self.keys.get(&terms.key);
        if known.is_some_and(|known| known.terms.updated_at >= terms.updated_at) {
            return;
        }
        let before = self.take_own_rules(&terms.key);
        self.know_terms(&terms);
        before.iter().for_each(|before| self.recount(before));
        self.meta.revision += 1;
        self.changed.push(Row::Meta);
        self.changed.push(Row::Key(terms.key.clone()));
        self.keys.insert(terms.key.clone(), Standing { terms, revision: self.meta.revision });
    }

    /// Forgets a key and its own rules; what was counted and leased under those is let go when it is looked through next,
    /// not by a walk over all pots for each rule.
    pub(super) fn forget_key(&mut self, key: &str) {
        self.keys.remove(key);
        self.changed.push(Row::Key(key.to_owned()));
        self.take_own_rules(key);
    }

    fn take_own_rules(&mut self, key: &str) -> Vec<Rule> {
        let own = |known: &Known| known.key.as_deref() == Some(key);
        let rules = self.rules.values().filter(|known| own(known)).map(|known| known.rule.clone()).collect();
        self.rules.retain(|_, known| !own(known));
        rules
    }

    /// Takes a budget or a limit of no key in particular, in place of the one of the same id.
    pub fn set_rule(&mut self, rule: Rule) {
        self.changed.push(match &rule {
            Rule::Budget(budget) => Row::Budget(budget.id.clone()),
            Rule::Limit(limit) => Row::Limit(limit.id.clone()),
        });
        let before = self.rules.get(rule.id()).map(|known| known.rule.clone());
        self.know(rule, None);
        before.iter().for_each(|before| self.recount(before));
        self.common_change();
    }

    /// Does what the operator wants of a kill switch. Isolates hear of it with their next lease.
    ///
    /// # Errors
    /// Where there are too many decisions already.
    pub fn order(&mut self, order: &Order, now: UnixMillis) -> Result<(), String> {
        self.switches.order(order, now)?;
        self.meta.switched += 1;
        self.changed.extend([Row::Meta, Row::Switches]);
        Ok(())
    }

    /// The kill switches, where the isolate knows others.
    pub(super) fn switch_news(&self, known: u64, now: UnixMillis) -> Option<SwitchNews> {
        let revision = self.meta.switched;
        let holding = || self.switches.holding(now).cloned().collect();
        (revision != known).then(|| SwitchNews { revision, holding: holding() })
    }

    /// Forgets a budget or a limit, and what was counted under it.
    pub fn remove_rule(&mut self, id: &str) {
        let Some(known) = self.rules.remove(id) else { return };
        self.changed.push(match known.rule {
            Rule::Budget(_) => Row::Budget(id.to_owned()),
            Rule::Limit(_) => Row::Limit(id.to_owned()),
        });
        let gone: Vec<String> = self.pots.keys().filter(|name| PotName::read(name).rule == id).cloned().collect();
        for name in gone {
            self.pots.remove(&name);
            self.changed.push(Row::Pot(name));
        }
        // Should one of the same id come again, what is said of these has nothing to do with it.
        for (isolate, held) in &mut self.isolates {
            held.leases.retain(|number, lease| {
                let stays = PotName::read(&lease.pot).rule != id;
                if !stays {
                    self.changed.push(Row::lease(isolate, *number));
                }
                stays
            });
        }
        self.common_change();
    }

    /// How a pot stands; `None` where its rule is not known.
    pub fn standing(&mut self, name: &str, now: UnixMillis) -> Option<PotStanding> {
        self.move_on(name, now);
        let rule = &self.rules.get(PotName::read(name).rule)?.rule;
        let mut pot = self.pots.get(name).cloned().unwrap_or_default();
        pot.advance(rule, now);
        let mut standing = pot.standing(rule, now);
        standing.held = self.held_of(name);
        if matches!(rule, Rule::Budget(_)) {
            standing.lost = self.lost_of(name, now);
        }
        Some(standing)
    }

    /// How everything stands that a key is subject to. Parts of single users, sessions and tags are not the key's.
    pub fn standings_of_key(&mut self, terms: &Terms, now: UnixMillis) -> KeyStandings {
        self.set_terms(terms.clone());
        let (budgets, limits) = self.rules_of(&terms.key, terms.team.as_deref(), terms.part);
        let spender = Spender { key: &terms.key, team: terms.team.as_deref(), ..Spender::default() };
        let mut stand = |rule: &Rule| {
            let mut pot = None;
            rule.pots(&spender, &mut |name| pot = Some(name.text().into_owned()));
            pot.and_then(|pot| self.standing(&pot, now))
        };
        let budgets = budgets.into_iter().map(|budget| {
            let standing = stand(&Rule::Budget(budget.clone()));
            Stood { rule: budget, standing }
        });
        let budgets = budgets.collect();
        let limits = limits.into_iter().map(|limit| {
            let standing = stand(&Rule::Limit(limit.clone()));
            Stood { rule: limit, standing }
        });
        KeyStandings { budgets, limits: limits.collect() }
    }

    /// What calls under way hold of a pot at most, as far as was told.
    fn held_of(&self, pot: &str) -> i64 {
        let leases = self.leases_of(pot).map(|(isolate, number, _)| isolate.ceilings(number));
        leases.fold(0, i64::saturating_add)
    }

    /// The leases that draw from a pot and have not ended, and who has them.
    pub(super) fn leases_of(&self, pot: &str) -> impl Iterator<Item = (&Isolate, u64, &Lease)> {
        let holders = self.pots.get(pot).map(|pot| pot.holders.as_slice()).unwrap_or_default();
        holders.iter().filter_map(|(isolate, number)| {
            let isolate = self.isolates.get(isolate)?;
            Some((isolate, *number, isolate.leases.get(number)?))
        })
    }

    /// How all pots of a rule stand, by name; one that nothing was drawn from yet is listed where the rule has only one.
    pub fn standings(&mut self, rule: &str, now: UnixMillis) -> SortedMap<String, PotStanding> {
        let mut names: Vec<String> =
            self.pots.keys().filter(|name| PotName::read(name).rule == rule).cloned().collect();
        if self.rules.get(rule).is_some_and(|known| !known.rule.scope().is_each()) {
            // Its place in the map is the same where it is listed twice.
            names.push(rule.to_owned());
        }
        names.into_iter().filter_map(|name| self.standing(&name, now).map(|standing| (name, standing))).collect()
    }

    /// The rules that can count calls of a key.
    pub(super) fn rules_of(&self, key: &str, team: Option<&str>, part: Part) -> (Vec<Budget>, Vec<Limit>) {
        let (mut budgets, mut limits) = (Vec::new(), Vec::new());
        let own =
            |known: &&Known| known.key.as_deref().is_none_or(|owner| owner == key) && part.has(known.rule.scope().kind);
        for known in self.rules.values().filter(own).filter(|known| known.rule.concerns(key, team)) {
            match &known.rule {
                Rule::Budget(budget) => budgets.push(budget.clone()),
                Rule::Limit(limit) => limits.push(limit.clone()),
            }
        }
        sorted::sort_by(&mut budgets, |one, other| one.id.cmp(&other.id));
        sorted::sort_by(&mut limits, |one, other| one.id.cmp(&other.id));
        (budgets, limits)
    }

    fn know_terms(&mut self, terms: &Terms) {
        for budget in &terms.budgets {
            self.know(Rule::Budget(budget.clone()), Some(&terms.key));
        }
        for limit in &terms.limits {
            self.know(Rule::Limit(limit.clone()), Some(&terms.key));
        }
    }

    fn know(&mut self, rule: Rule, key: Option<&str>) {
        // Two rules of one id would draw from one pot: the first to come keeps it.
        let id = rule.id().to_owned();
        if self.rules.get(&id).is_some_and(|known| known.key.as_deref() != key) {
            return;
        }
        self.rules.insert(id, Known { rule, key: key.map(str::to_owned) });
    }

    fn common_change(&mut self) {
        self.meta.revision += 1;
        self.meta.common = self.meta.revision;
        self.changed.push(Row::Meta);
    }

    fn stored(&self, row: &Row) -> Option<String> {
        match row {
            Row::Meta => json(Some(&self.meta)),
            Row::Budget(id) | Row::Limit(id) => match self.rules.get(id).map(|known| &known.rule) {
                Some(Rule::Budget(budget)) => json(Some(budget)),
                Some(Rule::Limit(limit)) => json(Some(limit)),
                None => None,
            },
            Row::Key(id) => json(self.keys.get(id)),
            Row::Pot(name) => json(self.pots.get(name)),
            Row::Isolate(id) => json(self.isolates.get(id)),
            Row::Lease(name) => {
                let (id, number) = lease_named(name)?;
                json(self.isolates.get(id)?.leases.get(&number))
            }
            Row::Switches => json(Some(&self.switches)),
        }
    }
}

impl Row {
    /// That of a lease.
    pub(super) fn lease(isolate: &str, number: u64) -> Row {
        Row::Lease(format!("{isolate}/{number}"))
    }

    /// The kind and the name under which it is stored.
    #[must_use]
    pub fn place(&self) -> (&'static str, &str) {
        match self {
            Row::Meta => ("meta", ""),
            Row::Budget(id) => ("budget", id),
            Row::Limit(id) => ("limit", id),
            Row::Key(id) => ("key", id),
            Row::Pot(name) => ("pot", name),
            Row::Isolate(id) => ("isolate", id),
            Row::Lease(name) => ("lease", name),
            Row::Switches => ("switches", ""),
        }
    }

    /// Reads [`Row::place`].
    #[must_use]
    pub fn at(kind: &str, name: &str) -> Option<Row> {
        let name = name.to_owned();
        Some(match kind {
            "meta" => Row::Meta,
            "budget" => Row::Budget(name),
            "limit" => Row::Limit(name),
            "key" => Row::Key(name),
            "pot" => Row::Pot(name),
            "isolate" => Row::Isolate(name),
            "lease" => Row::Lease(name),
            "switches" => Row::Switches,
            _ => return None,
        })
    }
}

/// Reads what [`Row::lease`] made.
fn lease_named(name: &str) -> Option<(&str, u64)> {
    let (isolate, number) = name.rsplit_once('/')?;
    Some((isolate, number.parse().ok()?))
}

/// Whether pots of such a rule may be given up when there are too many: they come back empty.
pub(super) fn comes_in_numbers(rule: &Rule) -> bool {
    matches!(rule.scope().kind, ScopeKind::User | ScopeKind::Session | ScopeKind::Tag)
}

fn json<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.map(crate::json::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{LeaseReport, Message, Need, PROTOCOL, Period, Scope};
    use crate::units::NanoUsd;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn of_each_user() -> Ledger {
        let mut ledger = Ledger::default();
        let scope = Scope { kind: ScopeKind::User, id: "*".into() };
        let budget = Budget { id: "b".into(), scope, limit: NanoUsd(100), period: Period::Day, ..Budget::default() };
        ledger.set_rule(Rule::Budget(budget));
        ledger
    }

    fn from_rows<'r>(rows: impl IntoIterator<Item = (&'r Row, &'r String)>) -> Ledger {
        let mut ledger = Ledger::default();
        for (row, json) in rows {
            let (kind, name) = row.place();
            assert_eq!(Row::at(kind, name).as_ref(), Some(row));
            ledger.restore(row, json).expect("readable");
        }
        ledger
    }

    #[test]
    fn every_row_is_found_again_by_its_place() {
        let name = || "a/b/7".to_owned();
        let rows = [
            Row::Meta,
            Row::Budget(name()),
            Row::Limit(name()),
            Row::Key(name()),
            Row::Pot(name()),
            Row::Isolate(name()),
            Row::lease("a/b", 7),
            Row::Switches,
        ];
        for row in rows {
            let (kind, name) = row.place();
            assert_eq!(Row::at(kind, name), Some(row.clone()));
        }
        assert_eq!(Row::at("another", "a"), None, "a row of a newer version is left alone");
        assert_eq!(lease_named("a/b/7"), Some(("a/b", 7)));
    }

    #[test]
    fn a_hundred_thousand_users_at_once_fit_rows_and_come_back() {
        const ISOLATES: usize = 4;
        const USERS: usize = 25_000;
        let mut ledger = of_each_user();
        let mut rows = std::collections::BTreeMap::new();
        let mut store = |ledger: &mut Ledger| {
            for (row, value) in ledger.take_changes() {
                let length = value.as_ref().map_or(0, String::len);
                assert!(length < 1_000, "{row:?} has {length} bytes, and storage takes two million");
                match value {
                    Some(value) => drop(rows.insert(row, value)),
                    None => drop(rows.remove(&row)),
                }
            }
            rows.len()
        };
        let pot = |isolate: usize, user: usize| format!("b/user {isolate} {user}");
        let message =
            |isolate: usize, message| Message { version: PROTOCOL, isolate: format!("i{isolate}"), ..message };
        for (isolate, ask) in (0..ISOLATES).flat_map(|isolate| (0..5).map(move |ask| (isolate, ask))) {
            let users = (0..USERS).skip(ask * USERS / 5).take(USERS / 5);
            let needs = users.map(|user| Need { pot: pot(isolate, user), least: 60, want: 60 }).collect();
            let asked = Message { ask: ask as u64 + 1, needs, ..Message::default() };
            let reply = ledger.handle(message(isolate, asked), NOW);
            assert_eq!((reply.leases.len(), reply.refusal), (USERS / 5, None));
            store(&mut ledger);
        }
        ledger.sweep(NOW.plus(Millis(5_000)));
        // A pot and a lease of each, the isolates, the budget and the counters.
        assert_eq!(store(&mut ledger), 2 * ISOLATES * USERS + ISOLATES + 2);
        let mut restored = from_rows(&rows);
        assert_eq!((restored.pots.len(), &restored.isolates), (ledger.pots.len(), &ledger.isolates));
        assert!(restored.take_changes().is_empty(), "nothing is written again");
        let later = NOW.plus(Millis(5_000));
        assert_eq!(restored.standing(&pot(3, 24_999), later).map(|it| (it.spent, it.leased)), Some((0, 60)));
        // A report of one user writes what that one has, and no more.
        let lease = restored.isolates["i3"].leases.iter().next_back().map(|(number, _)| *number).expect("a lease");
        let told = LeaseReport { lease, pot: pot(3, 24_999), used: 10, returned: 50, ..LeaseReport::default() };
        restored.handle(message(3, Message { report: 1, leases: vec![told], ..Message::default() }), later);
        assert_eq!(restored.standing(&pot(3, 24_999), later).map(|it| (it.spent, it.leased)), Some((10, 0)));
        assert_eq!(restored.take_changes().len(), 2);
    }

    #[test]
    fn a_rule_that_is_removed_takes_its_pots_and_leases_along() {
        let mut ledger = of_each_user();
        let other = Budget { id: "other".into(), limit: NanoUsd(100), ..Budget::default() };
        ledger.set_rule(Rule::Budget(other));
        let needs = ["b/one", "other"].map(|pot| Need { pot: pot.into(), least: 60, want: 60 });
        let message =
            Message { version: PROTOCOL, isolate: "i".into(), ask: 1, needs: needs.to_vec(), ..Message::default() };
        assert_eq!(ledger.handle(message, NOW).leases.len(), 2);
        ledger.take_changes();
        ledger.remove_rule("b");
        let changes = ledger.take_changes();
        let gone = [Row::Budget("b".into()), Row::Pot("b/one".into()), Row::lease("i", 1)];
        let (left, removed): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, value)| value.is_some());
        assert_eq!(left.iter().map(|(row, _)| row).collect::<Vec<_>>(), [&Row::Meta], "others are as they were");
        assert_eq!(removed.into_iter().map(|(row, _)| row).collect::<Vec<_>>(), gone);
        assert_eq!(
            (ledger.standing("b/one", NOW), ledger.standing("other", NOW).map(|it| it.leased)),
            (None, Some(60))
        );
    }

    #[test]
    fn leases_that_stand_in_their_isolates_row_move_to_their_own() {
        let mut ledger = of_each_user();
        let needs = ["b/one", "b/two"].map(|pot| Need { pot: pot.into(), least: 60, want: 60 });
        let ask =
            Message { version: PROTOCOL, isolate: "i".into(), ask: 1, needs: needs.to_vec(), ..Message::default() };
        let reply = ledger.handle(ask.clone(), NOW);
        let isolate = Row::Isolate("i".into());
        let mut rows: Vec<(Row, String)> =
            ledger.take_changes().into_iter().filter_map(|(row, value)| Some((row, value?))).collect();
        rows.retain(|(row, _)| !matches!(row, Row::Lease(_)));
        let leases = crate::json::to_string(&ledger.isolates["i"].leases);
        for (_, json) in rows.iter_mut().filter(|(row, _)| *row == isolate) {
            *json = json.replace("\"opens\"", &format!("\"leases\":{leases},\"opens\""));
        }
        // As an earlier version wrote them, in any order.
        for turn in 0..rows.len() {
            rows.rotate_left(turn);
            let mut restored = from_rows(rows.iter().map(|(row, json)| (row, json)));
            assert_eq!(restored.isolates, ledger.isolates);
            let moved = restored.take_changes();
            assert_eq!(moved.iter().filter(|(row, value)| matches!(row, Row::Lease(_)) && value.is_some()).count(), 2);
            let rest = moved.iter().find(|(row, _)| *row == isolate).and_then(|(_, value)| value.as_deref());
            assert!(rest.is_some_and(|rest| !rest.contains("pot")), "{rest:?}");
            assert_eq!(restored.handle(ask.clone(), NOW).leases, reply.leases, "granted once");
        }
    }
}
