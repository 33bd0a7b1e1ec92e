//! Bodies that go on as they come: sound, events of services, whatever a provider answers to what is passed through.
//! They are read along for what they say was used.

use crate::chat::Usage;
use crate::failure::{Failure, Kind};
use crate::http::{Response, Task, no_store};
use crate::units::UnixMillis;
use crate::wire::service::Sniffer;

use super::call::{Call, Stage};
use super::passthrough::returned_headers;
use super::service::{Sizes, used};
use super::settle::estimate;
use super::stream::{broken, expired, lost_track};
use super::{Gateway, Input, Step};

/// A body on its way.
pub(super) struct Through {
    status: u16,
    content_type: String,
    passed: Vec<(String, String)>,
    sniffer: Sniffer,
    begun: bool,
}

impl Through {
    /// Whether the caller has some of it.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }
}

impl Gateway {
    /// A body begins; nothing goes to the caller before its first bytes. `headers` are those that may go on.
    pub(super) fn pass_through(
        &mut self,
        call: &mut Call,
        status: u16,
        headers: &[(&str, &str)],
        content_type: &str,
        now: UnixMillis,
    ) -> Step {
        let limits = self.setup.config.limits;
        let Some(attempt) = &call.attempt else { return Step::Finish(Vec::new()) };
        let through = Box::new(Through {
            status,
            content_type: content_type.to_owned(),
            passed: returned_headers(headers),
            sniffer: Sniffer::new(content_type, attempt.upstream.quirks, limits.event_bytes),
            begun: false,
        });
        if matches!(status, 204 | 205 | 304) || call.incoming.method == "HEAD" {
            return self.pass(call, through, Input::End, now);
        }
        call.stage = Stage::Passing(through);
        Step::Hold
    }

    /// Something happened to it. Its bytes pass natively: only the first ones are written here.
    pub(super) fn pass(
        &mut self,
        call: &mut Call,
        mut through: Box<Through>,
        input: Input<'_>,
        now: UnixMillis,
    ) -> Step {
        let failure = match input {
            Input::Chunk(bytes) => {
                through.sniffer.feed(bytes);
                call.first_token.get_or_insert(now);
                let step = if through.begun {
                    Step::Write(Vec::new())
                } else {
                    through.begun = true;
                    self.outpace(call, now);
                    Step::Commit { head: call.dress(head(&through, bytes.to_vec()), now), relay: true }
                };
                call.stage = Stage::Passing(through);
                return step;
            }
            Input::End => {
                through.sniffer.finish();
                self.settle_passed(call, &through, None, now);
                if through.begun {
                    return Step::Finish(Vec::new());
                }
                return Step::Respond(call.dress(head(&through, Vec::new()), now));
            }
            Input::Silence => {
                call.stage = Stage::Passing(through);
                return Step::Hold;
            }
            Input::Broken(reason) => broken(reason),
            Input::Expired(deadline) => expired(deadline),
            _ => lost_track(),
        };
        if !through.begun {
            return self.failed(call, failure, now);
        }
        self.settle_passed(call, &through, Some(&failure), now);
        Step::Break
    }

    /// Pays what is owed for a body that passed, or for what came of it.
    pub(super) fn settle_passed(
        &mut self,
        call: &mut Call,
        through: &Through,
        failure: Option<&Failure>,
        now: UnixMillis,
    ) {
        self.outpace(call, now);
        self.learn_model(call, through);
        // What a provider refuses it does not charge for.
        let usage = (through.status < 400).then(|| self.used_by(call, through));
        let cost = usage.as_ref().and_then(|usage| self.cost(call, usage));
        let cost = self.pay(call, usage.as_ref(), cost);
        let gone = call.drained || failure.is_some_and(|failure| failure.kind == Kind::Disconnected);
        match failure {
            None if through.status >= 400 => {
                let refused =
                    call.attempt.as_ref().map(|attempt| attempt.format.read_error(through.status, &|_| None, b""));
                refused.into_iter().for_each(|refused| self.report_failed(call, &refused, now));
            }
            None => {
                self.report_served(call, usage.as_ref(), now);
                call.note_served(now);
                call.note_used(usage.as_ref(), cost);
            }
            Some(failure) => self.report_failed(call, failure, now),
        }
        let status = if gone { 499 } else { through.status };
        let record = call.record(status, failure, usage.as_ref(), cost, now);
        self.keep_record(call, record);
    }

    /// A call that named no model may be told of one by the answer, and then has a price.
    fn learn_model(&self, call: &mut Call, through: &Through) {
        let now = call.started;
        let Some(attempt) = call.attempt.as_mut().filter(|attempt| attempt.model.is_empty()) else { return };
        if let Some(model) = through.sniffer.model() {
            attempt.price = self.setup.registry.price(&attempt.upstream.id, model, now);
            attempt.model = model.to_owned();
        }
    }

    fn used_by(&self, call: &Call, through: &Through) -> Usage {
        let told = through.sniffer.usage().filter(Usage::is_credible);
        let price = call.attempt.as_ref().and_then(|attempt| attempt.price.as_deref());
        match call.task() {
            Some(Task::Service(service)) => used(service, told, &Sizes::read(&call.incoming), price),
            // What only reads uses nothing that anybody counts.
            _ if call.incoming.only_reads() => told.unwrap_or_default(),
            _ => told.unwrap_or_else(|| estimate(call.incoming.body.len() as u64, through.sniffer.bytes())),
        }
    }
}

fn head(through: &Through, body: Vec<u8>) -> Response {
    let mut headers = vec![no_store(), ("x-accel-buffering", "no".to_owned())];
    if !through.content_type.is_empty() {
        headers.push(("content-type", through.content_type.clone()));
    }
    Response { status: through.status, headers, passed: through.passed.clone(), body }
}
