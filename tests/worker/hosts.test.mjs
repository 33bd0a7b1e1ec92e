// Hosts whose credentials end: tokens are got, shared and renewed, and each call is signed in with one.

import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, verify } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { startUpstream } from "./upstream.mjs";

const MESSAGES = [{ role: "user", content: "Hello" }];
const TOKEN = "ya29.token-for-tests-4f3e2d1c0b9a";
const ENTRA_SECRET = "entra-secret-for-tests-7a6b5c4d3e2f";
const AWS_SECRET = "aws-secret-for-tests-9f8e7d6c5b4a";
const ROLE_SECRET = "role-secret-for-tests-0a1b2c3d4e5f";
const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" });
const recorded = Object.fromEntries(["vertex", "azure", "bedrock"].flatMap(recordings).map((one) => [one.id, one]));

describe("hosts that want tokens", () => {
  let upstream;
  let gateway;
  let client;
  let key;

  before(async () => {
    upstream = await startUpstream();
    const account = {
      type: "service_account",
      project_id: "shop",
      private_key_id: "key-1",
      private_key: privateKey,
      client_email: "caller@shop.iam.gserviceaccount.com",
      token_uri: `${upstream.url}/google/token`,
    };
    gateway = await startGateway(upstream, {
      VERTEX_SERVICE_ACCOUNT: JSON.stringify(account),
      VERTEX_BASE_URL: `${upstream.url}/vertex/v1/projects/shop/locations/global`,
      VERTEX_ANTHROPIC_BASE_URL: `${upstream.url}/vertex/v1/projects/shop/locations/global`,
      VERTEX_OPENAI_BASE_URL: `${upstream.url}/vertex/v1/projects/shop/locations/global/endpoints/openapi`,
      AZURE_BASE_URL: `${upstream.url}/openai/v1`,
      AZURE_ANTHROPIC_BASE_URL: `${upstream.url}/anthropic`,
      AZURE_TENANT_ID: "tenant-1",
      AZURE_CLIENT_ID: "application-1",
      AZURE_CLIENT_SECRET: ENTRA_SECRET,
      AZURE_AUTHORITY_HOST: `${upstream.url}/entra/`,
      AWS_ACCESS_KEY_ID: "AKIDFORTESTS",
      AWS_SECRET_ACCESS_KEY: AWS_SECRET,
      AWS_REGION: "eu-central-1",
      AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/caller",
      AWS_ENDPOINT_URL_STS: `${upstream.url}/sts/`,
      BEDROCK_BASE_URL: `${upstream.url}/bedrock`,
    }, { isolates: 2 });
    ({ key } = await gateway.createKey());
    client = gateway.client(key);
    upstream.behave(issue);
  });

  afterEach(() => assert.equal(upstream.unused(), 0));

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const chat = (model, options) => client.chat.completions.create({ model, messages: MESSAGES }, options);
  const tokensAsked = (path) => upstream.requests.filter((request) => request.path.startsWith(path)).length;

  test("Gemini on Vertex, signed in by a service account's claim", async () => {
    upstream.reply(issued, replay("vertex.tools.195d60a613"));
    const answer = await chat("vertex/gemini-2.5-flash");
    assert.equal(answer.choices[0].finish_reason, "stop");
    const [asked, sent] = upstream.requests;
    assert.equal(asked.path, "/google/token");
    assert.equal(sent.path, "/vertex/v1/projects/shop/locations/global/publishers/google/models/gemini-2.5-flash:generateContent");
    assert.equal(sent.headers.authorization, `Bearer ${TOKEN}`);
  });

  test("the same token serves its other protocols", async () => {
    upstream.reply(replay("vertex.tools-stream.ae8c72b158"));
    const stream = await client.chat.completions.create({ model: "vertex-anthropic/claude-sonnet-4-5", messages: MESSAGES, stream: true });
    let finish;
    for await (const { choices } of stream) finish = choices[0]?.finish_reason ?? finish;
    assert.equal(finish, "tool_calls");
    assert.equal(upstream.last().json.anthropic_version, "vertex-2023-10-16");
    const open = await chat("vertex-openai/meta/llama-4-maverick-17b-128e-instruct-maas");
    assert.equal(open.choices[0].message.content, "Hello there");
    assert.equal(upstream.last().path, "/vertex/v1/projects/shop/locations/global/endpoints/openapi/chat/completions");
    assert.equal(upstream.last().json.model, "meta/llama-4-maverick-17b-128e-instruct-maas");
    assert.equal(upstream.last().headers.authorization, `Bearer ${TOKEN}`);
    assert.equal(tokensAsked("/google/token"), 1);
  });

  test("embeddings on Vertex", async () => {
    const embeddings = (values) => ({ embeddings: { statistics: { truncated: false, token_count: 3 }, values } });
    upstream.reply(answer(200, { predictions: [embeddings([0.5, -1]), embeddings([0.25, 2])] }));
    const input = ["Ruby is great", "So is Rust"];
    const { data, usage } = await client.embeddings.create({ model: "vertex/text-embedding-005", input, encoding_format: "float" });
    assert.deepEqual(data.map(({ embedding }) => embedding), [[0.5, -1], [0.25, 2]]);
    assert.equal(usage.prompt_tokens, 6);
    assert.match(upstream.last().path, /\/publishers\/google\/models\/text-embedding-005:predict$/);
    assert.deepEqual(upstream.last().json, { instances: input.map((content) => ({ content })) });
  });

  test("another isolate takes the copy, of which the store alone tells nothing", async () => {
    upstream.reply(replay("vertex.tools.195d60a613"));
    await chat("vertex/gemini-2.5-flash", { headers: { "x-isolate": "2" } });
    assert.equal(upstream.last().headers.authorization, `Bearer ${TOKEN}`);
    assert.equal(tokensAsked("/google/token"), 1);
    const store = await gateway.miniflare.getKVNamespace("CONFIG", gateway.name);
    const { keys } = await store.list({ prefix: "token:" });
    assert.equal(keys.length, 1);
    const kept = Buffer.from(await store.get(keys[0].name, "arrayBuffer"));
    assert.ok(kept.length > TOKEN.length && !kept.includes(TOKEN) && !kept.includes("access_token"));
  });

  test("a token that is no longer taken is given up", async () => {
    upstream.forget();
    const denied = { error: { code: 401, message: `Invalid: Bearer ${TOKEN}`, status: "UNAUTHENTICATED" } };
    upstream.reply(answer(401, denied));
    await assert.rejects(chat("vertex/gemini-2.5-flash"), (error) => {
      // It is less than a minute old: another one would be refused as well.
      assert.equal(error.status, 502);
      assert.ok(!JSON.stringify(error).includes(TOKEN));
      return true;
    });
    assert.equal(tokensAsked("/google/token"), 0);
    upstream.behave(issue);
  });

  test("Azure, signed in as an application of Entra", async () => {
    upstream.reply(issued, replay("azure.structured.7ef20abc01"));
    await chat("azure/gpt-4o");
    assert.equal(upstream.requests.at(-2).path, "/entra/tenant-1/oauth2/v2.0/token");
    const { headers } = upstream.last();
    assert.equal(headers.authorization, "Bearer entra-token");
    assert.equal(headers["api-key"], undefined);
    const message = await chat("azure-anthropic/claude-sonnet-4-5");
    assert.equal(message.choices[0].message.content, "Hello there");
    assert.equal(upstream.last().headers.authorization, "Bearer entra-token");
    assert.equal(upstream.last().headers["x-api-key"], undefined);
    assert.equal(tokensAsked("/entra"), 1);
  });

  test("Responses on Azure", async () => {
    const output = [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: "Hello there", annotations: [] }] }];
    const usage = { input_tokens: 9, output_tokens: 2, total_tokens: 11 };
    upstream.reply(answer(200, { id: "resp_1", object: "response", created_at: 1_790_000_000, status: "completed", model: "gpt-5-mini", output, usage }));
    const { output_text } = await client.responses.create({ model: "azure/gpt-5-mini", input: "Hello" });
    assert.equal(output_text, "Hello there");
    assert.equal(upstream.last().path, "/openai/v1/responses");
    assert.equal(upstream.last().headers.authorization, "Bearer entra-token");
  });

  test("Bedrock in another role", async () => {
    upstream.reply(issued, replay("bedrock.tools.db0d10a1f6"));
    await chat("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    const [asked, sent] = upstream.requests.slice(-2);
    assert.equal(asked.path, "/sts/");
    assert.equal(sent.headers["x-amz-security-token"], "role-session");
    assert.equal(sent.headers.authorization, signed(sent, "bedrock", "ASIAROLE", ROLE_SECRET));
  });

  test("a refused credential goes into the log without what it is", async () => {
    const refusing = await startGateway(upstream, {
      AZURE_BASE_URL: `${upstream.url}/openai/v1`,
      AZURE_TENANT_ID: "tenant-1",
      AZURE_CLIENT_ID: "application-1",
      AZURE_CLIENT_SECRET: `${ENTRA_SECRET}-of-yesterday`,
      AZURE_AUTHORITY_HOST: `${upstream.url}/entra`,
    });
    try {
      const { key } = await refusing.createKey();
      const call = refusing.client(key).chat.completions.create({ model: "azure/gpt-4o", messages: MESSAGES });
      await assert.rejects(call, { status: 502, code: "upstream_credentials_exhausted" });
      assert.ok(!refusing.log().includes(ENTRA_SECRET));
    } finally {
      await refusing.close();
    }
  });

  test("no secret is ever logged", () => {
    const line = privateKey.split("\n")[3];
    for (const secret of [TOKEN, ENTRA_SECRET, AWS_SECRET, ROLE_SECRET, "entra-token", line]) {
      assert.ok(!gateway.log().includes(secret));
    }
  });
});

/** The first request is one for a token. */
function issued(request, response) {
  return issue(request)(request, response);
}

/** Plays the issuers of tokens, each of which looks at what it is sent; other requests are answered as usual. */
function issue(request) {
  const issuers = { "/google/token": issueToAccount, "/entra/tenant-1/oauth2/v2.0/token": issueToApplication, "/sts/": issueToRole };
  const issuer = issuers[request.path];
  return issuer && ((_, response) => issuer(request, new URLSearchParams(request.text))(request, response));
}

function issueToAccount({ headers }, form) {
  assert.equal(headers["content-type"], "application/x-www-form-urlencoded");
  assert.equal(form.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
  const [header, claims, signature] = form.get("assertion").split(".");
  const text = (part) => JSON.parse(Buffer.from(part, "base64url"));
  const genuine = verify("sha256", Buffer.from(`${header}.${claims}`), pair.publicKey, Buffer.from(signature, "base64url"));
  const { iss, iat, exp, scope } = text(claims);
  const timely = Math.abs(iat - Date.now() / 1000) < 60 && exp - iat === 3600;
  if (!genuine || text(header).kid !== "key-1" || !timely || !iss || !scope) return answer(400, { error: "invalid_grant" });
  return answer(200, { access_token: TOKEN, expires_in: 3599, token_type: "Bearer" });
}

function issueToApplication(_, form) {
  const right = form.get("client_id") === "application-1" && form.get("client_secret") === ENTRA_SECRET;
  if (!right) return answer(401, { error: "invalid_client", error_description: `AADSTS7000215: ${form.get("client_secret")}` });
  assert.equal(form.get("scope"), "https://cognitiveservices.azure.com/.default");
  return answer(200, { token_type: "Bearer", expires_in: 3599, access_token: "entra-token" });
}

function issueToRole(request, form) {
  assert.equal(request.headers.authorization, signed(request, "sts", "AKIDFORTESTS", AWS_SECRET));
  assert.equal(form.get("RoleArn"), "arn:aws:iam::123456789012:role/caller");
  const members = { AccessKeyId: "ASIAROLE", SecretAccessKey: ROLE_SECRET, SessionToken: "role-session", Expiration: "2030-01-01T00:00:00Z" };
  const credentials = Object.entries(members).map(([name, value]) => `<${name}>${value}</${name}>`).join("");
  const xml = `<AssumeRoleResponse><AssumeRoleResult><Credentials>${credentials}</Credentials></AssumeRoleResult></AssumeRoleResponse>`;
  return (_, response) => response.writeHead(200, { "content-type": "text/xml" }).end(xml);
}

function answer(status, body) {
  return (_, response) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function replay(id) {
  const { status, headers, body } = recorded[id].response;
  return (_, response) => response.writeHead(status, headers).end(body);
}

/** The authorization that AWS would reckon for a request, by its documentation and with Node's own cryptography. */
function signed({ method, path, headers, text }, service, id, secret) {
  const sha256 = (data) => createHash("sha256").update(data).digest("hex");
  const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
  const time = headers["x-amz-date"];
  const scope = `${time.slice(0, 8)}/eu-central-1/${service}/aws4_request`;
  const names = ["host", "x-amz-date", "x-amz-security-token"].filter((name) => headers[name] !== undefined);
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
  const canonicalPath = path.split("/").map(encodeURIComponent).join("/");
  const request = [method, canonicalPath, "", lines, names.join(";"), sha256(text)].join("\n");
  const key = scope.split("/").reduce((key, part) => hmac(key, part), `AWS4${secret}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(request)].join("\n")).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
}
