//! The ledgers of the account: its own, and those of teams that have one of their own. What the operator writes goes to
//! each that counts by it, and what they read is the sum over all.

use worker::Env;

use super::lease;
use super::ledger::{Definitions, Wondered};
use super::store::{EdgeStore, read_json};
use super::together;
use crate::admin::{Kind, LedgerHealth, Pots, StoreError, StoredRecord};
use crate::budget::ledger::Released;
use crate::budget::{Budget, OWN_LEDGER, PROTOCOL, Part, Scope, ledger_of};
use crate::json::readable;
use crate::limit::Limit;
use crate::units::Millis;

#[derive(Default)]
struct TeamRow {
    id: String,
}
readable! { TeamRow { #[required] id } }

#[derive(Default)]
pub(super) struct RuleRow {
    id: String,
    record: String,
}
readable! { RuleRow { #[required] id, #[required] record } }

/// Tells some ledgers what the operator has written.
///
/// # Errors
/// Where one of them does not answer.
pub(super) async fn define<'t>(
    env: &Env,
    ledgers: impl IntoIterator<Item = Option<&'t str>>,
    definitions: Definitions,
) -> Result<(), StoreError> {
    let definitions = Definitions { version: PROTOCOL, ..definitions };
    let told = ledgers.into_iter().map(|team| lease::define(env, team, &definitions));
    together::all(told).await.into_iter().collect::<worker::Result<Vec<()>>>()?;
    Ok(())
}

/// Tells of a budget or limit that was written or deleted, or of all that a new ledger should know.
///
/// # Errors
/// Where the database or a ledger does not answer.
pub(super) async fn tell_rule(store: &EdgeStore<'_>, kind: Kind, stored: &StoredRecord) -> Result<(), StoreError> {
    let mut definitions = Definitions::default();
    let scope = match kind {
        Kind::User | Kind::Webhook => return Ok(()),
        Kind::Team if stored.deleted || ledger_of(Some(&stored.id)).is_none() => return Ok(()),
        Kind::Team => return begin(store, &stored.id).await,
        Kind::Budget | Kind::Limit if stored.deleted => {
            definitions.removed.push(stored.id.clone());
            None
        }
        Kind::Budget => {
            let budget = Budget { id: stored.id.clone(), ..read_json(&stored.record)? };
            let scope = budget.scope.clone();
            definitions.budgets.push(budget);
            Some(scope)
        }
        Kind::Limit => {
            let limit = Limit { id: stored.id.clone(), ..read_json(&stored.record)? };
            let scope = limit.scope.clone();
            definitions.limits.push(limit);
            Some(scope)
        }
    };
    let teams = teams(store).await?;
    let (concerned, others): (Vec<&String>, Vec<&String>) =
        teams.iter().partition(|team| scope.as_ref().is_none_or(|scope| concerns(scope, team)));
    // It may have been about one of these until now.
    let gone = Definitions { removed: vec![stored.id.clone()], ..Definitions::default() };
    define(store.env, others.into_iter().map(|team| Some(team.as_str())), gone).await?;
    let ledgers = concerned.into_iter().map(|team| Some(team.as_str())).chain([None]);
    define(store.env, ledgers, definitions).await
}

/// How rules stand, over all ledgers: every pot is counted in one of them.
///
/// # Errors
/// Where the database or a ledger does not answer.
pub(super) async fn standings(store: &EdgeStore<'_>, rules: Vec<String>) -> Result<Pots, StoreError> {
    let teams = teams(store).await?;
    let ask = |team| lease::standings(store.env, team, Wondered { rules: rules.clone(), ..Wondered::default() });
    let asked = all(&teams).map(ask);
    let mut sum = Pots::new();
    for found in together::all(asked).await {
        let found = found?;
        for (rule, pots) in found.standings {
            let known = sum.get_or_default(rule);
            for (name, standing) in pots {
                let part = known.get_or_default(name);
                *part = part.plus(&standing);
            }
        }
    }
    Ok(sum)
}

/// Frees what died with isolates, in whichever ledger it was leased.
///
/// # Errors
/// Where the database or a ledger does not answer; what others have freed is free.
pub(super) async fn release(store: &EdgeStore<'_>, id: &str, silence: Millis) -> Result<Option<Released>, StoreError> {
    let teams = teams(store).await?;
    let freed = together::all(all(&teams).map(|team| lease::release(store.env, team, id, silence))).await;
    let freed: Vec<Option<Released>> = freed.into_iter().collect::<worker::Result<_>>()?;
    let sum = |one: Released, other: Released| Released {
        amount: one.amount + other.amount,
        leases: one.leases + other.leases,
    };
    Ok(freed.into_iter().flatten().reduce(sum))
}

/// What the ledgers have for the database. While that does not say which teams have one, that of the account alone.
pub(super) async fn health(store: &EdgeStore<'_>) -> Vec<LedgerHealth> {
    let teams = teams(store).await.unwrap_or_default();
    let found = together::all(all(&teams).map(|team| lease::outbox(store.env, team))).await;
    let mut ledgers = Vec::new();
    for (team, outbox) in all(&teams).zip(found) {
        ledgers.push(LedgerHealth { team: team.map(str::to_owned), outbox });
    }
    ledgers
}

/// Tells the ledger of a new team by what it counts.
async fn begin(store: &EdgeStore<'_>, team: &str) -> Result<(), StoreError> {
    let mut definitions = Definitions::default();
    let statement = "SELECT id, record FROM budgets WHERE deleted_at IS NULL";
    for RuleRow { id, record } in store.rows::<RuleRow>(statement, &[]).await? {
        let budget = Budget { id, ..read_json(&record)? };
        if concerns(&budget.scope, team) {
            definitions.budgets.push(budget);
        }
    }
    let statement = "SELECT id, record FROM limits WHERE deleted_at IS NULL";
    for RuleRow { id, record } in store.rows::<RuleRow>(statement, &[]).await? {
        let limit = Limit { id, ..read_json(&record)? };
        if concerns(&limit.scope, team) {
            definitions.limits.push(limit);
        }
    }
    define(store.env, [Some(team)], definitions).await
}

/// Whether the ledger of a team counts by a rule with this scope.
fn concerns(scope: &Scope, team: &str) -> bool {
    let is_other = ledger_of(Some(&scope.id)).is_some() && scope.id != team;
    Part::Own.has(scope.kind) && !is_other
}

fn all(teams: &[String]) -> impl Iterator<Item = Option<&str>> {
    teams.iter().map(|team| Some(team.as_str())).chain([None])
}

/// The teams with a ledger of their own.
pub(super) async fn teams(store: &EdgeStore<'_>) -> Result<Vec<String>, StoreError> {
    let (from, to) = (format!("{OWN_LEDGER}_"), format!("{OWN_LEDGER}`"));
    let statement = "SELECT id FROM teams WHERE id >= ?1 AND id < ?2";
    let rows: Vec<TeamRow> = store.rows(statement, &[from.into(), to.into()]).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
