//! What isolates and the ledger say to each other: JSON, versioned.
//!
//! Counters of a lease only ever grow, each on one side: the ledger says how much it has granted in all, the isolate how
//! much it has used and given back in all. So a message that comes twice, late or never does no harm: the next one says
//! everything again. Asks are numbered, so that one that comes twice is not granted twice, and reports, so that an old one
//! does not bring back calls that are over.

use serde::Serialize;

use super::{Budget, ScopeKind};
use crate::breaker::protocol::Switch;
use crate::json::{readable, words};
use crate::limit::Limit;
use crate::units::{Millis, UnixMillis};

/// What one message may list of anything: the ledger reads no more.
pub(super) const MOST_LISTED: usize = 10_000;

/// The version of the protocol. An object reads this one and the one before.
pub const PROTOCOL: u32 = 2;

/// What a key is subject to of its own, as its record says: the ledger keeps the newest it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// The key's id.
    pub key: String,
    /// The team it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// When the record was last changed: the newer terms win.
    pub updated_at: UnixMillis,
    /// The key's own budgets.
    pub budgets: Vec<Budget>,
    /// The key's own limits.
    pub limits: Vec<Limit>,
    /// Why the key must not be used any more, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When it stops by itself, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Which rules this ledger counts its calls under.
    #[serde(skip_serializing_if = "Part::is_all")]
    pub part: Part,
}
readable! { Terms { key, team, updated_at, budgets, limits, ended, expires_at, part } }

/// Which rules a ledger counts calls of a key under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All: the account has one ledger.
    #[default]
    All,
    /// Those that only its team can draw from: this is the ledger of that.
    Own,
    /// Those that other teams draw from as well: this is the account's, and its team has one of its own.
    Shared,
}
words! { Part { All = "all", Own = "own", Shared = "shared" } }

impl Part {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_all(&self) -> bool {
        *self == Part::All
    }

    /// Whether rules about such spenders belong to it.
    #[must_use]
    pub fn has(self, kind: ScopeKind) -> bool {
        let is_own = matches!(kind, ScopeKind::Team | ScopeKind::Key);
        match self {
            Part::All => true,
            Part::Own => is_own,
            Part::Shared => !is_own,
        }
    }
}

impl Terms {
    /// What the account's ledger should know of a key whose team has one of its own.
    #[must_use]
    pub fn shared(&self) -> Terms {
        let (key, team) = (self.key.clone(), self.team.clone());
        let Terms { updated_at, ended, expires_at, .. } = *self;
        Terms { key, team, updated_at, ended, expires_at, part: Part::Shared, ..Terms::default() }
    }
}

/// Why a key must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// For good.
    Revoked,
    /// For now.
    Disabled,
}
words! { Ended { Revoked = "revoked", Disabled = "disabled" } }

/// From an isolate: what it needs, what it has done, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Message {
    /// [`PROTOCOL`].
    pub version: u32,
    /// The isolate's id, drawn when it began.
    pub isolate: String,
    /// Unlike that of any other ask of the isolate; 0 where it asks for nothing.
    pub ask: u64,
    /// Grows with every report of the isolate; 0 where it is none. A report that is sent again has its old number.
    pub report: u64,
    /// Keys whose news are wanted.
    pub keys: Vec<KeyAsked>,
    /// What one call lacks: all of it is granted, or nothing.
    pub needs: Vec<Need>,
    /// How leases stand.
    pub leases: Vec<LeaseReport>,
    /// Calls that are under way and have not been told of yet.
    pub opened: Vec<Opened>,
    /// Calls that were told of and are over.
    pub closed: Vec<String>,
    /// The revision of the operator's kill switches that the isolate has; 0 for none.
    #[serde(skip_serializing_if = "is_none")]
    pub switches: u64,
}
readable! { Message { version, isolate, ask, report, keys, needs, leases, opened, closed, switches } }

/// A key that the isolate serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyAsked {
    /// Its id.
    pub key: String,
    /// The revision of the news that the isolate has; 0 for none.
    pub have: u64,
    /// What its record says, where the ledger may not know it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}
readable! { KeyAsked { key, have, terms } }

/// What is missing in one pot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The pot's name.
    pub pot: String,
    /// The least that helps.
    pub least: i64,
    /// What would be used within some seconds.
    pub want: i64,
}
readable! { Need { pot, least, want } }

/// How a lease stands, in all since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeaseReport {
    /// Its number.
    pub lease: u64,
    /// The pot's name.
    pub pot: String,
    /// What ended calls took.
    pub used: i64,
    /// What was given back.
    pub returned: i64,
    /// How much more would be used within some seconds.
    pub want: i64,
    /// Whether it is to last on.
    pub renew: bool,
}
readable! { LeaseReport { lease, pot, used, returned, want, renew } }

/// A call under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Its request id, and the number of the attempt behind it.
    pub request: String,
    /// The id of its key.
    pub key: String,
    /// What it holds at most, by lease.
    pub holds: Vec<(u64, i64)>,
    /// How long it may still take.
    pub left: Millis,
    /// Another ledger was told of it too, and writes its row should nothing be heard of it.
    #[serde(skip_serializing_if = "is_false")]
    pub counted_elsewhere: bool,
}
readable! { Opened { request, key, holds, left, counted_elsewhere } }

/// The ledger's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// [`PROTOCOL`].
    pub version: u32,
    /// How long what is told here holds, from the moment the message was sent.
    pub term: Millis,
    /// News of keys.
    pub keys: Vec<KeyNews>,
    /// Leases that were granted, lengthened, or ended.
    pub leases: Vec<LeaseTold>,
    /// Why nothing was granted, where something was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The operator's kill switches; absent where the isolate has them already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switches: Option<SwitchNews>,
}
readable! { Reply { version, term, keys, leases, refusal, switches } }

/// What the operator switched off, or on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SwitchNews {
    /// Grows with every decision.
    pub revision: u64,
    /// All that hold.
    pub holding: Vec<Switch>,
}
readable! { SwitchNews { revision, holding } }

/// What a key is subject to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyNews {
    /// Its id.
    pub key: String,
    /// Grows with every change.
    pub revision: u64,
    /// Why it must not be used any more, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Every rule that can count its calls; absent where the isolate has them already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}
readable! { KeyNews { key, revision, ended, rules } }

/// Budgets and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// In money.
    pub budgets: Vec<Budget>,
    /// In requests, tokens and calls.
    pub limits: Vec<Limit>,
}
readable! { Rules { budgets, limits } }

/// A lease as the ledger has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeaseTold {
    /// Its number; a higher one replaces a lower one of the same pot.
    pub lease: u64,
    /// The pot's name.
    pub pot: String,
    /// Granted in all since it began.
    pub granted: i64,
    /// Used in all, as far as the ledger was told.
    pub used: i64,
    /// Given back in all, as far as the ledger was told.
    pub returned: i64,
    /// How much of what is left is this isolate's fair share.
    pub share: i64,
    /// How the pot stands.
    pub standing: PotStanding,
}
readable! { LeaseTold { lease, pot, granted, used, returned, share, standing } }

/// How a pot stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PotStanding {
    /// The limit.
    pub limit: i64,
    /// What was spent in the window; of a rate, what its bucket lacks.
    pub spent: i64,
    /// What isolates have leased and not used.
    pub leased: i64,
    /// Of that, what calls under way hold at most; told only where it is asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub held: i64,
    /// Of that, what isolates have that let their lease end and were not heard of since; told with `held`.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: i64,
    /// When it is whole again, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<UnixMillis>,
}
readable! { PotStanding { limit, spent, leased, held, lost, resets_at } }

impl PotStanding {
    /// Together with how it stands in another ledger.
    #[must_use]
    pub fn plus(&self, other: &PotStanding) -> PotStanding {
        PotStanding {
            limit: self.limit.max(other.limit),
            spent: self.spent.saturating_add(other.spent),
            leased: self.leased.saturating_add(other.leased),
            held: self.held.saturating_add(other.held),
            lost: self.lost.saturating_add(other.lost),
            resets_at: self.resets_at.max(other.resets_at),
        }
    }
}

/// A need that could not be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The pot that had the least.
    pub pot: String,
    /// How it stands.
    pub standing: PotStanding,
    /// When the need could be met, where that is a matter of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits_at: Option<UnixMillis>,
    /// Whether what others have leased may come back and meet it.
    pub may_return: bool,
}
readable! { Refusal { pot, standing, fits_at, may_return } }

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(super) fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none(revision: &u64) -> bool {
    *revision == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators see one budget though every team's ledger keeps a part of it.
    #[test]
    fn what_two_ledgers_say_of_a_pot_is_told_as_one() {
        let standing = |first: i64| PotStanding {
            limit: first,
            spent: first + 1,
            leased: first + 2,
            held: first + 3,
            lost: first + 4,
            resets_at: Some(UnixMillis(first + 5)),
        };
        let both = PotStanding {
            limit: 1000,
            spent: 1102,
            leased: 1104,
            held: 1106,
            lost: 1108,
            resets_at: Some(UnixMillis(1005)),
        };
        assert_eq!(standing(100).plus(&standing(1000)), both);
        assert_eq!(standing(1000).plus(&standing(100)), both);
    }
}
