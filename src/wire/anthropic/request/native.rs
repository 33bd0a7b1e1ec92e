//! Fields of this very protocol that a caller put beside the others: they go through as they are.

use crate::chat::Request;
use crate::json::{Members, Object, Raw, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change};

/// Top-level fields that are passed on.
const FIELDS: &[&str] = &["output_config", "mcp_servers", "context_management", "container", "inference_geo", "speed"];
/// Betas that a field cannot do without.
const BETAS: &[(&str, &str)] =
    &[("mcp_servers", "mcp-client-2025-11-20"), ("context_management", "context-management-2025-06-27")];

/// What the caller wrote in this protocol's own words.
#[derive(Debug, Default)]
pub(super) struct Native<'r> {
    fields: Vec<(&'r str, &'r Raw<'r>)>,
    /// For `anthropic-beta`.
    pub betas: Vec<String>,
    /// OpenAI's newer word for the end user.
    pub safety_identifier: Option<Text<'r>>,
}

impl<'r> Native<'r> {
    /// Sorts the fields that the hub does not model; those that mean nothing here are dropped.
    pub fn of(request: &'r Request<'r>, adjusted: &mut Adjusted) -> Native<'r> {
        let mut native = Native::default();
        for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "betas" | "anthropic_beta" => {
                    native.betas.extend(value.read::<Vec<String>>().unwrap_or_default());
                }
                "safety_identifier" => native.safety_identifier = value.text(),
                name if GATEWAY.contains(&name) => {}
                "store" if value.boolean() == Some(false) => {}
                name if FIELDS.contains(&name) => native.fields.push((name, value)),
                name => adjusted.note(name.to_owned(), Change::Dropped),
            }
        }
        for (field, beta) in BETAS {
            let stem = beta.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            let given = native.betas.iter().any(|given| given.starts_with(stem));
            if native.get(field).is_some() && !given {
                native.betas.push((*beta).to_owned());
            }
        }
        native
    }

    /// One field.
    pub fn get(&self, name: &str) -> Option<&'r Raw<'r>> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Writes every field but `output_config`, into which parts of ours may have to go.
    pub fn write(&self, body: &mut Object<'_>) {
        for (name, value) in self.fields.iter().filter(|(name, _)| *name != "output_config") {
            body.raw(name, value);
        }
    }

    /// Writes `output_config`: the caller's members, and ours where they left them out.
    pub fn write_output_config(&self, effort: Option<&str>, format: Option<&Raw<'_>>, body: &mut Object<'_>) {
        let given = self.get("output_config").and_then(|raw| raw.read_borrowed::<Members<'_>>().ok());
        let Members(given) = given.unwrap_or(Members(Vec::new()));
        let said = |name: &str| given.iter().any(|(key, _)| key == name);
        let effort = effort.filter(|_| !said("effort"));
        let format = format.filter(|_| !said("format"));
        if given.is_empty() && effort.is_none() && format.is_none() {
            return;
        }
        body.object("output_config", |config| {
            for (key, value) in &given {
                config.raw(Text::escape(key).escaped(), value);
            }
            if let Some(effort) = effort {
                config.string("effort", effort);
            }
            if let Some(schema) = format {
                config.object("format", |format| {
                    format.string("type", "json_schema").raw("schema", schema);
                });
            }
        });
    }
}
