//! What every stream decoder must hold, whatever the upstream sends.

use latchkey::provider::Quirks;
use latchkey::units::UnixMillis;
use latchkey::wire::carried::Carrier;
use latchkey::wire::drive::{Caps, Pipe};
use latchkey::wire::{Closing, Format, Layout, Naming, Surface};

/// The output that a byte of input may cause: a chunk repeats the answer's id and model, which are bounded.
const MOST_GROWTH: usize = 4096;
const CAPS: Caps = Caps { event: 1 << 20, answer: 32 << 20 };

/// Runs a stream of `format` through every lane that it can take, cut in different places.
///
/// # Panics
/// Where the output depends on the cuts, grows out of proportion, or ends in `[DONE]` after a failure.
pub fn check(format: Format, input: &[u8]) {
    // The first byte says where to cut.
    let Some((cut, body)) = input.split_first() else { return };
    for surface in Surface::ALL {
        let own = surface.format() == format;
        let relayed = own && surface == Surface::OpenAiChat;
        hold(body, *cut, || translated(format, surface));
        if own {
            // Two kinds of vendors: one as the format's maker says, and one whose thoughts have to be wrapped.
            hold(body, *cut, || patched(surface, &Quirks::NONE));
            hold(body, *cut, || patched(surface, &Quirks { signed: "xai-responses-v1", ..Quirks::NONE }));
        }
        if relayed {
            hold(body, *cut, || Pipe::relayed(format, &Quirks::NONE, CAPS));
        }
    }
}

/// What must hold of one way that a stream takes.
fn hold(body: &[u8], cut: u8, lane: impl Fn() -> Pipe) {
    let whole = run(lane(), body, usize::MAX);
    assert_eq!(run(lane(), body, usize::from(cut) + 1), whole, "the chunks must not matter");
    assert!(whole.len() <= (body.len() + 16) * MOST_GROWTH, "{} bytes out of {}", whole.len(), body.len());
}

fn run(mut pipe: Pipe, body: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(most.min(body.len().max(1))) {
        pipe.feed(chunk, &mut out);
        if pipe.fault().is_some() || pipe.ended() {
            break;
        }
    }
    match pipe.finish(&mut out) {
        Ok(()) => pipe.close(&Closing::default(), &mut out),
        Err(failure) => {
            pipe.fail(&failure, &Closing::default(), &mut out);
            assert!(!out.ends_with(b"data: [DONE]\n\n"), "a failure must not look finished");
        }
    }
    out
}

fn translated(format: Format, surface: Surface) -> Pipe {
    Pipe::translated(format, &Quirks::NONE, surface.writer(naming(), Layout::Events), CAPS)
}

/// To a caller who speaks the same protocol.
fn patched(surface: Surface, quirks: &Quirks) -> Pipe {
    Pipe::patched(surface.patcher(naming(), quirks, Layout::Events), CAPS)
}

fn naming() -> Naming {
    Naming {
        fallback_id: "chatcmpl-1".to_owned(),
        model: "model".to_owned(),
        now: UnixMillis(0),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: None,
        carrier: Carrier::default(),
    }
}
