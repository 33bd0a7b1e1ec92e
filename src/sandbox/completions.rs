//! Legacy Completions: the prompt said again.

use super::Fault;
use super::reply::{self, Limits, Reply, Said};
use super::script::{Script, Stage, Step};
use crate::json::{Object, Raw, Text, readable};

/// The most prompts of one request.
const MOST_PROMPTS: usize = 16;

#[derive(Default)]
struct CompletionRequest<'b> {
    /// A string or a list of strings.
    prompt: Raw<'b>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    stop: Option<Raw<'b>>,
    n: Option<u64>,
}
readable! { CompletionRequest<'a> { #[required] prompt, stream, stream_options, max_tokens, stop, n } }

#[derive(Default)]
struct StreamOptions {
    include_usage: Option<bool>,
}
readable! { StreamOptions { include_usage } }

/// Answers one request: every prompt `n` times.
pub(super) fn play(body: &[u8], stage: &Stage<'_>) -> Result<Script, Fault> {
    let request: CompletionRequest<'_> = crate::json::from_slice(body)?;
    let choices = usize::try_from(reply::choices(request.n)?).unwrap_or(1);
    let prompts: Vec<String> = match request.prompt.text() {
        Some(prompt) => vec![prompt.decode().into_owned()],
        None => request.prompt.read()?,
    };
    if prompts.len() > MOST_PROMPTS {
        return Err(Fault::new(format!("{} prompts; the sandbox takes {MOST_PROMPTS}.", prompts.len())));
    }
    let limits = Limits::new(request.max_tokens, request.stop.as_ref())?;
    let tokens = prompts.iter().map(|prompt| reply::tokens(prompt.len())).sum();
    let mut replies = Vec::with_capacity(prompts.len() * choices);
    for prompt in prompts.iter().flat_map(|prompt| std::iter::repeat_n(prompt, choices)) {
        let (text, finish) = limits.apply(prompt.clone(), 0);
        replies.push(Reply { reasoning: String::new(), said: Said::Text(text), finish });
    }
    if request.stream != Some(true) {
        return Ok(Script::plain(write_answer(stage, &replies, tokens)));
    }
    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        for piece in reply::pieces(text_of(reply)) {
            events.push(chunk(stage, true, |object| write_choice(object, index, piece, None)));
        }
        events.push(chunk(stage, false, |object| write_choice(object, index, "", Some(reply.finish))));
    }
    if request.stream_options.is_some_and(|options| options.include_usage == Some(true)) {
        events.push(chunk(stage, false, |object| {
            object.array("choices", |_| {});
            reply::write_usage(object, tokens, &replies);
        }));
    }
    Ok(Script::stream(events))
}

fn write_answer(stage: &Stage<'_>, replies: &[Reply], prompt: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut object = Object::open(&mut body);
    write_head(stage, &mut object);
    object.array("choices", |choices| {
        for (index, reply) in replies.iter().enumerate() {
            choices.object(|choice| write_members(choice, index, text_of(reply), Some(reply.finish)));
        }
    });
    reply::write_usage(&mut object, prompt, replies);
    object.close();
    body
}

fn chunk(stage: &Stage<'_>, content: bool, members: impl FnOnce(&mut Object<'_>)) -> Step {
    let mut json = Vec::new();
    let mut object = Object::open(&mut json);
    write_head(stage, &mut object);
    members(&mut object);
    object.close();
    Step::event(content, &json)
}

fn write_choice(object: &mut Object<'_>, index: usize, text: &str, finish: Option<&str>) {
    object.array("choices", |choices| {
        choices.object(|choice| write_members(choice, index, text, finish));
    });
}

fn write_members(choice: &mut Object<'_>, index: usize, text: &str, finish: Option<&str>) {
    choice.text("text", &Text::escape(text)).number("index", index).null("logprobs");
    match finish {
        Some(finish) => choice.string("finish_reason", finish),
        None => choice.null("finish_reason"),
    };
}

fn write_head(stage: &Stage<'_>, object: &mut Object<'_>) {
    object.string("id", &format!("cmpl-sandbox-{:016x}", stage.seed)).string("object", "text_completion");
    object.number("created", stage.now.seconds()).string("model", stage.model);
}

fn text_of(reply: &Reply) -> &str {
    match &reply.said {
        Said::Text(text) => text,
        Said::Call { arguments, .. } => arguments,
    }
}
