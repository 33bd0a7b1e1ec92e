//! The load client: so many callers, each sending its next request when the last reply is complete.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::framing::{BodyReader, Framing, header};
use crate::protocol::{self, Expected};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of load.
pub struct Load {
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub expected: Expected,
    pub callers: usize,
    /// The run ends at whichever comes first.
    pub time: Duration,
    pub calls: u64,
    /// Every so-many-th reply is read whole and compared.
    pub check_every: u64,
}

/// What came of it. Times are in microseconds.
#[derive(Default)]
pub struct Outcome {
    pub elapsed: Duration,
    pub replies: u64,
    pub latencies: Vec<u64>,
    /// To the first word of a stream.
    pub first_words: Vec<u64>,
    /// Between two reads of a stream that brought something.
    pub gaps: Vec<u64>,
    pub checked: u64,
    /// Replies that say they waited for the ledger object.
    pub waited: u64,
    /// What was wrong, with an example's words and how often.
    pub wrong: BTreeMap<String, u64>,
}

struct Run {
    load: Load,
    address: String,
    request: Vec<u8>,
    deadline: Instant,
    sent: Cell<u64>,
    outcome: RefCell<Outcome>,
}

struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// What the head of a reply says.
struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    /// The call had to ask the ledger object before it was sent.
    waited: bool,
}

/// A reply as it was read.
#[derive(Default)]
struct Reply {
    status: u16,
    body: Vec<u8>,
    reusable: bool,
    waited: bool,
    first_word: Option<Instant>,
    gaps: Vec<u64>,
}

impl Outcome {
    /// Replies a second.
    pub fn rate(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64()
    }

    /// Takes in what came of another part of the same load.
    pub fn add(&mut self, other: Outcome) {
        self.elapsed += other.elapsed;
        self.replies += other.replies;
        self.latencies.extend(other.latencies);
        self.first_words.extend(other.first_words);
        self.gaps.extend(other.gaps);
        self.checked += other.checked;
        self.waited += other.waited;
        for (fault, times) in other.wrong {
            *self.wrong.entry(fault).or_default() += times;
        }
    }
}

/// The value below which `share` of the values lie, in milliseconds.
pub fn quantile(microseconds: &mut [u64], share: f64) -> Option<f64> {
    microseconds.sort_unstable();
    let last = microseconds.len().checked_sub(1)?;
    let index = (last as f64 * share).round() as usize;
    microseconds.get(index).map(|value| *value as f64 / 1000.0)
}

/// Runs the load to its end. Must be called within a `LocalSet`.
pub async fn run(load: Load) -> Outcome {
    let (address, path) = address_and_path(&load.url);
    let mut head =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: */*\r\n");
    for (name, value) in &load.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", load.body.len()));
    let request = [head.as_bytes(), &load.body].concat();
    let started = Instant::now();
    let callers = load.callers;
    let deadline = started + load.time;
    let run = Rc::new(Run { load, address, request, deadline, sent: Cell::default(), outcome: RefCell::default() });
    let tasks: Vec<_> = (0..callers).map(|_| spawn_local(caller(Rc::clone(&run)))).collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    let mut outcome = run.outcome.take();
    outcome.elapsed = started.elapsed();
    outcome
}

/// The number that a GET of `url` answers under `key` in a JSON object.
pub async fn number_at(url: &str, headers: &BTreeMap<String, String>, key: &str) -> io::Result<u64> {
    let (address, path) = address_and_path(url);
    let mut socket = TcpStream::connect(&address).await?;
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{request}\r\n").as_bytes()).await?;
    let mut connection = Connection { socket, buffer: Vec::new() };
    let framing = connection.read_head().await?.framing;
    let (mut reader, mut body) = (BodyReader::new(framing), Vec::new());
    loop {
        reader.feed(&connection.buffer, &mut body).map_err(io::Error::other)?;
        connection.buffer.clear();
        if reader.done() || connection.socket.read_buf(&mut connection.buffer).await? == 0 {
            break;
        }
    }
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    answer[key].as_u64().ok_or_else(|| io::Error::other(format!("no {key} in {answer}")))
}

fn address_and_path(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    (address.to_owned(), format!("/{path}"))
}

async fn caller(run: Rc<Run>) {
    let mut connection = None;
    while Instant::now() < run.deadline && run.sent.get() < run.load.calls {
        run.sent.set(run.sent.get() + 1);
        let began = Instant::now();
        let exchanged = tokio::time::timeout(PATIENCE, exchange(&run, &mut connection, began)).await;
        let reply = match exchanged {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                connection = None;
                run.note(error.to_string()).await;
                continue;
            }
            Err(_) => {
                connection = None;
                run.note("no reply in time".to_owned()).await;
                continue;
            }
        };
        if !reply.reusable {
            connection = None;
        }
        run.take(reply, began).await;
    }
}

impl Run {
    async fn take(&self, reply: Reply, began: Instant) {
        let elapsed = |until: Instant| u64::try_from(until.duration_since(began).as_micros()).unwrap_or(u64::MAX);
        if reply.status != 200 {
            let body = String::from_utf8_lossy(&reply.body);
            return self.note(format!("status {}: {}", reply.status, body.chars().take(300).collect::<String>())).await;
        }
        let fault = {
            let mut outcome = self.outcome.borrow_mut();
            outcome.replies += 1;
            outcome.waited += u64::from(reply.waited);
            outcome.latencies.push(elapsed(Instant::now()));
            outcome.first_words.extend(reply.first_word.map(elapsed));
            outcome.gaps.extend(reply.gaps);
            if !outcome.replies.is_multiple_of(self.load.check_every) {
                return;
            }
            outcome.checked += 1;
            protocol::check(&self.load.expected, &reply.body).err()
        };
        if let Some(fault) = fault {
            self.note(fault).await;
        }
    }

    async fn note(&self, fault: String) {
        *self.outcome.borrow_mut().wrong.entry(fault).or_default() += 1;
        // A server that refuses everything at once must not become a busy loop.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn exchange(run: &Run, slot: &mut Option<Connection>, began: Instant) -> io::Result<Reply> {
    let connection = match slot {
        Some(connection) => connection,
        None => {
            let socket = TcpStream::connect(&run.address).await?;
            socket.set_nodelay(true)?;
            slot.insert(Connection { socket, buffer: Vec::with_capacity(64 * 1024) })
        }
    };
    connection.buffer.clear();
    connection.socket.write_all(&run.request).await?;
    let Head { status, framing, keep_alive, waited } = connection.read_head().await?;
    let mut reader = BodyReader::new(framing);
    let reusable = keep_alive && framing != Framing::UntilClose;
    let mut reply = Reply { status, reusable, waited, ..Reply::default() };
    let mut last_read = began;
    loop {
        let before = reply.body.len();
        reader.feed(&connection.buffer, &mut reply.body).map_err(io::Error::other)?;
        connection.buffer.clear();
        if run.load.expected.stream && reply.body.len() > before {
            let now = Instant::now();
            if before > 0 {
                reply.gaps.push(u64::try_from(now.duration_since(last_read).as_micros()).unwrap_or(u64::MAX));
            }
            if reply.first_word.is_none() && contains(&reply.body, b" word0") {
                reply.first_word = Some(now);
            }
            last_read = now;
        }
        if reader.done() {
            return Ok(reply);
        }
        if connection.socket.read_buf(&mut connection.buffer).await? == 0 {
            return if framing == Framing::UntilClose { Ok(reply) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

impl Connection {
    /// Reads up to the end of the head; what follows it is left in the buffer.
    async fn read_head(&mut self) -> io::Result<Head> {
        loop {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) = response.parse(&self.buffer).map_err(io::Error::other)? {
                let framing = Framing::of(response.headers, Framing::UntilClose);
                let closes =
                    header(response.headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                let waited = header(response.headers, "server-timing").is_some_and(|value| value.contains("ledger;"));
                let head = Head { status: response.code.unwrap_or(0), framing, keep_alive: !closes, waited };
                self.buffer.drain(..length);
                return Ok(head);
            }
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
