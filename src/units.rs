//! Quantities as people write them in a configuration: `1h30m`, `80%`, `1MiB`, thresholds.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A length of time in the style of Prometheus: `1h30m`, `15s`, `800ms`.
///
/// The units `y w d h m s ms` each appear at most once and in this order; a year is 365 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

const PERIOD_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a duration such as 15s, 1m30s or 800ms, found `{text}`");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut milliseconds: u64 = 0;
        let mut units = PERIOD_UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, factor) =
                units.find(|(unit, _)| *unit == &rest[..unit_end]).ok_or_else(wrong)?;
            milliseconds = count
                .checked_mul(*factor)
                .and_then(|part| milliseconds.checked_add(part))
                .ok_or_else(wrong)?;
            rest = &rest[unit_end..];
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in &PERIOD_UNITS[2..] {
            if rest >= *factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

/// A share between 0 and 1, written `0.8` or `80%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: Result<f64, _> = match text.strip_suffix('%') {
            // Dividing by 100 would make 99.9% a little more than 0.999.
            Some(percent) => format!("{}e-2", percent.trim_end()).parse(),
            None => text.parse(),
        };
        match parsed {
            Ok(value) if (0.0..=1.0).contains(&value) => Ok(Self(value)),
            _ => Err(format!("expected a share from 0 to 1 or 0% to 100%, found `{text}`")),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", (self.0 * 1_000.0).round() / 10.0)
    }
}

/// A number of bytes, written `1048576`, `512KiB`, `1MiB`, `10GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, factor) = BYTE_UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
            .unwrap_or((text, 1));
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| {
                format!("expected a size such as 1048576, 512KiB or 1GiB, found `{text}`")
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS[..4]
            .iter()
            .rev()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match unit {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl ByteSize {
    /// The size for people, with at most one decimal: `1.5GiB`.
    pub fn rounded(self) -> String {
        let unit = BYTE_UNITS[..4].iter().rev().find(|(_, factor)| self.0 >= *factor);
        match unit {
            // Tenths are cut rather than rounded, so that 1,023.99 MiB never reads 1024MiB.
            Some((unit, factor)) => match u128::from(self.0) * 10 / u128::from(*factor) {
                tenths if tenths < 1_000 && tenths % 10 != 0 => {
                    format!("{}.{}{unit}", tenths / 10, tenths % 10)
                }
                tenths => format!("{}{unit}", tenths / 10),
            },
            None => format!("{}B", self.0),
        }
    }
}

/// Deserializes a quantity from any scalar through its [`FromStr`].
macro_rules! quantity {
    ($type:ty, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

quantity!(Period, {
    "type": ["string", "integer"],
    "pattern": "^0$|^(\\d+y)?(\\d+w)?(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$",
    "description": "A duration such as 15s, 1m30s or 800ms"
});
quantity!(Ratio, {
    "type": ["number", "string"],
    "minimum": 0, "maximum": 1, "pattern": "^\\d+(\\.\\d+)?\\s*%?$",
    "description": "A share from 0 to 1, or 0% to 100%"
});
quantity!(ByteSize, {
    "type": ["integer", "string"],
    "minimum": 0, "pattern": "^\\d+\\s*([KMGT]iB|[kKMGT]?B)?$",
    "description": "A number of bytes such as 1048576, 512KiB or 1GiB"
});

/// How bad it is that a value passed a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Makes a check degraded.
    Warning,
    /// Makes a check unhealthy.
    Critical,
}

impl Level {
    /// The value of the label `level`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A pair of limits; a limit that is not set is never passed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits<T> {
    /// From this value on the check is degraded; null = off.
    pub warning: Option<T>,
    /// From this value on the check is unhealthy; null = off.
    pub critical: Option<T>,
}

impl<T> Default for Limits<T> {
    fn default() -> Self {
        Self { warning: None, critical: None }
    }
}

impl<T: Copy + PartialOrd> Limits<T> {
    /// Both limits set.
    pub const fn new(warning: T, critical: T) -> Self {
        Self { warning: Some(warning), critical: Some(critical) }
    }

    /// The worst upper limit that `value` is at or above, with that limit.
    pub fn reached(&self, value: T) -> Option<(Level, T)> {
        self.worst(|limit| value >= limit)
    }

    /// The worst lower limit that `value` is below, with that limit.
    pub fn undercut(&self, value: T) -> Option<(Level, T)> {
        self.worst(|limit| value < limit)
    }

    fn worst(&self, passed: impl Fn(T) -> bool) -> Option<(Level, T)> {
        self.levels().filter(|(_, limit)| passed(*limit)).last()
    }

    /// The limits that are set, the warning first.
    pub fn levels(&self) -> impl Iterator<Item = (Level, T)> {
        let warning = self.warning.map(|limit| (Level::Warning, limit));
        warning.into_iter().chain(self.critical.map(|limit| (Level::Critical, limit)))
    }

    /// Whether the warning of a pair of upper limits comes no later than the critical one.
    pub fn rise(&self) -> bool {
        !matches!((self.warning, self.critical), (Some(warning), Some(critical)) if warning > critical)
    }

    /// Whether the warning of a pair of lower limits comes no later than the critical one.
    pub fn fall(&self) -> bool {
        !matches!((self.warning, self.critical), (Some(warning), Some(critical)) if warning < critical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn milliseconds(text: &str) -> Option<u128> {
        text.parse::<Period>().ok().map(|period| period.0.as_millis())
    }

    #[test]
    fn durations_are_written_as_in_prometheus() {
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("800ms"), Some(800));
        assert_eq!(milliseconds("1s500ms"), Some(1_500));
        assert_eq!(milliseconds("0"), Some(0));
        for text in ["", "5", "5x", "1m1h", "1s 2ms", "-1s", "1.5s", "99999999999999y"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_parses_back(milliseconds in 0_u64..10_000_000_000) {
            let period = Period(Duration::from_millis(milliseconds));
            prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }
    }

    #[test]
    fn shares_and_sizes_accept_their_usual_spellings() {
        assert_eq!("80%".parse::<Ratio>(), Ok(Ratio(0.8)));
        assert_eq!("99.9 %".parse::<Ratio>(), Ok(Ratio(0.999)));
        assert_eq!("0.8".parse::<Ratio>(), Ok(Ratio(0.8)));
        assert!("80".parse::<Ratio>().is_err());
        assert!("NaN".parse::<Ratio>().is_err());
        assert_eq!("1MiB".parse::<ByteSize>(), Ok(ByteSize(1_048_576)));
        assert_eq!("10 kB".parse::<ByteSize>(), Ok(ByteSize(10_000)));
        assert_eq!(ByteSize(1_048_576).to_string(), "1MiB");
        assert!("1XB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn sizes_for_people_have_at_most_one_decimal() {
        let shown = |bytes| ByteSize(bytes).rounded();
        assert_eq!(shown(1_023), "1023B");
        assert_eq!(shown(1_610_612_736), "1.5GiB");
        assert_eq!(shown(2 << 30), "2GiB");
        assert_eq!(shown((1 << 30) - 1), "1023MiB");
        assert_eq!(shown(u64::MAX), "16777215TiB");
    }

    #[test]
    fn the_worst_limit_that_is_passed_counts() {
        let upper = Limits::new(0.8, 0.9);
        assert_eq!(upper.reached(0.7), None);
        assert_eq!(upper.reached(0.8), Some((Level::Warning, 0.8)));
        assert_eq!(upper.reached(0.95), Some((Level::Critical, 0.9)));
        let lower = Limits::new(0.15, 0.05);
        assert_eq!(lower.undercut(0.15), None);
        assert_eq!(lower.undercut(0.04), Some((Level::Critical, 0.05)));
    }
}
