//! A store in memory that fails on purpose.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::admin::{
    AuditEntry, CallRow, CallsQuery, ConfigVersion, Delivery, Dimension, ExperimentVersion, Kind, LedgerHealth, Old,
    PairRow, Pots, RegionHealth, Store, StoreError, StoredConfig, StoredKey, StoredRecord, UsageQuery, UsageRow,
    VariantRow,
};
use crate::breaker::Order;
use crate::budget::ledger::Released;
use crate::budget::{Budget, Ledger, Rule};
use crate::gateway::Load;
use crate::keys::{Key, KeyHash, TeamTerms, terms};
use crate::units::{Millis, NanoUsd, UnixMillis};

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not happen.
    Refused,
    /// It happens, and its answer is lost.
    AnswerLost,
}

type Meddling = Box<dyn FnOnce(&mut Contents)>;

#[derive(Default)]
pub(super) struct Memory {
    pub contents: RefCell<Contents>,
    /// Troubles to come, by operation, in their order.
    troubles: RefCell<VecDeque<(&'static str, Trouble)>>,
    /// What others do just before the next write of a key or of the configuration.
    meddling: RefCell<VecDeque<Meddling>>,
    /// How often it was asked for something.
    pub asked: Cell<usize>,
}

#[derive(Default)]
pub(super) struct Contents {
    pub keys: BTreeMap<String, StoredKey>,
    pub published: BTreeMap<String, String>,
    pub records: BTreeMap<(Kind, String), StoredRecord>,
    pub configs: Vec<StoredConfig>,
    pub calls: Vec<CallRow>,
    pub audit: Vec<AuditEntry>,
    /// Each with when it is due and what its last attempt got.
    pub deliveries: Vec<(Delivery, Option<UnixMillis>, String)>,
    /// The id of each event, and that of its key.
    pub anomalies: Vec<(String, String)>,
    pub pairs: Vec<PairRow>,
    pub forgotten: Option<Old>,
    /// What the ledger was told of, by change, and what it makes of it.
    pub told: BTreeMap<(Kind, String), String>,
    pub ledger: Ledger,
    /// What the ledger says.
    pub standings: Pots,
    /// What dead isolates have leased, by budget.
    pub lost: BTreeMap<String, NanoUsd>,
    /// The releases that were ordered.
    pub releases: Vec<(String, Millis)>,
    /// The copies at the edge.
    pub grants: BTreeMap<KeyHash, String>,
    pub edge_config: Option<String>,
    /// What the health objects were told, and what they say.
    pub orders: Vec<Order>,
    pub regions: Vec<RegionHealth>,
    /// What the ledgers say.
    pub ledgers: Vec<LedgerHealth>,
}

impl Memory {
    pub fn trouble(&self, operation: &'static str, trouble: Trouble) {
        self.troubles.borrow_mut().push_back((operation, trouble));
    }

    pub fn meddle(&self, meddling: impl FnOnce(&mut Contents) + 'static) {
        self.meddling.borrow_mut().push_back(Box::new(meddling));
    }

    /// Does the operation, unless trouble was ordered for it.
    pub fn run<T>(&self, operation: &str, work: impl FnOnce(&mut Contents) -> T) -> Result<T, StoreError> {
        self.asked.set(self.asked.get() + 1);
        let place = self.troubles.borrow().iter().position(|(ordered, _)| *ordered == operation);
        let trouble = place.and_then(|place| self.troubles.borrow_mut().remove(place)).map(|(_, trouble)| trouble);
        let error = Err(StoreError { message: format!("{operation} in trouble") });
        if trouble == Some(Trouble::Refused) {
            return error;
        }
        let done = work(&mut self.contents.borrow_mut());
        if trouble == Some(Trouble::AnswerLost) { error } else { Ok(done) }
    }

    pub fn others_first(&self) {
        if let Some(meddling) = self.meddling.borrow_mut().pop_front() {
            meddling(&mut self.contents.borrow_mut());
        }
    }
}

impl Contents {
    /// A key with what its team says.
    fn joined(&self, stored: &StoredKey) -> StoredKey {
        let team = stored.key.team_id.clone().and_then(|team| self.records.get(&(Kind::Team, team)));
        StoredKey {
            team: team.map(|team| TeamTerms {
                updated_at: team.updated_at,
                ..crate::json::from_str(&team.record).expect("a team's record")
            }),
            ..stored.clone()
        }
    }
}

/// A call once for each tag, where tags are asked for, with what it is grouped by; nothing where a filter keeps it out.
fn groups_of<'a>(row: &'a CallRow, query: &UsageQuery) -> Vec<(UsageRow, &'a CallRow)> {
    let by_tag = query.group_by.contains(&Dimension::Tag);
    let tags = row.tags.as_deref().unwrap_or_default();
    let tags: Vec<&str> = if by_tag { tags.split(',').map(str::trim).collect() } else { vec![tags] };
    let told = |text: &Option<String>| Some(text.clone().unwrap_or_default());
    let groups = tags.into_iter().map(|tag| UsageRow {
        key_id: Some(row.key_id.clone()),
        team_id: told(&row.team_id),
        user: told(&row.user),
        tag: Some(tag.to_owned()),
        model: Some(row.model.clone()),
        provider: Some(row.provider.clone()),
        variant: told(&row.variant),
        day: Some(UnixMillis(row.at.0 / 86_400_000 * 86_400_000)),
        hour: Some(UnixMillis(row.at.0 / 3_600_000 * 3_600_000)),
        ..UsageRow::default()
    });
    let kept =
        groups.filter(|groups| query.filters.iter().all(|(dimension, value)| groups.group(*dimension) == *value));
    let only = |groups: UsageRow| {
        let asked = |dimension| query.group_by.contains(&dimension);
        UsageRow {
            key_id: groups.key_id.filter(|_| asked(Dimension::Key)),
            team_id: groups.team_id.filter(|_| asked(Dimension::Team)),
            user: groups.user.filter(|_| asked(Dimension::User)),
            tag: groups.tag.filter(|_| asked(Dimension::Tag)),
            model: groups.model.filter(|_| asked(Dimension::Model)),
            provider: groups.provider.filter(|_| asked(Dimension::Provider)),
            variant: groups.variant.filter(|_| asked(Dimension::Variant)),
            day: groups.day.filter(|_| asked(Dimension::Day)),
            hour: groups.hour.filter(|_| asked(Dimension::Hour)),
            ..UsageRow::default()
        }
    };
    kept.map(|groups| (only(groups), row)).collect()
}

fn most<T>(rows: impl Iterator<Item = T>, most: u32) -> Vec<T> {
    rows.take(most as usize).collect()
}

impl Store for Memory {
    async fn create_key(&self, stored: &StoredKey, audit: &AuditEntry) -> Result<(), StoreError> {
        self.run("create_key", |contents| {
            assert!(contents.keys.insert(stored.key.id.clone(), stored.clone()).is_none(), "an id is taken once");
            contents.audit.push(audit.clone());
        })
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        self.run("key", |contents| contents.keys.get(id).map(|stored| contents.joined(stored)))
    }

    async fn keys_of(&self, ids: &[&str]) -> Result<Vec<StoredKey>, StoreError> {
        self.run("keys_of", |contents| {
            let stored = ids.iter().filter_map(|id| contents.keys.get(*id));
            stored.map(|stored| contents.joined(stored)).collect()
        })
    }

    async fn keys(&self, team: Option<&str>, before: Option<&str>, limit: u32) -> Result<Vec<StoredKey>, StoreError> {
        self.run("keys", |contents| {
            let older = contents.keys.values().rev().filter(|stored| !stored.deleted);
            let older = older.filter(|stored| team.is_none_or(|team| stored.key.team_id.as_deref() == Some(team)));
            let older = older.filter(|stored| before.is_none_or(|id| stored.key.id.as_str() < id));
            most(older.map(|stored| contents.joined(stored)), limit)
        })
    }

    async fn replace_key(&self, stored: &StoredKey, expected: &str, audit: &AuditEntry) -> Result<bool, StoreError> {
        self.others_first();
        self.run("replace_key", |contents| {
            let found = contents.keys.get_mut(&stored.key.id).expect("the key is there");
            if found.change != expected {
                return false;
            }
            *found = stored.clone();
            contents.audit.push(audit.clone());
            true
        })
    }

    async fn unpublished_keys(&self, limit: u32) -> Result<Vec<StoredKey>, StoreError> {
        self.run("unpublished_keys", |contents| {
            let Contents { keys, published, .. } = &*contents;
            let behind = keys.values().filter(|stored| published.get(&stored.key.id) != Some(&stored.change));
            let behind: Vec<StoredKey> = behind.cloned().collect();
            most(behind.iter().map(|stored| contents.joined(stored)), limit)
        })
    }

    async fn key_published(&self, stored: &StoredKey) -> Result<bool, StoreError> {
        self.run("key_published", |contents| {
            let found = contents.keys.get(&stored.key.id).map(|found| contents.joined(found));
            let last = found.is_some_and(|found| found.change == stored.change && found.team == stored.team);
            if last {
                contents.published.insert(stored.key.id.clone(), stored.change.clone());
            }
            last
        })
    }

    async fn put_grant(&self, hash: &KeyHash, sealed: &str, _: Option<UnixMillis>) -> Result<(), StoreError> {
        self.run("put_grant", |contents| {
            contents.grants.insert(*hash, sealed.to_owned());
        })
    }

    async fn tell_key(&self, stored: &StoredKey) -> Result<(), StoreError> {
        self.run("tell_key", |contents| {
            let key = Key { team: stored.team, ..stored.key.clone() };
            contents.ledger.set_terms(terms(&key));
        })
    }

    async fn tell_rule(&self, kind: Kind, stored: &StoredRecord) -> Result<(), StoreError> {
        self.run("tell_rule", |contents| {
            if kind != Kind::Budget {
                return;
            }
            let budget: Budget = crate::json::from_str(&stored.record).expect("a budget's record");
            match stored.deleted {
                true => contents.ledger.remove_rule(&stored.id),
                false => contents.ledger.set_rule(Rule::Budget(Budget { id: stored.id.clone(), ..budget })),
            }
        })
    }

    async fn untold_records(&self, limit: u32) -> Result<Vec<(Kind, StoredRecord)>, StoreError> {
        self.run("untold_records", |contents| {
            let is_told = |(kind, id): &(Kind, String), stored: &StoredRecord| {
                let last = contents.told.get(&(*kind, id.clone()));
                matches!(kind, Kind::User | Kind::Webhook) || last == Some(&stored.change)
            };
            let untold = contents.records.iter().filter(|(place, stored)| !is_told(place, stored));
            most(untold.map(|((kind, _), stored)| (*kind, stored.clone())), limit)
        })
    }

    async fn record_told(&self, kind: Kind, id: &str, change: &str) -> Result<bool, StoreError> {
        self.run("record_told", |contents| {
            let place = (kind, id.to_owned());
            let last = contents.records.get(&place).is_some_and(|stored| stored.change == change);
            if last {
                contents.told.insert(place, change.to_owned());
            }
            last
        })
    }

    async fn own_ledgers(&self) -> Result<usize, StoreError> {
        self.run("own_ledgers", |contents| {
            contents.records.keys().filter(|(kind, id)| *kind == Kind::Team && id.starts_with("team_own_")).count()
        })
    }

    async fn standings(&self, rules: Vec<String>) -> Result<Pots, StoreError> {
        self.run("standings", |contents| {
            let known = contents.standings.iter().filter(|(rule, _)| rules.contains(rule));
            known.map(|(rule, pots)| (rule.clone(), pots.clone())).collect()
        })
    }

    async fn release_budget(&self, id: &str, silence: Millis) -> Result<Option<Released>, StoreError> {
        self.run("release_budget", |contents| {
            contents.releases.push((id.to_owned(), silence));
            let lost = contents.lost.get_mut(id)?;
            let amount = std::mem::take(lost);
            Some(Released { amount, leases: u64::from(amount > NanoUsd::ZERO) })
        })
    }

    async fn remove_grant(&self, hash: &KeyHash) -> Result<(), StoreError> {
        self.run("remove_grant", |contents| {
            contents.grants.remove(hash);
        })
    }

    async fn create_record(&self, kind: Kind, stored: &StoredRecord, audit: &AuditEntry) -> Result<bool, StoreError> {
        self.run("create_record", |contents| {
            let place = (kind, stored.id.clone());
            if contents.records.get(&place).is_some_and(|found| !found.deleted) {
                return false;
            }
            contents.records.insert(place, stored.clone());
            contents.audit.push(audit.clone());
            true
        })
    }

    async fn record(&self, kind: Kind, id: &str) -> Result<Option<StoredRecord>, StoreError> {
        self.run("record", |contents| contents.records.get(&(kind, id.to_owned())).cloned())
    }

    async fn records(&self, kind: Kind, before: Option<&str>, limit: u32) -> Result<Vec<StoredRecord>, StoreError> {
        self.run("records", |contents| {
            let rows = contents.records.iter().rev().filter(|((found, _), stored)| *found == kind && !stored.deleted);
            let rows = rows.map(|(_, stored)| stored.clone());
            most(rows.filter(|stored| before.is_none_or(|id| stored.id.as_str() < id)), limit)
        })
    }

    async fn replace_record(
        &self,
        kind: Kind,
        stored: &StoredRecord,
        expected: &str,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        self.others_first();
        self.run("replace_record", |contents| {
            let found = contents.records.get_mut(&(kind, stored.id.clone())).expect("the record is there");
            if found.change != expected {
                return false;
            }
            *found = stored.clone();
            contents.audit.push(audit.clone());
            if kind == Kind::Team {
                let keys = contents.keys.values().filter(|key| key.key.team_id.as_ref() == Some(&stored.id));
                keys.for_each(|key| drop(contents.published.remove(&key.key.id)));
            }
            true
        })
    }

    async fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        self.run("config", |contents| contents.configs.last().cloned())
    }

    async fn config_version(&self, version: u32) -> Result<Option<StoredConfig>, StoreError> {
        self.run("config_version", |contents| {
            contents.configs.iter().find(|stored| stored.version.version == version).cloned()
        })
    }

    async fn config_versions(&self, before: Option<u32>, limit: u32) -> Result<Vec<ConfigVersion>, StoreError> {
        self.run("config_versions", |contents| {
            let versions = contents.configs.iter().rev().map(|stored| stored.version.clone());
            most(versions.filter(|version| before.is_none_or(|before| version.version < before)), limit)
        })
    }

    async fn append_config(&self, config: &StoredConfig, audit: &AuditEntry) -> Result<bool, StoreError> {
        self.others_first();
        self.run("append_config", |contents| {
            if config.version.version as usize != contents.configs.len() + 1 {
                return false;
            }
            contents.configs.push(config.clone());
            contents.audit.push(audit.clone());
            true
        })
    }

    async fn config_published(&self, version: u32) -> Result<bool, StoreError> {
        self.run("config_published", |contents| {
            let last = contents.configs.last_mut().filter(|stored| stored.version.version == version);
            last.map(|stored| stored.version.published = 1).is_some()
        })
    }

    async fn put_config(&self, sealed: &str) -> Result<(), StoreError> {
        self.run("put_config", |contents| contents.edge_config = Some(sealed.to_owned()))
    }

    async fn calls(&self, query: &CallsQuery<'_>) -> Result<Vec<CallRow>, StoreError> {
        self.run("calls", |contents| {
            let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
            let mut rows = contents.calls.clone();
            rows.retain(|row| is(query.key_id, &row.key_id) && is(query.model, &row.model));
            rows.retain(|row| is(query.provider, &row.provider));
            rows.retain(|row| query.from.is_none_or(|from| row.at >= from));
            rows.retain(|row| query.until.is_none_or(|until| row.at < until));
            rows.retain(|row| query.before.is_none_or(|place| row.place() < place));
            rows.sort_by(|one, other| other.place().cmp(&one.place()));
            most(rows.into_iter(), query.most)
        })
    }

    async fn call_rows(&self, request_id: &str) -> Result<Vec<CallRow>, StoreError> {
        self.run("call_rows", |contents| {
            let mut rows = contents.calls.clone();
            rows.retain(|row| row.request_id == request_id);
            rows.sort_by_key(|row| row.seq);
            rows
        })
    }

    async fn variants(
        &self,
        experiment: &str,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<VariantRow>, StoreError> {
        self.run("variants", |contents| {
            let mut rows: BTreeMap<String, VariantRow> = BTreeMap::new();
            for call in contents.calls.iter().filter(|call| from <= call.at && call.at < until) {
                let variant =
                    call.variant.as_deref().and_then(|named| named.strip_prefix(experiment)?.strip_prefix(':'));
                let Some(variant) = variant else { continue };
                let row = rows.entry(variant.to_owned()).or_default();
                row.variant = variant.to_owned();
                row.calls += 1;
                row.failed += u64::from(call.status >= 500);
            }
            rows.into_values().collect()
        })
    }

    async fn pairs(&self, _: &str, limit: u32) -> Result<Vec<PairRow>, StoreError> {
        self.run("pairs", |contents| most(contents.pairs.iter().cloned(), limit))
    }

    async fn experiment_history(
        &self,
        experiment: &str,
        alias: &str,
        limit: u32,
    ) -> Result<Vec<ExperimentVersion>, StoreError> {
        self.run("experiment_history", |contents| {
            let versions = contents.configs.iter().rev().map(|stored| {
                let document: Value = serde_json::from_str(&stored.document).expect("a document");
                let member = |section: &str, name: &str| document[section].get(name).map(Value::to_string);
                ExperimentVersion {
                    created_at: stored.version.created_at,
                    experiment: member("experiments", experiment),
                    alias: member("aliases", alias),
                }
            });
            most(versions, limit)
        })
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.run("usage", |contents| {
            let within = contents.calls.iter().filter(|row| (query.from..query.until).contains(&row.at));
            let within = within.filter(|row| row.variant.is_some() || !query.asks_for_variants());
            let mut sums: BTreeMap<Vec<String>, UsageRow> = BTreeMap::new();
            if query.group_by.is_empty() {
                sums.insert(Vec::new(), UsageRow::default());
            }
            for (groups, row) in within.flat_map(|row| groups_of(row, query)) {
                let padded = |group: &String| format!("{group:0>20}");
                let place = query.group_by.iter().map(|dimension| padded(&groups.group(*dimension)));
                let place: Vec<String> = place.collect();
                if !query.after.is_empty() && place <= query.after.iter().map(padded).collect() {
                    continue;
                }
                let sum = sums.entry(place).or_insert(groups);
                sum.calls += i64::from(row.seq == 0);
                sum.input_tokens += row.input_fresh + row.input_cache_read;
                sum.cached_tokens += row.input_cache_read;
                sum.cost_nano += row.cost_nano.unwrap_or(0);
                sum.upstream_cost_nano += row.upstream_cost_nano.unwrap_or(0);
            }
            let mut rows: Vec<UsageRow> = sums.into_values().collect();
            if query.by_cost {
                rows.sort_by_key(|row| std::cmp::Reverse(row.cost_nano));
            }
            most(rows.into_iter(), query.most)
        })
    }

    async fn audit(
        &self,
        subject: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.run("audit", |contents| {
            let entries = contents.audit.iter().rev().filter(|entry| subject.is_none_or(|id| entry.subject == id));
            most(entries.filter(|entry| before.is_none_or(|id| entry.id.as_str() < id)).cloned(), limit)
        })
    }

    async fn append_audit(&self, audit: &AuditEntry) -> Result<(), StoreError> {
        self.run("append_audit", |contents| contents.audit.push(audit.clone()))
    }

    async fn breakers(&self) -> Result<Vec<RegionHealth>, StoreError> {
        self.run("breakers", |contents| contents.regions.clone())
    }

    async fn ledgers(&self) -> Vec<LedgerHealth> {
        self.contents.borrow().ledgers.clone()
    }

    fn load(&self) -> Load {
        Load { hedges_refused: 7, ..Load::default() }
    }

    async fn order_breakers(&self, order: &Order) -> Result<(), StoreError> {
        self.run("order_breakers", |contents| contents.orders.push(order.clone()))
    }
}
