//! Keeps secrets out of what an upstream's error says.

/// The longest message that is passed on, in bytes: some upstreams quote the whole request.
const LONGEST: usize = 2000;

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// How credentials and account ids of the vendors begin.
const PREFIXES: &[&str] = &[
    "sk-",
    "pk-",
    "rk-",
    "lk-",
    "gsk_",
    "xai-",
    "hf_",
    "r8_",
    "csk-",
    "nvapi-",
    "pplx-",
    "tgp_",
    "fw_",
    "ghp_",
    "gho_",
    "github_pat_",
    "AIza",
    "AKIA",
    "ASIA",
    "ya29.",
    "eyJ",
    "org-",
    "proj_",
];

/// `message` without anything that looks like a credential or an account id, and cut at 2,000 bytes.
///
/// Redacted is what begins like a known credential, what follows `Bearer`, what a vendor has starred out in part, and
/// any run of 32 letters and digits that has both. Model names have dots, dashes and slashes, and survive.
///
/// ```
/// use latchkey::wire::error::redact;
/// assert_eq!(redact("Incorrect API key: sk-proj-4f9aZ81kQ0."), "Incorrect API key: [redacted].");
/// assert_eq!(redact("no model claude-sonnet-4-5-20250929"), "no model claude-sonnet-4-5-20250929");
/// ```
#[must_use]
pub fn redact(message: &str) -> String {
    let mut safe = String::with_capacity(message.len().min(LONGEST));
    let mut after_bearer = false;
    let mut rest = message;
    while !rest.is_empty() && safe.len() < LONGEST {
        let word_end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let token = word.trim_end_matches(['.', '-']);
        if !token.is_empty() && (after_bearer || is_secret(token)) {
            safe.push_str(REDACTED);
            safe.push_str(word.get(token.len()..).unwrap_or_default());
        } else {
            safe.push_str(word);
        }
        if !word.is_empty() {
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        let gap_end = after.find(is_word).unwrap_or(after.len());
        let (gap, next) = after.split_at(gap_end);
        safe.extend(gap.chars().filter(|c| !c.is_control() || *c == '\n'));
        rest = next;
    }
    truncate(&mut safe);
    safe
}

fn truncate(text: &mut String) {
    if text.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*')
}

fn is_secret(token: &str) -> bool {
    let known = PREFIXES.iter().any(|prefix| token.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 6));
    known || token.contains("**") || token.split(['-', '.']).any(is_long_mixture)
}

fn is_long_mixture(run: &str) -> bool {
    run.len() >= 32
        && run.bytes().any(|byte| byte.is_ascii_digit())
        && run.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_go_and_words_stay() {
        let cases = [
            ("Authorization: Bearer abc123, please", "Authorization: Bearer [redacted], please"),
            ("provided: sk-inval**************-key. You", "provided: [redacted]. You"),
            ("in organization org-AbCdEf123456 on tokens", "in organization [redacted] on tokens"),
            ("key=AIzaSyA1234567890&alt=sse", "key=[redacted]&alt=sse"),
            ("id 5bfd0123456789abcdef0123456789abcdef", "id [redacted]"),
            (
                "accounts/fireworks/models/llama-v3p1-405b-instruct",
                "accounts/fireworks/models/llama-v3p1-405b-instruct",
            ),
            ("task sk-learn is short", "task sk-learn is short"),
            ("a\u{7}b\nc", "ab\nc"),
        ];
        for (message, safe) in cases {
            assert_eq!(redact(message), safe);
        }
    }

    proptest! {
        #[test]
        fn no_key_survives_and_nothing_grows(before in ".{0,40}[^a-zA-Z0-9_.*-]", key in "sk-[a-zA-Z0-9]{20,40}", after in "( .{0,40})?") {
            let safe = redact(&format!("{before}{key}{after}"));
            prop_assert!(!safe.contains(&key));
        }

        #[test]
        fn long_messages_are_cut(message in ".{1500,4000}") {
            prop_assert!(redact(&message).len() <= LONGEST + "…".len() + REDACTED.len());
        }
    }
}
