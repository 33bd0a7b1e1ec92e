//! Hedging: where a target is slow to say its first word, a second one is asked as well, and the first to speak answers.
//!
//! The second is a call of its own beside the first, with an attempt, a hold on budgets and a place in the plan of its
//! own; each names the other as its rival. Whichever has something for the caller ends the other and takes over what it
//! tried and cost. One that fails leaves the call, and what is left of the plan, to its rival: so no more than two
//! requests are ever in flight, and none after another is started for both.

use crate::failure::{Failure, Kind};
use crate::sorted;
use crate::units::{Millis, UnixMillis};

use super::call::{Call, Role, Stage};
use super::funds::CameTo;
use super::settle::unread;
use super::{CallId, Gateway, Step};

impl Gateway {
    /// After how long without a word from the attempt [`Gateway::hedge`] should be asked; `None` is never.
    pub(super) fn hedges_after(&self, call: &Call) -> Option<Millis> {
        let failover = self.failover(call);
        let wished = match call.wishes.hedge {
            Some(wished) => wished,
            None => failover.hedge.map(|hedge| hedge.after),
        };
        let after = wished.filter(|_| {
            failover.enabled
                // A call of the gateway's own is about its one target.
                && call.role == Role::Caller
                && !call.hedged
                && !call.incoming.once
                && call.passed_path.is_empty()
                && call.resume.is_none()
        })?;
        let attempt = call.attempt.as_ref()?;
        let by_figures = failover.hedge.is_some_and(|hedge| hedge.own_p95) && call.wishes.hedge.is_none();
        let figures = if by_figures { self.view.figures(&attempt.target) } else { None };
        let seen = figures.and_then(|figures| if call.asked.stream { figures.p95 } else { figures.whole_p95 });
        Some(seen.unwrap_or(after))
    }

    /// A call has waited so long for its target's first word that another may be asked as well. Gives the step of the
    /// call that does, if any may: there is another target, the share of traffic that hedges is not used up, and
    /// nothing came in the meantime.
    pub fn hedge(&mut self, id: CallId, now: UnixMillis) -> Option<(CallId, Step)> {
        let mut call = self.take(id)?;
        let second = self.second(&mut call, now);
        let started = second.and_then(|mut second| {
            second.rival = Some(id);
            let sent = self.aim_at_next(&mut second, now).and_then(|()| self.send(&mut second, now));
            match sent {
                Ok(step) => {
                    let rival = self.admit_rival(Box::new(second));
                    call.rival = Some(rival);
                    Some((rival, step))
                }
                Err(_) => {
                    self.release(&mut second);
                    call.plan = second.plan;
                    None
                }
            }
        });
        self.keep(id, call);
        started
    }

    /// The call that asks the next target beside `call`, where it may.
    fn second(&mut self, call: &mut Call, now: UnixMillis) -> Option<Call> {
        let waits = match &call.stage {
            Stage::Headers | Stage::Body(..) => true,
            Stage::Holding(pipe, _) => !pipe.meter().spoke,
            _ => false,
        };
        let may = waits && !call.hedged && !call.drained && call.attempts < self.failover(call).retries.max_attempts;
        if !may || !self.has_better(call, now) || !self.hedges.withdraw() {
            return None;
        }
        call.hedged = true;
        Some(Call {
            endpoint: call.endpoint,
            asked: call.asked.clone(),
            admitted: call.admitted,
            grant: call.grant.clone(),
            plan: call.plan.take(),
            routed: call.routed.clone(),
            original_body: call.original_body.clone(),
            wishes: call.wishes.clone(),
            config: call.config,
            inlined: call.inlined.clone(),
            memory: call.memory.clone(),
            kept: call.kept.as_ref().map(|_| Vec::new()),
            funds: call.funds.beside(),
            hedged: true,
            ..Call::new(call.request_id.clone(), call.incoming.clone(), call.started)
        })
    }

    /// The call has something for its caller: its rival is over, and what it cost is paid.
    pub(super) fn outpace(&mut self, call: &mut Call, now: UnixMillis) {
        let Some(mut other) = call.rival.take().and_then(|id| self.take(id)) else { return };
        let in_flight = other.attempt.as_ref().is_some_and(|attempt| attempt.in_flight);
        if in_flight {
            let failure = Failure::new(Kind::Disconnected, "Another target answered first.").code("outpaced");
            let usage = match &other.stage {
                Stage::Holding(pipe, _) => self.usage_of(&other, pipe, Some(&failure)),
                _ => Some(other.unseen()),
            };
            self.report_failed(&other, &failure, now);
            other.note_failed(&failure, now);
            if let Some(usage) = usage {
                let cost = self.pay_besides(&mut other, &failure, &usage, CameTo::Nothing, now);
                call.add_besides(unread(), cost);
            }
        }
        self.release(&mut other);
        call.absorb(&mut other);
    }

    /// A call that has failed leaves everything to its rival. Whether there is one.
    pub(super) fn leave_to_rival(&mut self, call: &mut Call, failure: &Failure) -> bool {
        let Some((id, mut rival)) = call.rival.take().and_then(|id| Some((id, self.take(id)?))) else { return false };
        call.remember(failure.clone());
        rival.rival = None;
        rival.absorb(call);
        self.keep(id, rival);
        true
    }
}

impl Call {
    /// Takes over what another call for the same request tried, and what it has not.
    fn absorb(&mut self, other: &mut Call) {
        self.attempts += other.attempts;
        self.funds.add_paid(&mut other.funds);
        self.tried.append(&mut other.tried);
        sorted::sort_by_key(&mut self.tried, |tried| tried.started);
        if let Some(mut passed_over) = other.passed_over.take() {
            passed_over.row += self.rows.len();
            self.passed_over = Some(passed_over);
        }
        self.rows.append(&mut other.rows);
        if self.plan.is_none() {
            self.plan = other.plan.take();
        }
        if let Some(failure) = other.failure.take() {
            self.remember(failure);
        }
        if let Some(besides) = other.besides.take() {
            self.add_besides(besides.usage, besides.cost);
        }
    }
}
