use serde::Serialize;

use super::protocol::{Position, Switch};
use super::region::{Action, Order};
use super::target;
use crate::json::{self, FromJson, Reader};
use crate::sorted::SortedMap;
use crate::units::UnixMillis;

/// So many decisions of the operator.
const MOST: usize = 256;

/// What the operator decided about providers, targets and credentials, by the subject's name.
///
/// Stored as JSON, in the object of each region group and in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Switches(SortedMap<String, Switch>);

impl<'a> FromJson<'a> for Switches {
    fn from_json(reader: &mut Reader<'a>) -> Result<Switches, json::Error> {
        SortedMap::from_json(reader).map(Switches)
    }
}

impl Switches {
    /// Does what an operator asks.
    ///
    /// # Errors
    /// Where there are too many decisions already.
    pub fn order(&mut self, order: &Order, now: UnixMillis) -> Result<(), String> {
        self.0.retain(|_, switch| switch.holds(now));
        let position = match order.action {
            Action::Reset => {
                self.0.retain(|known, _| !target::is_within(known, &order.subject));
                return Ok(());
            }
            Action::Block => Position::Block,
            Action::Allow => Position::Allow,
        };
        if self.0.len() >= MOST && !self.0.contains_key(&order.subject) {
            return Err(format!("there are {MOST} decisions already; reset some"));
        }
        let subject = order.subject.clone();
        let (until, reason) = (order.until, order.reason.clone());
        self.0.insert(subject.clone(), Switch { subject, position, until, since: now, reason });
        Ok(())
    }

    /// Those that hold.
    pub fn holding(&self, now: UnixMillis) -> impl Iterator<Item = &Switch> {
        self.0.values().filter(move |switch| switch.holds(now))
    }
}
