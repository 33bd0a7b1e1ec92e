use std::net::IpAddr;

/// A range of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads a range in CIDR notation, or one address.
    ///
    /// An IPv4 range written as IPv6 (`::ffff:203.0.113.0/120`) is the IPv4 range.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with its place.
    ///
    /// ```
    /// use latchkey::keys::Network;
    /// let office = Network::parse("203.0.113.0/24").expect("a range");
    /// assert!(office.contains("203.0.113.7".parse().expect("an address")));
    /// assert!(Network::parse("203.0.113.7/24").is_err(), "this is an address within a range");
    /// ```
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr =
            address.parse().map_err(|_| "must be an address or a range such as 203.0.113.0/24".to_owned())?;
        let widest = width(written);
        let prefix = match prefix {
            None => widest,
            // No sign, and no zero in front: what looks odd is a slip.
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or(format!("has more than {widest} bits"))?,
            Some(_) => return Err("must end in a number of bits, as in 203.0.113.0/24".to_owned()),
        };
        let address = written.to_canonical();
        let mapped = widest - width(address);
        let network = match prefix.checked_sub(mapped) {
            Some(prefix) => Network { address, prefix },
            None => Network { address: written, prefix },
        };
        match network.first() {
            first if first == network.address => Ok(network),
            first => Err(format!("is an address within a range; the range is {first}/{}", network.prefix)),
        }
    }

    /// What an address has in common with its neighbours: the first 24 bits of an IPv4 address, 48 of an IPv6 one.
    ///
    /// ```
    /// use latchkey::keys::Network;
    /// assert_eq!(Network::around("203.0.113.7".parse().expect("an address")).to_string(), "203.0.113.0/24");
    /// assert_eq!(Network::around("2001:db8:1:2::3".parse().expect("an address")).to_string(), "2001:db8:1::/48");
    /// ```
    #[must_use]
    pub fn around(address: IpAddr) -> Network {
        let address = address.to_canonical();
        let whole = Network { address, prefix: if address.is_ipv4() { 24 } else { 48 } };
        Network { address: whole.first(), ..whole }
    }

    /// Whether `address` is within; an IPv4 address written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.start_of(address) == self.start_of(self.address)
    }

    /// The bits that all addresses of the range begin with.
    fn start_of(&self, address: IpAddr) -> u128 {
        bits(address).checked_shr(u32::from(width(address) - self.prefix)).unwrap_or(0)
    }

    fn first(&self) -> IpAddr {
        let kept = self.start_of(self.address).checked_shl(u32::from(width(self.address) - self.prefix)).unwrap_or(0);
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Network::parse(network).expect(network).contains(address.parse().expect(address))
    }

    #[test]
    fn ranges_end_where_they_end() {
        for (network, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::ffff:203.0.113.0/120", "203.0.113.9", "203.0.114.0"),
            ("203.0.113.0/24", "::ffff:203.0.113.9", "::ffff:203.0.114.0"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.7"),
        ] {
            assert!(holds(network, inside), "{inside} is in {network}");
            assert!(!holds(network, outside), "{outside} is not in {network}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "example.com", "10.0.0.0/8/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        let told = Network::parse("10.1.2.3/8").expect_err("not the first of its range");
        assert!(told.ends_with("the range is 10.0.0.0/8"), "{told}");
    }

    proptest! {
        #[test]
        fn a_range_is_what_its_mask_says(start: u32, prefix in 0u8..=32, address: u32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let network = Network::parse(&format!("{}/{prefix}", Ipv4Addr::from(start & mask))).expect("a range");
            prop_assert_eq!(network.contains(IpAddr::V4(address.into())), address & mask == start & mask);
        }

        #[test]
        fn a_range_is_what_its_mask_says_in_the_new_protocol(start: u128, prefix in 0u8..=128, address: u128) {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            let (first, address) = (Ipv6Addr::from(start & mask), Ipv6Addr::from(address));
            prop_assume!(first.to_ipv4_mapped().is_none() && address.to_ipv4_mapped().is_none());
            let network = Network::parse(&format!("{first}/{prefix}")).expect("a range");
            prop_assert_eq!(network.contains(IpAddr::V6(address)), u128::from(address) & mask == start & mask);
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9a-f:./]{0,24}") {
            let _ = Network::parse(&text);
        }
    }
}
