//! Devices made beforehand, for hubs without an identity registry: each is lent to one case at a
//! time.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_model::identity::Identity;

use crate::bench::Registered;

/// The devices of a profile.
#[derive(Debug, Default)]
pub struct Pool {
    free: Mutex<Vec<Registered>>,
    returned: Notify,
    size: usize,
    example: Option<Identity>,
}

impl Pool {
    /// The pool of the devices in `strings`.
    ///
    /// # Errors
    /// Names the string that is not a device's.
    pub fn new(strings: &[String]) -> Result<Self, String> {
        let device = |text: &String| match text.parse::<ConnectionString>() {
            Ok(ConnectionString { holder: Holder::Identity(identity), key, .. }) => {
                Ok(Registered { identity, key })
            }
            Ok(_) => Err("a device of the pool has no DeviceId".to_owned()),
            Err(error) => Err(format!("a device of the pool: {error}")),
        };
        let free: Vec<Registered> = strings.iter().map(device).collect::<Result<_, _>>()?;
        let size = free.len();
        let example = free.first().map(|device| device.identity.clone());
        Ok(Self { free: Mutex::new(free), returned: Notify::new(), size, example })
    }

    /// One of the devices, lent or not.
    #[must_use]
    pub fn example(&self) -> Option<&Identity> {
        self.example.as_ref()
    }

    /// Whether there is no device: identities are registered instead.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// How many devices there are, lent or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Lends a device, as soon as one is free.
    pub async fn take(&self) -> Registered {
        loop {
            let returned = self.returned.notified();
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match free {
                Some(device) => return device,
                None => returned.await,
            }
        }
    }

    /// Takes a device back.
    pub fn give_back(&self, device: Registered) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(device);
        self.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";

    #[tokio::test]
    async fn a_device_is_lent_to_one_at_a_time() {
        let pool = Pool::new(&[DEVICE.to_owned()]).unwrap();
        let device = pool.take().await;
        let waits = tokio::time::timeout(std::time::Duration::from_millis(10), pool.take()).await;
        assert!(waits.is_err());
        pool.give_back(device);
        assert_eq!(pool.take().await.identity.device, "d");
    }

    #[test]
    fn a_policy_is_no_device() {
        let policy = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
        assert!(Pool::new(&[policy.to_owned()]).is_err());
    }
}
