//! Rate limits in recorded answers.

use latchkey::units::UnixMillis;
use latchkey::wire::headroom;

use crate::corpus::corpus;

/// Whoever tells a limit and what is left of it is understood.
#[test]
fn limits_in_recorded_headers_are_read() {
    let now = UnixMillis(1_768_945_500_000);
    let mut told = 0;
    for recording in corpus().0 {
        let headers: Vec<(&str, &str)> =
            recording.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let has = |aspect: &str| {
            let tells = |name: &str| name.ends_with(aspect) || name.contains(&format!("{aspect}-"));
            headers.iter().any(|(name, _)| name.contains("ratelimit-") && tells(name))
        };
        let found = headroom(&headers, now);
        if has("-limit") && has("-remaining") {
            told += 1;
            let found = found.unwrap_or_else(|| panic!("{}: nothing read of {headers:?}", recording.id));
            assert!(found.left <= 1000, "{}", recording.id);
        } else {
            assert_eq!(found, None, "{}: {headers:?}", recording.id);
        }
    }
    assert!(told > 0, "no recording has such headers");
}
