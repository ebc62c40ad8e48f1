//! One run of a `redis` check.

use async_trait::async_trait;
use deadpool::managed::BuildError;

use super::{
    examine::Writes,
    params::RedisParams,
    pool::{Pool, pool_of_one, take},
    readings::record_client_limits,
    round_trip::round_trip,
    server::Server,
};
use crate::{
    check::{Check, ProbeContext, Target},
    outcome::{Failure, Phase, Verdict},
};

/// A `redis` check.
pub(super) struct Redis {
    params: RedisParams,
    pool: Pool,
}

impl Redis {
    pub(super) fn new(params: RedisParams, server: Server) -> Result<Self, BuildError> {
        Ok(Self { params, pool: pool_of_one(server)? })
    }
}

#[async_trait]
impl Check for Redis {
    fn target(&self) -> Option<&Target> {
        Some(&self.pool.manager().server.target)
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        if let Some(limits) = &self.params.clients_ratio {
            record_client_limits(limits, context);
        }
        let mut connection = take(&self.pool, context).await?;
        context.phase(Phase::Query);
        let (verdict, writes) = self.params.examine(&mut connection, context).await?;
        if !self.params.round_trip || matches!(verdict, Verdict::Unhealthy(_)) {
            return Ok(verdict);
        }
        if writes == Writes::Refused {
            context.detail("round_trip", "left out: a replica takes no writes");
            return Ok(verdict);
        }
        context.phase(Phase::RoundTrip);
        let prefix = &self.params.key_prefix;
        Ok(verdict.and(round_trip(prefix, &mut connection, context).await?))
    }
}
