#![no_main]

use latchkey::wire::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| latchkey_fuzz::streams::check(Format::Ollama, input));
