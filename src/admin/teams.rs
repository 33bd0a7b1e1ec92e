//! Teams: whose keys share a mark-up, budgets and limits, and can be switched off together.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Fault, Refusal};
use super::body::{Faults, assign};
use super::key_fields::markup;
use super::records::Resource;
use super::{Call, Kind, Store};
use crate::budget::{OWN_LEDGER, ledger_of};
use crate::json::readable;
use crate::keys::{Markup, TeamTerms};
use crate::sorted::SortedMap;

const LONGEST_NAME: usize = 100;
/// Teams with a ledger of their own. What is asked or told of all ledgers goes to each at once, and the platform has a request
/// of ours make a thousand others at most.
const MOST_OWN_LEDGERS: usize = 500;
const MOST_NOTES: usize = 50;

/// A team's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Team {
    /// `team_…`, sorting by the moment of creation.
    id: String,
    name: String,
    /// Whether its calls are counted in a ledger of its own: decided when it is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own_ledger: bool,
    /// Switched off, for now, with all its keys.
    disabled: bool,
    /// What is charged for what the calls of its keys cost, unless a key says otherwise.
    markup: Option<Markup>,
    /// The operator's own notes.
    metadata: SortedMap<String, String>,
}
readable! { Team { id, name, own_ledger, disabled, markup, metadata } }

impl Resource for Team {
    const WRITABLE: &[&str] = &["name", "own_ledger", "disabled", "markup", "metadata"];

    fn id(&mut self) -> &mut String {
        &mut self.id
    }

    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults) {
        match name {
            "name" => assign(&mut self.name, value, |value| faults.text(name, value, 1..=LONGEST_NAME)),
            "own_ledger" => assign(&mut self.own_ledger, value, |value| faults.flag(name, value)),
            "disabled" => assign(&mut self.disabled, value, |value| faults.flag(name, value)),
            "markup" => assign(&mut self.markup, value, |value| markup(name, value, faults).map(Some)),
            _ => assign(&mut self.metadata, value, |value| faults.notes(name, value, MOST_NOTES)),
        }
    }

    fn check(&self, faults: &mut Faults) {
        if self.name.is_empty() {
            faults.add_once("name", &format!("is needed: 1 to {LONGEST_NAME} characters"));
        }
        if self.own_ledger != ledger_of(Some(&self.id)).is_some() {
            let message = "is decided when a team is made: what was spent stays where it was counted";
            faults.add_once("own_ledger", message);
        }
    }
}

/// What a team says about its keys; a fault of `team_id` where there is no such team.
pub(super) async fn terms_of<S: Store>(call: &Call<'_, S>, id: Option<&str>) -> Result<Option<TeamTerms>, Refusal> {
    let Some(id) = id else { return Ok(None) };
    let stored = call.store.record(Kind::Team, id).await?.filter(|stored| !stored.deleted);
    let terms = stored.and_then(|stored| {
        let terms: TeamTerms = crate::json::from_str(&stored.record).ok()?;
        Some(TeamTerms { updated_at: stored.updated_at, ..terms })
    });
    let missing =
        || Fault { path: "team_id".to_owned(), message: "is no team; make it with POST /admin/teams".to_owned() };
    terms.map(Some).ok_or_else(|| Refusal::faulty(vec![missing()]))
}

/// How the id of the team begins that `body` describes; a 409 where it wants one ledger too many.
pub(super) async fn prefix<S: Store>(call: &Call<'_, S>) -> Result<&'static str, Refusal> {
    #[derive(Default)]
    struct Wanted {
        own_ledger: bool,
    }
    readable! { Wanted { own_ledger } }
    let wanted: Wanted = crate::json::from_slice(call.request.body).unwrap_or_default();
    if !wanted.own_ledger {
        return Ok(Kind::Team.as_str());
    }
    if call.store.own_ledgers().await? >= MOST_OWN_LEDGERS {
        let message = format!("{MOST_OWN_LEDGERS} teams have or had a ledger of their own, and there can be no more.");
        return Err(Refusal::new(409, "too_many_ledgers", message));
    }
    Ok(OWN_LEDGER)
}
