#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| latchkey_fuzz::patches::chat(body));
