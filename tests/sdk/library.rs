//! Asks a vendor's own client library what it thinks of our requests.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Gives `lines` to a script beside this file, which ends with status 75 where the library is not installed.
pub fn check(script: &str, lines: String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(script);
    let python = Command::new("python3").arg(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else {
        eprintln!("SKIPPED: there is no Python");
        return;
    };
    let mut input = python.stdin.take().expect("a pipe");
    // Without the library it stops reading at once; its status says so.
    let sender = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
    let output = python.wait_with_output().expect("it ends");
    sender.join().expect("it was sent");
    match output.status.code() {
        Some(75) => eprintln!("SKIPPED: the vendor's library for Python is not installed: {}", script.display()),
        Some(0) => eprintln!("checked by the library's types"),
        _ => panic!("{}", String::from_utf8_lossy(&output.stdout)),
    }
}
