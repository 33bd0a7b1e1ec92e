//! Recorded exchanges, from the project's own fixtures and, where it is there, the whole corpus beside the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One exchange.
pub struct Recording {
    pub id: String,
    pub provider: String,
    pub endpoint: String,
    pub kind: String,
    pub model: String,
    /// The same request in several formats carries the same case.
    pub case: Option<String>,
    /// The request's JSON; `None` where only the answer was kept.
    pub request: Option<Value>,
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// The answer's body; `None` where it is binary.
    pub body: Option<String>,
    /// The same as it was sent.
    pub bytes: Vec<u8>,
    /// Lengths of the network reads, where the recorder kept them.
    pub chunk_lengths: Vec<usize>,
    /// Made up here because no recording exists.
    pub synthetic: bool,
}

impl Recording {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    pub fn is_event_stream(&self) -> bool {
        let starts_like_one = |body: &String| {
            let start = body.trim_start_matches(['\u{feff}', '\r', '\n']);
            ["data:", "event:", ":", "id:"].iter().any(|field| start.starts_with(field))
        };
        self.status == 200 && self.body.as_ref().is_some_and(starts_like_one)
    }

    /// Whether the answer came in events, however they are told apart.
    pub fn is_streamed(&self) -> bool {
        self.is_event_stream() || (self.status == 200 && (self.is_aws_stream() || self.is_lines()))
    }

    /// Whether the answer is a binary event stream.
    pub fn is_aws_stream(&self) -> bool {
        self.body.is_none() && self.header("content-type").is_some_and(|kind| kind.ends_with("vnd.amazon.eventstream"))
    }

    /// Whether the answer is one JSON document a line.
    fn is_lines(&self) -> bool {
        self.kind.ends_with("-stream") && self.body.as_ref().is_some_and(|body| body.starts_with('{'))
    }

    /// Name and data of every event.
    pub fn events(&self) -> Vec<(String, String)> {
        match &self.body {
            Some(body) if self.is_lines() => {
                let lines = body.lines().filter(|line| !line.trim().is_empty());
                lines.map(|line| (String::new(), line.to_owned())).collect()
            }
            Some(body) => super::expected::events(body),
            None => super::expected::aws_events(&self.bytes),
        }
    }
}

/// The corpus beside the project, or else the fixtures: what the counted tests run on.
///
/// The answer says whether it is the whole corpus.
pub fn corpus() -> (&'static [Recording], bool) {
    static LOADED: OnceLock<(Vec<Recording>, bool)> = OnceLock::new();
    let (recordings, whole) = LOADED.get_or_init(|| {
        let beside = root().join("../shared/wire");
        if beside.is_dir() {
            return (load(&beside), true);
        }
        eprintln!("SKIPPED: no recorded corpus at {}; the fixtures alone are tested", beside.display());
        (load(&root().join("tests/fixtures")), false)
    });
    (recordings, *whole)
}

/// The recordings that stand in the project.
pub fn fixtures() -> &'static [Recording] {
    static LOADED: OnceLock<Vec<Recording>> = OnceLock::new();
    LOADED.get_or_init(|| load(&root().join("tests/fixtures")))
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(folder: &Path) -> Vec<Recording> {
    let mut paths = Vec::new();
    for provider in entries(folder).into_iter().filter(|path| path.is_dir()) {
        paths.extend(entries(&provider).into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "json")));
    }
    paths.sort();
    paths.iter().filter_map(|path| read(path)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed.map(|entry| entry.expect("an entry").path()).collect()
}

/// `None` where the file is no exchange but something else that tests keep here.
fn read(path: &Path) -> Option<Recording> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let string = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let response = json.get("response")?;
    let request = &json["request"];
    let kept = request["recorded"] != Value::Bool(false) && request["body"].is_object();
    let headers = response["headers"].as_object().into_iter().flatten();
    Some(Recording {
        id: string("id"),
        provider: string("provider"),
        endpoint: string("endpoint"),
        kind: string("kind"),
        model: string("model"),
        case: json["case"].as_str().map(str::to_owned),
        request: kept.then(|| request["body"].clone()),
        status: response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        bytes: match (response["encoding"].as_str(), response["body"].as_str().unwrap_or_default()) {
            (Some("base64"), body) => STANDARD.decode(body).expect("base64"),
            (_, body) => body.as_bytes().to_vec(),
        },
        body: if response["encoding"].is_string() { None } else { response["body"].as_str().map(str::to_owned) },
        chunk_lengths: response["chunk_lengths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|length| usize::try_from(length.as_u64()?).ok())
            .collect(),
        synthetic: json["synthetic"] == Value::Bool(true),
    })
}
