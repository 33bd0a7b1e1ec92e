//! What the gateway asks of the health of targets, and what it tells.

use crate::breaker::{Outcome, TargetId, Verdict, What};
use crate::chat::Usage;
use crate::failure::{Blame, Failure, Kind, Retry};
use crate::http::Task;
use crate::route::{Candidate, Standing};
use crate::units::{Millis, UnixMillis};
use crate::wire::headroom;

use super::attempt::Attempt;
use super::call::Call;
use super::{Gateway, send::no_attempt};

impl Gateway {
    /// What is known of a target: blocked where it is, or where each of its credentials is.
    pub(super) fn standing(&self, target: &Candidate, now: UnixMillis) -> Standing {
        let id = TargetId::new(&target.provider, &target.model);
        match self.view.verdict(id.as_str(), now) {
            Verdict::Pass | Verdict::Probe => {}
            Verdict::Blocked { until } => return Standing::Blocked { until },
            Verdict::Off => return Standing::Off,
        }
        let keys = self.setup.registry.upstream(&target.provider).map_or(0, |upstream| upstream.keys.len());
        if keys > 1
            && let Some(until) = self.open_credential(&id, 0, keys, now).err().flatten()
        {
            return if until == NEVER { Standing::Off } else { Standing::Blocked { until } };
        }
        let headroom = self.view.figures(id.as_str()).and_then(|figures| figures.headroom);
        if headroom.is_some_and(|headroom| headroom.is_low(now)) { Standing::NearlyExhausted } else { Standing::Good }
    }

    /// The first credential from number `first` (from 0) that is not blocked, or until when all of them are.
    pub(super) fn open_credential(
        &self,
        target: &TargetId,
        first: usize,
        keys: usize,
        now: UnixMillis,
    ) -> Result<usize, Option<UnixMillis>> {
        let mut opens: Option<UnixMillis> = None;
        for index in first..keys {
            match self.blocked(target.credential(index + 1).as_str(), now) {
                None => return Ok(index),
                Some(until) => opens = Some(opens.map_or(until, |known| known.min(until))),
            }
        }
        Err(opens)
    }

    /// Makes sure that the attempt may be sent, and with a credential that is not blocked.
    pub(super) fn clear(&self, call: &mut Call, now: UnixMillis) -> Result<(), Failure> {
        let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
        let verdict = self.view.verdict(&attempt.target, now);
        attempt.probes = verdict == Verdict::Probe && !attempt.own_key;
        let until = match verdict {
            Verdict::Off => Some(NEVER),
            // What our key meets says nothing of what the caller's would, nor would that be a probe of ours.
            _ if attempt.own_key => None,
            _ if attempt.last_resort => self.choose_credential(attempt, now).filter(|until| *until == NEVER),
            Verdict::Pass | Verdict::Probe => self.choose_credential(attempt, now),
            Verdict::Blocked { until } => Some(until),
        };
        until.map_or(Ok(()), |until| Err(all_blocked(&attempt.target, until, now)))
    }

    /// Takes the probes that the attempt is, where it is one: each may be sent once.
    pub(super) fn claim(&mut self, call: &mut Call, now: UnixMillis) -> Result<(), Failure> {
        let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
        (attempt.permit, attempt.credential_permit) = (None, None);
        if attempt.probes {
            attempt.permit = self.view.take_probe(&attempt.target, now);
            if attempt.permit.is_none() {
                return Err(all_blocked(&attempt.target, now, now));
            }
        }
        if attempt.probes_credential {
            attempt.credential_permit = self.view.take_probe(attempt.credential_id().as_str(), now);
        }
        Ok(())
    }

    /// Until when all credentials are blocked, if they are; else the attempt has one that is not.
    fn choose_credential(&self, attempt: &mut Attempt, now: UnixMillis) -> Option<UnixMillis> {
        let keys = attempt.upstream.keys.len();
        if keys < 2 || attempt.own_key {
            return None;
        }
        let target = TargetId::from(attempt.target.as_str());
        match self.open_credential(&target, attempt.credential, keys, now) {
            Ok(index) => {
                attempt.credential = index;
                let credential = target.credential(index + 1);
                attempt.probes_credential = self.view.verdict(credential.as_str(), now) == Verdict::Probe;
                None
            }
            Err(until) => until,
        }
    }

    fn blocked(&self, target: &str, now: UnixMillis) -> Option<UnixMillis> {
        match self.view.verdict(target, now) {
            Verdict::Pass | Verdict::Probe => None,
            Verdict::Blocked { until } => Some(until),
            Verdict::Off => Some(NEVER),
        }
    }

    /// Notes what the headers of an answer leave of the provider's limits. Those of a caller's own key are theirs.
    pub(super) fn note_headroom(&mut self, call: &Call, headers: &[(&str, &str)], now: UnixMillis) {
        let Some(attempt) = call.attempt.as_ref().filter(|attempt| !attempt.own_key) else { return };
        if self.view.is_enabled()
            && let Some(headroom) = headroom(headers, now)
        {
            self.view.note_headroom(&attempt.target, headroom, now);
        }
    }

    /// The attempt under way has been served.
    pub(super) fn report_served(&mut self, call: &Call, usage: Option<&Usage>, now: UnixMillis) {
        let tokens = usage.map_or((0, 0), |usage| (usage.prompt_tokens(), usage.completion_tokens()));
        self.note_routed(call, tokens.0, tokens.1, now);
        let Some(attempt) = &call.attempt else { return };
        let spoke = call.first_token.unwrap_or(now);
        let wait = spoke.since(attempt.sent);
        let is_timed = call.is_timed();
        let served = What::Served {
            first_token: Some(wait).filter(|_| is_timed && call.asked.stream),
            generation: match call.asked.stream {
                true => now.since(spoke),
                false => Some(wait).filter(|_| is_timed).unwrap_or_default(),
            },
            output_tokens: usage.map_or(0, Usage::completion_tokens),
        };
        // What a caller's own key gets says nothing of what ours would.
        let of_target = match call.flaw {
            _ if attempt.own_key => What::Void,
            Some(flaw) => What::Poor(flaw),
            None => served,
        };
        self.report(attempt, of_target, served, now);
        if !call.tried.is_empty() && !attempt.own_key {
            self.report_forbidden(call, attempt, now);
        }
    }

    /// A stream has said its first word: if it is the probe of a blocked target, that is back, and nobody need wait for
    /// the stream's end.
    pub(super) fn report_spoke(&mut self, call: &mut Call, now: UnixMillis) {
        let Some(attempt) = call.attempt.as_mut().filter(|attempt| !attempt.own_key) else { return };
        let (probe, of_credential) = (attempt.permit.take(), attempt.credential_permit.take());
        if probe.or(of_credential).is_none() {
            return;
        }
        let sent = attempt.sent;
        let what = What::Served { first_token: Some(now.since(sent)), generation: Millis(0), output_tokens: 0 };
        if probe.is_some() {
            self.view.report(&attempt.target, Outcome { what, sent, probe }, now);
        }
        if of_credential.is_some() {
            let credential = attempt.credential_id();
            self.view.report(credential.as_str(), Outcome { what, sent, probe: of_credential }, now);
        }
    }

    /// A 403 may be about the prompt. Where another credential is served the same, it was about the one that was refused.
    fn report_forbidden(&mut self, call: &Call, attempt: &Attempt, now: UnixMillis) {
        let own = attempt.credential + 1;
        let refused = call.tried.iter().filter(|tried| tried.status == Some(FORBIDDEN) && tried.credential != own);
        for tried in refused.filter(|tried| tried.target == attempt.target) {
            let credential = TargetId::from(attempt.target.as_str()).credential(tried.credential);
            let what = What::Refused { status: tried.status };
            self.view.report(credential.as_str(), Outcome { what, sent: attempt.sent, probe: None }, now);
        }
    }

    /// The attempt under way has failed. What the caller's own key or deadline had a part in says nothing.
    pub(super) fn report_failed(&mut self, call: &Call, failure: &Failure, now: UnixMillis) {
        let Some(attempt) = &call.attempt else { return };
        let says_nothing = attempt.own_key || call.brought_about(failure) || self.came_too_late(call, failure, now);
        let what = if says_nothing { What::Void } else { What::of(failure) };
        match failure.blame() {
            Blame::Credential if attempt.upstream.keys.len() > 1 => self.report(attempt, What::Void, what, now),
            // It was blocked for a reason, and this is no sign that it is back.
            Blame::Nobody if failure.upstream_status == Some(FORBIDDEN) && attempt.credential_permit.is_some() => {
                self.report(attempt, What::Void, What::Refused { status: failure.upstream_status }, now);
            }
            Blame::Nobody => self.report(attempt, What::Void, What::Void, now),
            _ => self.report(attempt, what, What::Void, now),
        }
    }

    /// Whether the time of the whole call was over before the attempt had its share of it: as long as a stream may take
    /// to begin, or half of all. What others and waits used up is not its target's doing.
    fn came_too_late(&self, call: &Call, failure: &Failure, now: UnixMillis) -> bool {
        // The only deadline after which nothing is tried: of the time of the whole call nothing is left.
        let is_total = failure.kind == Kind::Timeout && failure.retry == Retry::Never;
        let deadlines = call.deadlines(&self.setup.config.limits.deadlines);
        let share = deadlines.first_token.min(Millis(deadlines.total.0 / 2));
        is_total && call.attempt.as_ref().is_some_and(|attempt| now.since(attempt.sent) < share)
    }

    fn report(&mut self, attempt: &Attempt, of_target: What, of_credential: What, now: UnixMillis) {
        let sent = attempt.sent;
        self.view.report(&attempt.target, Outcome { what: of_target, sent, probe: attempt.permit }, now);
        if attempt.upstream.keys.len() > 1 && !attempt.own_key {
            let outcome = Outcome { what: of_credential, sent, probe: attempt.credential_permit };
            self.view.report(attempt.credential_id().as_str(), outcome, now);
        }
    }
}

const FORBIDDEN: u16 = 403;

/// When a target that the operator switched off opens by itself.
pub(super) const NEVER: UnixMillis = UnixMillis(i64::MAX);

/// The longest wait that a caller is told: what is blocked for longer may well be allowed by hand before.
const LONGEST_TOLD: Millis = Millis(300_000);

/// What a caller reads when nothing may be asked: when it is worth trying again.
pub(super) fn all_blocked(target: &str, until: UnixMillis, now: UnixMillis) -> Failure {
    // Who looks for the cause should not look at the provider where somebody here has switched it off.
    let state = if until == NEVER { "is switched off by the operator" } else { "is failing and not asked for now" };
    let message = format!("`{target}` {state}, and this call may go nowhere else.");
    let mut failure = Failure::new(Kind::NoTarget, message);
    let wait = until.since(now);
    failure.retry_after = Some(Millis(wait.0.clamp(1_000, LONGEST_TOLD.0)));
    failure
}

impl Call {
    /// Whether the time to its first token, or of a plain answer to the whole of it, is one: what is passed through has
    /// none, streamed sound has no token, and that of an answer that another target began is the other's.
    fn is_timed(&self) -> bool {
        match self.task() {
            Some(Task::Chat | Task::Completions) => !self.continued,
            Some(Task::Embeddings | Task::Service(_)) => !self.asked.stream,
            _ => false,
        }
    }

    /// Whether its caller had a part in a failure: by a deadline of their own, or by leaving, after which an answer is
    /// read on for a while only.
    pub(super) fn brought_about(&self, failure: &Failure) -> bool {
        self.drained || (failure.kind == Kind::Timeout && self.wishes.sets_deadlines())
    }
}

impl Attempt {
    fn credential_id(&self) -> TargetId {
        TargetId::from(self.target.as_str()).credential(self.credential + 1)
    }
}
