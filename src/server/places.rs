//! Who may be connected: so many at once, so many of one address, and a few more that may only ask for
//! health, so that a full server still says that it lives.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client_address::counted_as;

/// Places for health at most; an eighth of the others where those are few.
const RESERVE: usize = 64;

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    per_address: Option<usize>,
    /// Of the reserve, so that one address cannot take it from the others.
    reserve_per_address: usize,
    taken: Mutex<HashMap<IpAddr, Taken>>,
}

/// What one address has.
#[derive(Debug, Default)]
struct Taken {
    places: usize,
    reserve: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    /// It may only ask for health.
    pub is_reserve: bool,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many in all, and of one address: never more than half of them.
    pub(super) fn new(all: usize, per_address: Option<NonZeroUsize>) -> Arc<Self> {
        let reserve = (all / 8).clamp(1, RESERVE);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            reserve: Arc::new(Semaphore::new(reserve)),
            per_address: per_address.map(|most| most.get().min(all / 2).max(1)),
            reserve_per_address: (reserve / 4).max(1),
            taken: Mutex::default(),
        })
    }

    /// A place for a connection; none where there is not even one for health. `is_trusted`: a proxy,
    /// which has many clients.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, is_trusted: bool) -> Option<Place> {
        let address = counted_as(address);
        let mut taken = self.taken();
        let own = taken.entry(address).or_default();
        let may = is_trusted || self.per_address.is_none_or(|most| own.places < most);
        let place = may.then(|| Arc::clone(&self.all).try_acquire_owned().ok()).flatten();
        let is_reserve = place.is_none();
        let permit = place.or_else(|| {
            let may = own.reserve < self.reserve_per_address;
            may.then(|| Arc::clone(&self.reserve).try_acquire_owned().ok()).flatten()
        });
        let Some(permit) = permit else {
            forget(&mut taken, address);
            return None;
        };
        if is_reserve {
            own.reserve += 1;
        } else {
            own.places += 1;
        }
        Some(Place { places: Arc::clone(self), address, is_reserve, _permit: permit })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.address) {
            if self.is_reserve {
                own.reserve -= 1;
            } else {
                own.places -= 1;
            }
        }
        forget(&mut taken, self.address);
    }
}

/// Whoever has nothing is not remembered.
fn forget(taken: &mut HashMap<IpAddr, Taken>, address: IpAddr) {
    if taken.get(&address).is_some_and(|own| own.places == 0 && own.reserve == 0) {
        taken.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    fn admit(places: &Arc<Places>, address: IpAddr, times: usize) -> (Vec<Place>, usize) {
        let admitted: Vec<_> = (0..times).map_while(|_| places.admit(address, false)).collect();
        let reserve = admitted.iter().filter(|place| place.is_reserve).count();
        (admitted, reserve)
    }

    #[test]
    fn one_address_has_its_share_and_a_little_for_health() {
        let places = Places::new(80, NonZeroUsize::new(10));
        let (first, reserve) = admit(&places, v4(1), 100);
        assert_eq!((first.len(), reserve), (12, 2));
        let (second, reserve) = admit(&places, v4(2), 100);
        assert_eq!((second.len(), reserve), (12, 2));
        drop(first);
        let (again, _) = admit(&places, v4(1), 100);
        assert_eq!(again.len(), 12);
        drop((second, again));
        assert!(places.taken().is_empty());
    }

    #[test]
    fn a_full_server_has_places_for_health_and_then_none() {
        let places = Places::new(80, None);
        let (all, reserve) = admit(&places, v4(1), 100);
        assert_eq!((all.len(), reserve), (82, 2));
        let others: Vec<_> = (2..10).filter_map(|last| places.admit(v4(last), false)).collect();
        assert!(others.iter().all(|place| place.is_reserve));
        assert_eq!(others.len(), 8);
        assert!(places.admit(v4(20), false).is_none());
        assert!(!places.taken().contains_key(&v4(20)));
    }

    #[test]
    fn no_address_has_more_than_half_but_a_trusted_proxy() {
        let places = Places::new(80, NonZeroUsize::new(1_000));
        assert_eq!(admit(&places, v4(1), 100).0.len(), 42);
        let proxied: Vec<_> = (0..80).filter_map(|_| places.admit(v4(2), true)).collect();
        assert_eq!(proxied.iter().filter(|place| !place.is_reserve).count(), 80);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let places = Places::new(80, NonZeroUsize::new(1));
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!(!places.admit(address(1), false).unwrap().is_reserve);
        let _held = places.admit(address(1), false);
        assert!(places.admit(address(2), false).unwrap().is_reserve);
    }
}
