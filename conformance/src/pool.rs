//! Devices made beforehand, for hubs without an identity registry: each is lent to one case at a
//! time.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use twinspec_harness::connection_string::{ConnectionString, Holder};
use twinspec_model::identity::Identity;

use crate::bench::Registered;

/// The devices of a profile.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Vec<Registered>>,
    /// One for each free device, given in the order in which it was asked for them.
    places: Arc<Semaphore>,
    size: usize,
    example: Option<Identity>,
}

impl Default for Pool {
    /// A pool without devices.
    fn default() -> Self {
        Self { free: Mutex::default(), places: Arc::new(Semaphore::new(0)), size: 0, example: None }
    }
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
        Ok(Self { places: Arc::new(Semaphore::new(size)), free: Mutex::new(free), size, example })
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

    /// Lends a device as soon as one is free.
    ///
    /// Who has one already must not wait for another: two who did would wait for each other.
    pub async fn take(self: &Arc<Self>) -> Option<Lent> {
        self.lend(Arc::clone(&self.places).acquire_owned().await.ok()?)
    }

    /// Lends a device if one is free.
    #[must_use]
    pub fn take_now(self: &Arc<Self>) -> Option<Lent> {
        self.lend(Arc::clone(&self.places).try_acquire_owned().ok()?)
    }

    /// Lends all devices as soon as nobody has any.
    pub async fn take_all(self: &Arc<Self>) -> Vec<Lent> {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        let Ok(mut places) = Arc::clone(&self.places).acquire_many_owned(all).await else {
            return Vec::new();
        };
        let each = (0..self.size).filter_map(|_| places.split(1));
        each.filter_map(|place| self.lend(place)).collect()
    }

    fn lend(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Option<Lent> {
        let device = self.free().pop()?;
        Some(Lent { device, pool: Arc::clone(self), _place: place })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Registered>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device of a pool, which has it back when this is dropped.
#[derive(Debug)]
pub struct Lent {
    device: Registered,
    pool: Arc<Pool>,
    /// Given back after the device, so that whoever gets it finds one.
    _place: OwnedSemaphorePermit,
}

impl Deref for Lent {
    type Target = Registered;

    fn deref(&self) -> &Registered {
        &self.device
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.free().push(self.device.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const A_MOMENT: Duration = Duration::from_millis(10);

    fn pool(size: usize) -> Arc<Pool> {
        let device =
            |n| format!("HostName=h;DeviceId=d{n};SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==");
        Arc::new(Pool::new(&(0..size).map(device).collect::<Vec<_>>()).unwrap())
    }

    #[tokio::test]
    async fn a_device_is_lent_to_one_at_a_time() {
        let pool = pool(1);
        let device = pool.take().await.unwrap();
        assert!(timeout(A_MOMENT, pool.take()).await.is_err());
        assert!(pool.take_now().is_none());
        drop(device);
        assert_eq!(pool.take_now().unwrap().identity.device, "d0");
    }

    #[tokio::test]
    async fn everybody_who_waits_gets_a_device_that_is_given_back() {
        let pool = pool(2);
        let lent = pool.take_all().await;
        assert_eq!(lent.len(), 2);
        let waiting = [0; 2].map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.take().await.map(|lent| lent.identity.device.clone()) })
        });
        tokio::task::yield_now().await;
        drop(lent);
        for each in waiting {
            assert!(timeout(Duration::from_secs(10), each).await.unwrap().unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn all_devices_are_lent_when_nobody_has_any() {
        let pool = pool(2);
        let one = pool.take().await;
        assert!(timeout(A_MOMENT, pool.take_all()).await.is_err());
        drop(one);
        assert_eq!(pool.take_all().await.len(), 2);
    }

    #[test]
    fn a_policy_is_no_device() {
        let policy = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
        assert!(Pool::new(&[policy.to_owned()]).is_err());
    }
}
