//! The routes of the admin API, as a table.

use super::Kind;
use super::answer::Refusal;

/// One method on one path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The path, as the API description writes it: `/admin/keys/{id}`.
    pub template: &'static str,
    /// What it does.
    pub action: Action,
}

/// What can be asked of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says all there is to say; the shapes are in the API description")]
pub enum Action {
    CreateKey,
    ListKeys,
    ReadKey,
    UpdateKey,
    RotateKey,
    DisableKey,
    EnableKey,
    RevokeKey,
    DeleteKey,
    ReadConfig,
    ReplaceConfig,
    CheckConfig,
    ListConfigVersions,
    ReadConfigVersion,
    RollBackConfig,
    ListProviders,
    ListCalls,
    ListAudit,
    ReadUsage,
    ReadSpend,
    ReadLedger,
    ReadWebhookSecret,
    Create(Kind),
    List(Kind),
    Read(Kind),
    Update(Kind),
    Delete(Kind),
    ReleaseBudget,
    ReadExperiment,
    ListPairs,
    ExplainRoute,
    ReplayRoutes,
    ReadHealth,
    ResetHealth,
    BlockTarget,
    AllowTarget,
}

/// Every route there is.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", template: "/admin/keys", action: Action::CreateKey },
    Route { method: "GET", template: "/admin/keys", action: Action::ListKeys },
    Route { method: "GET", template: "/admin/keys/{id}", action: Action::ReadKey },
    Route { method: "PATCH", template: "/admin/keys/{id}", action: Action::UpdateKey },
    Route { method: "DELETE", template: "/admin/keys/{id}", action: Action::DeleteKey },
    Route { method: "POST", template: "/admin/keys/{id}/rotate", action: Action::RotateKey },
    Route { method: "POST", template: "/admin/keys/{id}/disable", action: Action::DisableKey },
    Route { method: "POST", template: "/admin/keys/{id}/enable", action: Action::EnableKey },
    Route { method: "POST", template: "/admin/keys/{id}/revoke", action: Action::RevokeKey },
    Route { method: "POST", template: "/admin/teams", action: Action::Create(Kind::Team) },
    Route { method: "GET", template: "/admin/teams", action: Action::List(Kind::Team) },
    Route { method: "GET", template: "/admin/teams/{id}", action: Action::Read(Kind::Team) },
    Route { method: "PATCH", template: "/admin/teams/{id}", action: Action::Update(Kind::Team) },
    Route { method: "DELETE", template: "/admin/teams/{id}", action: Action::Delete(Kind::Team) },
    Route { method: "POST", template: "/admin/users", action: Action::Create(Kind::User) },
    Route { method: "GET", template: "/admin/users", action: Action::List(Kind::User) },
    Route { method: "GET", template: "/admin/users/{id}", action: Action::Read(Kind::User) },
    Route { method: "PATCH", template: "/admin/users/{id}", action: Action::Update(Kind::User) },
    Route { method: "DELETE", template: "/admin/users/{id}", action: Action::Delete(Kind::User) },
    Route { method: "POST", template: "/admin/budgets", action: Action::Create(Kind::Budget) },
    Route { method: "GET", template: "/admin/budgets", action: Action::List(Kind::Budget) },
    Route { method: "GET", template: "/admin/budgets/{id}", action: Action::Read(Kind::Budget) },
    Route { method: "PATCH", template: "/admin/budgets/{id}", action: Action::Update(Kind::Budget) },
    Route { method: "DELETE", template: "/admin/budgets/{id}", action: Action::Delete(Kind::Budget) },
    Route { method: "POST", template: "/admin/budgets/{id}/release", action: Action::ReleaseBudget },
    Route { method: "POST", template: "/admin/limits", action: Action::Create(Kind::Limit) },
    Route { method: "GET", template: "/admin/limits", action: Action::List(Kind::Limit) },
    Route { method: "GET", template: "/admin/limits/{id}", action: Action::Read(Kind::Limit) },
    Route { method: "PATCH", template: "/admin/limits/{id}", action: Action::Update(Kind::Limit) },
    Route { method: "DELETE", template: "/admin/limits/{id}", action: Action::Delete(Kind::Limit) },
    Route { method: "POST", template: "/admin/webhooks", action: Action::Create(Kind::Webhook) },
    Route { method: "GET", template: "/admin/webhooks", action: Action::List(Kind::Webhook) },
    Route { method: "GET", template: "/admin/webhooks/{id}", action: Action::Read(Kind::Webhook) },
    Route { method: "PATCH", template: "/admin/webhooks/{id}", action: Action::Update(Kind::Webhook) },
    Route { method: "DELETE", template: "/admin/webhooks/{id}", action: Action::Delete(Kind::Webhook) },
    Route { method: "GET", template: "/admin/webhooks/{id}/secret", action: Action::ReadWebhookSecret },
    Route { method: "GET", template: "/admin/config", action: Action::ReadConfig },
    Route { method: "PUT", template: "/admin/config", action: Action::ReplaceConfig },
    Route { method: "POST", template: "/admin/config/check", action: Action::CheckConfig },
    Route { method: "GET", template: "/admin/config/versions", action: Action::ListConfigVersions },
    Route { method: "GET", template: "/admin/config/versions/{version}", action: Action::ReadConfigVersion },
    Route { method: "POST", template: "/admin/config/rollback", action: Action::RollBackConfig },
    Route { method: "GET", template: "/admin/providers", action: Action::ListProviders },
    Route { method: "GET", template: "/admin/calls", action: Action::ListCalls },
    Route { method: "GET", template: "/admin/audit", action: Action::ListAudit },
    Route { method: "GET", template: "/admin/usage", action: Action::ReadUsage },
    Route { method: "GET", template: "/admin/spend", action: Action::ReadSpend },
    Route { method: "GET", template: "/admin/ledger/{id}", action: Action::ReadLedger },
    Route { method: "GET", template: "/admin/experiments/{id}", action: Action::ReadExperiment },
    Route { method: "GET", template: "/admin/experiments/{id}/pairs", action: Action::ListPairs },
    Route { method: "POST", template: "/admin/route/explain", action: Action::ExplainRoute },
    Route { method: "POST", template: "/admin/route/replay", action: Action::ReplayRoutes },
    Route { method: "GET", template: "/admin/health", action: Action::ReadHealth },
    Route { method: "POST", template: "/admin/health/reset", action: Action::ResetHealth },
    Route { method: "POST", template: "/admin/health/block", action: Action::BlockTarget },
    Route { method: "POST", template: "/admin/health/allow", action: Action::AllowTarget },
];

/// The action of `method` on `path`, and what stands in the place of `{…}`; empty where the route has no such place.
///
/// A trailing slash is forgiven.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Result<(Action, &'a str), Refusal> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut allowed: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(id) = capture(route.template, path) else { continue };
        if route.method == method {
            return Ok((route.action, id));
        }
        allowed.push(route.method);
    }
    if allowed.is_empty() {
        let message = "There is no such admin route; /openapi.json lists them all.";
        return Err(Refusal::new(404, "unknown_url", message));
    }
    Err(Refusal::method_not_allowed(method, &allowed.join(", ")))
}

fn capture<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    let mut captured = "";
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(captured),
            (Some(place), Some(segment)) if place.starts_with('{') && !segment.is_empty() => captured = segment,
            (Some(word), Some(segment)) if word == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_template() {
        for route in ROUTES {
            let path = route.template.replace("{id}", "key_1").replace("{version}", "7");
            let (action, captured) = find(route.method, &path).expect("found");
            assert_eq!(action, route.action);
            assert_eq!(captured.is_empty(), !route.template.contains('{'), "{path}");
        }
    }

    #[test]
    fn neither_more_nor_less_is_found() {
        for path in ["", "/", "/admin", "/admin/key", "/admin/keys/a/b", "/admin/keys//rotate", "/admin/keys/a/rotate/"]
        {
            assert_eq!(find("GET", path).is_ok(), path == "/admin/keys/", "{path}");
        }
        assert_eq!(find("GET", "/admin/keys/").expect("forgiven").0, Action::ListKeys);
    }
}
