//! Which links of a caller the gateway may follow.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Why a link must not be fetched; `None` where it may.
///
/// The Workers runtime has no access to a private network of its own, but an operator may have given the deployment
/// one (service bindings, tunnels), and a redirect can lead anywhere: so every hop is checked.
#[must_use]
pub fn link_fault(link: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(link) else { return Some("it is no URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("only http and https links are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it holds a user name or password");
    }
    match url.host() {
        None => Some("it has no host"),
        Some(Host::Ipv4(address)) if !is_public_v4(address) => Some("its address is not public"),
        Some(Host::Ipv6(address)) if !is_public_v6(address) => Some("its address is not public"),
        Some(Host::Domain(name)) if !is_public_name(name) => Some("its host name is not public"),
        Some(_) => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    // <https://www.iana.org/assignments/iana-ipv4-special-registry/>: some clouds tell secrets there.
    let assigned = (first, second, third) == (192, 0, 0);
    let shared = first == 100 && (64..128).contains(&second);
    let benchmark = first == 198 && (second == 18 || second == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || assigned
        || shared
        || benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // An address that embeds an IPv4 one (mapped, compatible, NAT64, 6to4) is as public as that one.
    let [first, second, third, .., high, low] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(mapped) = address.to_ipv4() {
        return is_public_v4(mapped) && !address.is_loopback() && !address.is_unspecified();
    }
    if first == 0x64 && second == 0xff9b {
        // What follows `64:ff9b:1` is for the translators of one network.
        return third == 0 && is_public_v4(embedded(high, low));
    }
    if first == 0x2002 {
        return is_public_v4(embedded(second, third));
    }
    let global_unicast = (0x2000..0x4000).contains(&first);
    let documentation = first == 0x2001 && second == 0x0db8;
    global_unicast && !documentation
}

/// Names that only mean something inside a network: without a dot, or under a suffix reserved for that.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let Some((_, suffix)) = name.rsplit_once('.') else { return false };
    let reserved =
        ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "test", "invalid", "svc"];
    !reserved.contains(&suffix) && !name.ends_with(".home.arpa") && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_links_pass() {
        for link in ["https://example.com/a.png", "http://8.8.8.8/x", "https://[2606:4700::1111]/x"] {
            assert_eq!(link_fault(link), None, "{link}");
        }
    }

    #[test]
    fn links_into_a_private_network_do_not() {
        for link in [
            "ftp://example.com/a",
            "https://user@example.com/a",
            "https://:password@example.com/a",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "no url",
            "http://localhost/a",
            "http://LOCALHOST./a",
            "http://printer/a",
            "http://db.internal/a",
            "http://router.home.arpa/a",
            "http://127.0.0.1/a",
            "http://2130706433/a",
            "http://0x7f.1/a",
            "http://0177.0.0.1/a",
            "http://10.1.2.3/a",
            "http://172.16.0.1/a",
            "http://192.168.1.1/a",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/a",
            "http://0.0.0.0/a",
            "http://[::1]/a",
            "http://[::]/a",
            "http://[::ffff:127.0.0.1]/a",
            "http://[64:ff9b::7f00:1]/a",
            "http://[64:ff9b:1:7f00::808:808]/a",
            "http://192.0.0.192/a",
            "http://api.default.svc/a",
            "http://127.0.0.1./a",
            "http://[2002:7f00:1::]/a",
            "http://[fe80::1]/a",
            "http://[fc00::1]/a",
            "http://user:pass@example.com/a",
        ] {
            assert!(link_fault(link).is_some(), "{link}");
        }
    }
}
