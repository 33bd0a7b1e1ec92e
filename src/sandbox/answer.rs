//! Chat Completions as they are written, whole or as a stream.

use super::reply::{self, Reply, Said};
use super::script::{Stage, Step};
use crate::json::Object;

/// One plain answer. `prompt` is in tokens.
pub(super) fn whole(stage: &Stage<'_>, replies: &[Reply], prompt: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut object = Object::open(&mut body);
    write_head(stage, "chat.completion", &mut object);
    object.array("choices", |choices| {
        for (index, reply) in replies.iter().enumerate() {
            choices.object(|choice| {
                choice.number("index", index);
                choice.object("message", |message| write_message(stage, index, reply, message));
                choice.null("logprobs").string("finish_reason", reply.finish);
            });
        }
    });
    reply::write_usage(&mut object, prompt, replies);
    object.close();
    body
}

/// The events of one stream but its terminal marker, one choice after the other; usage where `prompt` is given.
pub(super) fn stream(stage: &Stage<'_>, replies: &[Reply], prompt: Option<u64>) -> Vec<Step> {
    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        Choice { stage, index, events: &mut events }.write(reply);
    }
    if let Some(prompt) = prompt {
        events.push(chunk(stage, false, |object| {
            object.array("choices", |_| {});
            reply::write_usage(object, prompt, replies);
        }));
    }
    events
}

/// One choice of a stream.
struct Choice<'c> {
    stage: &'c Stage<'c>,
    index: usize,
    events: &'c mut Vec<Step>,
}

impl Choice<'_> {
    fn write(&mut self, reply: &Reply) {
        self.delta(false, None, |delta| {
            delta.string("role", "assistant").string("content", "");
        });
        self.text("reasoning_content", &reply.reasoning);
        match &reply.said {
            Said::Text(text) => self.text("content", text),
            Said::Call { name, arguments } => self.call(name, arguments),
        }
        self.delta(false, Some(reply.finish), |_| {});
    }

    fn text(&mut self, key: &str, text: &str) {
        for piece in reply::pieces(text) {
            self.delta(true, None, |delta| {
                delta.string(key, piece);
            });
        }
    }

    /// Arguments come in two halves, cut where JSON would not be: a reader has to join them before it parses.
    fn call(&mut self, name: &str, arguments: &str) {
        let id = call_id(self.stage, self.index);
        self.call_delta(|call| {
            call.string("id", &id).string("type", "function");
            call.object("function", |function| {
                function.string("name", name).string("arguments", "");
            });
        });
        let middle = arguments.floor_char_boundary(arguments.len() / 2);
        let (first, second) = arguments.split_at_checked(middle).unwrap_or((arguments, ""));
        for piece in [first, second] {
            self.call_delta(|call| {
                call.object("function", |function| {
                    function.string("arguments", piece);
                });
            });
        }
    }

    fn call_delta(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        self.delta(true, None, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.number("index", 0);
                    members(call);
                });
            });
        });
    }

    fn delta(&mut self, content: bool, finish: Option<&str>, members: impl FnOnce(&mut Object<'_>)) {
        self.events.push(chunk(self.stage, content, |object| {
            object.array("choices", |choices| {
                choices.object(|choice| {
                    choice.number("index", self.index).object("delta", members).null("logprobs");
                    match finish {
                        Some(finish) => choice.string("finish_reason", finish),
                        None => choice.null("finish_reason"),
                    };
                });
            });
        }));
    }
}

fn write_message(stage: &Stage<'_>, index: usize, reply: &Reply, message: &mut Object<'_>) {
    message.string("role", "assistant");
    match &reply.said {
        Said::Text(text) => message.string("content", text),
        Said::Call { .. } => message.null("content"),
    };
    message.null("refusal");
    if !reply.reasoning.is_empty() {
        message.string("reasoning_content", &reply.reasoning);
    }
    if let Said::Call { name, arguments } = &reply.said {
        message.array("tool_calls", |calls| {
            calls.object(|call| {
                call.string("id", &call_id(stage, index)).string("type", "function");
                call.object("function", |function| {
                    function.string("name", name).string("arguments", arguments);
                });
            });
        });
    }
}

fn chunk(stage: &Stage<'_>, content: bool, members: impl FnOnce(&mut Object<'_>)) -> Step {
    let mut json = Vec::new();
    let mut object = Object::open(&mut json);
    write_head(stage, "chat.completion.chunk", &mut object);
    members(&mut object);
    object.close();
    Step::event(content, &json)
}

fn write_head(stage: &Stage<'_>, kind: &str, object: &mut Object<'_>) {
    object.string("id", &format!("chatcmpl-sandbox-{:016x}", stage.seed)).string("object", kind);
    object.number("created", stage.now.seconds()).string("model", stage.model);
}

fn call_id(stage: &Stage<'_>, index: usize) -> String {
    format!("call_{:016x}{index:02}", stage.seed)
}
