//! What providers do beside conversation and embeddings: calls that have no shape of their own in the hub.

/// A kind of such a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Documents are put in the order of their relevance.
    Rerank,
    /// Content is judged.
    Moderation,
    /// Images are made.
    ImageGeneration,
    /// Images are changed.
    ImageEdit,
    /// Text is spoken.
    Speech,
    /// Speech is written down.
    Transcription,
    /// Speech is written down in English.
    Translation,
}

/// Where a provider has which service: a path behind its base URL, which may begin with `/..` steps up from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Services {
    /// Reranking, and in whose words.
    pub rerank: Option<Rerank>,
    /// Moderation.
    pub moderations: Option<&'static str>,
    /// Making images.
    pub images: Option<Images>,
    /// Changing images that come as the parts of a form.
    pub image_edits: Option<&'static str>,
    /// Changing images that come within JSON.
    pub image_edits_json: Option<&'static str>,
    /// Speaking.
    pub speech: Option<&'static str>,
    /// Writing speech down.
    pub transcriptions: Option<&'static str>,
    /// The same, where the sound comes as base64 within JSON. Recording: `openrouter.audio.2e4b953ad0`.
    pub transcriptions_json: Option<&'static str>,
    /// The same, in English.
    pub translations: Option<&'static str>,
    /// Talking over a socket.
    pub realtime: Option<&'static str>,
}

/// How a provider makes images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// In OpenAI's words, behind its base URL.
    At(&'static str),
    /// By methods of its models: those called `imagen-…` predict, all others answer with pictures.
    ByMethod,
}

/// How a provider reranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rerank {
    /// Behind its base URL.
    pub path: &'static str,
    /// In which words it is asked.
    pub words: RerankWords,
}

/// The words of a request to rerank. Answers differ too, but all their words are known of everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerankWords {
    /// `query`, `documents` and `top_n`. Recordings: `cohere.rerank.4807361e71`, `llamacpp.rerank.bd066b5b49`,
    /// `openrouter.rerank.335788e47c`.
    TopN,
    /// The limit is `top_k`, and documents are strings. Recording: `voyage.rerank.cda9925f13`.
    TopK,
    /// Query and documents within `input`, all else within `parameters`. Recording: `dashscope.rerank.f07bc5d0d6`.
    Nested,
}

impl Services {
    /// None.
    pub const NONE: Services = Services {
        rerank: None,
        moderations: None,
        images: None,
        image_edits: None,
        image_edits_json: None,
        speech: None,
        transcriptions: None,
        transcriptions_json: None,
        translations: None,
        realtime: None,
    };

    /// Where servers that follow the usual paths have them all.
    pub const USUAL: Services = Services {
        rerank: Some(Rerank { path: "/rerank", words: RerankWords::TopN }),
        moderations: Some("/moderations"),
        images: Some(Images::At("/images/generations")),
        image_edits: Some("/images/edits"),
        image_edits_json: Some("/images/edits"),
        speech: Some("/audio/speech"),
        transcriptions: Some("/audio/transcriptions"),
        transcriptions_json: None,
        translations: Some("/audio/translations"),
        realtime: Some("/realtime"),
    };

    /// Where `service` is; `form` says that the call is one, rather than JSON.
    #[must_use]
    pub fn path(&self, service: Service, form: bool) -> Option<&'static str> {
        match service {
            Service::Rerank => self.rerank.map(|rerank| rerank.path),
            Service::Moderation => self.moderations,
            Service::ImageGeneration => match self.images? {
                Images::At(path) => Some(path),
                Images::ByMethod => None,
            },
            Service::ImageEdit if form => self.image_edits,
            Service::ImageEdit => self.image_edits_json,
            Service::Speech => self.speech,
            Service::Transcription if form => self.transcriptions,
            Service::Transcription => self.transcriptions_json,
            Service::Translation => self.translations,
        }
    }
}
