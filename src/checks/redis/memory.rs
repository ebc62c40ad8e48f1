//! When the use of memory is judged, which depends on what becomes of keys when it is full.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::units::{Limits, Ratio};

/// When the use of memory is judged.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum MemoryLimits {
    /// By the default limits, where nothing is evicted.
    #[default]
    UnlessEvicting,
    /// By these limits, whatever the policy.
    Always(Limits<Ratio>),
    /// Never.
    Off,
}

impl MemoryLimits {
    /// The limits that hold under an eviction policy.
    pub(super) fn under(self, policy: Option<&str>) -> Option<Limits<Ratio>> {
        match self {
            Self::UnlessEvicting => {
                (policy == Some("noeviction")).then(|| Limits::new(Ratio(0.8), Ratio(0.95)))
            }
            Self::Always(limits) => Some(limits),
            Self::Off => None,
        }
    }
}

impl<'de> Deserialize<'de> for MemoryLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|limits| limits.map_or(Self::Off, Self::Always))
    }
}

impl JsonSchema for MemoryLimits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<Limits<Ratio>>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<Limits<Ratio>>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}
