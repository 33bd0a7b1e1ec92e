use serde::Serialize;

use crate::json::readable;
use crate::sorted::SortedMap;
use crate::units::UnixMillis;

/// What an isolate has been given, and what is known of it.
///
/// Stored as JSON: fields may be added, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Isolate {
    /// When it was last heard of.
    pub seen_at: UnixMillis,
    /// The highest number of an ask that was answered.
    pub asked: u64,
    /// Which of the 64 asks up to that one were answered; the lowest bit is that one.
    pub asks: u64,
    /// The highest number of a report.
    pub reported: u64,
    /// By number. Each is stored in a row of its own; until this was so, all of them stood here.
    #[serde(skip_serializing)]
    pub leases: SortedMap<u64, Lease>,
    /// Calls under way that it told of, by request.
    pub opens: SortedMap<String, Open>,
}
readable! { Isolate { seen_at, asked, asks, reported, leases, opens } }

/// A slice of a pot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// The pot's name.
    pub pot: String,
    /// The window of the pot in which it was granted; what is used of it counts in later ones that its term reaches into.
    pub window: UnixMillis,
    /// Granted in all.
    pub granted: i64,
    /// Used in all, as the isolate says.
    pub used: i64,
    /// Given back in all, as the isolate says.
    pub returned: i64,
    /// Booked at the ceiling of calls of which nothing more was heard.
    pub committed: i64,
    /// Until when the isolate may draw from it.
    pub until: UnixMillis,
    /// Ended: what was not used is back in the pot, or was never to come back.
    pub closed: bool,
}
readable! { Lease { pot, window, granted, used, returned, committed, until, closed } }

/// A call under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The id of its key.
    pub key: String,
    /// What it holds at most, by lease.
    pub holds: Vec<(u64, i64)>,
    /// When it is over at the latest.
    pub deadline: UnixMillis,
    /// Booked at its ceiling, because it was not heard of until then.
    pub committed: bool,
    /// When it was.
    #[serde(skip_serializing_if = "is_never")]
    pub committed_at: UnixMillis,
    /// Another ledger writes its row.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub counted_elsewhere: bool,
}
readable! { Open { key, holds, deadline, committed, committed_at, counted_elsewhere } }

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_never(at: &UnixMillis) -> bool {
    at.0 == 0
}

impl Lease {
    /// What the isolate may still use, or has used without saying so yet.
    #[must_use]
    pub fn outstanding(&self) -> i64 {
        if self.closed { 0 } else { self.untold().max(0) }
    }

    /// Whether what is used of it counts in a window that began at `window`: calls of that window may have drawn from it.
    pub(super) fn counts_in(&self, window: UnixMillis) -> bool {
        self.window == window || self.until > window
    }

    /// Whether the isolate has not said what became of all of it.
    pub(super) fn is_untold(&self) -> bool {
        self.untold() > 0
    }

    fn untold(&self) -> i64 {
        self.granted.saturating_sub(self.used).saturating_sub(self.returned).saturating_sub(self.committed)
    }
}

impl Isolate {
    /// Whether an ask has not been answered yet; from now on it has.
    pub(super) fn is_new_ask(&mut self, number: u64) -> bool {
        if number > self.asked {
            let ahead = number - self.asked;
            self.asks = if ahead < 64 { self.asks << ahead | 1 } else { 1 };
            self.asked = number;
            return true;
        }
        let behind = self.asked - number;
        let is_new = number > 0 && behind < 64 && self.asks >> behind & 1 == 0;
        if is_new {
            self.asks |= 1 << behind;
        }
        is_new
    }

    /// The ceilings of calls under way that hold from a lease.
    pub(super) fn ceilings(&self, lease: u64) -> i64 {
        self.held(lease, |open| !open.committed)
    }

    /// The ceilings of calls that were booked at them before `window`, and may be corrected.
    pub(super) fn committed(&self, lease: u64, window: UnixMillis) -> i64 {
        self.held(lease, |open| open.committed && open.committed_at < window)
    }

    fn held(&self, lease: u64, counts: impl Fn(&Open) -> bool) -> i64 {
        let holds = self.opens.values().filter(|open| counts(open)).flat_map(|open| &open.holds);
        holds.filter(|(number, _)| *number == lease).map(|(_, amount)| *amount).fold(0, i64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_new_once_in_any_order() {
        let mut isolate = Isolate::default();
        let fresh =
            [3u64, 1, 3, 2, 1, 200, 2, 190, 190, 199, 0, 136, 137, 264, 200].map(|number| isolate.is_new_ask(number));
        assert_eq!(
            fresh,
            [true, true, false, true, false, true, false, true, false, true, false, false, true, true, false]
        );
    }

    #[test]
    fn a_stored_isolate_is_pinned() {
        let written = r#"{"seen_at":5,"asked":1,"asks":1,"reported":4,"leases":{"7":{"pot":"b","window":0,"granted":9,"used":1,"returned":2,"committed":3,"until":15,"closed":false}},"opens":{"req_1.1":{"key":"k","holds":[[7,3]],"deadline":99,"committed":true}}}"#;
        let isolate: Isolate = crate::json::from_str(written).expect("an isolate");
        assert_eq!(isolate.leases.get(&7).map(Lease::outstanding), Some(3));
        let [lease, rest] = [
            r#"{"pot":"b","window":0,"granted":9,"used":1,"returned":2,"committed":3,"until":15,"closed":false}"#,
            r#"{"seen_at":5,"asked":1,"asks":1,"reported":4,"opens":{"req_1.1":{"key":"k","holds":[[7,3]],"deadline":99,"committed":true}}}"#,
        ];
        assert_eq!(serde_json::to_string(&isolate).expect("JSON"), rest);
        assert_eq!(serde_json::to_string(&isolate.leases.get(&7)).expect("JSON"), lease, "in a row of its own");
    }
}
