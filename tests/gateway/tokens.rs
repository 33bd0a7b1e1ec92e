//! Credentials that end: got before a call, kept, renewed in time, and given up when they are refused.

use latchkey::gateway::{CallId, Exchanged, Input, Step, TokenWanted};
use latchkey::keys::Key;
use latchkey::units::UnixMillis;

use crate::world::{World, header_of, refused, sent};

const ACCOUNT: &str = r#"{"project_id":"shop","private_key_id":"k1","client_email":"bot@shop.iam","private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0a2V5\n-----END PRIVATE KEY-----\n"}"#;
const CALL: &str = r#"{"model":"vertex/gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
const CALL_OR_OTHER: &str =
    r#"{"model":"vertex/gemini-2.5-flash","models":["openai/gpt-4o"],"messages":[{"role":"user","content":"Hi"}]}"#;
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;

fn world() -> World {
    let variables = [("VERTEX_SERVICE_ACCOUNT", ACCOUNT), ("VERTEX_LOCATION", "global")];
    World::of(Key::default(), r#"{"version":1,"health":{"enabled":false}}"#, &variables)
}

fn wanted(step: Step) -> TokenWanted {
    match step {
        Step::Exchange(wanted) => *wanted,
        step => panic!("expected a token to be asked for, not {step:?}"),
    }
}

fn give(world: &mut World, id: CallId, token: &str, is_copy: bool, sent: UnixMillis) -> Step {
    let body = format!(r#"{{"access_token":"{token}","expires_in":3600}}"#);
    world.resume(id, Input::Token(Ok(Exchanged { status: 200, body: body.as_bytes(), sent, is_copy })))
}

fn authorization(step: Step) -> String {
    header_of(&sent(step), "authorization").expect("signed in").to_owned()
}

#[test]
fn one_token_serves_all_calls_until_shortly_before_its_end() {
    let mut world = world();
    let (id, step) = world.chat(CALL);
    let asked = wanted(step);
    assert_eq!(asked.request.url, "https://oauth2.googleapis.com/token");
    let now = world.now;
    let step = give(&mut world, id, "one", false, now);
    let outbound = sent(step);
    assert_eq!(header_of(&outbound, "authorization"), Some("Bearer one"));
    assert_eq!(
        outbound.url,
        "https://aiplatform.googleapis.com/v1/projects/shop/locations/global/publishers/google/models/gemini-2.5-flash:generateContent"
    );
    assert_eq!(world.answer(id, 200, &[], ANSWER).status, 200);
    world.now = UnixMillis(world.now.0 + 3_200_000);
    let (_, step) = world.chat(CALL);
    assert_eq!(authorization(step), "Bearer one");
    world.now = UnixMillis(world.now.0 + 150_000);
    let (renewing, step) = world.chat(CALL);
    assert_eq!(wanted(step).id, asked.id);
    let (_, step) = world.chat(CALL);
    assert_eq!(authorization(step), "Bearer one", "one call renews it, the others go on");
    let now = world.now;
    let step = give(&mut world, renewing, "two", false, now);
    assert_eq!(authorization(step), "Bearer two");
    let (_, step) = world.chat(CALL);
    assert_eq!(authorization(step), "Bearer two");
}

#[test]
fn a_copy_serves_unless_it_is_nearly_at_its_end() {
    let mut world = world();
    let (id, step) = world.chat(CALL);
    wanted(step);
    let long_ago = UnixMillis(world.now.0 - 3_400_000);
    let step = give(&mut world, id, "old", true, long_ago);
    let again = wanted(step);
    assert!(again.newer_than > long_ago, "the issuer is asked");
    let now = world.now;
    let step = give(&mut world, id, "new", false, now);
    assert_eq!(authorization(step), "Bearer new");

    let mut world = self::world();
    let (id, step) = world.chat(CALL);
    wanted(step);
    let a_while_ago = UnixMillis(world.now.0 - 600_000);
    let step = give(&mut world, id, "copied", true, a_while_ago);
    assert_eq!(authorization(step), "Bearer copied");
}

#[test]
fn without_a_token_a_call_goes_elsewhere_or_says_so() {
    let refusal = br#"{"error":"invalid_grant","error_description":"Invalid JWT Signature: c2VjcmV0"}"#;
    let mut world = world();
    let (id, step) = world.chat(CALL);
    wanted(step);
    let answer = Exchanged { status: 400, body: refusal, sent: world.now, is_copy: false };
    let (status, body) = refused(world.resume(id, Input::Token(Ok(answer))));
    assert_eq!((status, &body["error"]["code"]), (502, &"upstream_credentials_exhausted".into()));
    let record = world.only_record();
    assert_eq!(record.cause.as_deref(), Some("the token endpoint answered with status 400 invalid_grant"));
    let (_, step) = world.chat(CALL);
    assert_eq!(refused(step).0, 502, "nobody asks again at once");
    let (_, step) = world.chat(CALL_OR_OTHER);
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret"));
    world.now = UnixMillis(world.now.0 + 3_000);
    let (id, step) = world.chat(CALL_OR_OTHER);
    wanted(step);
    let step = world.resume(id, Input::Token(Err("the connection failed")));
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret"));
}

#[test]
fn a_renewal_that_fails_leaves_the_token_that_serves() {
    let mut world = world();
    let (id, step) = world.chat(CALL);
    wanted(step);
    let now = world.now;
    let step = give(&mut world, id, "one", false, now);
    sent(step);
    world.now = UnixMillis(world.now.0 + 3_400_000);
    let (id, step) = world.chat(CALL);
    wanted(step);
    let step = world.resume(id, Input::Token(Err("it did not answer in time")));
    assert_eq!(authorization(step), "Bearer one");
    world.now = UnixMillis(world.now.0 + 200_000);
    let (id, step) = world.chat(CALL);
    wanted(step);
    let step = world.resume(id, Input::Token(Err("it did not answer in time")));
    assert_eq!(refused(step).0, 502, "it has ended");
}

#[test]
fn a_refused_token_is_replaced_once() {
    let denied = r#"{"error":{"code":401,"message":"Request had invalid authentication credentials: Bearer one.","status":"UNAUTHENTICATED"}}"#;
    let mut world = world();
    let (id, step) = world.chat(CALL);
    wanted(step);
    let now = world.now;
    let step = give(&mut world, id, "one", false, now);
    sent(step);
    assert_eq!(world.answer(id, 200, &[], ANSWER).status, 200);
    world.now = UnixMillis(world.now.0 + 600_000);
    let (id, step) = world.chat(CALL);
    assert_eq!(authorization(step), "Bearer one");
    let asked = wanted(world.refuse(id, 401, &[], denied));
    assert!(asked.newer_than.0 > world.now.0 - 1_000, "no copy of it is taken either");
    let now = world.now;
    let step = give(&mut world, id, "two", false, now);
    assert_eq!(authorization(step), "Bearer two");
    let (status, body) = refused(world.refuse(id, 401, &[], denied));
    assert_eq!(status, 502, "{body}");
    assert!(!body.to_string().contains("two"), "{body}");
}

/// Credentials of a role end before their time where somebody ends its sessions.
#[test]
fn ended_credentials_of_a_role_are_replaced_once() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "own/secret"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/caller"),
    ];
    let role = |name: &str| {
        format!(
            "<AssumeRoleResponse><Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken></Credentials></AssumeRoleResponse>"
        )
    };
    let ended = r#"{"message":"The security token included in the request is expired"}"#;
    for (model, kind) in [
        ("bedrock/amazon.nova-lite-v1:0", "ExpiredTokenException"),
        ("bedrock-anthropic/anthropic.claude-sonnet-4-5-20250929-v1:0", "ExpiredTokenException:http://internal"),
    ] {
        let mut world = World::of(Key::default(), r#"{"version":1,"health":{"enabled":false}}"#, &variables);
        let call = format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}}]}}"#);
        let give = |world: &mut World, id: CallId, name: &str| {
            let (body, sent) = (role(name), world.now);
            world.resume(id, Input::Token(Ok(Exchanged { status: 200, body: body.as_bytes(), sent, is_copy: false })))
        };
        let (id, step) = world.chat(&call);
        wanted(step);
        let step = give(&mut world, id, "ASIA1");
        assert!(authorization(step).contains("ASIA1/"), "{model}");
        world.now = UnixMillis(world.now.0 + 600_000);
        let (id, step) = world.chat(&call);
        assert!(authorization(step).contains("ASIA1/"), "{model}");
        wanted(world.refuse(id, 403, &[("x-amzn-errortype", kind)], ended));
        let step = give(&mut world, id, "ASIA2");
        assert!(authorization(step).contains("ASIA2/"), "{model}");
        let (status, body) = refused(world.refuse(id, 403, &[("x-amzn-errortype", kind)], ended));
        assert_eq!(
            (status, &body["error"]["code"]),
            (502, &"upstream_credentials_exhausted".into()),
            "{model}: {body}"
        );
    }
}

/// Profiles are named like models or by an ARN, colons, slash and all. Either is one segment of the path, and the call is
/// signed for the region that it goes to.
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, `modelId`.
#[test]
fn an_inference_profile_is_one_segment_of_a_signed_path() {
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "own/secret"), ("AWS_REGION", "eu-central-1")];
    let arn = "arn%3Aaws%3Abedrock%3Aeu-central-1%3A012345678901%3A";
    for (model, segment) in [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0".to_owned()),
        (
            "arn:aws:bedrock:eu-central-1:012345678901:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            format!("{arn}inference-profile%2Feu.anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
        ),
        (
            "arn:aws:bedrock:eu-central-1:012345678901:application-inference-profile/a1b2c3",
            format!("{arn}application-inference-profile%2Fa1b2c3"),
        ),
    ] {
        for (provider, plain, streamed) in
            [("bedrock", "converse", "converse-stream"), ("bedrock-anthropic", "invoke", "invoke-with-response-stream")]
        {
            for (stream, method) in [(false, plain), (true, streamed)] {
                let mut world = World::of(Key::default(), r#"{"version":1}"#, &variables);
                let call = format!(
                    r#"{{"model":"{provider}/{model}","stream":{stream},"max_tokens":9,"messages":[{{"role":"user","content":"Hi"}}]}}"#
                );
                let (_, step) = world.chat(&call);
                let outbound = sent(step);
                let expected = format!("https://bedrock-runtime.eu-central-1.amazonaws.com/model/{segment}/{method}");
                assert_eq!(outbound.url, expected);
                let signed = header_of(&outbound, "authorization").expect("signed").to_owned();
                assert!(signed.contains("/eu-central-1/bedrock/aws4_request"), "{signed}");
            }
        }
    }
}

#[test]
fn a_key_that_is_set_goes_before_and_a_callers_own_too() {
    let variables =
        [("VERTEX_SERVICE_ACCOUNT", ACCOUNT), ("VERTEX_LOCATION", "global"), ("VERTEX_API_KEY", "ya29.set")];
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &variables);
    let (_, step) = world.chat(CALL);
    assert_eq!(authorization(step), "Bearer ya29.set");
    let key = Key { allow_provider_key: true, ..Key::default() };
    let mut world = World::of(key, r#"{"version":1}"#, &variables[..2]);
    let (_, step) = world.send("/v1/chat/completions", CALL, &[("x-latchkey-provider-key", "mine")]);
    assert_eq!(authorization(step), "Bearer mine");
}

#[test]
fn a_credential_that_cannot_be_read_is_named() {
    let variables = [("VERTEX_SERVICE_ACCOUNT", "{}"), ("VERTEX_LOCATION", "global"), ("VERTEX_PROJECT", "shop")];
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &variables);
    let (status, body) = refused(world.chat(CALL).1);
    assert_eq!(status, 404);
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.ends_with("VERTEX_SERVICE_ACCOUNT is not the JSON of a service account's key."), "{message}");
}
