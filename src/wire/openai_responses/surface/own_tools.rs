//! Tools that a caller of Responses has and other protocols do not: those that take free text, those in a namespace, and
//! the caller's own search for more of them.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools>;
//! `tests/fixtures/agents/codex.json`.

use std::borrow::Cow;

use crate::json::{Cursor, Raw, SyntaxError, Text};

/// The longest name that the strictest of protocols takes.
const LONGEST: usize = 64;

/// A tool as the caller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// The namespace that it is in.
    pub(super) namespace: Option<Text<'static>>,
    /// Its name there.
    pub(super) name: Text<'static>,
    pub(super) kind: Kind,
}

/// What a tool is to its caller, who waits for an item of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    /// It takes free text.
    Free,
    /// The caller's own search for tools.
    Search,
}

/// What such a search is called where there are functions alone; callers name it by its type.
pub(super) const SEARCH: &str = "tool_search";

/// Whether a `tool_search`, its call or its output is the caller's to make: `execution` says so, and is the provider's
/// where it says nothing (<https://developers.openai.com/api/docs/guides/tools-tool-search>).
pub(super) fn is_clients(execution: Option<&Text<'_>>) -> bool {
    execution.is_some_and(|execution| execution.is("client"))
}

/// Those of a caller's tools that are more than functions, under the names that other protocols know them by.
#[derive(Debug, Default)]
pub(super) struct OwnTools(Vec<(Text<'static>, Called)>);

impl OwnTools {
    /// Finds them in what an answer repeats of its request.
    pub(super) fn of(echo: Option<&Raw<'_>>) -> OwnTools {
        let mut own = OwnTools::default();
        let echo = echo.map(Raw::borrowed);
        if let Some(tools) = echo.as_ref().and_then(|echo| echo.member("tools")).filter(Raw::is_array) {
            // What cannot be walked was refused when it was read.
            let _ = own.gather(None, &mut tools.cursor());
        }
        own
    }

    fn gather(&mut self, namespace: Option<&Text<'_>>, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        cursor.items(|_, cursor| {
            let tool = cursor.value()?;
            let kind = tool.member("type").and_then(Raw::into_text).unwrap_or_default();
            if kind.is(SEARCH) && is_clients(tool.member("execution").and_then(Raw::into_text).as_ref()) {
                let name = Text::from_escaped(SEARCH);
                self.0.push((name.clone(), Called { namespace: None, name, kind: Kind::Search }));
            }
            let Some(name) = tool.member("name").and_then(Raw::into_text) else { return Ok(()) };
            match kind.escaped() {
                "namespace" if namespace.is_none() => match tool.member("tools").filter(Raw::is_array) {
                    Some(tools) => self.gather(Some(&name), &mut tools.cursor()),
                    None => Ok(()),
                },
                kind @ ("function" | "custom") if kind == "custom" || namespace.is_some() => {
                    let called = Called {
                        namespace: namespace.map(|namespace| namespace.clone().into_owned()),
                        name: name.clone().into_owned(),
                        kind: if kind == "custom" { Kind::Free } else { Kind::Function },
                    };
                    self.0.push((joined(namespace, name).into_owned(), called));
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    /// The tool that a model calls by this name.
    pub(super) fn called(&self, name: &Text<'_>) -> Called {
        let own = self.0.iter().find(|(known, _)| known == name).map(|(_, called)| called.clone());
        own.unwrap_or_else(|| Called { namespace: None, name: name.clone().into_owned(), kind: Kind::Function })
    }
}

/// The name of a tool where there are no namespaces: both, unless that would be too long. A tool without a namespace
/// that was found by a search is told as if it were one of its own (`openai.responses-stream.2420d0bdac`).
pub(super) fn joined<'a>(namespace: Option<&Text<'_>>, name: Text<'a>) -> Text<'a> {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty() && **namespace != name) else {
        return name;
    };
    let both = format!("{}__{}", namespace.escaped(), name.escaped());
    if both.len() > LONGEST { name } else { Text::from_escaped(Cow::Owned(both)) }
}
