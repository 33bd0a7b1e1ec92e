use crate::failure::{Failure, Kind};

/// The page at `/`: what this is and how to call it. No script, no outside resource, nothing about the deployment.
#[must_use]
pub fn front_page() -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Latchkey</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1.5rem; color: #1c2024; background: #fdfdfc }}
h1 {{ font-size: 1.6rem; letter-spacing: -.02em }}
pre {{ background: #f1f0ee; padding: 1rem; border-radius: 8px; overflow-x: auto; font-size: .85rem }}
code {{ font-family: ui-monospace, monospace }}
@media (prefers-color-scheme: dark) {{ body {{ color: #e8e6e3; background: #161618 }} pre {{ background: #232326 }} a {{ color: #8ab4f8 }} }}
</style>
</head>
<body>
<h1>Latchkey</h1>
<p>This is an LLM gateway: one key, one OpenAI-compatible endpoint, every model. Point any OpenAI SDK at
<code>/v1</code> on this host and use a Latchkey key (<code>lk-…</code>) as its API key.</p>
<pre><code>curl -N "$LATCHKEY_URL/v1/chat/completions" \
  -H "authorization: Bearer $LATCHKEY_KEY" \
  -H "content-type: application/json" \
  -d '{{"model": "sandbox/echo", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'</code></pre>
<p><a href="/openapi.json">API description</a> · <a href="/health">health</a> · version {}</p>
</body>
</html>
"#,
        env!("CARGO_PKG_VERSION")
    )
}

/// The failure for a path that is no route at all.
#[must_use]
pub fn unknown_path(method: &str, path: &str) -> Failure {
    let shown: String = path.chars().take(80).filter(|character| !character.is_control()).collect();
    Failure::new(Kind::NotFound, format!("Unknown route {method} {shown}. The API is under /v1, see /openapi.json."))
        .code("unknown_url")
}
