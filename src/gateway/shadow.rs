//! Shadow traffic: a share of an alias's calls is sent to another target as well, beside the answer to the caller, who
//! never sees what comes of it.
//!
//! A shadow is a call of its own: decided by the same rules, for the same key, and paid from a budget of its own. Its
//! record names the call that it repeats. Where the key lets contents be kept, both answers are kept to be compared.

use std::rc::Rc;

use crate::budget::{Budget, Scope, ScopeKind};
use crate::failure::Failure;
use crate::keys::{Grant, Key};
use crate::route::experiment::Shadow;
use crate::route::reading::Reading;
use crate::units::UnixMillis;

use super::call::{Call, Role, Stage};
use super::routed::Basis;
use super::send::no_attempt;
use super::{CallId, Gateway, Step};

/// How the ids of the keys begin that shadows are charged to.
pub(super) const KEY: &str = "shadow_";
/// Bytes of an answer that are kept.
const MOST_KEPT: usize = 64 << 10;
/// Answers that wait to be written; the oldest are given up for newer ones.
const MOST_WAITING: usize = 64;

/// What was answered to a call, as its caller got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which call.
    pub request_id: String,
    /// When it came.
    pub at: UnixMillis,
    /// The body of the answer, or its beginning.
    pub content: String,
}

impl Gateway {
    /// Begins the shadow of a call that was just sent; `None` where it has none, or its shadow was begun.
    pub fn begin_shadow(&mut self, id: CallId, now: UnixMillis) -> Option<(CallId, Step)> {
        let mut call = self.take(id)?;
        let wanted = call.routed.as_mut().and_then(|routed| routed.shadow.take());
        let copy = wanted.as_ref().and_then(|(_, variant)| {
            let mut incoming = call.incoming.clone();
            if let Some(original) = &call.original_body {
                incoming.body.clone_from(original);
            }
            // Whoever brought a key of their own did not bring it for this.
            incoming.headers.retain(|(name, _)| name != "x-latchkey-provider-key");
            Some((incoming, call.grant.clone()?, call.kept.is_some(), variant.clone()))
        });
        let (made_for, asked, endpoint) = (call.request_id.clone(), call.asked.clone(), call.endpoint);
        let wishes = super::wishes::Wishes { explain: false, hedge: Some(None), ..call.wishes.clone() };
        self.keep(id, call);
        let ((experiment, _), (incoming, grant, keeps, variant)) = wanted.zip(copy)?;
        Some(self.begin_with(incoming, now, |gateway, call| {
            (call.role, call.made_for) = (Role::Shadow, Some(made_for));
            (call.asked, call.endpoint, call.wishes) = (asked, endpoint, wishes);
            call.grant = Some(grant);
            call.kept = keeps.then(Vec::new);
            gateway.follow(call, &experiment, &variant, now)
        }))
    }

    /// Decides where the shadow goes, by the rules for its call, and sends it at its own expense.
    fn follow(&mut self, call: &mut Call, experiment: &str, variant: &str, now: UnixMillis) -> Result<Step, Failure> {
        call.config = self.setup.version;
        call.shadows = Some((experiment.to_owned(), variant.to_owned()));
        let basis = Basis { reading: Reading::of(&call.incoming.body), class: None, seed: self.ids.chance() };
        self.route_by(call, &basis, now)?;
        self.grant_shadow(call)?;
        self.aim_at_best(call, now)?;
        self.send(call, now)
    }

    /// Has a shadow pay from the budget that the configuration in force gives it; it may have waited since another one was.
    pub(super) fn grant_shadow(&self, call: &mut Call) -> Result<(), Failure> {
        let Some((experiment, variant)) = &call.shadows else { return Ok(()) };
        let version = UnixMillis(i64::from(self.setup.version));
        if call.grant.as_ref().is_some_and(|grant| grant.key.id.starts_with(KEY) && grant.key.updated_at == version) {
            return Ok(());
        }
        let found = self.setup.config.routing.experiments.get(experiment);
        let found = found.and_then(|found| found.variants.iter().find(|one| one.name == *variant));
        let shadow = found.and_then(|variant| variant.shadow).ok_or_else(no_attempt)?;
        call.grant = Some(Rc::new(purse(experiment, variant, shadow, version)));
        Ok(())
    }

    /// Notes what the caller gets with this step, where that is to be kept.
    pub(super) fn note_content(&mut self, call: &mut Call, step: &Step) {
        let Some(kept) = &mut call.kept else { return };
        let bytes = match step {
            Step::Respond(response) | Step::Commit { head: response, .. } => &response.body,
            Step::Write(bytes) | Step::Finish(bytes) => bytes,
            _ => return,
        };
        let room = MOST_KEPT.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        if matches!(call.stage, Stage::Over)
            && let Some(kept) = call.kept.take().filter(|kept| !kept.is_empty())
        {
            if self.contents.len() >= MOST_WAITING {
                self.contents.remove(0);
            }
            let content = String::from_utf8_lossy(&kept).into_owned();
            self.contents.push(Content { request_id: call.request_id.clone(), at: call.started, content });
        }
    }
}

/// Whom a shadow is charged to: a key of the gateway's own, with the budget that the operator gave it.
fn purse(experiment: &str, variant: &str, shadow: Shadow, version: UnixMillis) -> Grant {
    // No variant has a dot in its name: no two shadows have the same id.
    let id = format!("{KEY}{experiment}.{variant}");
    let budget = Budget {
        id: format!("budget_{id}"),
        scope: Scope { kind: ScopeKind::Key, id: id.clone() },
        limit: shadow.limit,
        period: shadow.period,
        ..Budget::default()
    };
    Grant::new(Key {
        name: format!("shadow traffic of {experiment}"),
        id,
        budgets: vec![budget],
        // A later version of the configuration may have another budget.
        updated_at: version,
        ..Key::default()
    })
}
