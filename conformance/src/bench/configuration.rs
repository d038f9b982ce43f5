//! Whose turn it is with configurations.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use super::Bench;
use crate::verdict::Checked;

/// A case's turn; it lasts until the case is over.
pub(super) enum ConfigurationTurn {
    /// Others may have configurations too.
    Shared(#[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>),
    /// No other case has one.
    Alone(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
}

impl Bench {
    /// Waits until this case may have configurations.
    ///
    /// # Errors
    /// When that takes too long.
    pub(crate) async fn configure(&mut self) -> Checked {
        if self.configuration_turn.is_none() {
            let turn = Arc::clone(&self.target.configuration_turns).read_owned();
            let turn = self.turn("have configurations", turn).await?;
            self.configuration_turn = Some(ConfigurationTurn::Shared(turn));
        }
        Ok(())
    }

    /// Waits until no other case has configurations, and keeps them all from it until this case is
    /// over: many a hub looks at all twins whenever a configuration changes, and what it does on
    /// other occasions cannot be seen meanwhile.
    ///
    /// Not against a hub without a control interface: such a one is taken for the service, which looks
    /// at all twins every five minutes, and for hours nothing else could be tried.
    ///
    /// # Errors
    /// When it takes too long until the others are over.
    pub(crate) async fn configure_alone(&mut self) -> Checked {
        if self.target.control.is_some() {
            let turn = Arc::clone(&self.target.configuration_turns).write_owned();
            let turn = self.turn("have configurations alone", turn).await?;
            self.configuration_turn = Some(ConfigurationTurn::Alone(turn));
        }
        Ok(())
    }
}
