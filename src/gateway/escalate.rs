//! Escalation: an answer that is not what its candidate's must be is paid for and passed over for the next candidate's.

use crate::failure::{Failure, Retry};
use crate::http::{Endpoint, Task};
use crate::units::UnixMillis;

use super::call::Call;
use super::plain::read;
use super::{Gateway, Step};

impl Gateway {
    /// The step that asks the next candidate, where the answer in `body` fails its check and there is one to ask within
    /// the call's attempts and time; else the answer is as good as it gets.
    pub(super) fn escalate(&mut self, call: &mut Call, body: &[u8], now: UnixMillis) -> Option<Step> {
        let fault = call.fault(body)?;
        let (usage, _) = read(call, call.attempt.as_ref()?, body, now).ok()?;
        let failover = self.setup.config.failover;
        let total = call.deadlines(&self.setup.config.limits.deadlines).total;
        let in_time = now.since(call.started) < total && call.attempts < failover.retries.max_attempts;
        // Of two that race, the first to answer answers.
        let races = call.rival.is_some();
        if !failover.enabled || call.drained || races || !in_time || !self.has_elsewhere(call, now) {
            return None;
        }
        // The target did its work; what it made of it is no matter of its health.
        self.report_served(call, Some(&usage), now);
        let mut failure = Failure::bad_answer("The answer is not what it must be.").code(format!("check_{fault}"));
        failure.retry = Retry::OtherTarget;
        call.note_failed(&failure, now);
        let cost = self.pay_besides(call, &usage);
        call.add_besides(usage, cost);
        let sent = self.aim_at_next(call, now).and_then(|()| self.send(call, now));
        Some(sent.unwrap_or_else(|failure| self.failed(call, failure, now)))
    }
}

impl Call {
    /// What is wrong with an answer by the check of its candidate.
    fn fault(&self, body: &[u8]) -> Option<&'static str> {
        let (routed, attempt) = (self.routed.as_ref()?, self.attempt.as_ref()?);
        let served = routed.order().find(|contender| *contender.target == *attempt.target)?;
        let check = routed.expanded.checks.get(served.source)?.as_ref()?;
        if self.endpoint.map(Endpoint::task) != Some(Task::Chat) {
            return None;
        }
        check.fault(&attempt.format.read_answer(body, &attempt.upstream.quirks).ok()?)
    }
}
