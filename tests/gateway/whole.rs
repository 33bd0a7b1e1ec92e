//! Streams that were asked for and came in one piece, and answers that are none.

use latchkey::gateway::{Input, Step};
use latchkey::http::Response;

use crate::world::{World, events, header, json, sent};

const GPT: &str = r#"{"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
const CLAUDE: &str = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
const FLASH: &str = r#"{"model":"gemini/gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;

/// Text and finish reason of the stream that a whole answer became.
fn streamed(response: &Response) -> (String, String) {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    assert_eq!(header(response, "content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(std::str::from_utf8(&response.body).expect("text"));
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let (mut text, mut end) = (String::new(), String::new());
    for event in &events[..events.len() - 1] {
        let chunk = json(event.as_bytes());
        let Some(choice) = chunk["choices"].get(0) else { continue };
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        text.push_str(choice["text"].as_str().unwrap_or_default());
        end.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    }
    (text, end)
}

#[test]
fn an_answer_in_one_piece_is_streamed_to_who_asked_for_a_stream() {
    let cases = [
        (
            GPT,
            r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        ),
        (
            CLAUDE,
            r#"{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#,
        ),
        (
            FLASH,
            r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#,
        ),
        (
            FLASH,
            "[{\n \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hel\"}]}}]},\n{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"lo\"}]}, \"finishReason\": \"STOP\"}], \"usageMetadata\": {\"promptTokenCount\": 3, \"candidatesTokenCount\": 2, \"totalTokenCount\": 5}}]",
        ),
    ];
    for (asked, body) in cases {
        let mut world = World::default();
        let (id, step) = world.chat(asked);
        sent(step);
        let response = world.answer(id, 200, &[], body);
        assert_eq!(streamed(&response), ("Hello".to_owned(), "stop".to_owned()), "{body}");
        let record = world.only_record();
        assert_eq!((record.input_fresh, record.output_text, record.state), (3, 2, "settled_actual"), "{body}");
    }
}

#[test]
fn a_stream_that_is_only_labelled_as_json_is_one() {
    let mut world = World::default();
    let (id, step) = world.chat(GPT);
    sent(step);
    let body = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let response = world.answer(id, 200, &[], body);
    assert_eq!(streamed(&response), ("Hello".to_owned(), "stop".to_owned()));
}

/// A host that cannot stream leaves the writer of Messages to say which stop ended the answer, as it does itself.
#[test]
fn which_stop_ended_an_answer_is_told_in_its_stream() {
    let mut world = World::default();
    let asked = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"stop_sequences":["\"\u00e9"],"messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let (id, step) = world.post("/v1/messages", asked);
    sent(step);
    let end = r#""stop_reason":"stop_sequence","stop_sequence":"\"\u00e9""#;
    let body = format!(
        r#"{{"id":"m","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"Hello"}}],{end},"usage":{{"input_tokens":3,"output_tokens":2}}}}"#
    );
    let response = world.answer(id, 200, &[], &body);
    let text = String::from_utf8_lossy(&response.body);
    assert!(text.contains(&format!(r#""delta":{{{end}}}"#)), "{text}");
}

#[test]
fn a_legacy_completion_in_one_piece_is_its_own_chunk() {
    let mut world = World::default();
    let asked = r#"{"model":"openai/gpt-3.5-turbo-instruct","prompt":"Hi","stream":true}"#;
    let (id, step) = world.post("/v1/completions", asked);
    sent(step);
    let body = "{\n  \"id\": \"c\",\n  \"object\": \"text_completion\",\n  \"choices\": [{\"text\": \"Hello\", \"index\": 0, \"finish_reason\": \"stop\"}]\n}";
    let response = world.answer(id, 200, &[], body);
    assert_eq!(streamed(&response), ("Hello".to_owned(), "stop".to_owned()));
}

#[test]
fn an_error_in_one_piece_stays_an_error() {
    let mut world = World::default();
    let (id, step) = world.chat(GPT);
    sent(step);
    let response = world.answer(id, 200, &[], r#"{"error":{"message":"Overloaded","code":503}}"#);
    assert_eq!(response.status, 503);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(world.only_record().state, "released");
}

#[test]
fn what_is_no_answer_is_the_upstreams_fault() {
    const PAGE: &str = "<!DOCTYPE html><html><head><title>error code: 522</title></head><body>sk-proj-abcdefghijklmnop Connection timed out</body></html>";
    let plain = GPT.replace(",\"stream\":true", "");
    let claude = CLAUDE.replace("\"stream\":true,\"stream_options\":{\"include_usage\":true}", "\"n\":1");
    for asked in [GPT, CLAUDE, FLASH, &plain, &claude] {
        for (status, kind, body) in [
            (302, "text/html", "<html>Found</html>"),
            (307, "application/json", "{}"),
            (204, "", ""),
            (200, "application/json", ""),
            (200, "application/json", "{}"),
            (200, "application/json", "[]"),
            (200, "application/json", "null"),
            (522, "text/html; charset=UTF-8", PAGE),
        ] {
            let mut world = World::default();
            let (id, step) = world.chat(asked);
            sent(step);
            let headers = [("content-type", kind), ("location", "https://elsewhere.example/sk-proj-abcdefghijklmnop")];
            let step = world.resume(id, Input::Headers(status, &headers));
            assert!(matches!(step, Step::ReadBody(_)), "{status} {body}: {step:?}");
            let Step::Respond(response) = world.resume(id, Input::Body(body.as_bytes())) else {
                panic!("an answer");
            };
            let text = String::from_utf8(response.body).expect("text");
            assert_eq!(response.status, 502, "{asked} {status} {body}: {text}");
            assert!(text.len() < 300, "{status} {body}: {text}");
            assert!(!json(text.as_bytes())["error"]["message"].as_str().unwrap_or_default().is_empty(), "{text}");
            let record = format!("{:?}", world.rows());
            for told in [&text, &record] {
                assert!(!told.contains("sk-proj") && !told.contains('<'), "{told}");
            }
        }
    }
}
