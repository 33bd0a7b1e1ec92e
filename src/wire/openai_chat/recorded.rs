//! The recorded exchanges, for tests: all of them where they stand beside the project, else those within it.

use std::path::Path;

use serde_json::Value;

/// One recorded exchange of this format.
pub(super) struct Recorded {
    pub id: String,
    pub kind: String,
    pub status: u16,
    pub request: Value,
    pub response: String,
}

impl Recorded {
    pub(super) fn is_stream(&self) -> bool {
        self.kind.ends_with("-stream")
    }
}

/// Every exchange on an endpoint that ends like this.
pub(super) fn exchanges(endpoint: &str) -> Vec<Recorded> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = std::fs::read_dir(project.join("../shared/wire"));
    let folders = beside.or_else(|_| std::fs::read_dir(project.join("tests/fixtures"))).expect("fixtures");
    let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
    let mut exchanges: Vec<Recorded> = files
        .filter_map(|file| {
            let exchange: Value = crate::json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
            let ours = exchange["endpoint"].as_str()?.trim_end_matches('/').ends_with(endpoint);
            ours.then(|| Recorded {
                id: exchange["id"].as_str().expect("an id").to_owned(),
                kind: exchange["kind"].as_str().expect("a kind").to_owned(),
                status: exchange["response"]["status"].as_u64().and_then(|s| u16::try_from(s).ok()).expect("a status"),
                request: exchange["request"]["body"].clone(),
                response: exchange["response"]["body"].as_str().unwrap_or_default().to_owned(),
            })
        })
        .collect();
    exchanges.sort_by(|one, other| one.id.cmp(&other.id));
    exchanges
}

/// Bodies of requests that succeeded.
pub(super) fn chat_requests() -> Vec<(String, String)> {
    let ours = exchanges("chat/completions").into_iter().filter(|exchange| exchange.status < 400);
    ours.filter(|exchange| exchange.request.get("messages").is_some())
        .map(|mut exchange| {
            // Some name the model in the path.
            if exchange.request.get("model").is_none() {
                exchange.request["model"] = "model".into();
            }
            (exchange.id, exchange.request.to_string())
        })
        .collect()
}
