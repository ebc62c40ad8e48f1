//! The closed sets of words for how a run ended.

use std::fmt;

/// The result of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// As it should be.
    Healthy,
    /// Works, but something is off.
    Degraded,
    /// A verdict was reached and it is bad.
    Unhealthy,
    /// No verdict could be had.
    Error,
}

impl Status {
    /// Every status, best first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Error];

    /// The word used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Error => "error",
        }
    }

    /// Healthy or degraded: the target does its work.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

/// Declares a closed set of words with their text.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in metrics and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Why a run was not healthy. The set is closed, so that a reason is safe as a label.
    Reason {
        /// The deadline passed.
        Timeout = "timeout",
        /// The name of the target could not be resolved.
        Dns = "dns",
        /// No connection came about, or it broke.
        Connect = "connect",
        /// The handshake or the certificate failed.
        Tls = "tls",
        /// The target refused our credentials or our rights do not suffice.
        Auth = "auth",
        /// The target did not speak its protocol.
        Protocol = "protocol",
        /// The HTTP status was not one of those expected.
        Status = "status",
        /// What the target answered is not what was expected.
        Assertion = "assertion",
        /// A value passed its limit.
        Threshold = "threshold",
        /// The target itself raised an alarm.
        Alarm = "alarm",
        /// No connection was to be had: a pool or the server's connection limit is exhausted.
        Pool = "pool",
        /// The answer was larger than allowed.
        BodyLimit = "body_limit",
        /// The check panicked.
        Panic = "panic",
        /// The run neither ended nor yielded after its deadline.
        Hung = "hung",
        /// The check cannot work as it is configured.
        Config = "config",
        /// We ended the run before it was done.
        Cancelled = "cancelled",
        /// Something failed on our side.
        Internal = "internal",
    }
}

words! {
    /// A step of a run whose time is measured on its own.
    Phase {
        /// Resolving the target's name.
        Resolve = "resolve",
        /// Opening the connection.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From the request to the first byte of the answer.
        Processing = "processing",
        /// Reading the answer.
        Transfer = "transfer",
        /// Waiting for a connection of the pool.
        PoolWait = "pool_wait",
        /// Logging in.
        Auth = "auth",
        /// Asking the target.
        Query = "query",
        /// Writing something and reading it back.
        RoundTrip = "round_trip",
    }
}
