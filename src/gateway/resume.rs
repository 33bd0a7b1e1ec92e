//! Mid-stream continuation: when a stream dies after its first token, the next target is asked to go on from there.

use crate::chat::{Message, OutputShape, Part, Role, Usage};
use crate::failure::{Failure, Retry, Side};
use crate::http::Task;
use crate::json::Text;
use crate::provider::Capabilities;
use crate::units::UnixMillis;
use crate::wire::drive::Pipe;
use crate::wire::seam::Seam;
use crate::wire::{Adjusted, Closing, Cost, Format, Outgoing, Renamed, Stops, StreamWriter, Surface, Target};

use super::attempt::{Attempt, Lane};
use super::call::{Call, Stage};
use super::funds::CameTo;
use super::send::open_carried;
use super::settle::estimate;
use super::{Gateway, Step};

/// What a model is asked after its predecessor's words.
const PROMPT: &str = "Your answer was cut off by a technical fault. Continue it exactly where it ended, beginning with \
                      the very next character. Do not repeat any of it, do not apologize, do not comment.";

/// A stream that is being continued: the caller has read its beginning.
pub(super) struct Resume {
    /// What was said, and what writes what comes.
    pub(super) seam: Seam,
}

/// What further attempts of a call are in its bill: the beginning of an answer that another went on with, and what was
/// asked for and never read.
#[derive(Clone, Debug)]
pub(super) struct Besides {
    /// What of it the caller read; nothing of an attempt that they never saw.
    pub(super) usage: Usage,
    /// What all of it cost, where that is known.
    pub(super) cost: Option<Cost>,
}

impl Gateway {
    /// Whether a stream of this call should be remembered, so that it can be continued.
    pub(super) fn may_continue(&self, call: &Call) -> bool {
        let failover = &self.setup.config.failover;
        failover.enabled
            && !call.continued
            && call.wishes.continues.unwrap_or(failover.continues)
            && call.task() == Some(Task::Chat)
    }

    /// The stream broke off after its first token: the step that has it continued elsewhere, or the pipe to end it with.
    pub(super) fn continue_elsewhere(
        &mut self,
        call: &mut Call,
        pipe: Box<Pipe>,
        failure: &Failure,
        now: UnixMillis,
    ) -> Result<Step, Box<Pipe>> {
        let may = self.may_continue(call) && !call.drained && failure.side == Side::Upstream;
        if !may
            || !pipe.can_continue()
            || failure.retry == Retry::Never
            || wants_json(call)
            // It may have ended where the upstream goes on.
            || call.attempt.as_ref().is_some_and(|attempt| !attempt.stops.is_empty())
            || !self.has_elsewhere(call, now)
        {
            return Err(pipe);
        }
        self.report_failed(call, failure, now);
        call.note_failed(failure, now);
        if let Some(usage) = self.usage_of(call, &pipe, Some(failure)) {
            let cost = self.pay_besides(call, failure, &usage, CameTo::AnAnswer, now);
            call.add_besides(usage, cost);
        }
        let Some(seam) = pipe.into_seam() else { return Ok(self.end_with(call, failure, now)) };
        call.continued = true;
        call.resume = Some(Box::new(Resume { seam }));
        let sent = self.aim_at_next(call, now).and_then(|()| self.send(call, now));
        Ok(sent.unwrap_or_else(|failure| self.failed(call, failure, now)))
    }

    /// Nobody could go on: the stream that the caller is reading ends with an error event.
    pub(super) fn end_resumed(&mut self, call: &mut Call, resume: Resume, failure: &Failure, now: UnixMillis) -> Step {
        let Resume { mut seam } = resume;
        let record = call.record(200, Some(failure), None, None, now);
        self.keep_record(call, record);
        let (usage, cost) = call.with_besides(None, None);
        let closing = Closing { usage, cost, latchkey: Some(call.explanation(None)), ..Closing::default() };
        let mut out = std::mem::take(&mut call.unwritten);
        seam.fail(failure, &closing);
        seam.take(&mut out);
        call.stage = Stage::Over;
        Step::Finish(out)
    }

    /// What a stream used, estimated where the upstream did not say or did not come to saying.
    pub(super) fn usage_of(&self, call: &Call, pipe: &Pipe, failure: Option<&Failure>) -> Option<Usage> {
        let meter = pipe.meter();
        match &meter.usage {
            // An end that is an error to the caller leaves the upstream's own count as exact as any other.
            Some(usage) if failure.is_none() || pipe.is_whole() => Some(usage.clone()),
            // A stream that broke off may have counted less than it said: whichever is more was used.
            seen => {
                let mut usage = estimate(call.incoming.body.len() as u64, meter.output_bytes);
                if let Some(said) = seen {
                    let output_text = usage.output_text.max(said.output_text);
                    usage = Usage { output_text, estimated: failure.is_some(), ..said.clone() };
                }
                Some(usage)
            }
        }
    }
}

impl Call {
    /// Adds to what is billed beside the attempt that ends the call.
    pub(super) fn add_besides(&mut self, usage: Usage, cost: Option<Cost>) {
        let (usage, cost) = self.with_besides(Some(usage), cost);
        self.besides = usage.map(|usage| Box::new(Besides { usage, cost }));
    }

    /// Together with what is billed besides. Nobody knows a sum of which one part is not known.
    pub(super) fn with_besides(&self, usage: Option<Usage>, cost: Option<Cost>) -> (Option<Usage>, Option<Cost>) {
        let Some(besides) = &self.besides else { return (usage, cost) };
        let Some(usage) = usage else { return (Some(besides.usage.clone()), besides.cost) };
        let both = besides.cost.zip(cost);
        let sum = both
            .map(|(one, other)| Cost { charged: one.charged + other.charged, upstream: one.upstream + other.upstream });
        (Some(besides.usage.plus(&usage)), sum)
    }
}

/// JSON in two pieces from two models is rarely JSON.
fn wants_json(call: &Call) -> bool {
    let request = call.surface().read_request(&call.incoming.body);
    request.map_or(true, |request| !matches!(request.output, OutputShape::Text))
}

/// The request that asks `attempt`'s target to go on behind `seam`.
pub(super) fn write(
    surface: Surface,
    call_body: &[u8],
    inlined: &crate::wire::InlinedMedia,
    attempt: &mut Attempt,
    seam: &Seam,
) -> Result<Outgoing, Failure> {
    let mut request = surface.read_request(call_body)?;
    attempt.adjusted = Adjusted::default();
    open_carried(call_body, &mut request, attempt);
    request.stream = true;
    let most = request.max_output_tokens.or(attempt.default_max_tokens.map(u64::from));
    request.max_output_tokens = most.map(|most| left_of(most, seam.said()));
    if !seam.said().is_empty() {
        // A stream that died over its thoughts is asked for anew.
        request.messages.push(turn(Role::Assistant, seam.said()));
        if !prefills(attempt) {
            request.messages.push(turn(Role::User, PROMPT));
        }
    }
    attempt.renamed = Renamed::fit(&mut request, attempt.format);
    let target = Target { model: &attempt.model, quirks: &attempt.upstream.quirks, facts: &attempt.facts, inlined };
    attempt.stops = Stops::take(&mut request, attempt.format, &target, &mut attempt.adjusted);
    let outgoing = attempt.format.write_request(&request, &target, &mut attempt.adjusted)?;
    attempt.lane = Lane::Translated;
    Ok(outgoing)
}

/// What is left of an output limit once `said` was said. At least one token is: less nobody may ask for.
fn left_of(most: u64, said: &str) -> u64 {
    most.saturating_sub(estimate(0, said.len() as u64).output_text).max(1)
}

/// Whether the target takes the last message up by itself where it is the assistant's.
fn prefills(attempt: &Attempt) -> bool {
    let can = attempt.facts.capabilities.is_some_and(|known| known.has(Capabilities::PREFILL));
    let has_a_way = match attempt.format {
        Format::Anthropic | Format::Bedrock => true,
        Format::OpenAiChat => attempt.upstream.quirks.prefill.is_some(),
        _ => false,
    };
    can && has_a_way && !attempt.facts.refuses_prefill
}

fn turn(role: Role, text: &str) -> Message<'_> {
    let part = Part::Text { text: Text::escape(text), cache: None, citations: Vec::new(), signature: None };
    Message { role, name: None, parts: vec![part] }
}
