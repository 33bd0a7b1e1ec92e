//! What many calls leave behind in the memory of an isolate: nothing. Memory of a wasm instance never shrinks, and an
//! isolate serves calls for hours.
//!
//! The gateway and the ledger are driven here as the edge drives them, under an allocator that counts. `npm run bench --
//! --soak` measures the same of the running Worker.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code, reason = "only an allocator sees every allocation")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use latchkey::budget::{Budget, Ledger, Message, Need, PROTOCOL, Period, Rule, Scope, ScopeKind};
use latchkey::config::Config;
use latchkey::gateway::{CallId, Gateway, Incoming, Input, Setup, Step};
use latchkey::keys::{Grant, Key, Secrets, mint};
use latchkey::observe::{MOST_TAKEN, Record};
use latchkey::provider::Registry;
use latchkey::sorted::SortedMap;
use latchkey::units::{Millis, NanoUsd, UnixMillis};

/// Calls under way at any time.
const AT_ONCE: usize = 16;
/// By then everything that is kept for a while has been kept for as long as it is.
const SETTLED: usize = 1_500;
const CALLS: usize = 6_000;
/// Names that count have another digit by then: after 48,000 calls it is one byte. One that stayed of each call would be
/// thousands.
const DIGITS: isize = 16;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1800000000,"model":"gpt-4o",
    "choices":[{"index":0,"message":{"role":"assistant","content":"word by word"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":17,"completion_tokens":20,"total_tokens":37}}"#;

const CHUNKS: [&str; 3] = [
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"gpt-4o\",\
     \"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"gpt-4o\",\
     \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"gpt-4o\",\
     \"choices\":[],\"usage\":{\"prompt_tokens\":17,\"completion_tokens\":20,\"total_tokens\":37}}\n\ndata: [DONE]\n\n",
];

thread_local! {
    /// Below zero where a thread has freed what others allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST_HELD: Cell<isize> = const { Cell::new(0) };
}

/// Counts what each thread holds.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    MOST_HELD.set(MOST_HELD.get().max(held));
}

// SAFETY: it is the system's allocator, which is called with what came in; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while the bytes are moved.
        count(size as isize);
        count(-(layout.size() as isize));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[test]
fn four_times_the_calls_take_no_more_memory() {
    for (name, stream, budgeted) in [("plain", false, false), ("streamed", true, false), ("budgeted", false, true)] {
        let before = HELD.get();
        MOST_HELD.set(before);
        let mut isolate = Isolate::new(stream, budgeted);
        isolate.serve(SETTLED);
        let (held, most) = (HELD.get() - before, MOST_HELD.get() - before);
        isolate.serve(CALLS - SETTLED);
        let (held_after, most_after) = (HELD.get() - before, MOST_HELD.get() - before);
        assert!(
            held_after <= held + DIGITS,
            "{name}: {held} bytes held after {SETTLED} calls, {held_after} after {CALLS}"
        );
        assert!(
            most_after <= most + DIGITS,
            "{name}: at most {most} bytes held in {SETTLED} calls, {most_after} in {CALLS}"
        );
        // In an isolate, whose pointers are half as long, it is two thirds of that.
        assert!(most < 2_000_000, "{name}: {most} bytes at once");
    }
}

#[test]
fn what_a_hundred_thousand_users_have_leased_fits_the_ledgers_object() {
    const USERS: usize = 110_000;
    let before = HELD.get();
    MOST_HELD.set(before);
    let mut ledger = Ledger::default();
    let scope = Scope { kind: ScopeKind::User, id: "*".into() };
    let each = Budget { id: "budget_0123456789".into(), scope, limit: NanoUsd(100), ..Budget::default() };
    ledger.set_rule(Rule::Budget(each));
    for part in 0..USERS / 1_000 {
        let isolate = format!("isolate_0123456789_{}", part % 20);
        let pots = (0..1_000).map(|user| format!("budget_0123456789/user_{part}_{user}"));
        let needs = pots.map(|pot| Need { pot, least: 60, want: 60 }).collect();
        let ask = Message { version: PROTOCOL, isolate, ask: part as u64 + 1, needs, ..Message::default() };
        assert_eq!(ledger.handle(ask, UnixMillis(1_790_000_000_000)).refusal, None);
        ledger.take_changes();
    }
    // There, too, it is two thirds of that, and the object has 128 MB for everything.
    let most = MOST_HELD.get() - before;
    assert!(most < 430 * USERS as isize, "{most} bytes at once");
}

/// What an isolate and the ledger's object hold; in development, they are even one instance.
struct Isolate {
    gateway: Gateway,
    ledger: Ledger,
    grant: Rc<Grant>,
    incoming: Incoming,
    stream: bool,
    now: UnixMillis,
    under_way: VecDeque<CallId>,
}

impl Isolate {
    fn new(stream: bool, budgeted: bool) -> Isolate {
        let environment: SortedMap<String, String> =
            [("LATCHKEY_SECRET", "a secret that is only for this"), ("OPENAI_API_KEY", "none")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let secrets = Secrets::from_environment(environment.get("LATCHKEY_SECRET").map(String::as_str), None, None);
        let key = mint(secrets.as_ref().unwrap(), [7; 32]);
        let config = Config::default();
        let setup = Setup { registry: Registry::new(&environment, &config, true), config, version: 1, secrets };
        let budgets =
            if budgeted { vec![budget("bud_month", Period::Month), budget("bud_day", Period::Day)] } else { vec![] };
        let authorization = format!("Bearer {}", key.text.expose());
        let headers = [("content-type", "application/json"), ("authorization", &authorization)];
        let body = format!(
            r#"{{"model":"openai/gpt-4o","stream":{stream},"messages":[{{"role":"user","content":"Say it."}}]}}"#
        );
        Isolate {
            gateway: Gateway::new(setup, [9; 32]),
            ledger: Ledger::default(),
            grant: Rc::new(Grant::new(Key { id: "key_1".to_owned(), budgets, ..Key::default() })),
            incoming: Incoming {
                method: "POST".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                body: body.into_bytes(),
                ..Incoming::default()
            },
            stream,
            now: UnixMillis(1_790_000_000_000),
            under_way: VecDeque::new(),
        }
    }

    /// Two calls a millisecond, whose records are handed over when a batch is full.
    fn serve(&mut self, calls: usize) {
        for call in 0..calls {
            self.begin();
            if self.under_way.len() == AT_ONCE {
                self.end();
            }
            if self.gateway.records.is_full() {
                self.hand_over();
            }
            self.now = self.now.plus(Millis((call % 2) as u64));
        }
    }

    fn begin(&mut self) {
        let (id, mut step) = self.gateway.begin(self.incoming.clone(), self.now);
        if let Step::FindGrant(_) = step {
            step = self.gateway.resume(id, Input::Grant(Ok(Some(Rc::clone(&self.grant)))), self.now);
        }
        while let Step::AskLedger { message, .. } = step {
            let message = latchkey::json::from_slice(&message).unwrap();
            let reply = Ok(Box::new(self.ledger.handle(message, self.now)));
            step = self.gateway.resume(id, Input::Ledger { team: None, sent: self.now, reply }, self.now);
        }
        assert!(matches!(step, Step::Send(_)), "a call that is not sent: {step:?}");
        self.under_way.push_back(id);
    }

    fn end(&mut self) {
        let Some(id) = self.under_way.pop_front() else { return };
        let mut resume = |input: Input<'_>| self.gateway.resume(id, input, self.now);
        if !self.stream {
            resume(Input::Headers(200, &[("content-type", "application/json")]));
            let answered = resume(Input::Body(ANSWER.as_bytes()));
            assert!(matches!(&answered, Step::Respond(response) if response.status == 200), "{answered:?}");
            return;
        }
        resume(Input::Headers(200, &[("content-type", "text/event-stream")]));
        for chunk in CHUNKS {
            resume(Input::Chunk(chunk.as_bytes()));
        }
        resume(Input::End);
        assert!(!self.gateway.is_under_way(id), "a stream that does not end");
    }

    /// As the edge does: records are taken and written, and the leases that they drew from reported.
    fn hand_over(&mut self) {
        let records = self.gateway.records.take_those(MOST_TAKEN, |_: &Record| true);
        let written = serde_json::to_string(&records).unwrap();
        assert!(written.len() > MOST_TAKEN * 100, "records without figures");
        let message = self.gateway.purse.report(None, self.now);
        let reply = self.ledger.handle(message, self.now);
        self.gateway.reported(None, &reply, self.now, self.now);
        self.ledger.take_changes();
    }
}

/// Neither ends a test.
fn budget(id: &str, period: Period) -> Budget {
    let limit = NanoUsd(100_000 * NanoUsd::DOLLAR.0);
    Budget { id: id.to_owned(), scope: Scope::key("*"), limit, period, ..Budget::default() }
}
