//! How much a caller has the model think, where another model than the one that it was written for is asked: by way of an
//! alias, or because that one failed. Clients tell what a model takes by its name, which they may not know.
//!
//! Older models answer `adaptive` and efforts with a 400 ("adaptive thinking is not supported on this model", "This model
//! does not support the effort parameter"), newer ones a budget (`"thinking.type.enabled" is not supported for this model`).

use crate::chat::{Effort, Part, Request, Role};
use crate::failure::Failure;
use crate::json::{self, Array, Cursor, Edits, Member, Raw, SyntaxError, Text};
use crate::provider::{Family, ModelFacts, ReasoningControl, family};
use crate::wire::anthropic::SIGNED;
use crate::wire::anthropic::request::thinking::{Obstacles, decide, level};
use crate::wire::carried::MARK;
use crate::wire::place::Place;
use crate::wire::{Adjusted, Change, RequestPatch};

use super::read;

/// The efforts of the one model that takes them beside a budget: <https://platform.claude.com/docs/en/build-with-claude/effort>.
const BESIDE_BUDGET: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High];

/// Members of the request, or of what a host passes on to the model, with what they become; `None` takes one out.
type Changes = Vec<(&'static str, Option<Vec<u8>>)>;

/// Reads a request of the surface.
type Reader = for<'a> fn(&'a [u8]) -> Result<Request<'a>, Failure>;

/// What the model would refuse of `thinking` and `output_config`, in its own words. What it takes stays as it is, and all
/// of it where it is no Claude, or one that nobody knows.
///
/// # Errors
/// `BadRequest` where a member has the wrong type.
pub(in crate::wire) fn put_thinking_right(
    body: &[u8],
    members: &[Member<'_>],
    patch: &RequestPatch<'_>,
    max_tokens: u64,
    reader: Reader,
    adjusted: &mut Adjusted,
) -> Result<Changes, Failure> {
    let (mut changes, facts) = (Changes::new(), patch.facts);
    let text = std::str::from_utf8(body).unwrap_or_default();
    let object = |key: &str| -> Result<Option<Raw<'_>>, SyntaxError> {
        let Some(member) = members.iter().rfind(|member| member.key == key) else { return Ok(None) };
        Ok(Some(Cursor::at(text, member.value.start).value()?).filter(Raw::is_object))
    };
    let (thinking, config) = (object("thinking")?, object("output_config")?);
    let is_known = facts.reasoning != ReasoningControl::Unknown && family(patch.model).is_some_and(Family::is_claude);
    if !is_known || (thinking.is_none() && config.is_none()) {
        return Ok(changes);
    }
    let asked = config
        .as_ref()
        .and_then(|config| config.member("effort")?.text().and_then(|word| Effort::parse(&word.decode())));
    let mut effort = match facts.reasoning {
        ReasoningControl::Effort { levels } => asked.and_then(|asked| level(Some(asked), None, levels, adjusted)),
        _ if facts.effort_beside_budget => asked.and_then(|asked| level(Some(asked), None, BESIDE_BUDGET, adjusted)),
        _ => None,
    };
    if asked.is_some() && effort.is_none() {
        adjusted.note("output_config.effort", Change::Dropped);
    }
    if let Some(thinking) = thinking {
        let kind = thinking.member("type").and_then(Raw::into_text).unwrap_or_default();
        // To find it out takes a walk through the whole body.
        let is_budget = matches!(facts.reasoning, ReasoningControl::Budget { .. });
        let asks = kind.is("adaptive") || json::mentions(body, MARK.as_bytes());
        let unthought_call = is_budget && asks && reader(body).is_ok_and(|request| has_unthought_call(&request));
        if !is_taken(&kind, facts, unthought_call) {
            let mut wish = read::read_thinking(&Place::top("thinking"), &mut thinking.cursor())?.unwrap_or_default();
            wish.effort = asked;
            let obstacles = Obstacles { unthought_call, ..Obstacles::default() };
            let decided = decide(Some(&wish), facts, obstacles, max_tokens, adjusted);
            effort = decided.effort().or(effort);
            changes.push(("thinking", decided.value()));
            // A rule for thoughts is refused where there are none.
            if let Some(management) = object("context_management")?.filter(|_| !decided.is_on())
                && let Some(kept) = without_thoughts(&management)?
            {
                adjusted.note("context_management", Change::Changed);
                changes.push(("context_management", kept));
            }
        }
    }
    if effort != asked {
        let config = config.as_ref().map_or("{}", Raw::get).as_bytes();
        let word = effort.map(|effort| format!("\"{}\"", effort.as_str()));
        let word: Vec<(&str, &[u8])> = word.iter().map(|word| ("effort", word.as_bytes())).collect();
        let mut edits = Edits::of(config);
        edits.object(0, &Cursor::new(config)?.spans()?, |member| member.key == "effort", &word);
        changes.push(("output_config", Some(edits.apply().into_owned()).filter(|config| config != b"{}")));
    }
    Ok(changes)
}

/// `context_management` without its rules for thoughts; `None` where it has none, and nothing where it has no other.
fn without_thoughts(management: &Raw<'_>) -> Result<Option<Option<Vec<u8>>>, SyntaxError> {
    let Some(rules) = management.member("edits").filter(Raw::is_array) else { return Ok(None) };
    let (mut kept, mut all, mut left) = (Vec::new(), 0, 0);
    let mut list = Array::open(&mut kept);
    rules.cursor().items(|_, cursor| {
        let rule = cursor.value()?;
        all += 1;
        if !rule.member("type").and_then(Raw::into_text).is_some_and(|kind| kind.decode().starts_with("clear_thinking"))
        {
            left += 1;
            list.item().extend_from_slice(rule.get().as_bytes());
        }
        Ok::<(), SyntaxError>(())
    })?;
    list.close();
    let text = management.get().as_bytes();
    let mut edits = Edits::of(text);
    for member in Cursor::new(text)?.spans()?.iter().filter(|member| member.key == "edits") {
        edits.replace(member.value.clone(), kept.clone());
    }
    Ok((left < all).then(|| Some(edits.apply().into_owned()).filter(|_| left > 0)))
}

/// Whether the model takes this type of `thinking`.
fn is_taken(kind: &Text<'_>, facts: &ModelFacts, unthought_call: bool) -> bool {
    match (&*kind.decode(), facts.reasoning) {
        ("adaptive", control) => matches!(control, ReasoningControl::Effort { .. }),
        ("enabled", ReasoningControl::None) => false,
        // The first to refuse a budget were the first to know this effort.
        ("enabled", ReasoningControl::Effort { levels }) => !levels.contains(&Effort::XHigh),
        ("enabled", _) => !unthought_call,
        ("disabled", ReasoningControl::Effort { levels }) => {
            levels.contains(&Effort::None) && !facts.thinks_between_tools
        }
        ("between_tools", _) => facts.thinks_between_tools,
        _ => true,
    }
}

/// Whether the last turn of the model's calls tools without a thought that it can read before.
fn has_unthought_call(request: &Request<'_>) -> bool {
    let last = request.messages.iter().rfind(|message| message.role == Role::Assistant);
    last.is_some_and(|turn| {
        let is_own = |part: &Part<'_>| match part {
            Part::Reasoning { signature, .. } => signature.as_ref().is_some_and(|signed| signed.format.is(SIGNED)),
            _ => false,
        };
        !turn.parts.first().is_some_and(is_own) && turn.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::patch_request;
    use super::*;
    use crate::provider::{Hosting, family};
    use crate::wire::RequestPatch;

    /// `thinking`, `output_config` and `context_management` as they are sent, and what was adjusted.
    fn sent(model: &str, body: &Value) -> (Value, String) {
        let facts = family(model).map(|family| family.facts().clone()).unwrap_or_default();
        let patch =
            RequestPatch { model, stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
        let mut adjusted = Adjusted::default();
        let body = body.to_string();
        let patched = patch_request(body.as_bytes(), &patch, Hosting::Own, &|_| None, &mut adjusted).expect("it");
        let mut sent: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
        for other in ["model", "max_tokens", "messages"] {
            sent.as_object_mut().expect("an object").remove(other);
        }
        (sent, adjusted.header())
    }

    fn asked(more: &Value) -> Value {
        let mut body = json!({"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[test]
    fn thinking_is_asked_for_as_the_model_knows_it() {
        let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}});
        let budget = json!({"thinking": {"budget_tokens": 9000, "type": "enabled", "display": "omitted"}});
        let off = json!({"thinking": {"type": "disabled"}});
        let enabled = |tokens: u32| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
        let becomes = |model: &str, asked: &Value, expected: Value, told: &str| {
            assert_eq!(sent(model, &self::asked(asked)), (expected, told.to_owned()), "{model} {asked}");
        };
        for taken in ["claude-opus-4-6", "claude-opus-4-8", "claude-sonnet-5", "my-own"] {
            becomes(taken, &adaptive, adaptive.clone(), "");
        }
        for taken in ["claude-sonnet-4-5", "claude-opus-4-5", "claude-sonnet-4-6", "my-own"] {
            becomes(taken, &budget, budget.clone(), "");
        }
        becomes("claude-haiku-4-5", &adaptive, enabled(25_600), "output_config.effort=dropped");
        let both = json!({"thinking": enabled(25_600)["thinking"], "output_config": {"effort": "high"}});
        becomes("claude-opus-4-5", &adaptive, both, "");
        let most = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}});
        let both = json!({"thinking": enabled(25_600)["thinking"], "output_config": {"effort": "high"}});
        becomes("claude-opus-4-5", &most, both, "reasoning.effort=changed");
        for unknown in ["claude-prod", "claude-latest", "claude-zephyr-6", "gpt-5", "kimi-k2-thinking"] {
            for asked in [&adaptive, &budget, &off] {
                becomes(unknown, asked, asked.clone(), "");
            }
        }
        becomes("claude-3-5-haiku-latest", &adaptive, json!({}), "output_config.effort=dropped, reasoning=dropped");
        let omitted =
            json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}});
        becomes("claude-opus-4-8", &budget, omitted, "reasoning.max_tokens=changed");
        let shaped = json!({"output_config": {"effort": "xhigh", "format": {"type": "json_schema"}}});
        let nearest = json!({"output_config": {"effort": "high", "format": {"type": "json_schema"}}});
        becomes("claude-opus-4-7", &shaped, shaped.clone(), "");
        becomes("claude-opus-4-6", &shaped, nearest, "reasoning.effort=changed");
        let without = json!({"output_config": {"format": {"type": "json_schema"}}});
        becomes("claude-haiku-4-5", &shaped, without, "output_config.effort=dropped");
        becomes("claude-opus-5", &off, off.clone(), "");
        becomes("claude-sonnet-5-5", &off, json!({"thinking": {"type": "between_tools"}}), "");
        let least = json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}});
        becomes("claude-opus-5-5", &off, least, "reasoning=changed");
    }

    /// "Expected `thinking` or `redacted_thinking`, but found `tool_use`".
    #[test]
    fn a_model_that_wants_its_thoughts_back_is_not_asked_for_some_in_the_middle_of_anothers_work() {
        let turns = |first: Value| {
            json!({
                "thinking": {"type": "adaptive"},
                "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                "messages": [{"role": "user", "content": "hi"},
                    {"role": "assistant", "content": [first, {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]})
        };
        let plain = turns(json!({"type": "text", "text": "So."}));
        let told = "reasoning=dropped, context_management=changed";
        assert_eq!(sent("claude-sonnet-4-5", &asked(&plain)), (json!({}), told.to_owned()));
        let mut others = plain.clone();
        others["context_management"]["edits"].as_array_mut().expect("rules").push(json!({"type": "clear_tool_uses"}));
        let (body, _) = sent("claude-sonnet-4-5", &asked(&others));
        assert_eq!(body, json!({"context_management": {"edits": [{"type": "clear_tool_uses"}]}}));
        let foreign = json!({"type": "thinking", "thinking": "Hm.", "signature": format!("{MARK}AAAA")});
        let mut foreign = turns(foreign);
        foreign["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
        let (body, told) = sent("claude-sonnet-4-5", &asked(&foreign));
        let all = "reasoning=dropped, context_management=changed, thinking=dropped";
        assert_eq!((body, told.as_str()), (json!({}), all));
        let own = turns(json!({"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}));
        let (body, told) = sent("claude-sonnet-4-5", &asked(&own));
        assert_eq!((&body["thinking"]["type"], told.as_str()), (&json!("enabled"), ""));
        assert!(body["context_management"]["edits"].is_array());
    }
}
