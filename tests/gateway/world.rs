//! A gateway with one key and a few providers, and a hand to play the edge with.

use std::collections::HashMap;
use std::rc::Rc;

use latchkey::budget::{Budget, Ledger, Period, Scope};
use latchkey::config;
use latchkey::gateway::{CallId, Gateway, Incoming, Input, Outbound, Setup, Step};
use latchkey::http::Response;
use latchkey::keys::{Grant, Key, Secrets, mint};
use latchkey::observe::Record;
use latchkey::provider::Registry;
use latchkey::sorted::SortedMap;
use latchkey::units::{NanoUsd, UnixMillis};
use serde_json::Value;

/// A gateway, a key, and the time.
pub struct World {
    pub gateway: Gateway,
    pub key: String,
    pub grant: Grant,
    pub now: UnixMillis,
    /// The account's ledger; `None` is away.
    pub ledger: Option<Ledger>,
    /// Those of teams that have one of their own.
    pub team_ledgers: HashMap<String, Ledger>,
    /// How often a call had to ask it.
    pub asked: u32,
}

/// What became of a stream: the head of the answer, and all bytes that the caller got.
pub struct Streamed {
    pub head: Response,
    pub text: String,
}

impl Default for World {
    fn default() -> World {
        World::with(Key::default(), None)
    }
}

impl World {
    /// With what the key may do, and a configuration document; without one a call is one attempt, so that what an
    /// upstream did is what the caller sees.
    pub fn with(key: Key, document: Option<&str>) -> World {
        let alone = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false}}"#;
        World::of(key, document.unwrap_or(alone), &[])
    }

    /// With everything that follows a failure, and further variables.
    pub fn of(key: Key, document: &str, variables: &[(&str, &str)]) -> World {
        let environment: SortedMap<String, String> = [
            ("LATCHKEY_SECRET", "a secret that is only for tests"),
            ("OPENAI_API_KEY", "sk-openai-secret"),
            ("ANTHROPIC_API_KEY", "sk-ant-secret"),
            ("GEMINI_API_KEY", "gemini-secret"),
            ("DEEPSEEK_API_KEY", "deepseek-secret"),
            ("OPENROUTER_API_KEY", "openrouter-secret"),
        ]
        .into_iter()
        .chain(variables.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let config = config::read(document.as_bytes()).expect("a document");
        let secrets = Secrets::from_environment(environment.get("LATCHKEY_SECRET").map(String::as_str), None, None);
        let minted = mint(secrets.as_ref().expect("a secret"), [7; 32]);
        let setup = Setup { registry: Registry::new(&environment, &config, true), config, version: 7, secrets };
        World {
            gateway: Gateway::new(setup, [9; 32]),
            key: minted.text.expose().to_owned(),
            grant: Grant::new(Key { id: "key_test".to_owned(), ..key }),
            now: UnixMillis(1_790_000_000_000),
            ledger: Some(Ledger::default()),
            team_ledgers: HashMap::new(),
            asked: 0,
        }
    }

    /// A request with the key, and its next step after the key has been looked up.
    pub fn post(&mut self, path: &str, body: &str) -> (CallId, Step) {
        self.send(path, body, &[])
    }

    pub fn send(&mut self, path: &str, body: &str, more: &[(&str, &str)]) -> (CallId, Step) {
        self.request_with("POST", path, body, more)
    }

    /// A form, as the edge tells of it.
    pub fn form(&mut self, path: &str, told: &str, headers: &[(&str, &str)]) -> (CallId, Step) {
        self.request_as("POST", path, told, headers)
    }

    /// A request that wants a socket.
    pub fn connect(&mut self, path: &str, headers: &[(&str, &str)]) -> (CallId, Step) {
        self.request_as("GET", path, "", headers)
    }

    /// The same with nothing of the key but what is in `headers`.
    pub fn connect_without_key(&mut self, path: &str, headers: &[(&str, &str)]) -> (CallId, Step) {
        let key = std::mem::take(&mut self.key);
        let opened = self.request_as("GET", path, "", headers);
        self.key = key;
        opened
    }

    /// What a route that only reads answers.
    pub fn get(&mut self, path: &str) -> Step {
        self.request("GET", path).1
    }

    /// A request without a body.
    pub fn request(&mut self, method: &str, path: &str) -> (CallId, Step) {
        self.request_as(method, path, "", &[])
    }

    fn request_with(&mut self, method: &str, path: &str, body: &str, more: &[(&str, &str)]) -> (CallId, Step) {
        let json = [("content-type", "application/json")];
        let headers: Vec<(&str, &str)> = json.into_iter().chain(more.iter().copied()).collect();
        self.request_as(method, path, body, &headers)
    }

    fn request_as(&mut self, method: &str, path: &str, body: &str, more: &[(&str, &str)]) -> (CallId, Step) {
        let mut headers = Vec::new();
        if !self.key.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.key)));
        }
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let incoming = Incoming {
            method: method.to_owned(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            query: path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            headers,
            body: body.as_bytes().to_vec(),
            oversize: false,
            once: false,
        };
        let (id, step) = self.gateway.begin(incoming, self.now);
        match step {
            Step::FindGrant(_) => {
                let grant = Ok(Some(Rc::new(self.grant.clone())));
                (id, self.resume(id, Input::Grant(grant)))
            }
            step => (id, self.after_ledger(id, step)),
        }
    }

    /// The step that follows once the ledger has answered what it was asked.
    pub fn after_ledger(&mut self, id: CallId, mut step: Step) -> Step {
        if let Step::AskStandings(terms) = &step {
            let found = self.ledger.as_mut().map(|ledger| Box::new(ledger.standings_of_key(terms, self.now)));
            let found = found.ok_or_else(|| "it is away".to_owned());
            return self.gateway.resume(id, Input::Standings(found), self.now);
        }
        while let Step::AskLedger { team, message } = step {
            let message = latchkey::json::from_slice(&message).expect("a message");
            self.asked += 1;
            let ledger = match &team {
                Some(team) => self.team_ledgers.get_mut(team),
                None => self.ledger.as_mut(),
            };
            let reply = match ledger {
                Some(ledger) => Ok(Box::new(ledger.handle(message, self.now))),
                None => Err("it is away".to_owned()),
            };
            step = self.gateway.resume(id, Input::Ledger { team, sent: self.now, reply }, self.now);
        }
        step
    }

    /// What the isolate says to the ledger beside the calls.
    pub fn report(&mut self) {
        let message = self.gateway.purse.report(None, self.now);
        let ledger = self.ledger.as_mut().expect("a ledger");
        let reply = ledger.handle(message, self.now);
        self.gateway.reported(None, &reply, self.now, self.now);
        for (team, ledger) in &mut self.team_ledgers {
            let message = self.gateway.purse.report(Some(team), self.now);
            let reply = ledger.handle(message, self.now);
            self.gateway.reported(Some(team), &reply, self.now, self.now);
        }
    }

    pub fn chat(&mut self, body: &str) -> (CallId, Step) {
        self.post("/v1/chat/completions", body)
    }

    pub fn resume(&mut self, id: CallId, input: Input<'_>) -> Step {
        self.now = UnixMillis(self.now.0 + 10);
        let step = self.gateway.resume(id, input, self.now);
        self.after_ledger(id, step)
    }

    /// The first target is slow: the call that asks another one, where any may be asked.
    pub fn hedge(&mut self, id: CallId) -> Option<(CallId, Step)> {
        self.now = UnixMillis(self.now.0 + 300);
        let (second, step) = self.gateway.hedge(id, self.now)?;
        Some((second, self.after_ledger(second, step)))
    }

    /// Plays an upstream that answers in one piece.
    pub fn answer(&mut self, id: CallId, status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        match self.resume(id, Input::Headers(status, &all)) {
            Step::ReadBody(_) => match self.resume(id, Input::Body(body.as_bytes())) {
                Step::Respond(response) => response,
                step => panic!("expected an answer, not {step:?}"),
            },
            step => panic!("expected to read the body, not {step:?}"),
        }
    }

    /// Plays an upstream that refuses or fails in one piece; gives the step that follows.
    pub fn refuse(&mut self, id: CallId, status: u16, headers: &[(&str, &str)], body: &str) -> Step {
        match self.resume(id, Input::Headers(status, headers)) {
            Step::ReadBody(_) => self.resume(id, Input::Body(body.as_bytes())),
            step => panic!("expected to read the body, not {step:?}"),
        }
    }

    /// Plays an upstream that streams these pieces and then does `ending`.
    pub fn stream(&mut self, id: CallId, pieces: &[&[u8]], ending: Input<'_>) -> Streamed {
        let (head, bytes) = self.stream_bytes(id, pieces, ending);
        Streamed { head, text: String::from_utf8(bytes).expect("text") }
    }

    /// The same where what the caller gets is no text.
    pub fn stream_bytes(&mut self, id: CallId, pieces: &[&[u8]], ending: Input<'_>) -> (Response, Vec<u8>) {
        let opened = self.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
        assert!(matches!(opened, Step::Hold), "{opened:?}");
        let mut streamed: Option<(Response, Vec<u8>)> = None;
        let mut relay = false;
        let mut inputs: Vec<Input<'_>> = pieces.iter().map(|piece| Input::Chunk(piece)).collect();
        inputs.push(ending);
        for input in inputs {
            if let (Input::Chunk(bytes), true, Some((_, written))) = (&input, relay, &mut streamed) {
                written.extend_from_slice(bytes);
            }
            match self.resume(id, input) {
                Step::Hold => {}
                Step::Respond(response) => {
                    let body = response.body.clone();
                    return (response, body);
                }
                Step::Commit { head, relay: natively } => {
                    relay = natively;
                    let body = head.body.clone();
                    streamed = Some((head, body));
                }
                Step::Write(bytes) => streamed.as_mut().expect("committed").1.extend_from_slice(&bytes),
                Step::Finish(bytes) => {
                    let (head, mut written) = streamed.take().expect("committed");
                    written.extend_from_slice(&bytes);
                    return (head, written);
                }
                step => panic!("unexpected {step:?}"),
            }
        }
        panic!("the call did not end");
    }

    /// All rows of all calls.
    pub fn records(&mut self) -> Vec<Record> {
        self.gateway.records.take(usize::MAX)
    }

    /// The record of the only call, of which there is one row.
    pub fn only_record(&mut self) -> Record {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "one row a call: {rows:?}");
        rows.remove(0)
    }

    /// The rows of the only call: its own, and those of the attempts that are billed besides.
    pub fn rows(&mut self) -> Vec<Record> {
        let rows = self.records();
        assert!((0..).zip(&rows).all(|(seq, row)| row.seq == seq), "numbered from 0: {rows:?}");
        assert!(rows.iter().all(|row| row.request_id == rows[0].request_id), "one call: {rows:?}");
        assert_eq!(self.gateway.calls_under_way(), 0);
        rows
    }
}

/// A strict budget of a dollar for each key.
pub fn dollar() -> Budget {
    let scope = Scope::key("*");
    Budget { id: "bud".into(), scope, limit: NanoUsd::DOLLAR, period: Period::Total, ..Budget::default() }
}

/// The request that a step sends.
pub fn sent(step: Step) -> Outbound {
    match step {
        Step::Send(outbound) => *outbound,
        step => panic!("expected a request to be sent, not {step:?}"),
    }
}

/// The answer that a step gives.
pub fn refused(step: Step) -> (u16, Value) {
    match step {
        Step::Respond(response) => (response.status, json(&response.body)),
        step => panic!("expected an answer, not {step:?}"),
    }
}

pub fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

pub fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

pub fn header_of<'o>(outbound: &'o Outbound, name: &str) -> Option<&'o str> {
    outbound.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// The events of a stream as the caller reads them.
pub fn events(text: &str) -> Vec<String> {
    text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
}
