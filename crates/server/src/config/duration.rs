//! Lengths of time as people write them: `10m`, `90s`, `1h30m`, `30d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads one or more numbers, each with a unit of `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// Words that say what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is not a length of time such as `90s`, `10m`, `1h30m` or `30d`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fault());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let millis =
            UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| millis).ok_or_else(fault)?;
        let number: u64 = number.parse().map_err(|_| fault())?;
        total = number.checked_mul(*millis).and_then(|part| total.checked_add(part)).ok_or_else(fault)?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        let cases = [
            ("500ms", 500),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("0s", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "m", "10 m", "-5s", "1.5h", "5x", "99999999999999999999d", "10m5"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
