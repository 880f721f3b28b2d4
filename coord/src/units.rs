//! Durations and sizes as people write them: `7d`, `256MiB`, or a plain number of milliseconds or bytes.

use thiserror::Error;

/// What may stand behind the number of a duration.
pub const DURATION_UNITS: &str = "ms, s, m, h, d";

/// What may stand behind the number of a size.
pub const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB";

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// It does not begin with digits.
    #[error("{text:?} is not a whole number with or without a unit (units: {units})")]
    NotANumber {
        /// The text.
        text: String,
        /// The units that are understood.
        units: &'static str,
    },
    /// What stands behind the number is no unit.
    #[error("{unit:?} in {text:?} is not a unit, use one of {units}")]
    UnknownUnit {
        /// The text.
        text: String,
        /// What stands behind the number.
        unit: String,
        /// The units that are understood.
        units: &'static str,
    },
    /// More than 64 bits.
    #[error("{text:?} is too large")]
    TooLarge {
        /// The text.
        text: String,
    },
}

/// Reads a duration; without a unit the number is in milliseconds.
///
/// # Errors
/// [`UnitError`] with the text and the units understood.
pub fn parse_duration_ms(text: &str) -> Result<u64, UnitError> {
    parse(text, DURATION_UNITS, |unit| match unit {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    })
}

/// Reads a size; without a unit the number is in bytes.
///
/// # Errors
/// [`UnitError`] with the text and the units understood.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    parse(text, SIZE_UNITS, |unit| match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    })
}

fn parse(
    text: &str,
    units: &'static str,
    scale: impl Fn(&str) -> Option<u64>,
) -> Result<u64, UnitError> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitError::NotANumber {
            text: text.to_owned(),
            units,
        });
    }
    let scale = scale(unit.trim_start()).ok_or_else(|| UnitError::UnknownUnit {
        text: text.to_owned(),
        unit: unit.trim_start().to_owned(),
        units,
    })?;
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(scale))
        .ok_or_else(|| UnitError::TooLarge {
            text: text.to_owned(),
        })
}

#[cfg(test)]
mod tests;
