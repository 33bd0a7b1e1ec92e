use crate::json::Object;
use crate::units::{Millis, UnixMillis};

/// What an upstream does in answer to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The HTTP status. With no step and [`Ending::Hang`] not even this is sent.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, in order.
    pub steps: Vec<Step>,
    /// What follows the last step.
    pub ending: Ending,
}

/// A part of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Before it is sent.
    pub wait: Millis,
    /// One event of a stream, or a whole plain body.
    pub bytes: Vec<u8>,
    /// Whether it carries what the model says: text, reasoning or a tool call.
    pub(super) content: bool,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Complete,
    /// The connection breaks.
    Cut,
    /// Nothing more ever comes.
    Hang,
}

/// What every answer of one call shares.
pub(super) struct Stage<'c> {
    /// Named in the answer.
    pub(super) model: &'c str,
    /// Of the body; ids are made of it.
    pub(super) seed: u64,
    pub(super) now: UnixMillis,
}

impl Script {
    /// A 200 with one JSON body.
    pub(super) fn plain(body: Vec<u8>) -> Script {
        let step = Step { wait: Millis(0), bytes: body, content: true };
        Script::answering(200, "application/json", vec![step])
    }

    /// A 200 with a stream of events; the terminal marker is added.
    pub(super) fn stream(mut events: Vec<Step>) -> Script {
        events.push(Step { wait: Millis(0), bytes: b"data: [DONE]\n\n".to_vec(), content: false });
        Script::answering(200, "text/event-stream; charset=utf-8", events)
    }

    /// An error in OpenAI's shape.
    pub(super) fn refusal(status: u16, message: &str, code: &str) -> Script {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let mut body = Vec::new();
        let mut object = Object::open(&mut body);
        object.object("error", |error| {
            error.string("message", message).string("type", kind).null("param").string("code", code);
        });
        object.close();
        let step = Step { wait: Millis(0), bytes: body, content: false };
        Script::answering(status, "application/json", vec![step])
    }

    /// The error that a model name asked for.
    pub(super) fn refusal_on_request(status: u16) -> Script {
        let code = match status {
            401 => "invalid_api_key",
            404 => "model_not_found",
            429 => "rate_limit_exceeded",
            503 | 529 => "overloaded",
            500.. => "server_error",
            _ => "invalid_request",
        };
        let message = format!("The sandbox answers {status} because its model's name asks for it.");
        let mut script = Script::refusal(status, &message, code);
        if status == 429 {
            script.headers.push(("retry-after", "1".to_owned()));
        }
        script
    }

    /// Neither a status nor a byte.
    pub(super) fn silence() -> Script {
        Script { status: 200, headers: Vec::new(), steps: Vec::new(), ending: Ending::Hang }
    }

    /// The same after `wait`, and as long again from the first to the last content chunk.
    pub(super) fn delayed(mut self, wait: Millis) -> Script {
        let chunks = self.steps.iter().filter(|step| step.content).count() as u64;
        if let Some(first) = self.steps.first_mut() {
            first.wait = wait;
        }
        for step in self.steps.iter_mut().skip(1).filter(|step| step.content) {
            step.wait = Millis(wait.0.checked_div(chunks).unwrap_or(0));
        }
        self
    }

    /// The same until `chunks` content chunks have been sent. A plain body breaks in its middle.
    pub(super) fn cut_after(mut self, chunks: usize) -> Script {
        self.ending = Ending::Cut;
        if let [only] = self.steps.as_mut_slice() {
            only.bytes.truncate(only.bytes.len() / 2);
            return self;
        }
        let mut sent = 0;
        let end = self.steps.iter().position(|step| {
            // What comes after the last content, such as the finish chunk, must not come either.
            let over = if step.content { sent == chunks } else { sent > 0 };
            sent += usize::from(step.content);
            over
        });
        // Without any content only the role chunk is left.
        self.steps.truncate(end.unwrap_or(1));
        self
    }

    fn answering(status: u16, content_type: &str, steps: Vec<Step>) -> Script {
        let headers = vec![("content-type", content_type.to_owned())];
        Script { status, headers, steps, ending: Ending::Complete }
    }
}

impl Step {
    /// One server-sent event with this JSON.
    pub(super) fn event(content: bool, json: &[u8]) -> Step {
        let bytes = [b"data: ", json, b"\n\n"].concat();
        Step { wait: Millis(0), bytes, content }
    }
}
