//! Tools and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::wire::losses::lose_at;
use crate::wire::{Adjusted, Format, structured};

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
///
/// # Errors
/// `Unsupported` for a tool that is neither a function nor a search.
pub(super) fn write(request: &Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Result<(), Failure> {
    if request.tools.is_empty() && request.web_search.is_none() {
        return Ok(());
    }
    let mut list = Array::open(body.key("tools"));
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function { name, description, parameters, strict, .. } => {
                let parameters = structured::parameters(parameters.as_ref(), at, adjusted)?;
                list.object(|tool| {
                    tool.string("type", "function").text("name", name);
                    if let Some(description) = description {
                        tool.text("description", description);
                    }
                    tool.raw("parameters", &parameters);
                    // Unsaid it would be strict here, which other protocols' schemas are not made for.
                    tool.boolean("strict", strict.unwrap_or(false));
                });
            }
            Tool::Native(_) => lose_at(Format::OpenAiResponses, "tools", format!("tools.{at}"), adjusted)?,
        }
    }
    if let Some(options) = &request.web_search {
        list.object(|tool| write_search(options, tool));
    }
    list.close();
    if let Some(choice) = request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()) {
        write_choice(choice, body);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        body.boolean("parallel_tool_calls", parallel);
    }
    Ok(())
}

/// A search with the options of `web_search_options`, where the place is told one level deeper.
fn write_search(options: &Raw<'_>, tool: &mut Object<'_>) {
    let options = options.borrowed();
    tool.string("type", "web_search");
    if let Some(size) = options.member("search_context_size").and_then(Raw::into_text) {
        tool.text("search_context_size", &size);
    }
    let place = options.member("user_location").and_then(|location| location.member("approximate"));
    if let Some(place) = place {
        tool.object("user_location", |location| {
            location.string("type", "approximate");
            for key in ["city", "region", "country", "timezone"] {
                if let Some(value) = place.member(key).and_then(Raw::into_text) {
                    location.text(key, &value);
                }
            }
        });
    }
}

fn write_choice(choice: &ToolChoice<'_>, body: &mut Object<'_>) {
    let function = |object: &mut Object<'_>, name: &Text<'_>| {
        object.string("type", "function").text("name", name);
    };
    match choice {
        ToolChoice::Auto => body.string("tool_choice", "auto"),
        ToolChoice::None => body.string("tool_choice", "none"),
        ToolChoice::Required => body.string("tool_choice", "required"),
        ToolChoice::Named(name) => body.object("tool_choice", |choice| function(choice, name)),
        ToolChoice::Allowed { required, names } => body.object("tool_choice", |choice| {
            choice.string("type", "allowed_tools").string("mode", if *required { "required" } else { "auto" });
            choice.array("tools", |tools| {
                for name in names {
                    tools.object(|tool| function(tool, name));
                }
            });
        }),
    };
}
