//! Moments as Vertex writes them.

/// Seconds since the epoch of an RFC 3339 moment in UTC such as `2026-05-27T16:53:45.443719Z`.
pub(super) fn seconds(moment: &str) -> Option<i64> {
    let (date, time) = moment.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = three(date, '-')?;
    let (hour, minute, second) = three(time.split_once('.').map_or(time, |(whole, _)| whole), ':')?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March here, so that a leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn three(text: &str, separator: char) -> Option<(i64, i64, i64)> {
    let mut numbers = text.splitn(3, separator).map(|part| part.parse::<u16>().map(i64::from));
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(seconds("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(seconds("2026-05-27T16:53:45.443719Z"), Some(1_779_900_825));
        assert_eq!(seconds("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        for nonsense in ["", "Z", "T", "2026-13-01T00:00:00Z", "2026-01-01", "a-b-cTd:e:fZ", "0000-00-00T00:00:00Z"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
