//! Names of tools that a target does not take: too long, or with letters that it does not know. Each is sent under a
//! name that is taken, the same in every turn, and comes back under its own.
//!
//! "Invalid 'tools[43].function.name': string too long. Expected a string with maximum length 64", as callers of
//! Messages are told whose tools are of MCP servers: <https://github.com/mrexodia/ida-pro-mcp/issues/129>,
//! <https://github.com/QwenLM/Qwen3-VL/issues/2069>.

use super::Format;
use super::anthropic::request::names::{LONGEST_NAME, clean_to, is_tool_name};
use super::gemini::is_function_name;
use crate::chat::{Answer, Part, Request, Tool, ToolChoice};
use crate::json::Text;
use crate::sorted::SortedMap;

/// The longest name where nothing else is known: <https://platform.openai.com/docs/api-reference/chat/create>.
const LONGEST: usize = 64;

/// The caller's names of tools that have another one for the target, by that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renamed(SortedMap<String, Text<'static>>);

impl Renamed {
    /// Puts names into `request` that `format` takes.
    pub fn fit(request: &mut Request<'_>, format: Format) -> Renamed {
        let mut renamed = Vec::new();
        let mut fit = |name: &mut Text<'_>| renamed.extend(fitted(name, format));
        for tool in &mut request.tools {
            if let Tool::Function { name, .. } = tool {
                fit(name);
            }
        }
        match &mut request.tool_choice {
            Some(ToolChoice::Named(name)) => fit(name),
            Some(ToolChoice::Allowed { names, .. }) => names.iter_mut().for_each(&mut fit),
            _ => {}
        }
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let Part::ToolCall { name, .. } = part {
                fit(name);
            }
        }
        // At once: there may be as many as a body holds.
        Renamed(renamed.into_iter().collect())
    }

    /// The caller's own name for a tool that is called.
    pub(super) fn restore(&self, name: &mut Text<'_>) {
        if let Some(own) = self.0.get(name.escaped()) {
            *name = own.clone();
        }
    }

    /// The same in a whole answer.
    pub fn restore_all(&self, answer: &mut Answer<'_>) {
        for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Part::ToolCall { name, .. } = part {
                self.restore(name);
            }
        }
    }
}

/// Gives `name` the form that `format` takes; what it was and is, where that is another.
fn fitted(name: &mut Text<'_>, format: Format) -> Option<(String, Text<'static>)> {
    let longest = if matches!(format, Format::Anthropic | Format::Gemini) { LONGEST_NAME } else { LONGEST };
    let is_taken = match format {
        Format::Gemini => is_function_name(name),
        _ => name.escaped().len() <= longest && is_tool_name(name.escaped()),
    };
    if is_taken || name.is_empty() {
        return None;
    }
    let taken = clean_to(&name.decode(), longest).into_owned();
    let own = std::mem::replace(name, Text::escape_owned(taken.clone()));
    Some((taken, own.into_owned()))
}
