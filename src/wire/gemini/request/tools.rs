//! Functions, tools that the provider runs, and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Members, Object, Raw, Text};
use crate::provider::ModelFacts;
use crate::wire::gemini::names;
use crate::wire::schema::{Dialect, sanitise_parameters};
use crate::wire::{Adjusted, Format, losses, structured};

use super::shape::{Shape, in_narrowest};

/// Tools that the provider runs, by the key under which they are declared.
const PROVIDER_TOOLS: &[&str] = &[
    "googleSearch",
    "google_search",
    "googleSearchRetrieval",
    "google_search_retrieval",
    "urlContext",
    "url_context",
    "codeExecution",
    "code_execution",
    "googleMaps",
    "google_maps",
    "fileSearch",
    "file_search",
    "computerUse",
    "computer_use",
];

/// What goes into `tools` and `toolConfig`.
#[derive(Debug, Default)]
pub(super) struct Tools<'r> {
    functions: Vec<Function<'r>>,
    /// Declarations of tools that the provider runs, as they are sent.
    run_by_provider: Vec<Raw<'static>>,
    searches: bool,
}

#[derive(Debug)]
struct Function<'r> {
    name: Text<'r>,
    description: Option<Text<'r>>,
    /// The schema and the field for it.
    parameters: Option<(&'static str, Raw<'static>)>,
}

/// Gathers the tools.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the tool, where one cannot be declared; `Unsupported` where older models would
/// have to search or answer in JSON beside what they refuse to have beside it.
pub(super) fn gather<'r>(
    request: &'r Request<'_>,
    shape: &Shape,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
) -> Result<Tools<'r>, Failure> {
    let mut tools = Tools { searches: request.web_search.is_some(), ..Tools::default() };
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function { name, description, parameters, cache, .. } => {
                if cache.is_some() {
                    losses::lose(Format::Gemini, "cache_control", adjusted)?;
                }
                tools.functions.push(function(at, name, description.as_ref(), parameters.as_ref())?);
            }
            Tool::Native(declaration) => tools.native(at, declaration, adjusted)?,
        }
    }
    if let Shape::Tool { field, schema } = shape {
        tools.functions.push(Function {
            name: Text::from_escaped(structured::TOOL),
            description: Some(Text::from_escaped(structured::PURPOSE)),
            parameters: Some((field, schema.clone())),
        });
    }
    if request.tool_choice == Some(ToolChoice::None) && !super::is_level_steered(facts) && *shape != Shape::Free {
        // Nothing is called anyway, and older models refuse JSON output beside functions.
        tools.functions.clear();
    }
    if !super::is_level_steered(facts) && tools.runs_something() {
        // "Tool use with function calling is unsupported", and the same for JSON output.
        if !tools.functions.is_empty() {
            losses::lose(Format::Gemini, "web_search_options", adjusted)?;
        }
        if *shape != Shape::Free {
            losses::lose(Format::Gemini, "response_format", adjusted)?;
        }
    }
    Ok(tools)
}

fn function<'r>(
    at: usize,
    name: &'r Text<'_>,
    description: Option<&'r Text<'_>>,
    parameters: Option<&'r Raw<'_>>,
) -> Result<Function<'r>, Failure> {
    if !names::is_function_name(name) {
        let message = "A function's name has 1 to 128 letters, digits, underscores, dots, colons and dashes.";
        return Err(Failure::bad_request(format!("tools.{at}.function.name"), message));
    }
    let fault = |message: String| Failure::bad_request(format!("tools.{at}.function.parameters"), message);
    let parameters = parameters.filter(|parameters| !parameters.is_null());
    let in_dialect = |dialect: &Dialect| match parameters {
        None => Ok(None),
        Some(parameters) => sanitise_parameters(parameters, dialect),
    };
    let parameters = match in_dialect(&Dialect::GEMINI).map_err(fault)? {
        None => None,
        Some(narrow) => {
            let fields = ("parameters", "parametersJsonSchema");
            Some(in_narrowest(narrow, fields, || in_dialect(&Dialect::GEMINI_JSON)).map_err(fault)?)
        }
    };
    Ok(Function { name: names::guard(name), description: description.map(Text::borrowed), parameters })
}

impl<'r> Tools<'r> {
    /// A tool that the provider runs, in the protocol's own words or with its name as `type`; or a search in the words
    /// of OpenAI or OpenRouter.
    fn native(&mut self, at: usize, declaration: &Raw<'_>, adjusted: &mut Adjusted) -> Result<(), Failure> {
        let members: Option<Members<'_>> = declaration.read_borrowed().ok();
        let mut members = members.map(|members| members.0).unwrap_or_default();
        let kind = members.iter().find(|(key, _)| key == "type").and_then(|(_, value)| value.text());
        let kind = kind.map(|kind| kind.decode().into_owned()).unwrap_or_default();
        let is_known = |name: &str| PROVIDER_TOOLS.contains(&name);
        members.retain(|(key, _)| key != "type");
        if kind.contains("web_search") {
            self.searches = true;
        } else if !members.is_empty() && members.iter().all(|(key, _)| is_known(key)) {
            self.run_by_provider.push(object_of(&members));
        } else if is_known(&kind) {
            self.run_by_provider.push(object_of(&[(kind, object_of(&members))]));
        } else {
            losses::lose_at(Format::Gemini, "tools", format!("tools.{at}"), adjusted)?;
        }
        Ok(())
    }

    fn runs_something(&self) -> bool {
        self.searches || !self.run_by_provider.is_empty()
    }

    /// Writes `tools` and `toolConfig`.
    ///
    /// # Errors
    /// `BadRequest` where a call is demanded and there is nothing to call.
    pub fn write(&self, choice: Option<&ToolChoice<'_>>, shape: &Shape, body: &mut Object<'_>) -> Result<(), Failure> {
        if self.functions.is_empty() && matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            return Err(Failure::bad_request("tool_choice", "A call is demanded, and there is no function to call."));
        }
        if self.functions.is_empty() && !self.runs_something() {
            return Ok(());
        }
        body.array("tools", |tools| {
            if !self.functions.is_empty() {
                tools.object(|tool| {
                    tool.array("functionDeclarations", |list| self.write_functions(list));
                });
            }
            for tool in &self.run_by_provider {
                tools.raw(tool);
            }
            if self.searches {
                tools.object(|tool| {
                    tool.object("googleSearch", |_| {});
                });
            }
        });
        self.write_config(choice, shape, body);
        Ok(())
    }

    fn write_functions(&self, list: &mut Array<'_>) {
        for function in &self.functions {
            list.object(|declaration| {
                declaration.text("name", &function.name);
                if let Some(description) = &function.description {
                    declaration.text("description", description);
                }
                if let Some((field, schema)) = &function.parameters {
                    declaration.raw(field, schema);
                }
            });
        }
    }

    fn write_config(&self, choice: Option<&ToolChoice<'_>>, shape: &Shape, body: &mut Object<'_>) {
        let mode = self.mode(choice, shape);
        let beside = !self.functions.is_empty() && self.runs_something();
        if mode.is_none() && !beside {
            return;
        }
        body.object("toolConfig", |config| {
            if let Some((mode, names)) = mode {
                config.object("functionCallingConfig", |calling| {
                    calling.string("mode", mode);
                    if !names.is_empty() {
                        calling.array("allowedFunctionNames", |list| {
                            for name in &names {
                                list.text(name);
                            }
                        });
                    }
                });
            }
            if beside {
                // Newer models demand it wherever functions stand beside tools of the provider.
                config.boolean("includeServerSideToolInvocations", true);
            }
        });
    }

    fn mode(&self, choice: Option<&ToolChoice<'_>>, shape: &Shape) -> Option<(&'static str, Vec<Text<'_>>)> {
        if self.functions.is_empty() {
            return None;
        }
        let all = Vec::new;
        let answers = matches!(shape, Shape::Tool { .. });
        Some(match choice {
            Some(ToolChoice::Named(name)) => ("ANY", vec![names::guard(name).into_owned()]),
            Some(ToolChoice::Allowed { required, names }) => {
                let mut names: Vec<Text<'_>> = names.iter().map(|name| names::guard(name).into_owned()).collect();
                if answers && !required {
                    names.push(Text::from_escaped(structured::TOOL));
                }
                // Only these two modes heed the names; the second one leaves the model free not to call.
                (if *required || answers { "ANY" } else { "VALIDATED" }, names)
            }
            Some(ToolChoice::Required) if answers => {
                let own = self.functions.iter().map(|function| &function.name);
                ("ANY", own.filter(|name| !structured::is_tool(name)).map(Text::borrowed).collect())
            }
            Some(ToolChoice::Required) => ("ANY", all()),
            _ if answers => ("ANY", all()),
            Some(ToolChoice::None) => ("NONE", all()),
            Some(ToolChoice::Auto) => ("AUTO", all()),
            None => return None,
        })
    }
}

fn object_of(members: &[(String, Raw<'_>)]) -> Raw<'static> {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    for (key, value) in members {
        object.raw(Text::escape(key).escaped(), value);
    }
    object.close();
    Raw::written(out)
}
