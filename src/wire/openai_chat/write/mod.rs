//! Writes a request for an upstream of this format, where the caller speaks another protocol.

mod content;
mod messages;

use crate::chat::{OutputShape, Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::{ModelFacts, OutputCap, Quirks, ReasoningControl, ReasoningParameter};
use crate::wire::anthropic::request::tools::demand;
use crate::wire::losses::lose;
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, structured};

pub use content::links_to_inline;

use super::thinking;

/// Writes a request.
///
/// # Errors
/// `Unsupported`, naming the caller's field, where the vendor would leave out what the caller relies on.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    let mut body = Vec::with_capacity(1024);
    let mut writing = Writing { object: Object::open(&mut body), target, adjusted };
    writing.object.string("model", target.model);
    let words = [writing.schema_in_words(request), writing.call_in_words(request)];
    let instruction = words.into_iter().flatten().reduce(|one, other| format!("{one}\n\n{other}"));
    messages::write(request, instruction, target, writing.adjusted, writing.object.key("messages"))?;
    writing.tools(request)?;
    writing.output_shape(request)?;
    writing.sampling(request)?;
    writing.rest(request)?;
    writing.object.close();
    Ok(Outgoing { path: target.quirks.chat_path.to_owned(), headers: Vec::new(), body })
}

struct Writing<'w> {
    object: Object<'w>,
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
}

impl Writing<'_> {
    /// Whether the vendor takes `key`; if not it is given up, where that does no harm.
    fn takes(&mut self, key: &'static str) -> Result<bool, Failure> {
        if !self.target.quirks.refuses(key, self.target.facts) {
            return Ok(true);
        }
        lose(Format::OpenAiChat, key, self.adjusted).map(|()| false)
    }

    fn raw(&mut self, key: &'static str, value: Option<&Raw<'_>>) -> Result<(), Failure> {
        if let Some(value) = value
            && self.takes(key)?
        {
            self.object.raw(key, value);
        }
        Ok(())
    }

    fn text(&mut self, key: &'static str, value: Option<&Text<'_>>) -> Result<(), Failure> {
        if let Some(value) = value
            && self.takes(key)?
        {
            self.object.text(key, value);
        }
        Ok(())
    }

    fn tools(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.tools.is_empty() || !self.takes("tools")? {
            return Ok(());
        }
        let mut tools = Array::open(self.object.key("tools"));
        let is_allowed = |tool: &Tool<'_>| match (tool, &request.tool_choice) {
            (Tool::Function { name, .. }, Some(ToolChoice::Allowed { names, .. })) => names.contains(name),
            _ => true,
        };
        for (at, tool) in request.tools.iter().enumerate().filter(|(_, tool)| is_allowed(tool)) {
            write_tool(at, tool, self.adjusted, &mut tools)?;
        }
        if tools.is_empty() {
            return Err(Failure::bad_request("tool_choice", "A tool is demanded that is not among the tools."));
        }
        tools.close();
        if let Some(choice) = &request.tool_choice
            && self.takes("tool_choice")?
        {
            let asked = is_forced(request) && thinking::never_forced(self.target.quirks, self.target.facts);
            write_choice(if asked { &ToolChoice::Auto } else { choice }, &mut self.object);
        }
        if let Some(parallel) = request.parallel_tool_calls
            && self.takes("parallel_tool_calls")?
        {
            self.object.boolean("parallel_tool_calls", parallel);
        }
        Ok(())
    }

    /// The schema as an instruction, for a vendor that only knows `json_object`.
    fn schema_in_words(&mut self, request: &Request<'_>) -> Option<String> {
        let OutputShape::JsonSchema { schema, .. } = &request.output else { return None };
        if self.target.quirks.json_schema {
            return None;
        }
        self.adjusted.note("response_format", Change::Changed);
        schema.as_ref().map(|schema| super::patch::schema_in_words(schema.get()))
    }

    /// The call that is demanded as an instruction, for a model that cannot be made to make one.
    fn call_in_words(&mut self, request: &Request<'_>) -> Option<String> {
        if !is_forced(request) || !thinking::never_forced(self.target.quirks, self.target.facts) {
            return None;
        }
        self.adjusted.note("tool_choice", Change::Changed);
        Some(match &request.tool_choice {
            Some(ToolChoice::Named(name)) => demand(Some(name)),
            _ => demand(None),
        })
    }

    fn output_shape(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.output == OutputShape::Text || !self.takes("response_format")? {
            return Ok(());
        }
        let knows_schemas = self.target.quirks.json_schema;
        let schema = match &request.output {
            OutputShape::JsonSchema { schema, .. } => schema.as_ref().map(Raw::borrowed),
            _ => None,
        };
        let schema = match &schema {
            Some(schema) if knows_schemas && self.target.quirks.answers_are_objects => {
                Some(structured::answer_schema(Some(schema), self.adjusted)?)
            }
            schema => schema.as_ref().map(Raw::borrowed),
        };
        self.object.object("response_format", |format| match &request.output {
            OutputShape::JsonSchema { name, description, strict, .. } if knows_schemas => {
                format.string("type", "json_schema").object("json_schema", |described| {
                    described.text("name", name);
                    write_described(description.as_ref(), *strict, described);
                    if let Some(schema) = &schema {
                        described.raw("schema", schema);
                    }
                });
            }
            _ => {
                format.string("type", "json_object");
            }
        });
        Ok(())
    }

    fn sampling(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let sampling = &request.sampling;
        let thinks = match &request.reasoning {
            Some(wish) => !thinking::is_off(wish),
            None => self.target.facts.thinks_unasked,
        };
        let refused = self.target.facts.sampling.refused(thinks, sampling.temperature.is_some());
        for (key, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
            match value {
                Some(_) if refused.contains(&key) => self.adjusted.note(key, Change::Dropped),
                value => self.raw(key, value.as_ref())?,
            }
        }
        self.raw("top_k", sampling.top_k.as_ref())?;
        self.raw("min_p", sampling.min_p.as_ref())?;
        self.raw("frequency_penalty", sampling.frequency_penalty.as_ref())?;
        self.raw("presence_penalty", sampling.presence_penalty.as_ref())?;
        self.raw("repetition_penalty", sampling.repetition_penalty.as_ref())?;
        self.raw("logit_bias", sampling.logit_bias.as_ref())?;
        if sampling.seed.is_some() && self.takes("seed")? {
            self.raw(self.target.quirks.seed, sampling.seed.as_ref())?;
        }
        if !sampling.stop.is_empty() && self.takes("stop")? {
            self.object.array("stop", |list| {
                sampling.stop.iter().for_each(|stop| {
                    list.text(stop);
                })
            });
        }
        for (key, count) in [("n", sampling.n.filter(|n| *n != 1)), ("top_logprobs", sampling.top_logprobs)] {
            if let Some(count) = count
                && self.takes(key)?
            {
                self.object.number(key, count);
            }
        }
        // Alternatives are only told beside the tokens themselves.
        let wants_logprobs = sampling.logprobs == Some(true) || sampling.top_logprobs.is_some_and(|top| top > 0);
        if wants_logprobs && self.takes("logprobs")? {
            self.object.boolean("logprobs", true);
        }
        Ok(())
    }

    /// Labels are those of a kept answer here: "The 'metadata' parameter is only allowed when 'store' is enabled."
    fn metadata(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let stores = request.unknown.iter().any(|(key, value)| key == "store" && value.boolean() == Some(true));
        let kept = stores && self.takes("store")?;
        if kept {
            self.object.boolean("store", true);
        }
        match &request.metadata {
            Some(_) if !kept => lose(Format::OpenAiChat, "metadata", self.adjusted),
            metadata => self.raw("metadata", metadata.as_ref()),
        }
    }

    /// A mark on the whole prompt, which is OpenRouter's, and what nobody here models.
    fn beside(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.cache.is_some() && !content::takes_links(self.target.quirks) {
            self.adjusted.note("cache_control", Change::Dropped);
        }
        content::write_mark(request.cache, self.target.quirks, &mut self.object);
        for (key, _) in request.unknown.iter().filter(|(key, value)| key != "store" && !value.is_null()) {
            lose(Format::OpenAiChat, key.clone().into_owned(), self.adjusted)?;
        }
        Ok(())
    }

    fn rest(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let (quirks, facts) = (self.target.quirks, self.target.facts);
        if let Some(wanted) = request.max_output_tokens {
            // More than the model has is a 400, and callers of other protocols name what their own models have.
            let cap = wanted.min(self.target.most_output());
            if cap < wanted {
                self.adjusted.note("max_tokens", Change::Clamped);
            }
            let newer = quirks.output_cap == OutputCap::MaxCompletionTokens || facts.completion_cap_only;
            self.object.number(if newer { "max_completion_tokens" } else { "max_tokens" }, cap);
        }
        let wish = match &request.reasoning {
            wish if is_forced(request) => thinking::unforced(wish.clone(), quirks, facts, self.adjusted),
            wish => wish.clone(),
        };
        if let Some(wish) = &wish {
            // Callers of other protocols ask for thinking whatever the model, and a level is refused by those without.
            let plain = ModelFacts { reasoning: ReasoningControl::None, ..facts.clone() };
            let told = quirks.reasoning_control == ReasoningParameter::Effort && facts.never_thinks();
            let facts = if told { &plain } else { facts };
            for (key, value) in thinking::members(wish, quirks, facts, self.adjusted) {
                self.object.key(key).extend_from_slice(&value);
            }
        }
        if request.stream {
            self.object.boolean("stream", true);
            if quirks.takes_stream_options() {
                self.object.object("stream_options", |options| {
                    options.boolean("include_usage", true);
                });
            }
        }
        let tier =
            request.service_tier.as_ref().filter(|tier| known_tier(tier.escaped(), TIERS, quirks, self.adjusted));
        self.text("service_tier", tier)?;
        let user = request.user.as_ref().map(|user| user_name(user, self.adjusted));
        self.text("user", user.as_ref())?;
        self.metadata(request)?;
        self.beside(request)?;
        self.text("prompt_cache_key", request.prompt_cache_key.as_ref())?;
        self.raw("prediction", request.prediction.as_ref())?;
        self.raw("audio", request.audio.as_ref())?;
        self.raw("web_search_options", request.web_search.as_ref())?;
        if !request.modalities.is_empty() && self.takes("modalities")? {
            let list = &request.modalities;
            self.object.array("modalities", |array| {
                list.iter().for_each(|word| {
                    array.text(word);
                })
            });
        }
        Ok(())
    }
}

/// Whether a call has to be made.
fn is_forced(request: &Request<'_>) -> bool {
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. })
    );
    forced && !request.tools.is_empty()
}

/// The longest name of an end user: "Expected a string with maximum length 64".
const LONGEST_USER: usize = 64;

/// The end user within that length: another name that is the same every time, for it is only there to tell users apart.
pub(in crate::wire) fn user_name<'t>(user: &'t Text<'_>, adjusted: &mut Adjusted) -> Text<'t> {
    if user.escaped().len() <= LONGEST_USER {
        return user.borrowed();
    }
    adjusted.note("user", Change::Changed);
    Text::from_escaped(format!("user_{:016x}", super::ids::fnv(user.escaped().bytes())))
}

/// OpenAI's tiers: <https://platform.openai.com/docs/api-reference/chat/create>.
pub(in crate::wire) const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];

/// Whether the vendor, or by `usual` the protocol, knows a tier; another's is given up, the usual ones without a loss.
pub(in crate::wire) fn known_tier(tier: &str, usual: &[&str], quirks: &Quirks, adjusted: &mut Adjusted) -> bool {
    let known = quirks.knows_tier(tier, usual);
    if !known && !matches!(tier, "auto" | "default" | "standard") {
        adjusted.note("service_tier", Change::Dropped);
    }
    known
}

/// A function without parameters says so: some vendors want to be told.
fn write_tool(at: usize, tool: &Tool<'_>, adjusted: &mut Adjusted, tools: &mut Array<'_>) -> Result<(), Failure> {
    match tool {
        Tool::Native(raw) => {
            tools.raw(raw);
        }
        Tool::Function { name, description, parameters, strict, .. } => {
            let parameters = structured::parameters(parameters.as_ref(), at, adjusted)?;
            tools.object(|tool| {
                tool.string("type", "function").object("function", |function| {
                    function.text("name", name);
                    write_described(description.as_ref(), *strict, function);
                    function.raw("parameters", &parameters);
                });
            });
        }
    }
    Ok(())
}

fn write_described(description: Option<&Text<'_>>, strict: Option<bool>, object: &mut Object<'_>) {
    if let Some(description) = description {
        object.text("description", description);
    }
    if let Some(strict) = strict {
        object.boolean("strict", strict);
    }
}

fn write_choice(choice: &ToolChoice<'_>, object: &mut Object<'_>) {
    let function = |object: &mut Object<'_>, name: &Text<'_>| {
        object.string("type", "function").object("function", |function| {
            function.text("name", name);
        });
    };
    match choice {
        ToolChoice::Auto => {
            object.string("tool_choice", "auto");
        }
        ToolChoice::None => {
            object.string("tool_choice", "none");
        }
        ToolChoice::Required => {
            object.string("tool_choice", "required");
        }
        ToolChoice::Named(name) => {
            object.object("tool_choice", |choice| function(choice, name));
        }
        // Few vendors have a word for it: the other tools were left out.
        ToolChoice::Allowed { required, .. } => {
            object.string("tool_choice", if *required { "required" } else { "auto" });
        }
    }
}

#[cfg(test)]
mod tests;
