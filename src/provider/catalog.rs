//! The rows.
//!
//! Base URLs and headers are those of the vendors' own pages, read in November 2026. A row without anything after its
//! address is an OpenAI-compatible server of which nothing odd is known ([`Quirks::COMPATIBLE`]).

use super::quirks::{Hosting, OutputCap, ReasoningBack, ReasoningParameter, ToolCallIds};
use super::{Auth, Bound, Endpoints, Images, Place, Provider, Quirks, Rerank, RerankWords, Services, TokenSource};
use crate::wire::Format;

/// The address of a project's models: in the region that `VERTEX_LOCATION` names, or at a host of its own.
macro_rules! vertex {
    () => {
        vertex!("{VERTEX_LOCATION}-aiplatform.googleapis.com", "")
    };
    ($host:literal, $path:literal) => {
        concat!("https://", $host, "/v1/projects/{VERTEX_PROJECT}/locations/{VERTEX_LOCATION}", $path)
    };
}

/// Every built-in provider, sorted by id.
pub const PROVIDERS: &[Provider] = &[
    compatible("ai21", "AI21", "https://api.ai21.com/studio/v1"),
    row("anthropic", "Anthropic", "https://api.anthropic.com", Format::Anthropic)
        .auth(Auth::Header("x-api-key"))
        .quirks(Quirks::NONE)
        .recorded("anthropic"),
    compatible("avian", "Avian", "https://api.avian.io/v1")
        .quirks(Quirks { reasoning_back: ReasoningBack::ReasoningContent, ..Quirks::COMPATIBLE })
        .recorded("avian"),
    // One credential for every deployment of a resource; the first chunk carries only the prompt's filter results.
    compatible("azure", "Azure OpenAI", "https://{AZURE_RESOURCE}.openai.azure.com/openai/v1")
        .auth(Auth::Header("api-key"))
        .tokens(ENTRA)
        .quirks(Quirks {
            stop_beside_calls: true,
            output_cap: OutputCap::Either,
            developer_role: true,
            refuses: UNKNOWN_TO_OPENAI,
            answers_are_objects: true,
            signed: "azure-openai-responses-v1",
            ..Quirks::COMPATIBLE
        })
        .versioned("AZURE_API_VERSION")
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services { rerank: None, moderations: None, image_edits_json: None, ..Services::USUAL })
        .responses()
        .recorded("azure"),
    // Claude models of a Foundry resource.
    row(
        "azure-anthropic",
        "Anthropic on Azure",
        "https://{AZURE_RESOURCE}.services.ai.azure.com/anthropic",
        Format::Anthropic,
    )
    .auth(Auth::Header("x-api-key"))
    .tokens(ENTRA)
    .quirks(Quirks::NONE)
    .listed("anthropic")
    .recorded("azure"),
    compatible("baseten", "Baseten", "https://inference.baseten.co/v1"),
    row("bedrock", "Amazon Bedrock", "https://bedrock-runtime.{AWS_REGION}.amazonaws.com", Format::Bedrock)
        .auth(Auth::Aws("bedrock"))
        .tokens(ROLE)
        .quirks(Quirks::NONE)
        .endpoints(EMBEDDINGS)
        .recorded("bedrock"),
    // What Converse has no word for, such as betas, in the models' own protocol.
    row(
        "bedrock-anthropic",
        "Anthropic on Amazon Bedrock",
        "https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
        Format::Anthropic,
    )
    .auth(Auth::Aws("bedrock"))
    .tokens(ROLE)
    .quirks(Quirks { hosting: Hosting::InvokeModel, ..Quirks::NONE })
    .listed("bedrock")
    .recorded("bedrock"),
    compatible("cerebras", "Cerebras", "https://api.cerebras.ai/v1")
        .quirks(Quirks {
            ends_without_done: true,
            output_cap: OutputCap::Either,
            // https://inference-docs.cerebras.ai/resources/openai; of the rest it says "property is unsupported", as of the
            // members of messages: https://inference-docs.cerebras.ai/api-reference/chat-completions
            refuses: &[
                "frequency_penalty",
                "logit_bias",
                "min_p",
                "presence_penalty",
                "repetition_penalty",
                "top_k",
                "cache_control",
                "metadata",
                "modalities",
                "audio",
                "prompt_cache_key",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "verbosity",
                "web_search_options",
            ],
            refuses_in_messages: UNKNOWN_IN_MESSAGES,
            service_tiers: &["auto", "default", "flex", "priority"],
            reasoning_back: ReasoningBack::Reasoning,
            ..Quirks::COMPATIBLE
        })
        .endpoints(COMPLETIONS)
        .recorded("cerebras"),
    // The gateway's own token; keys of the providers behind it are stored there.
    compatible(
        "cloudflare-ai-gateway",
        "Cloudflare AI Gateway",
        "https://gateway.ai.cloudflare.com/v1/{CLOUDFLARE_ACCOUNT_ID}/{CLOUDFLARE_GATEWAY_ID}/compat",
    )
    .auth(Auth::BearerIn("cf-aig-authorization"))
    .quirks(Quirks {
        ends_without_done: true,
        odd_tool_call_deltas: true,
        output_cap: OutputCap::Either,
        developer_role: true,
        ..Quirks::COMPATIBLE
    })
    .endpoints(EMBEDDINGS),
    row("cohere", "Cohere", "https://api.cohere.com", Format::Cohere)
        .quirks(Quirks::NONE)
        .endpoints(EMBEDDINGS)
        .services(Services {
            rerank: Some(Rerank { path: "/v2/rerank", words: RerankWords::TopN }),
            transcriptions: Some("/v2/audio/transcriptions"),
            ..Services::NONE
        })
        .recorded("cohere"),
    compatible("crusoe", "Crusoe", "https://api.inference.crusoecloud.com/v1")
        .quirks(Quirks { reasoning_back: ReasoningBack::Reasoning, ..Quirks::COMPATIBLE })
        .recorded("crusoe"),
    compatible("databricks", "Databricks", "https://{DATABRICKS_HOST}/serving-endpoints")
        .endpoints(EMBEDDINGS)
        .recorded("databricks"),
    compatible("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai")
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services {
            images: USUAL.images,
            speech: USUAL.speech,
            transcriptions: USUAL.transcriptions,
            translations: USUAL.translations,
            ..Services::NONE
        }),
    compatible("deepseek", "DeepSeek", "https://api.deepseek.com")
        .quirks(Quirks {
            // https://api-docs.deepseek.com/guides/json_mode
            json_schema: false,
            reasoning_control: ReasoningParameter::ThinkingType,
            thinks_unforced: true,
            thoughts_demanded: true,
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .responses()
        .recorded("deepseek"),
    compatible("doubleword", "Doubleword", "https://api.doubleword.ai/v1")
        .quirks(Quirks { reasoning_back: ReasoningBack::ReasoningContent, ..Quirks::COMPATIBLE })
        .endpoints(EMBEDDINGS)
        .recorded("doubleword"),
    compatible("featherless", "Featherless", "https://api.featherless.ai/v1")
        .endpoints(COMPLETIONS)
        .recorded("featherless"),
    compatible("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1")
        .quirks(Quirks {
            output_cap: OutputCap::Either,
            // "Extra inputs are not permitted": https://docs.fireworks.ai/api-reference/post-chatcompletions
            refuses: &[
                "cache_control",
                "modalities",
                "audio",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "verbosity",
                "web_search_options",
            ],
            refuses_in_messages: &["name", "refusal", "annotations", "audio", "function_call"],
            // https://docs.fireworks.ai/guides/reasoning: the last two for DeepSeek V4 and GLM 5
            efforts: &["none", "low", "medium", "high", "xhigh", "max"],
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(RERANK)
        .recorded("fireworks"),
    compatible("friendli", "FriendliAI", "https://api.friendli.ai/serverless/v1").endpoints(COMPLETIONS),
    row("gemini", "Google AI Studio", "https://generativelanguage.googleapis.com", Format::Gemini)
        .auth(Auth::Header("x-goog-api-key"))
        .quirks(Quirks::NONE)
        .endpoints(EMBEDDINGS)
        .services(PICTURES)
        .recorded("gemini"),
    compatible("github-models", "GitHub Models", "https://models.github.ai/inference")
        .quirks(Quirks {
            output_cap: OutputCap::Either,
            developer_role: true,
            refuses: UNKNOWN_TO_OPENAI,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS),
    compatible("groq", "Groq", "https://api.groq.com/openai/v1")
        .quirks(Quirks {
            odd_tool_call_deltas: true,
            output_cap: OutputCap::Either,
            // https://console.groq.com/docs/openai; of what https://console.groq.com/docs/api-reference#chat-create does not
            // list it says "property is unsupported".
            refuses: &[
                "logprobs",
                "logit_bias",
                "min_p",
                "repetition_penalty",
                "top_k",
                "top_logprobs",
                "n",
                "cache_control",
                "modalities",
                "audio",
                "prediction",
                "prompt_cache_key",
                "prompt_cache_retention",
                "safety_identifier",
                "verbosity",
                "web_search_options",
            ],
            service_tiers: &["auto", "on_demand", "flex", "performance"],
            refuses_in_messages: &["name", "refusal", "annotations", "audio"],
            // https://console.groq.com/docs/reasoning, for Qwen
            efforts: &["none", "default"],
            reasoning_back: ReasoningBack::Reasoning,
            ..Quirks::COMPATIBLE
        })
        .services(Services {
            speech: USUAL.speech,
            transcriptions: USUAL.transcriptions,
            translations: USUAL.translations,
            ..Services::NONE
        })
        .recorded("groq"),
    compatible("huggingface", "Hugging Face", "https://router.huggingface.co/v1")
        .quirks(Quirks { ends_without_done: true, odd_tool_call_deltas: true, ..Quirks::COMPATIBLE })
        .recorded("huggingface"),
    compatible("hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz/v1")
        .endpoints(COMPLETIONS)
        .recorded("hyperbolic"),
    compatible("jina", "Jina AI", "https://api.jina.ai/v1").endpoints(EMBEDDINGS).services(RERANK),
    // The public service has ended (https://docs.lambda.ai/public-cloud/lambda-inference-api); LAMBDA_BASE_URL points
    // to deployments of one's own.
    compatible("lambda", "Lambda", "https://api.lambda.ai/v1").endpoints(COMPLETIONS),
    compatible("llamacpp", "llama.cpp", "http://localhost:8080/v1")
        .auth(Auth::Optional)
        .quirks(Quirks { reasoning_back: ReasoningBack::ReasoningContent, ..Quirks::COMPATIBLE })
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(RERANK)
        .recorded("llamacpp"),
    compatible("minimax", "MiniMax", "https://api.minimax.io/v1").quirks(Quirks {
        output_cap: OutputCap::MaxCompletionTokens,
        json_schema: false,
        ..Quirks::COMPATIBLE
    }),
    compatible("mistral", "Mistral", "https://api.mistral.ai/v1")
        .quirks(Quirks {
            odd_tool_call_deltas: true,
            content_arrays: true,
            // Whatever its schema does not list is a 422 `extra_forbidden`: https://docs.mistral.ai/api/endpoint/chat
            refuses: &[
                "stream_options",
                "store",
                "user",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "service_tier",
                "safety_identifier",
                "verbosity",
                "modalities",
                "audio",
                "web_search_options",
                "prompt_cache_retention",
                "top_k",
                "min_p",
                "repetition_penalty",
                "cache_control",
            ],
            refuses_in_messages: &["name", "refusal", "annotations", "audio", "function_call"],
            efforts: &["none", "high"],
            seed: "random_seed",
            prefill: Some("prefix"),
            tool_call_ids: ToolCallIds::NineAlphanumerics,
            reasoning_back: ReasoningBack::ContentPart,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS)
        .services(Services {
            moderations: USUAL.moderations,
            speech: USUAL.speech,
            transcriptions: USUAL.transcriptions,
            ..Services::NONE
        })
        .recorded("mistral"),
    compatible("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1").quirks(Quirks {
        thinkers_refuse: &["temperature", "top_p", "n", "presence_penalty", "frequency_penalty"],
        reasoning_control: ReasoningParameter::ThinkingAlone,
        thinks_unforced: true,
        thoughts_demanded: true,
        reasoning_back: ReasoningBack::ReasoningContent,
        ..Quirks::COMPATIBLE
    }),
    compatible("nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1")
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(IMAGES)
        .recorded("nebius"),
    compatible("novita", "Novita AI", "https://api.novita.ai/openai/v1")
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(RERANK)
        .recorded("novita"),
    compatible("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1").endpoints(EMBEDDINGS),
    row("ollama", "Ollama", "http://localhost:11434", Format::Ollama)
        .auth(Auth::Optional)
        .quirks(Quirks::NONE)
        .endpoints(EMBEDDINGS)
        .recorded("ollama"),
    row("openai", "OpenAI", "https://api.openai.com/v1", Format::OpenAiChat)
        .quirks(Quirks { refuses: UNKNOWN_TO_OPENAI, ..Quirks::NONE })
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services { rerank: None, ..Services::USUAL })
        .responses()
        .recorded("openai"),
    compatible("openrouter", "OpenRouter", "https://openrouter.ai/api/v1")
        .quirks(Quirks {
            odd_tool_call_deltas: true,
            output_cap: OutputCap::Either,
            developer_role: true,
            reasoning_control: ReasoningParameter::Object,
            reasoning_back: ReasoningBack::Details,
            routes_itself: true,
            signed: "openrouter-responses-v1",
            states_cost: true,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services {
            images: Some(Images::At("/images")),
            speech: USUAL.speech,
            transcriptions_json: USUAL.transcriptions,
            ..RERANK
        })
        .responses()
        .recorded("openrouter"),
    compatible("perplexity", "Perplexity", "https://api.perplexity.ai")
        .quirks(Quirks {
            ends_without_done: true,
            repeated_in_chunks: &["citations", "search_results"],
            ..Quirks::COMPATIBLE
        })
        .recorded("perplexity"),
    compatible("qwen", "Alibaba Cloud Model Studio", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
        .quirks(QWEN)
        .endpoints(EMBEDDINGS)
        .services(QWEN_RERANK)
        .recorded("dashscope"),
    compatible("qwen-cn", "Alibaba Cloud Model Studio (China)", "https://dashscope.aliyuncs.com/compatible-mode/v1")
        .quirks(QWEN)
        .endpoints(EMBEDDINGS)
        .services(QWEN_RERANK)
        .listed("qwen")
        .recorded("dashscope"),
    compatible("sambanova", "SambaNova", "https://api.sambanova.ai/v1").endpoints(EMBEDDINGS).recorded("sambanova"),
    compatible("snowflake", "Snowflake Cortex", "https://{SNOWFLAKE_ACCOUNT}.snowflakecomputing.com/api/v2/cortex/v1")
        .quirks(Quirks {
            ends_without_finish_reason: true,
            output_cap: OutputCap::MaxCompletionTokens,
            reasoning_control: ReasoningParameter::Object,
            reasoning_back: ReasoningBack::Details,
            ..Quirks::COMPATIBLE
        })
        .recorded("snowflake"),
    compatible("together", "Together AI", "https://api.together.ai/v1")
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services {
            rerank: USUAL.rerank,
            images: USUAL.images,
            speech: USUAL.speech,
            transcriptions: USUAL.transcriptions,
            translations: USUAL.translations,
            ..Services::NONE
        })
        .recorded("together"),
    compatible("venice", "Venice", "https://api.venice.ai/api/v1")
        .quirks(Quirks {
            odd_tool_call_deltas: true,
            output_cap: OutputCap::Either,
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS)
        .services(Services {
            images: USUAL.images,
            speech: USUAL.speech,
            transcriptions: USUAL.transcriptions,
            ..Services::NONE
        })
        .recorded("venice"),
    compatible("vercel-ai-gateway", "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1")
        .quirks(Quirks {
            reasoning_apart: true,
            output_cap: OutputCap::Either,
            developer_role: true,
            reasoning_control: ReasoningParameter::Object,
            reasoning_back: ReasoningBack::Details,
            routes_itself: true,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS)
        .recorded("vercel-gateway"),
    // A key is an access token, which lives an hour; a service account's key gets new ones by itself.
    row("vertex", "Google Vertex AI", VERTEX, Format::Gemini)
        .places(VERTEX_PLACES)
        .tokens(GOOGLE)
        .quirks(Quirks { hosting: Hosting::PublisherModel, ..Quirks::NONE })
        .endpoints(EMBEDDINGS)
        .services(PICTURES)
        .recorded("vertex"),
    row("vertex-anthropic", "Anthropic on Google Vertex AI", VERTEX, Format::Anthropic)
        .places(VERTEX_PLACES)
        .tokens(GOOGLE)
        .quirks(Quirks { hosting: Hosting::PublisherModel, ..Quirks::NONE })
        .listed("vertex")
        .recorded("vertex"),
    // The open models of the Model Garden (`meta/llama-…-maas`), as a service of the project's.
    // https://docs.cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis
    compatible("vertex-openai", "Google Vertex AI Model Garden", GARDEN)
        .places(GARDEN_PLACES)
        .tokens(GOOGLE)
        .listed("vertex"),
    compatible("vllm", "vLLM", "http://localhost:8000/v1")
        .auth(Auth::Optional)
        .quirks(Quirks {
            output_cap: OutputCap::Either,
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS_AND_COMPLETIONS)
        .services(Services {
            rerank: USUAL.rerank,
            transcriptions: USUAL.transcriptions,
            translations: USUAL.translations,
            ..Services::NONE
        }),
    compatible("volcengine", "Volcengine Ark", "https://ark.cn-beijing.volces.com/api/v3")
        .quirks(Quirks {
            reasoning_control: ReasoningParameter::ThinkingType,
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS),
    compatible("voyage", "Voyage AI", "https://api.voyageai.com/v1")
        .endpoints(EMBEDDINGS)
        .services(Services { rerank: Some(Rerank { path: "/rerank", words: RerankWords::TopK }), ..Services::NONE })
        .recorded("voyage"),
    compatible("wandb", "W&B Inference", "https://api.inference.wandb.ai/v1"),
    compatible(
        "workers-ai",
        "Cloudflare Workers AI",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
    )
    .quirks(Quirks { short_answers: true, ..Quirks::COMPATIBLE })
    .endpoints(EMBEDDINGS)
    .bound(Bound { name: "AI", format: Format::WorkersAi, quirks: WORKERS_AI })
    .recorded("cloudflare"),
    compatible("writer", "Writer", "https://api.writer.com/v1")
        .quirks(Quirks { ends_without_done: true, chat_path: "/chat", ..Quirks::COMPATIBLE })
        .recorded("writer"),
    compatible("xai", "xAI", "https://api.x.ai/v1")
        .quirks(Quirks {
            output_cap: OutputCap::Either,
            reasoning_back: ReasoningBack::ReasoningContent,
            service_tiers: &["default", "priority"],
            signed: "xai-responses-v1",
            ..Quirks::COMPATIBLE
        })
        .services(Services {
            images: USUAL.images,
            image_edits_json: USUAL.image_edits_json,
            realtime: USUAL.realtime,
            ..Services::NONE
        })
        .responses()
        .recorded("xai"),
    compatible("zai", "Z.ai", "https://api.z.ai/api/paas/v4")
        .quirks(Quirks {
            // https://docs.z.ai/guides/capabilities/struct-output
            json_schema: false,
            reasoning_control: ReasoningParameter::ThinkingType,
            reasoning_back: ReasoningBack::ReasoningContent,
            ..Quirks::COMPATIBLE
        })
        .endpoints(EMBEDDINGS)
        .recorded("zai"),
];

/// The row of `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Provider> {
    PROVIDERS.binary_search_by(|provider| provider.id.cmp(id)).ok().and_then(|at| PROVIDERS.get(at))
}

const EMBEDDINGS: Endpoints = Endpoints { embeddings: true, ..CHAT_ALONE };
const COMPLETIONS: Endpoints = Endpoints { completions: true, ..CHAT_ALONE };
const EMBEDDINGS_AND_COMPLETIONS: Endpoints = Endpoints { embeddings: true, ..COMPLETIONS };
const CHAT_ALONE: Endpoints =
    Endpoints { embeddings: false, completions: false, responses: false, services: Services::NONE };

const USUAL: Services = Services::USUAL;
const RERANK: Services = Services { rerank: USUAL.rerank, ..Services::NONE };
const PICTURES: Services = Services { images: Some(Images::ByMethod), ..Services::NONE };
const IMAGES: Services = Services { images: USUAL.images, ..Services::NONE };
/// Alibaba Cloud reranks by its own API alone, which stands beside the compatible one.
const QWEN_RERANK: Services = Services {
    rerank: Some(Rerank { path: "/../../api/v1/services/rerank/text-rerank/text-rerank", words: RerankWords::Nested }),
    ..Services::NONE
};

/// Models of every publisher that a project may call in one region.
const VERTEX: &str = vertex!();
/// Their open models, in OpenAI's protocol.
const GARDEN: &str = vertex!("{VERTEX_LOCATION}-aiplatform.googleapis.com", "/endpoints/openapi");
/// The world, and the two regions of regions
/// (<https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/locations>).
const VERTEX_PLACES: &[Place] = &[
    located("global", vertex!("aiplatform.googleapis.com", "")),
    located("eu", vertex!("aiplatform.eu.rep.googleapis.com", "")),
    located("us", vertex!("aiplatform.us.rep.googleapis.com", "")),
];
/// The same for the endpoint that speaks OpenAI's protocol.
const GARDEN_PLACES: &[Place] = &[
    located("global", vertex!("aiplatform.googleapis.com", "/endpoints/openapi")),
    located("eu", vertex!("aiplatform.eu.rep.googleapis.com", "/endpoints/openapi")),
    located("us", vertex!("aiplatform.us.rep.googleapis.com", "/endpoints/openapi")),
];

const fn located(value: &'static str, base_url: &'static str) -> Place {
    Place { variable: "VERTEX_LOCATION", value, base_url }
}

/// Tokens of a Google service account.
const GOOGLE: TokenSource = TokenSource::ServiceAccount {
    variables: &["VERTEX_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS_JSON"],
    project: "VERTEX_PROJECT",
    scope: "https://www.googleapis.com/auth/cloud-platform",
};

/// Tokens of an application that Microsoft Entra knows.
const ENTRA: TokenSource = TokenSource::Client {
    tenant: "AZURE_TENANT_ID",
    id: "AZURE_CLIENT_ID",
    secret: "AZURE_CLIENT_SECRET",
    authority: ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
    scope: ("AZURE_SCOPE", "https://cognitiveservices.azure.com/.default"),
};

/// Credentials of a role in AWS.
const ROLE: TokenSource =
    TokenSource::Role { arn: "AWS_ROLE_ARN", external_id: "AWS_ROLE_EXTERNAL_ID", endpoint: "AWS_ENDPOINT_URL_STS" };

/// Workers AI by its binding, which takes what the schema of each model lists
/// (<https://developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/>).
const WORKERS_AI: Quirks = Quirks {
    json_schema: false,
    null_content: false,
    short_answers: true,
    refuses: &[
        "stream_options",
        "store",
        "metadata",
        "user",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "n",
        "modalities",
        "audio",
        "prediction",
        "service_tier",
        "parallel_tool_calls",
        "web_search_options",
        "prompt_cache_key",
        "min_p",
    ],
    reasoning_back: ReasoningBack::ReasoningContent,
    ..Quirks::COMPATIBLE
};

/// What OpenAI's own servers answer with an error. The schema of their messages knows no cache marks, and they cache by
/// themselves; of the rest they say "Unrecognized request argument supplied: top_k".
const UNKNOWN_TO_OPENAI: &[&str] = &["cache_control", "top_k", "min_p", "repetition_penalty"];

/// What comes with an answer's message and not with a request's.
const UNKNOWN_IN_MESSAGES: &[&str] = &["refusal", "annotations", "audio", "function_call"];

/// Both regions of Alibaba Cloud, whose keys and models differ.
const QWEN: Quirks = Quirks {
    odd_tool_call_deltas: true,
    reasoning_control: ReasoningParameter::EnableThinking,
    thinks_unforced: true,
    reasoning_back: ReasoningBack::ReasoningContent,
    ..Quirks::COMPATIBLE
};

const fn compatible(id: &'static str, name: &'static str, base_url: &'static str) -> Provider {
    row(id, name, base_url, Format::OpenAiChat)
}

const fn row(id: &'static str, name: &'static str, base_url: &'static str, format: Format) -> Provider {
    Provider {
        id,
        name,
        base_url,
        format,
        places: &[],
        auth: Auth::Bearer,
        tokens: None,
        quirks: Quirks::COMPATIBLE,
        versioned: None,
        catalog_id: id,
        recordings: None,
        endpoints: CHAT_ALONE,
        bound: None,
    }
}

impl Provider {
    const fn bound(mut self, bound: Bound) -> Provider {
        self.bound = Some(bound);
        self
    }

    const fn auth(mut self, auth: Auth) -> Provider {
        self.auth = auth;
        self
    }

    const fn quirks(mut self, quirks: Quirks) -> Provider {
        self.quirks = quirks;
        self
    }

    const fn places(mut self, places: &'static [Place]) -> Provider {
        self.places = places;
        self
    }

    const fn tokens(mut self, source: TokenSource) -> Provider {
        self.tokens = Some(source);
        self
    }

    const fn versioned(mut self, variable: &'static str) -> Provider {
        self.versioned = Some(variable);
        self
    }

    const fn listed(mut self, catalog_id: &'static str) -> Provider {
        self.catalog_id = catalog_id;
        self
    }

    const fn recorded(mut self, folder: &'static str) -> Provider {
        self.recordings = Some(folder);
        self
    }

    const fn endpoints(mut self, endpoints: Endpoints) -> Provider {
        self.endpoints = endpoints;
        self
    }

    const fn services(mut self, services: Services) -> Provider {
        self.endpoints.services = services;
        self
    }

    /// It speaks Responses, too.
    const fn responses(mut self) -> Provider {
        self.endpoints.responses = true;
        self
    }
}

#[cfg(test)]
mod tests;
