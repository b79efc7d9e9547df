//! A hook that does nothing.

use async_trait::async_trait;
use optilock::{
    inventory::{Accepted, BoxError, OnAccepted},
    sqlx::PgConnection,
};

/// Accepts every checkout without a write.
#[derive(Debug)]
pub struct IdleHook;

#[async_trait]
impl OnAccepted for IdleHook {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}
