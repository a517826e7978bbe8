//! Limits of connections: in total, per address, and a small reserve for health checks, so that a full
//! server still responds to them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client_address::counted_as;

/// Maximum of the reserve; an eighth of the total for small totals.
const RESERVE: usize = 64;

/// The connection slots of one listener.
#[derive(Debug)]
pub(super) struct ConnectionLimits {
    all: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    per_address: Option<usize>,
    /// Limit of the reserve per address, so that one address cannot use it up.
    reserve_per_address: usize,
    usage: Mutex<HashMap<IpAddr, Usage>>,
}

/// Slots of one address.
#[derive(Debug, Default)]
struct Usage {
    slots: usize,
    reserve: usize,
}

/// A connection slot, freed on drop.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<ConnectionLimits>,
    address: IpAddr,
    /// For health checks only.
    pub is_reserve: bool,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    /// Slots in total and per address; an address never gets more than half of them.
    pub(super) fn new(all: usize, per_address: Option<NonZeroUsize>) -> Arc<Self> {
        let reserve = (all / 8).clamp(1, RESERVE);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            reserve: Arc::new(Semaphore::new(reserve)),
            per_address: per_address.map(|max| max.get().min(all / 2).max(1)),
            reserve_per_address: (reserve / 4).max(1),
            usage: Mutex::default(),
        })
    }

    /// A slot for a connection; none if even the reserve is used up. `is_trusted`: a proxy, which has
    /// many clients.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, is_trusted: bool) -> Option<Slot> {
        let address = counted_as(address);
        let mut usage = self.usage();
        let own = usage.entry(address).or_default();
        let may = is_trusted || self.per_address.is_none_or(|max| own.slots < max);
        let slot = may.then(|| Arc::clone(&self.all).try_acquire_owned().ok()).flatten();
        let is_reserve = slot.is_none();
        let permit = slot.or_else(|| {
            let may = own.reserve < self.reserve_per_address;
            may.then(|| Arc::clone(&self.reserve).try_acquire_owned().ok()).flatten()
        });
        let Some(permit) = permit else {
            forget(&mut usage, address);
            return None;
        };
        if is_reserve {
            own.reserve += 1;
        } else {
            own.slots += 1;
        }
        Some(Slot { slots: Arc::clone(self), address, is_reserve, _permit: permit })
    }

    fn usage(&self) -> MutexGuard<'_, HashMap<IpAddr, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut usage = self.slots.usage();
        if let Some(own) = usage.get_mut(&self.address) {
            if self.is_reserve {
                own.reserve -= 1;
            } else {
                own.slots -= 1;
            }
        }
        forget(&mut usage, self.address);
    }
}

/// Removes an address without slots.
fn forget(usage: &mut HashMap<IpAddr, Usage>, address: IpAddr) {
    if usage.get(&address).is_some_and(|own| own.slots == 0 && own.reserve == 0) {
        usage.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    fn admit(slots: &Arc<ConnectionLimits>, address: IpAddr, times: usize) -> (Vec<Slot>, usize) {
        let admitted: Vec<_> = (0..times).map_while(|_| slots.admit(address, false)).collect();
        let reserve = admitted.iter().filter(|slot| slot.is_reserve).count();
        (admitted, reserve)
    }

    #[test]
    fn an_address_has_its_share_and_a_small_reserve() {
        let slots = ConnectionLimits::new(80, NonZeroUsize::new(10));
        let (first, reserve) = admit(&slots, v4(1), 100);
        assert_eq!((first.len(), reserve), (12, 2));
        let (second, reserve) = admit(&slots, v4(2), 100);
        assert_eq!((second.len(), reserve), (12, 2));
        drop(first);
        let (again, _) = admit(&slots, v4(1), 100);
        assert_eq!(again.len(), 12);
        drop((second, again));
        assert!(slots.usage().is_empty());
    }

    #[test]
    fn a_full_server_has_slots_for_health_checks_and_then_none() {
        let slots = ConnectionLimits::new(80, None);
        let (all, reserve) = admit(&slots, v4(1), 100);
        assert_eq!((all.len(), reserve), (82, 2));
        let others: Vec<_> = (2..10).filter_map(|last| slots.admit(v4(last), false)).collect();
        assert!(others.iter().all(|slot| slot.is_reserve));
        assert_eq!(others.len(), 8);
        assert!(slots.admit(v4(20), false).is_none());
        assert!(!slots.usage().contains_key(&v4(20)));
    }

    #[test]
    fn no_address_has_more_than_half_but_a_trusted_proxy() {
        let slots = ConnectionLimits::new(80, NonZeroUsize::new(1_000));
        assert_eq!(admit(&slots, v4(1), 100).0.len(), 42);
        let proxied: Vec<_> = (0..80).filter_map(|_| slots.admit(v4(2), true)).collect();
        assert_eq!(proxied.iter().filter(|slot| !slot.is_reserve).count(), 80);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let slots = ConnectionLimits::new(80, NonZeroUsize::new(1));
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!(!slots.admit(address(1), false).unwrap().is_reserve);
        let _held = slots.admit(address(1), false);
        assert!(slots.admit(address(2), false).unwrap().is_reserve);
    }
}
