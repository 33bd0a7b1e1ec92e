//! What answers look like on the wire: every line of a stream has the shape of a whole answer.

use crate::chat::Usage;
use crate::json::{Raw, Text, readable};

#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub model: Option<Text<'a>>,
    pub created_at: Option<Text<'a>>,
    pub message: Option<Message<'a>>,
    pub done: bool,
    pub done_reason: Option<Text<'a>>,
    pub prompt_eval_count: Option<u64>,
    pub eval_count: Option<u64>,
    pub error: Option<Text<'a>>,
}
readable! { Answer<'a> { model, created_at, message, done, done_reason, prompt_eval_count, eval_count, error } }

#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub content: Option<Text<'a>>,
    pub thinking: Option<Text<'a>>,
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
}
readable! { Message<'a> { content, thinking, tool_calls } }

#[derive(Debug, Default)]
pub(super) struct ToolCall<'a> {
    pub id: Option<Text<'a>>,
    pub function: Function<'a>,
}
readable! { ToolCall<'a> { id, #[required] function } }

#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub name: Option<Text<'a>>,
    pub arguments: Option<Raw<'a>>,
}
readable! { Function<'a> { name, arguments } }

impl Answer<'_> {
    /// What was evaluated. A prompt that was all in the cache is not counted, and costs nothing. Thinking is part of
    /// the output and is not told apart.
    pub fn usage(&self) -> Option<Usage> {
        if self.prompt_eval_count.is_none() && self.eval_count.is_none() {
            return None;
        }
        let (input_fresh, output_text) = (self.prompt_eval_count.unwrap_or(0), self.eval_count.unwrap_or(0));
        Some(Usage { input_fresh, output_text, ..Usage::default() })
    }
}
