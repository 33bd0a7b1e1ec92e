//! `/v1/realtime`: a talk over a socket. Its messages go past this gateway at the edge; those that say what was used come
//! in here. Each turn is paid when it ends, and what the next one may take is held before it begins: where that cannot
//! be had any longer, the talk is over.

use std::mem::{replace, swap};
use std::rc::Rc;

use crate::budget::{Amounts, Estimate};
use crate::chat::{Counted, Unit, Usage};
use crate::failure::{Failure, Kind};
use crate::http::{Response, no_store};
use crate::keys::Grant;
use crate::observe::Record;
use crate::provider::{Bucket, Price, Quirks};
use crate::units::{Millis, NanoUsd, UnixMillis};
use crate::wire::service::{TalkEvent, read_event};

use super::call::{Call, Stage};
use super::funds::Asks;
use super::settle::unread;
use super::stream::{broken, expired};
use super::wishes::Wishes;
use super::{Asked, Gateway, Input, Step};

/// What a turn is taken to hear and say, in tokens, where nothing has to hold for sure.
const HEARD: u64 = 2_048;
const SAID: u64 = 1_024;

/// How long a turn may take, with all the silence before it: providers end a talk after an hour.
///
/// Source: <https://platform.openai.com/docs/guides/realtime-conversations>.
pub(super) const LONGEST_TURN: Millis = Millis(3_600_000);

/// What a talk has used so far.
#[derive(Debug, Default)]
pub(super) struct Talk {
    usage: Option<Usage>,
    transcripts: Transcripts,
}

/// What was written down of what was heard: another model does that, at its own price, and has a row of its own.
#[derive(Debug, Default)]
struct Transcripts {
    /// Empty until the provider names it.
    model: String,
    price: Option<Rc<Price>>,
    usage: Option<Usage>,
    paid: Option<NanoUsd>,
    at_ceiling: bool,
}

/// Makes the call one of the model that writes down what is heard; a second time, one of the model that talks.
fn take_turns(call: &mut Call) {
    let (Some(talk), Some(attempt)) = (&mut call.talk, &mut call.attempt) else { return };
    let Talk { usage, transcripts } = talk.as_mut();
    swap(&mut attempt.model, &mut transcripts.model);
    swap(&mut attempt.price, &mut transcripts.price);
    swap(usage, &mut transcripts.usage);
    swap(&mut call.funds.paid, &mut transcripts.paid);
    swap(&mut call.funds.at_ceiling, &mut transcripts.at_ceiling);
}

impl Talk {
    fn add(&mut self, usage: Usage) {
        self.usage = Some(match self.usage.take() {
            Some(sum) => sum.plus(&usage),
            None => usage,
        });
    }
}

impl Gateway {
    /// Opens a talk with the model that the query names.
    pub(super) fn begin_talk(&mut self, call: &mut Call, grant: &Grant, now: UnixMillis) -> Result<Step, Failure> {
        grant.permits(now, "realtime", |name| call.incoming.header(name))?;
        if !call.incoming.header("upgrade").is_some_and(|wanted| wanted.eq_ignore_ascii_case("websocket")) {
            let message = "Talks go over a WebSocket: connect to wss://…/v1/realtime?model=….";
            return Err(Failure::new(Kind::BadRequest, message).code("upgrade_required"));
        }
        let model = crate::http::percent_decode(call.incoming.parameter("model").unwrap_or_default());
        if model.is_empty() {
            return Err(Failure::bad_request("model", "Which model? Name it in the query: `?model=provider/model`."));
        }
        call.asked = Asked { model, stream: true, ..Asked::default() };
        call.wishes = Wishes::read(&call.incoming)?;
        // A socket is opened once: nothing of a talk can be said again elsewhere.
        call.incoming.once = true;
        self.first_target(call, now)
    }

    /// The provider has taken the socket.
    pub(super) fn talk_begun(&mut self, call: &mut Call, now: UnixMillis) -> Step {
        call.talk = Some(Box::default());
        call.stage = Stage::Talking;
        let mut head = Response { status: 101, headers: vec![no_store()], passed: Vec::new(), body: Vec::new() };
        if call.incoming.protocols().any(|protocol| protocol == "realtime") {
            head = head.header("sec-websocket-protocol", "realtime");
        }
        Step::Commit { head: call.dress(head, now), relay: false }
    }

    /// Something happened to a talk, wherever it stands with the ledger.
    pub(super) fn talk(&mut self, call: &mut Call, input: Input<'_>, now: UnixMillis) -> Step {
        match input {
            Input::Chunk(event) => {
                let quirks = call.attempt.as_ref().map_or(Quirks::COMPATIBLE, |attempt| attempt.upstream.quirks);
                let usage = match read_event(event, &quirks) {
                    Some(TalkEvent::Turn(usage)) => usage,
                    Some(TalkEvent::Transcript(usage)) => return self.pay_transcript(call, usage, now),
                    told => {
                        if let Some(TalkEvent::Transcriber(model)) = told {
                            self.note_transcriber(call, model, now);
                        }
                        call.stage = Stage::Talking;
                        return Step::Hold;
                    }
                };
                call.first_token.get_or_insert(now);
                let usage = match usage.is_credible() {
                    true => usage,
                    // Then it is charged what was held for it.
                    false if call.funds.strict => unread(),
                    false => taken(),
                };
                self.pay_turn(call, usage);
                call.funds.next_turn();
                self.hold_turn(call, now)
            }
            Input::Ledger { .. } => match call.funds.refused.is_some() {
                true => match self.funded(call, now) {
                    Ok(step) => step,
                    Err(failure) => self.end_talk(call, Some(&failure), now),
                },
                false => self.hold_turn(call, now),
            },
            Input::Waited => self.hold_turn(call, now),
            Input::End => self.end_talk(call, None, now),
            Input::Gone => {
                let failure = Failure::new(Kind::Disconnected, "The caller ended the talk.");
                self.end_talk(call, Some(&failure), now)
            }
            Input::Broken(reason) => self.end_talk(call, Some(&broken(reason)), now),
            Input::Expired(deadline) => self.end_talk(call, Some(&expired(deadline)), now),
            _ => {
                call.stage = Stage::Talking;
                Step::Hold
            }
        }
    }

    /// Holds what the next turn may take; the talk is over where that cannot be had.
    fn hold_turn(&mut self, call: &mut Call, now: UnixMillis) -> Step {
        let draws = self.draws(call);
        match self.fund(call, &draws, &Asks::default(), now) {
            Ok(Some(first)) => first,
            Ok(None) => {
                call.stage = Stage::Talking;
                Step::Hold
            }
            Err(failure) => self.end_talk(call, Some(&failure), now),
        }
    }

    /// Who writes down what is heard may change within a talk.
    fn note_transcriber(&mut self, call: &mut Call, model: String, now: UnixMillis) {
        let provider = call.attempt.as_ref().map(|attempt| attempt.upstream.id.clone()).unwrap_or_default();
        if call.talk.as_ref().is_none_or(|talk| talk.transcripts.model == model) {
            return;
        }
        self.record_transcripts(call, now);
        let price = self.setup.registry.price(&provider, &model, now);
        if let Some(talk) = &mut call.talk {
            talk.transcripts = Transcripts { model, price, ..Transcripts::default() };
        }
    }

    /// Pays what it took to write something down, and holds the turn under way anew: that is no request.
    fn pay_transcript(&mut self, call: &mut Call, usage: Usage, now: UnixMillis) -> Step {
        take_turns(call);
        let fixed_paid = replace(&mut call.funds.fixed_paid, true);
        let credible = usage.is_credible();
        // At an unknown price only a strict budget takes the worst for it, because what is held is a whole turn.
        let pays = call.funds.strict || (credible && self.cost(call, &usage).is_some());
        if pays {
            let fixed = call.grant.as_ref().map(|grant| grant.markup().fixed).filter(|_| !fixed_paid);
            let counted = call.funds.pay_beside(fixed.unwrap_or_default());
            self.pay_turn(call, if credible { usage } else { unread() });
            call.funds.restore_counted(counted);
        } else if let Some(talk) = call.talk.as_mut().filter(|_| credible) {
            talk.add(usage);
        }
        call.funds.fixed_paid = fixed_paid;
        take_turns(call);
        if pays {
            return self.hold_turn(call, now);
        }
        call.stage = Stage::Talking;
        Step::Hold
    }

    fn record_transcripts(&mut self, call: &mut Call, now: UnixMillis) {
        take_turns(call);
        if let Some(usage) = call.talk.as_mut().and_then(|talk| talk.usage.take()) {
            let fixed_paid = replace(&mut call.funds.fixed_paid, true);
            let cost = self.cost(call, &usage);
            let record = call.record(200, None, Some(&usage), cost, now);
            call.rows.push(Record { tried: None, routing: None, ..record });
            call.funds.fixed_paid = fixed_paid;
        }
        (call.funds.paid, call.funds.at_ceiling) = (None, false);
        take_turns(call);
    }

    fn pay_turn(&mut self, call: &mut Call, usage: Usage) {
        let cost = self.cost(call, &usage);
        let before = call.funds.paid;
        self.pay(call, Some(&usage), cost);
        // Without budgets nothing is held, and the record has to know all the same.
        if let Some(cost) = cost.filter(|_| call.funds.paid == before) {
            call.funds.add_turn(cost.charged);
        }
        call.funds.fixed_paid = true;
        if let Some(talk) = &mut call.talk {
            talk.add(usage);
        }
    }

    /// The talk is over: it is recorded, and the caller told why, where there is a reason.
    fn end_talk(&mut self, call: &mut Call, failure: Option<&Failure>, now: UnixMillis) -> Step {
        let price = call.attempt.as_ref().and_then(|attempt| attempt.price.as_deref());
        // Some say how much of the time is to be paid (`xai.realtime.14ec62fbea`); for others all of it is.
        let told = call.talk.as_ref().and_then(|talk| talk.usage.as_ref()).is_some_and(|usage| usage.counted.is_some());
        if price.is_some_and(sells_time) && !told {
            let thousandths = now.since(call.first_token.unwrap_or(call.started)).0;
            let counted = Some(Counted { unit: Unit::InputSecond, thousandths });
            self.pay_turn(call, Usage { counted, ..Usage::default() });
        }
        self.record_transcripts(call, now);
        let usage = call.talk.take().and_then(|talk| talk.usage);
        self.release(call);
        let ours = failure.is_some_and(|failure| failure.side == crate::failure::Side::Gateway);
        match failure.filter(|failure| failure.kind != Kind::Disconnected && !ours) {
            Some(failure) => self.report_failed(call, failure, now),
            None => self.report_served(call, usage.as_ref(), now),
        }
        let cost = usage.as_ref().and_then(|usage| self.cost(call, usage));
        let record = call.record(200, failure, usage.as_ref(), cost, now);
        self.keep_record(call, record);
        call.stage = Stage::Over;
        let told = failure.map(|failure| call.surface().write_failure(failure)).unwrap_or_default();
        let event = told.strip_prefix(b"{").map(|rest| [b"{\"type\":\"error\",", rest].concat());
        Step::Finish(event.unwrap_or_default())
    }
}

/// What a turn takes at most: what is said in it is not known before, so that a strict budget goes by the key's ceiling.
pub(super) fn bound(price: Option<&Price>, strict: bool) -> Estimate {
    let rate = |bucket, tokens| price?.rates.with_parents(bucket).map(|rate: NanoUsd| rate.per_million(tokens));
    let cost = rate(Bucket::AudioInput, HEARD).zip(rate(Bucket::AudioOutput, SAID)).map(|(heard, said)| heard + said);
    let priced = cost.is_some() || price.is_some_and(sells_time);
    let most = Amounts {
        cost: cost.filter(|_| !strict).unwrap_or(NanoUsd::ZERO),
        requests: 1,
        input_tokens: HEARD,
        output_tokens: SAID,
        parallel: 1,
    };
    Estimate { most, priced, unbounded: priced.then_some("what is said in a talk is not known before") }
}

/// What a turn is taken to have used of which the count cannot be.
fn taken() -> Usage {
    Usage { input_audio: Some(HEARD), output_audio: Some(SAID), estimated: true, ..Usage::default() }
}

fn sells_time(price: &Price) -> bool {
    price.units.iter().any(|(unit, _)| *unit == Unit::InputSecond)
}
