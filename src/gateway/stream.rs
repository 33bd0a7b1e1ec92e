//! Streamed answers: held until the first real token, then passed on as they come.

use crate::chat::Usage;
use crate::failure::{Failure, Kind, Retry};
use crate::http::{Response, no_store};
use crate::keys::OnDisconnect;
use crate::units::UnixMillis;
use crate::wire::drive::{Caps, Pipe};
use crate::wire::{Change, Closing, Layout};

use super::attempt::Lane;
use super::call::{Call, Stage};
use super::funds::CameTo;
use super::settle::{estimate, unread};
use super::tried::Tried;
use super::{Deadline, Gateway, Input, Step};

/// What may be held back before a call is committed. More than this before the first token is no start-up event.
const MOST_HELD: usize = 256 << 10;
/// The same in events.
const MOST_EVENTS: u32 = 64;
/// What is held back of a stream that is checked: some thousand tokens with all that stands around them.
pub(super) const MOST_CHECKED: usize = 1 << 20;

impl Gateway {
    /// A stream begins: nothing goes to the caller before its first real token.
    pub(super) fn open_stream(&mut self, call: &mut Call, now: UnixMillis) -> Step {
        let limits = self.setup.config.limits;
        let caps = Caps { event: limits.event_bytes, answer: limits.answer_bytes };
        let Some(attempt) = &call.attempt else { return Step::Finish(Vec::new()) };
        let (format, quirks) = (attempt.format, &attempt.upstream.quirks);
        let naming = attempt.naming(call, call.asked.include_usage, now);
        let surface = call.surface();
        if let Some(resume) = call.resume.take() {
            let pipe = Pipe::translated(format, quirks, Box::new(resume.seam), caps)
                .stopping(&attempt.stops)
                .renaming(&attempt.renamed);
            call.stage = Stage::Streaming(Box::new(pipe));
            // What came of the first stream with its last piece is said before the second says anything.
            return Step::Write(std::mem::take(&mut call.unwritten));
        }
        let mut pipe = match attempt.lane {
            Lane::Relay => Pipe::relayed(format, quirks, caps),
            Lane::Patched => Pipe::patched(surface.patcher(naming, quirks, call.asked.layout), caps),
            Lane::Translated => Pipe::translated(format, quirks, surface.writer(naming, call.asked.layout), caps)
                .unwrapping(attempt.unwraps)
                .stopping(&attempt.stops)
                .renaming(&attempt.renamed),
        };
        if self.may_continue(call) {
            pipe.remember();
        }
        pipe.count_all(self.throughput(call).is_some());
        if let Some(shape) = call.shape() {
            pipe.expect(shape);
        }
        if call.is_checked() {
            if call.checks_streams() {
                pipe.fold();
            } else {
                call.note_check(Change::Dropped);
            }
        }
        call.stage = Stage::Holding(Box::new(pipe), Vec::new());
        Step::Hold
    }

    /// Before the first real token: whatever goes wrong is still an answer with a true status.
    pub(super) fn hold(
        &mut self,
        call: &mut Call,
        mut pipe: Box<Pipe>,
        mut held: Vec<u8>,
        input: Input<'_>,
        now: UnixMillis,
    ) -> Step {
        match input {
            Input::Chunk(bytes) => self.hold_chunk(call, pipe, held, bytes, now),
            // Of two targets that are silent, neither is committed to.
            Input::Silence if call.rival.is_some() => {
                call.stage = Stage::Holding(pipe, held);
                Step::Hold
            }
            Input::Silence => self.commit_unchecked(call, pipe, held, now),
            Input::End => match pipe.finish(&mut held) {
                Ok(()) => self.check_stream(call, pipe, held, now),
                Err(failure) => self.lose(call, &pipe, failure, now),
            },
            Input::Broken(reason) => self.lose(call, &pipe, broken(reason), now),
            Input::Expired(deadline) => self.lose(call, &pipe, expired(deadline), now),
            _ => self.end_with(call, &lost_track(), now),
        }
    }

    /// A piece of the stream came before its first real token, or with it.
    fn hold_chunk(
        &mut self,
        call: &mut Call,
        mut pipe: Box<Pipe>,
        mut held: Vec<u8>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Step {
        pipe.feed(bytes, &mut held);
        if call.is_relayed() {
            held.extend_from_slice(bytes);
        }
        if let Some(fault) = pipe.fault().cloned() {
            // A piece of the answer may have come in the same read. Of what would fail everywhere the caller gets both.
            return if pipe.meter().spoke && !pipe.folds() && fault.retry == Retry::Never {
                self.commit_and_fail(call, pipe, held, &fault, now)
            } else {
                self.lose(call, &pipe, fault, now)
            };
        }
        if pipe.folds() {
            return self.hold_for_check(call, pipe, held, now);
        }
        let pace = if pipe.meter().spoke {
            let first = *call.first_token.get_or_insert(now);
            self.report_spoke(call, now);
            self.pace(call, &pipe, held.len(), first, now)
        } else if held.len() > MOST_HELD || pipe.meter().events > MOST_EVENTS {
            Pace::Good
        } else {
            Pace::Unknown
        };
        match pace {
            Pace::Good => self.commit(call, pipe, held, now),
            Pace::Unknown => {
                call.stage = Stage::Holding(pipe, held);
                Step::Hold
            }
            Pace::TooSlow => self.lose(call, &pipe, too_slow(), now),
        }
    }

    /// A stream that is checked goes on once all of it is here, unless it grows too long to be held back.
    fn hold_for_check(&mut self, call: &mut Call, mut pipe: Box<Pipe>, mut held: Vec<u8>, now: UnixMillis) -> Step {
        let meter = pipe.meter();
        if meter.spoke {
            call.first_token.get_or_insert(now);
            self.report_spoke(call, now);
        }
        if pipe.ended() {
            return match pipe.finish(&mut held) {
                Ok(()) => self.check_stream(call, pipe, held, now),
                Err(failure) => self.lose(call, &pipe, failure, now),
            };
        }
        if held.len() > MOST_CHECKED || meter.output_bytes > MOST_CHECKED as u64 {
            return self.commit_unchecked(call, pipe, held, now);
        }
        call.stage = Stage::Holding(pipe, held);
        Step::Hold
    }

    /// What is held back goes to the caller, and the rest as it comes, checked or not.
    fn commit_unchecked(&mut self, call: &mut Call, mut pipe: Box<Pipe>, held: Vec<u8>, now: UnixMillis) -> Step {
        if pipe.folds() {
            pipe.take_folded();
            call.note_check(Change::Dropped);
        }
        self.commit(call, pipe, held, now)
    }

    /// The stream came to nothing before anything of it reached the caller; what it said all the same is paid for.
    pub(super) fn lose(&mut self, call: &mut Call, pipe: &Pipe, failure: Failure, now: UnixMillis) -> Step {
        if !pipe.meter().spoke && !pipe.meter().counted {
            return self.failed(call, failure, now);
        }
        let usage = self.usage_of(call, pipe, Some(&failure));
        self.leave(call, usage, failure, now)
    }

    /// Whether a stream is fast enough to be committed, where somebody wants that measured.
    fn pace(&self, call: &mut Call, pipe: &Pipe, held: usize, first: UnixMillis, now: UnixMillis) -> Pace {
        let Some(guard) = self.throughput(call) else { return Pace::Good };
        let full = pipe.ended() || held > MOST_HELD || pipe.meter().events > MOST_EVENTS;
        if full || !self.has_better(call, now) {
            return Pace::Good;
        }
        let elapsed = now.since(first);
        if elapsed < guard.within {
            return Pace::Unknown;
        }
        let tokens = estimate(0, pipe.meter().output_bytes).output_text;
        if tokens.saturating_mul(1_000) / elapsed.0.max(1) < guard.tokens_per_second {
            Pace::TooSlow
        } else {
            Pace::Good
        }
    }

    /// The call goes elsewhere, and what its attempt said so far is paid for and never read.
    pub(super) fn leave(&mut self, call: &mut Call, usage: Option<Usage>, failure: Failure, now: UnixMillis) -> Step {
        let at = call.tried.len();
        let cost = usage.as_ref().and_then(|usage| self.pay_row(call, &failure, usage, CameTo::Nothing, now));
        call.add_besides(unread(), cost);
        let step = self.failed(call, failure, now);
        if let Some(tried) = call.tried.get_mut(at) {
            (tried.usage, tried.cost) = (usage, cost);
        }
        step
    }

    /// The status line goes out; from here on an error is an event of the stream.
    fn commit(&mut self, call: &mut Call, mut pipe: Box<Pipe>, mut held: Vec<u8>, now: UnixMillis) -> Step {
        self.outpace(call, now);
        if pipe.ended() {
            return self.complete(call, pipe, held, now);
        }
        if !pipe.meter().spoke {
            call.committed_early = true;
            pipe.keep_alive(&mut held);
        }
        pipe.count_all(false);
        call.stage = Stage::Streaming(pipe);
        Step::Commit { head: call.dress(stream_head(held, call.asked.layout), now), relay: call.is_relayed() }
    }

    /// The whole answer came before anything was sent.
    fn complete(&mut self, call: &mut Call, mut pipe: Box<Pipe>, mut held: Vec<u8>, now: UnixMillis) -> Step {
        match pipe.finish(&mut held) {
            Ok(()) => self.serve_held(call, pipe, held, now),
            Err(failure) => self.lose(call, &pipe, failure, now),
        }
    }

    /// A whole stream, of which nothing was sent yet, is the caller's.
    pub(super) fn serve_held(
        &mut self,
        call: &mut Call,
        mut pipe: Box<Pipe>,
        mut held: Vec<u8>,
        now: UnixMillis,
    ) -> Step {
        let closing = self.settle(call, &pipe, None, now);
        pipe.close(&closing, &mut held);
        Step::Respond(call.dress(stream_head(held, call.asked.layout), now))
    }

    fn commit_and_fail(
        &mut self,
        call: &mut Call,
        mut pipe: Box<Pipe>,
        mut held: Vec<u8>,
        failure: &Failure,
        now: UnixMillis,
    ) -> Step {
        let closing = self.settle(call, &pipe, Some(failure), now);
        pipe.fail(failure, &closing, &mut held);
        call.stage = Stage::Over;
        Step::Respond(call.dress(stream_head(held, call.asked.layout), now))
    }

    /// After the first token.
    pub(super) fn stream(&mut self, call: &mut Call, mut pipe: Box<Pipe>, input: Input<'_>, now: UnixMillis) -> Step {
        let mut out = Vec::new();
        let failure = match input {
            Input::Chunk(bytes) => {
                pipe.feed(bytes, &mut out);
                if pipe.meter().spoke && call.first_token.is_none() {
                    call.first_token = Some(now);
                    self.report_spoke(call, now);
                }
                match pipe.fault() {
                    Some(fault) => fault.clone(),
                    None if pipe.ended() => return self.finish(call, pipe, out, now),
                    None => {
                        call.stage = Stage::Streaming(pipe);
                        return Step::Write(out);
                    }
                }
            }
            Input::Silence => {
                pipe.keep_alive(&mut out);
                call.stage = Stage::Streaming(pipe);
                return Step::Write(out);
            }
            Input::End => return self.finish(call, pipe, out, now),
            Input::Broken(reason) => broken(reason),
            Input::Expired(deadline) => expired(deadline),
            _ => lost_track(),
        };
        self.break_off(call, pipe, out, &failure, now)
    }

    /// The stream died: it is continued elsewhere where that may be, else ended with an error event.
    fn break_off(
        &mut self,
        call: &mut Call,
        pipe: Box<Pipe>,
        mut out: Vec<u8>,
        failure: &Failure,
        now: UnixMillis,
    ) -> Step {
        match self.continue_elsewhere(call, pipe, failure, now) {
            Ok(step) => {
                call.unwritten = out;
                step
            }
            Err(mut pipe) => {
                let closing = self.settle(call, &pipe, Some(failure), now);
                pipe.fail(failure, &closing, &mut out);
                Step::Finish(out)
            }
        }
    }

    fn finish(&mut self, call: &mut Call, mut pipe: Box<Pipe>, mut out: Vec<u8>, now: UnixMillis) -> Step {
        match pipe.finish(&mut out) {
            Ok(()) => {
                let closing = self.settle(call, &pipe, None, now);
                pipe.close(&closing, &mut out);
            }
            Err(failure) => return self.break_off(call, pipe, out, &failure, now),
        }
        Step::Finish(out)
    }

    /// The caller is gone. Under the key's `drain` policy the answer is read to its end all the same, else the call is
    /// over; either way what was seen is recorded.
    pub(super) fn abandon(&mut self, call: &mut Call, stage: Stage, now: UnixMillis) -> Step {
        self.outpace(call, now);
        let drains = call.grant.as_ref().is_some_and(|grant| grant.key.on_disconnect == OnDisconnect::Drain);
        let in_flight = call.attempt.as_ref().is_some_and(|attempt| attempt.in_flight);
        if drains && in_flight && !call.drained {
            call.drained = true;
            call.stage = stage;
            return Step::Hold;
        }
        let failure = Failure::new(Kind::Disconnected, "The caller went away before the answer was complete.");
        let judged = if let Stage::Judging(judged) = &stage { Some(judged.usage.clone()) } else { None };
        match stage {
            Stage::Holding(pipe, _) | Stage::Streaming(pipe) => {
                self.settle(call, &pipe, Some(&failure), now);
            }
            Stage::Passing(through) if through.has_begun() => self.settle_passed(call, &through, Some(&failure), now),
            _ if in_flight => {
                self.report_failed(call, &failure, now);
                let usage = judged.unwrap_or_else(|| call.unseen());
                let cost = self.cost(call, &usage);
                let cost = self.pay(call, Some(&usage), cost);
                let record = call.record(499, Some(&failure), Some(&usage), cost, now);
                self.keep_record(call, record);
            }
            _ if call.attempts > 0 => {
                let record = call.record(499, Some(&failure), None, None, now);
                self.keep_record(call, record);
            }
            _ => {}
        }
        Step::Finish(Vec::new())
    }

    /// Pays what is owed for a stream, once: its usage, its cost and its record.
    pub(super) fn settle(
        &mut self,
        call: &mut Call,
        pipe: &Pipe,
        failure: Option<&Failure>,
        now: UnixMillis,
    ) -> Closing {
        self.outpace(call, now);
        let meter = pipe.meter();
        let nothing_used = failure.is_some() && meter.usage.is_none() && !meter.spoke;
        let gone = call.drained || failure.is_some_and(|failure| failure.kind == Kind::Disconnected);
        let usage = if nothing_used && !gone { None } else { self.usage_of(call, pipe, failure) };
        let cost = usage.as_ref().and_then(|usage| self.cost(call, usage));
        let status = if gone { 499 } else { 200 };
        let cost = self.pay(call, usage.as_ref(), cost);
        match failure {
            None => {
                // What two models said between them is no one's fault.
                call.flaw = meter.judge.flaw().filter(|_| !call.continued);
                self.report_served(call, usage.as_ref(), now);
                call.note_served(now);
            }
            Some(failure) => {
                self.report_failed(call, failure, now);
                self.note_routed_failure(call, failure);
                if !call.tried.is_empty() {
                    call.note_failed(failure, now);
                }
            }
        }
        call.note_used(usage.as_ref(), cost);
        let record = call.record(status, failure, usage.as_ref(), cost, now);
        self.keep_record(call, record);
        let latchkey = (call.wishes.explain || call.committed_early || call.continued).then(|| {
            let only = call.tried.is_empty().then(|| call.tried_now(failure, now)).flatten();
            let only = only.map(|only| Tried { usage: usage.clone(), cost, ..only });
            call.explanation(only.as_ref())
        });
        let (usage, cost) = call.with_besides(usage, cost);
        Closing { usage, cost, latchkey, latency: now.since(call.started) }
    }
}

pub(super) fn stream_head(body: Vec<u8>, layout: Layout) -> Response {
    let mut headers = vec![("content-type", layout.content_type().to_owned()), no_store()];
    // Some reverse proxies buffer streams unless told not to.
    headers.push(("x-accel-buffering", "no".to_owned()));
    Response { status: 200, headers, passed: Vec::new(), body }
}

/// The connection to the upstream failed.
pub(super) fn broken(reason: &str) -> Failure {
    // One call of a Worker makes so many requests, and no other target is reached any more either
    // (<https://developers.cloudflare.com/workers/platform/limits/#subrequests>).
    if reason.contains("Too many subrequests") {
        let message = "This call takes more requests than the platform allows.";
        return Failure::new(Kind::Internal, message).code("too_many_subrequests").because(reason);
    }
    Failure::new(Kind::Unavailable, "The connection to the provider failed.").because(reason)
}

/// What came is nothing that the call could have been waiting for.
pub(super) fn lost_track() -> Failure {
    Failure::new(Kind::Internal, "The gateway lost track of this call.")
}

/// What is known of a stream's speed.
enum Pace {
    Good,
    Unknown,
    TooSlow,
}

fn too_slow() -> Failure {
    let message = "The provider's answer came too slowly (guard `throughput`).";
    let mut failure = Failure::new(Kind::Timeout, message).about("throughput").code("too_slow");
    failure.retry = Retry::OtherTarget;
    failure
}

/// A deadline of ours passed.
pub(super) fn expired(deadline: Deadline) -> Failure {
    let name = deadline.as_str();
    let mut failure =
        Failure::new(Kind::Timeout, format!("The provider did not answer in time (deadline `{name}`).")).about(name);
    // Of the whole call's time nothing is left.
    failure.retry = if deadline == Deadline::Total { Retry::Never } else { Retry::OtherTarget };
    failure
}
