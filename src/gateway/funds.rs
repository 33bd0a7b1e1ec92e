//! What a call holds of budgets and limits before it is sent, and what it is charged afterwards.

use crate::budget::{
    Aim, Amounts, Basis, DEFAULT_MAX_TOKENS, Draws, Ended, Estimate, Holds, Refusal, Refused, Reply, Rule, Spender,
    Taken, Wanted, estimate,
};
use crate::chat::Usage;
use crate::failure::{Failure, Kind, Retry, Side};
use crate::http::{Endpoint, Task, status_of};
use crate::json;
use crate::keys::{Grant, OnLedgerOutage, UnknownPrice};
use crate::observe::Record;
use crate::provider::{Bucket, ModelFacts};
use crate::units::{Millis, NanoUsd, UnixMillis};
use crate::wire::{Change, Cost};

use super::attempt::Attempt;
use super::call::{Call, Stage};
use super::funds_refused::{Headers, headers, refusal};
use super::send::no_attempt;
use super::talk::LONGEST_TURN;
use super::{Gateway, Step};

/// How long a call waits for what other calls hold and may give back, before it is refused.
const PATIENCE: Millis = Millis(2_500);
/// How long it waits between two tries.
const TRY_AGAIN: Millis = Millis(150);
/// How long a call waits in all until somebody asks for it: with so many before it, it is one too many.
const LONGEST_QUEUE: Millis = Millis(10_000);
/// Waiting calls look ever more rarely whether others' asks have helped them, up to so many times the first wait.
const RAREST_LOOK: u64 = 10;
/// A fair share buys at least so much output: less is no answer.
const LEAST_OUTPUT: u64 = 256;

/// What bounds and prices a request as it goes out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asks<'o> {
    pub(super) body: &'o [u8],
    /// A header asks for a service tier.
    pub(super) tier: bool,
}

/// What a call holds, and what it has waited for.
#[derive(Debug, Default)]
pub(super) struct Funds {
    hold: Option<Holds>,
    most: Amounts,
    /// A strict budget counts it: what is not known for sure is charged at its worst case.
    pub(super) strict: bool,
    /// What was charged so far, where that is known: the record says the same as the ledger.
    pub(super) paid: Option<NanoUsd>,
    /// Some of that is a worst case and not what was used.
    pub(super) at_ceiling: bool,
    tries: u32,
    /// Why the ledger granted nothing the last time.
    pub(super) refused: Option<Refusal>,
    /// When it was first found that it does not fit.
    since: Option<UnixMillis>,
    /// When it first had to wait, for the ledger or for others' asks.
    queued: Option<UnixMillis>,
    /// How long it waited.
    pub(super) waited: Option<Millis>,
    /// Its request was counted.
    counted: bool,
    /// An answer was charged with what is charged once a call.
    pub(super) fixed_paid: bool,
    /// What the caller is told of limits and budgets.
    pub(super) headers: Headers,
}

impl Funds {
    /// Nothing is waited for any more.
    fn let_through(&mut self, now: UnixMillis) {
        if let Some(since) = self.queued.take() {
            self.waited = Some(Millis(self.waited.unwrap_or_default().0 + now.since(since).0));
        }
    }

    /// Those of a call for the same request, beside this one.
    pub(super) fn beside(&self) -> Funds {
        Funds { counted: true, fixed_paid: self.fixed_paid, ..Funds::default() }
    }

    /// Another turn of a talk is paid for like another call, but is no other request.
    pub(super) fn next_turn(&mut self) {
        (self.tries, self.since, self.queued) = (0, None, None);
    }

    /// What is held is paid for something besides the turn under way: that is no request, has no part in `fixed`, and
    /// nobody has waited for it. Gives whether the turn's own request was counted.
    pub(super) fn pay_beside(&mut self, fixed: NanoUsd) -> bool {
        self.most.requests = 0;
        self.most.cost = (self.most.cost - fixed).max(NanoUsd::ZERO);
        self.next_turn();
        self.counted
    }

    /// Whether the request was counted is as it was before that.
    pub(super) fn restore_counted(&mut self, counted: bool) {
        self.counted = counted;
    }

    /// What a turn cost that nothing was held for.
    pub(super) fn add_turn(&mut self, charged: NanoUsd) {
        self.paid = Some(self.paid.unwrap_or_default() + charged);
    }

    /// Takes over what another call for the same request was charged.
    pub(super) fn add_paid(&mut self, other: &mut Funds) {
        if let Some(paid) = other.paid.take() {
            self.paid = Some(self.paid.unwrap_or_default() + paid);
        }
        self.at_ceiling |= std::mem::take(&mut other.at_ceiling);
        self.fixed_paid |= other.fixed_paid;
    }
}

/// What an attempt came to that does not end its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameTo {
    /// To an answer, be it not good enough or not whole: it is charged with what is charged once a call.
    AnAnswer,
    /// To nothing that anybody reads.
    Nothing,
}

impl Gateway {
    /// What the attempt draws from.
    pub(super) fn draws(&self, call: &Call) -> Draws {
        let Some(grant) = &call.grant else { return Draws::default() };
        let tags = call.tags();
        self.purse.draws(&grant.terms, &call.spender(grant, &tags), &call.aim())
    }

    /// Holds what the attempt may take, in every budget and limit that counts it. `None` is that it may be sent; else
    /// something else comes first.
    pub(super) fn fund(
        &mut self,
        call: &mut Call,
        draws: &Draws,
        asks: &Asks<'_>,
        now: UnixMillis,
    ) -> Result<Option<Step>, Failure> {
        self.release(call);
        self.grant_shadow(call)?;
        let Some(grant) = call.grant.clone() else { return Err(no_attempt()) };
        if !grant.key.bounds_calls() && self.purse.is_free(&grant.terms, now) {
            call.funds.let_through(now);
            return Ok(None);
        }
        let most = most(call, &grant, draws, asks)?;
        call.funds.most = most;
        call.funds.tries += 1;
        let total = call.deadlines(&self.setup.config.limits.deadlines).total;
        // A talk has no deadline of its own: a turn begins when the one before it was paid.
        let is_talk = call.endpoint == Some(Endpoint::Realtime);
        let wanted = Wanted {
            request: &call.request_id,
            most,
            terms: &grant.terms,
            deadline: if is_talk { now.plus(LONGEST_TURN) } else { call.started.plus(total) },
            again: call.funds.tries > 1,
        };
        let mut asked = None;
        let mut taken = self.purse.take(&wanted, draws, &mut asked, now);
        if let Taken::Away = taken {
            taken = self.without_ledger(&wanted, &grant, draws, &mut asked, now)?;
            if let Taken::Held(hold) = taken {
                call.funds.hold = hold;
                return Ok(None);
            }
        }
        match taken {
            Taken::Held(hold) => {
                let figures = self.purse.figures(draws, grant.terms.team.as_deref());
                let headers = headers(figures, now);
                (call.funds.headers, call.funds.hold) = (headers, hold);
                call.funds.let_through(now);
                Ok(None)
            }
            Taken::Ask(message) => {
                call.funds.queued.get_or_insert(now);
                call.stage = Stage::Ledger;
                let message = crate::json::to_string(&message).into_bytes();
                Ok(Some(Step::AskLedger { team: asked, message }))
            }
            Taken::Wait(wait) => {
                if now.since(*call.funds.queued.get_or_insert(now)) > LONGEST_QUEUE {
                    return Err(unavailable("too many calls wait for it"));
                }
                call.stage = Stage::Waiting;
                Ok(Some(Step::Wait(Millis(wait.0 * u64::from(call.funds.tries).min(RAREST_LOOK)))))
            }
            Taken::Ended(Ended::Revoked) => Err(ended("This gateway key was revoked.")),
            Taken::Ended(Ended::Disabled) => Err(ended("This gateway key is disabled.")),
            Taken::Away => Err(unavailable("it does not answer")),
        }
    }

    /// The answer of a ledger (a team's own, or the account's) to what it was told beside the calls, at `sent`.
    pub fn reported(&mut self, team: Option<&str>, reply: &Reply, sent: UnixMillis, now: UnixMillis) {
        self.purse.reported(team, reply, sent);
        self.hear_switches(now);
    }

    fn hear_switches(&mut self, now: UnixMillis) {
        if let Some(switches) = self.purse.take_switches() {
            self.view.set_switches(switches, now);
        }
    }

    /// The ledger answered, or did not. Says why nothing was granted, where that is so.
    pub(super) fn ledger_answered(
        &mut self,
        team: Option<&str>,
        reply: &Result<Box<Reply>, String>,
        sent: UnixMillis,
        now: UnixMillis,
    ) -> Option<Refusal> {
        match reply {
            Ok(reply) => {
                let refusal = self.purse.answered(team, reply, sent);
                self.hear_switches(now);
                refusal
            }
            Err(_) => {
                self.purse.unanswered(team, now);
                None
            }
        }
    }

    /// The ledger has answered what a call asked: it goes on, waits for what others give back, or ends.
    pub(super) fn funded(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        let Some(refused) = call.funds.refused.take() else { return self.send(call, now) };
        let since = *call.funds.since.get_or_insert(now);
        if refused.may_return && now.since(since) < PATIENCE {
            call.stage = Stage::Waiting;
            return Ok(Step::Wait(TRY_AGAIN));
        }
        let Some(grant) = call.grant.clone() else { return Err(no_attempt()) };
        let rules = self.purse.rules(&grant.terms);
        Err(self.refuse_for(call, &self.purse.refused(&rules, &refused), now))
    }

    /// Ends what the call holds at what it used and is charged; gives that.
    ///
    /// What was held is charged where no price is known, which is never nothing, and where usage is an estimate and a
    /// strict budget has to hold: the provider may bill more than was seen here.
    pub(super) fn pay(&mut self, call: &mut Call, usage: Option<&Usage>, cost: Option<Cost>) -> Option<Cost> {
        let Some(usage) = usage else {
            self.release(call);
            return cost;
        };
        let Some(hold) = call.funds.hold.take() else { return cost };
        let most = call.funds.most;
        let charged = match cost {
            Some(cost) if !(usage.estimated && call.funds.strict) => cost.charged,
            Some(cost) => most.cost.max(cost.charged),
            None => most.cost,
        };
        self.purse.settle(&hold, &Amounts::used(usage, charged, most.requests));
        call.funds.counted = true;
        // Where nothing was held for an unknown price, what it costs stays unknown.
        if cost.is_some() || charged > NanoUsd::ZERO {
            call.funds.paid = Some(call.funds.paid.unwrap_or_default() + charged);
            call.funds.at_ceiling |= cost.is_none_or(|cost| cost.charged != charged);
        }
        cost.map(|cost| Cost { charged, ..cost })
    }

    /// Pays for an attempt that was noted as failed although the provider may bill it: it took the request and never
    /// finished the answer, or that is too long, or nobody waited for it. The caller's own figures are not of it.
    pub(super) fn pay_for_failed(&mut self, call: &mut Call, failure: &Failure, now: UnixMillis) {
        let Some(attempt) = call.attempt.as_ref().filter(|attempt| !attempt.is_paid) else { return };
        let unfinished = match failure.kind {
            Kind::Truncated | Kind::BadAnswer | Kind::TooLarge => true,
            // The connection broke. What the provider itself reports as an error has no cause, and costs what that states.
            Kind::Unavailable => failure.cause.is_some(),
            _ => false,
        };
        let took_it = unfinished && attempt.status.is_some_and(|status| (200..300).contains(&status));
        let given_up = failure.kind == Kind::Timeout
            && failure.upstream_status.is_none()
            && attempt.status.is_none_or(|status| status < 400);
        let is_free = call.task() == Some(Task::Count) || call.incoming.only_reads() || attempt.is_page;
        if is_free || !(took_it || given_up) {
            return;
        }
        let mut usage = call.unseen();
        if failure.kind == Kind::TooLarge {
            // How long it is, nobody counted: it is charged its worst case, as under a strict budget.
            call.funds.strict = true;
            usage.output_text = call.longest_answer();
        }
        self.pay_besides(call, failure, &usage, CameTo::Nothing, now);
    }

    /// Pays for an attempt that is over, and was the last to be noted, while its call is not. Gives what it cost.
    pub(super) fn pay_besides(
        &mut self,
        call: &mut Call,
        failure: &Failure,
        usage: &Usage,
        came_to: CameTo,
        now: UnixMillis,
    ) -> Option<Cost> {
        let cost = self.pay_row(call, failure, usage, came_to, now);
        call.note_used(Some(usage), cost);
        cost
    }

    /// Pays for an attempt that does not end its call: it has a row of its own in the ledger, with its own target and
    /// prices.
    pub(super) fn pay_row(
        &mut self,
        call: &mut Call,
        failure: &Failure,
        usage: &Usage,
        came_to: CameTo,
        now: UnixMillis,
    ) -> Option<Cost> {
        let answered = came_to == CameTo::AnAnswer;
        let before = (call.funds.paid.take(), std::mem::take(&mut call.funds.at_ceiling));
        let was_paid = call.funds.fixed_paid;
        if !answered && !was_paid {
            let fixed = call.grant.as_ref().map(|grant| grant.markup().fixed).unwrap_or_default();
            call.funds.most.cost = (call.funds.most.cost - fixed).max(NanoUsd::ZERO);
        }
        call.funds.fixed_paid |= !answered;
        let cost = self.cost(call, usage);
        let cost = self.pay(call, Some(usage), cost);
        if let Some(attempt) = &mut call.attempt {
            attempt.is_paid = true;
        }
        let asked = cost.map_or(call.funds.paid.unwrap_or_default(), |cost| cost.upstream);
        call.funds.fixed_paid = was_paid || (answered && asked > NanoUsd::ZERO);
        let mut record = call.record(status_of(failure), Some(failure), Some(usage), cost, now);
        // These are told with the row of the call itself.
        (record.tried, record.routing) = (None, None);
        call.rows.push(record);
        (call.funds.paid, call.funds.at_ceiling) = before;
        cost
    }

    /// Keeps the record of a call that is over, which is its first row, and those of its further attempts behind it.
    pub(super) fn keep_record(&mut self, call: &mut Call, record: Record) {
        self.records.push(record);
        for (seq, row) in (1..).zip(call.rows.drain(..)) {
            self.records.push(Record { seq, ..row });
        }
    }

    /// Ends what the call holds at nothing: the provider charges nothing for the attempt.
    pub(super) fn release(&mut self, call: &mut Call) {
        let Some(hold) = call.funds.hold.take() else { return };
        // What reached a provider was a request all the same, be it another than the call is aimed at by now.
        let sent = call.attempts > 0;
        let requests = if sent { call.funds.most.requests } else { 0 };
        call.funds.counted |= sent;
        self.purse.settle(&hold, &Amounts { requests, ..Amounts::default() });
    }

    /// Notes the output limit of an attempt at a call that names none, where it has none yet.
    pub(super) fn cap_output(&self, call: &mut Call, draws: &Draws) {
        let has_one = call.attempt.as_ref().is_none_or(|attempt| attempt.default_max_tokens.is_some());
        let Some(grant) = call.grant.clone().filter(|_| !has_one) else { return };
        let (cap, lowered) = self.default_cap(call, &grant, draws);
        if let Some(attempt) = &mut call.attempt {
            (attempt.default_max_tokens, attempt.cap_lowered) = (cap, lowered);
        }
    }

    /// The output limit of a call that names none, and whether it was lowered to a fair share of what is left.
    fn default_cap(&self, call: &Call, grant: &Grant, draws: &Draws) -> (Option<u32>, bool) {
        let own = grant.key.default_max_tokens;
        let roomy = call.attempt.as_ref().and_then(|attempt| roomy_cap(attempt, &call.incoming.body));
        if !draws.are_strict() {
            return (own.or(roomy), false);
        }
        let cap = own.unwrap_or_else(|| roomy.map_or(DEFAULT_MAX_TOKENS, |roomy| roomy.min(DEFAULT_MAX_TOKENS)));
        let rate = call.attempt.as_ref().and_then(|attempt| attempt.price.as_ref()).and_then(|price| {
            [Bucket::Output, Bucket::Reasoning].into_iter().filter_map(|bucket| price.rates.with_parents(bucket)).max()
        });
        let share = self.purse.fair_share(draws, grant.terms.team.as_deref());
        let (Some(NanoUsd(share)), Some(NanoUsd(rate))) = (share, rate.filter(|rate| rate.0 > 0)) else {
            return (Some(cap), false);
        };
        // Plenty is left nearly always, which takes no long division to see.
        if share / (rate / 500_000 + 1) >= i64::from(cap) {
            return (Some(cap), false);
        }
        // Half of the share is for the prompt.
        let affordable = i128::from(share) * 500_000 / i128::from(rate);
        let affordable = u64::try_from(affordable).unwrap_or(0).max(LEAST_OUTPUT);
        match u32::try_from(affordable) {
            Ok(affordable) if affordable < cap => (Some(affordable), true),
            _ => (Some(cap), false),
        }
    }

    /// What happens while a ledger does not answer: the key's own policy.
    fn without_ledger(
        &mut self,
        wanted: &Wanted<'_>,
        grant: &Grant,
        draws: &Draws,
        asked: &mut Option<String>,
        now: UnixMillis,
    ) -> Result<Taken<Option<Holds>>, Failure> {
        if draws.have_no_rules() {
            return Ok(Taken::Held(None));
        }
        if grant.key.on_ledger_outage == OnLedgerOutage::Strict {
            return Err(unavailable("this key is set to wait for it (`on_ledger_outage`)"));
        }
        let taken = self.purse.take_on_credit(wanted, draws, asked, now);
        taken.map_err(|_| unavailable("the credit for the time without it is used up"))
    }

    fn refuse_for(&self, call: &mut Call, refused: &Refused, now: UnixMillis) -> Failure {
        let mut refused = refused.clone();
        // The ledger was asked for what this isolate has not leased already, which alone may fit.
        let alone = call.funds.most.of(refused.rule.unit());
        if let Rule::Limit(limit) = &refused.rule {
            let fits = i64::try_from(limit.max).is_ok_and(|max| alone <= max);
            // It was asked for what calls before took beyond their holds, too: that is over at the latest with all else.
            refused.fits_at = refused.fits_at.or(refused.standing.resets_at).filter(|_| fits);
        }
        let (failure, headers) = refusal(&refused, alone, now);
        call.funds.headers = headers;
        failure
    }
}

/// What the attempt takes at most, or why it may not be sent.
fn most(call: &mut Call, grant: &Grant, draws: &Draws, asks: &Asks<'_>) -> Result<Amounts, Failure> {
    let is_strict = draws.are_strict();
    call.funds.strict = is_strict;
    let task = call.task();
    let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
    let model_max = attempt.facts.max_output;
    let price = attempt.price.as_deref();
    let found = match task {
        Some(Task::Talk) => super::talk::bound(price, is_strict),
        // Nobody charges for it.
        Some(Task::Count) => {
            let most = Amounts { requests: 1, parallel: 1, ..Amounts::default() };
            Estimate { most, priced: true, unbounded: None }
        }
        Some(Task::Passthrough) => super::passthrough::bound(&call.incoming, price, is_strict),
        Some(Task::Service(service)) => super::service::bound(service, &call.incoming, price, is_strict),
        _ => {
            let basis = Basis {
                answers: task != Some(Task::Embeddings),
                strict: is_strict,
                price,
                // A caller cannot cap a compaction, and so the model's own cap has to do.
                model_max: model_max.filter(|_| !is_strict || task == Some(Task::Compaction)),
                context: attempt.facts.context,
                tiered: attempt.upstream.priority || asks.tier,
            };
            estimate(asks.body, &basis)
        }
    };
    if attempt.cap_lowered && attempt.default_max_tokens.map(u64::from) == Some(found.most.output_tokens) {
        attempt.adjusted.note("max_tokens", Change::Clamped);
    }
    let own_key = attempt.own_key;
    let Estimate { mut most, priced, unbounded } = found;
    let ceiling = match grant.key.unknown_price {
        Some(UnknownPrice::Hold(ceiling)) => Some(ceiling),
        _ => None,
    };
    if !own_key && !priced {
        let refuses = is_strict || grant.key.bounds_calls();
        match ceiling {
            Some(ceiling) => most.cost = ceiling,
            None if refuses => return Err(price_unknown(aim_of(call))),
            None => {}
        }
    }
    if is_strict
        && !own_key
        && let Some(what) = unbounded
    {
        let Some(ceiling) = ceiling else { return Err(cost_unbounded(what)) };
        most.cost = most.cost.max(ceiling);
    }
    let markup = grant.markup();
    most.cost = if own_key { markup.surcharge(most.cost) } else { markup.charge(most.cost) };
    if call.funds.fixed_paid {
        most.cost = (most.cost - markup.fixed).max(NanoUsd::ZERO);
    }
    if let Some(limit) = grant.key.max_cost_per_call.filter(|limit| most.cost > *limit) {
        return Err(too_dear(most.cost, limit));
    }
    most.requests = u64::from(!call.funds.counted);
    Ok(most)
}

/// The output limit for a provider that would stop after a few words, for a request of this body. It refuses what does
/// not fit into its context together with the prompt, and some models have but half of the context that is listed: what
/// may not fit is left as it is, cut short rather than refused.
fn roomy_cap(attempt: &Attempt, body: &[u8]) -> Option<u32> {
    const UNLISTED_CONTEXT: u64 = 8_192;
    const UNASKED: u32 = 256;
    if !attempt.upstream.quirks.short_answers {
        return None;
    }
    let facts = &attempt.facts;
    let (context, bytes) = (facts.context.unwrap_or(UNLISTED_CONTEXT), body.len() as u64);
    // One with pictures has many bytes and few tokens; few other prompts have a token in two bytes, or many in three.
    let left = match json::quotes(body, &[&["data:image"]]) {
        true => context,
        false => (context / 2).saturating_sub(bytes / 3),
    };
    let room = context.saturating_sub(bytes / 2) / 4;
    let least = u64::from(DEFAULT_MAX_TOKENS).min(context / 8);
    let most = room.max(least).min(left).min(facts.max_output.unwrap_or(u64::MAX));
    u32::try_from(most).ok().filter(|most| *most > UNASKED)
}

impl Call {
    /// The tokens of its longest answer, where it has one of tokens.
    fn longest_answer(&self) -> u64 {
        let answers = matches!(self.task(), Some(Task::Chat | Task::Completions | Task::Compaction));
        let Some(attempt) = self.attempt.as_ref().filter(|_| answers) else { return 0 };
        let ModelFacts { max_output: model_max, context, .. } = attempt.facts;
        let basis = Basis { answers, strict: false, price: None, model_max, context, tiered: false };
        estimate(&self.incoming.body, &basis).most.output_tokens
    }

    /// Who makes it, as far as budgets and limits can ask.
    pub(super) fn spender<'a>(&'a self, grant: &'a Grant, tags: &'a [&'a str]) -> Spender<'a> {
        Spender {
            key: &grant.key.id,
            team: grant.key.team_id.as_deref(),
            user: self.end_user(),
            session: self.wishes.session.as_deref(),
            tags,
        }
    }

    /// The caller's own end user, as its header says, or its body.
    pub(super) fn end_user(&self) -> Option<&str> {
        self.wishes.user.as_deref().or(self.asked.user.as_deref())
    }

    /// Where its attempt goes.
    pub(super) fn aim(&self) -> Aim<'_> {
        let Some(attempt) = &self.attempt else { return Aim::default() };
        // What was asked for by another name than the target's was an alias, or a short name: without the word behind it
        // that asks for a strategy, and as a rule names it for the call.
        let asked = self.routed.as_ref().map_or(self.asked.model.as_str(), |routed| &routed.name);
        let alias = (asked != attempt.target && asked != attempt.model).then_some(asked);
        Aim { provider: &attempt.upstream.id, model: &attempt.model, alias }
    }

    /// Its tags, each once.
    pub(super) fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = Vec::new();
        for tag in self.wishes.tags.iter().flat_map(|tags| tags.split(',')).map(str::trim) {
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags
    }
}

fn aim_of(call: &Call) -> String {
    call.attempt.as_ref().map(|attempt| attempt.target.clone()).unwrap_or_default()
}

fn ended(message: &str) -> Failure {
    Failure::new(Kind::Unauthorized, message).code("invalid_api_key")
}

fn unavailable(cause: &str) -> Failure {
    let message = "The ledger of this gateway does not answer, and this call cannot be let through without it.";
    let mut failure = Failure::new(Kind::Overloaded, message).code("ledger_unavailable").because(cause);
    failure.side = Side::Gateway;
    failure.retry = Retry::Never;
    failure.retry_after = Some(Millis(2_000));
    failure
}

fn price_unknown(target: String) -> Failure {
    let message = format!(
        "No price is known for `{target}`, and a budget has to hold. Give the model prices in the configuration, or set \
         the key's `unknown_price` to {{\"hold\": <US dollars>}}."
    );
    Failure::new(Kind::BadRequest, message).code("price_unknown").about("model")
}

fn cost_unbounded(what: &str) -> Failure {
    let message = format!(
        "This call has no bound on what it can cost ({what}), and a strict budget has to hold. Set the key's \
         `unknown_price` to {{\"hold\": <US dollars>}} to allow such calls at a ceiling."
    );
    Failure::new(Kind::BadRequest, message).code("cost_unbounded")
}

fn too_dear(most: NanoUsd, limit: NanoUsd) -> Failure {
    let message = format!(
        "This call can cost up to ${most}, and this key's calls at most ${limit} (`max_cost_per_call`). Lower \
         `max_tokens` or shorten the prompt."
    );
    Failure::new(Kind::BadRequest, message).code("max_cost_per_call_exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_of_two_paid_once_a_call_is_paid_for_the_other() {
        let mut funds = Funds::default();
        funds.add_paid(&mut Funds { fixed_paid: true, paid: Some(NanoUsd(5)), ..Funds::default() });
        assert!(funds.fixed_paid);
        funds.add_paid(&mut Funds { paid: Some(NanoUsd(2)), at_ceiling: true, ..Funds::default() });
        assert_eq!((funds.fixed_paid, funds.at_ceiling, funds.paid), (true, true, Some(NanoUsd(7))));
    }
}
