//! The fake upstream: three providers on one port. Answers are prepared beforehand, so that it costs little itself.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use crate::framing::{BodyReader, Framing, header};
use crate::protocol::{self, PROTOCOLS, Protocol};

/// What every answer is like until it is set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Words of an answer, each a chunk of its stream.
    pub words: u32,
    /// Between the chunks of a stream. With none, a whole stream is one write of many HTTP chunks.
    pub gap: Duration,
}

/// A running upstream.
pub struct Upstream {
    prepared: Arc<RwLock<Arc<Prepared>>>,
}

struct Prepared {
    gap: Duration,
    plain: HashMap<Protocol, Vec<u8>>,
    /// By protocol and whether usage was asked for: the head, then one HTTP chunk for each event.
    streams: HashMap<(Protocol, bool), Vec<Vec<u8>>>,
}

struct Request {
    path: String,
    body: Vec<u8>,
}

impl Upstream {
    /// Listens on `port` in a thread of its own, until the program ends.
    pub fn start(port: u16, manner: Manner) -> io::Result<Upstream> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let prepared = Arc::new(RwLock::new(Arc::new(Prepared::new(manner))));
        let shared = Arc::clone(&prepared);
        std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, accept(listener, shared)).expect("the upstream accepts");
        })?;
        Ok(Upstream { prepared })
    }

    /// Answers in `manner` from now on.
    pub fn set(&self, manner: Manner) {
        *self.prepared.write().expect("no writer panicked") = Arc::new(Prepared::new(manner));
    }
}

impl Prepared {
    fn new(manner: Manner) -> Prepared {
        let mut prepared = Prepared { gap: manner.gap, plain: HashMap::new(), streams: HashMap::new() };
        for protocol in PROTOCOLS {
            let body = protocol::plain(protocol, manner.words);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            prepared.plain.insert(protocol, (head + &body).into_bytes());
            for usage in [false, true] {
                prepared.streams.insert((protocol, usage), stream(protocol, manner, usage));
            }
        }
        prepared
    }
}

fn stream(protocol: Protocol, manner: Manner, usage: bool) -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
        x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut writes = vec![head.as_bytes().to_vec()];
    for event in protocol::events(protocol, manner.words, usage) {
        writes.push(format!("{:x}\r\n{event}\r\n", event.len()).into_bytes());
    }
    if let Some(last) = writes.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    if manner.gap.is_zero() {
        return vec![writes.concat()];
    }
    writes
}

async fn accept(listener: std::net::TcpListener, prepared: Arc<RwLock<Arc<Prepared>>>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let prepared = Arc::clone(&prepared);
        // A caller who goes away ends its connection, not the upstream.
        spawn_local(async move { serve(socket, &prepared).await });
    }
}

async fn serve(mut socket: TcpStream, prepared: &RwLock<Arc<Prepared>>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    while let Some(request) = read_request(&mut socket, &mut buffer).await? {
        let answers = Arc::clone(&prepared.read().expect("no writer panicked"));
        answer(&mut socket, &request, &answers).await?;
    }
    Ok(())
}

async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let (head, framing, path, expects) = loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = request.parse(buffer).map_err(io::Error::other)? {
            let framing = Framing::of(request.headers, Framing::Length(0));
            let expects = header(request.headers, "expect").is_some();
            break (length, framing, request.path.unwrap_or("/").to_owned(), expects);
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    buffer.drain(..head);
    if expects {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let (mut reader, mut body) = (BodyReader::new(framing), Vec::new());
    loop {
        let used = reader.feed(buffer, &mut body).map_err(io::Error::other)?;
        buffer.drain(..used);
        if reader.done() {
            return Ok(Some(Request { path, body }));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn answer(socket: &mut TcpStream, request: &Request, prepared: &Prepared) -> io::Result<()> {
    let (protocol, streams) = match request.path.as_str() {
        path if path.contains(":streamGenerateContent") => (Protocol::Gemini, true),
        path if path.contains(":generateContent") => (Protocol::Gemini, false),
        path if path.ends_with("/messages") => (Protocol::Anthropic, asks(&request.body, "\"stream\"")),
        path if path.ends_with("/chat/completions") => (Protocol::Openai, asks(&request.body, "\"stream\"")),
        _ => return socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await,
    };
    if !streams {
        return socket.write_all(&prepared.plain[&protocol]).await;
    }
    let usage = asks(&request.body, "\"include_usage\"");
    let mut due = Instant::now();
    for (index, write) in prepared.streams[&(protocol, usage)].iter().enumerate() {
        // The head and the first event go at once.
        if index > 1 {
            due += prepared.gap;
            tokio::time::sleep_until(due).await;
        }
        socket.write_all(write).await?;
    }
    Ok(())
}

/// Whether the body has `key` with `true`, outside of any string; looked for near both ends only, because a prompt of
/// a megabyte lies between them.
fn asks(body: &[u8], key: &str) -> bool {
    let near = |part: &[u8]| {
        let part = String::from_utf8_lossy(part);
        part.match_indices(key).any(|(at, _)| {
            let value = part[at + key.len()..].trim_start();
            value.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with("true"))
        })
    };
    near(&body[..body.len().min(512)]) || near(&body[body.len().saturating_sub(512)..])
}
