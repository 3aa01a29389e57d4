//! Counts the connections of each client.

use crate::rate_limit::Client;
use crate::request::Peer;
use parking_lot::Mutex;
use std::collections::HashMap;

/// The clients that are connected, if there is a limit per client. Those of Unix sockets are not counted.
pub(super) struct Guests {
    /// Zero is off.
    most: usize,
    counts: Mutex<HashMap<Client, usize>>,
}

impl Guests {
    pub(super) fn new(most: usize) -> Guests {
        Guests { most, counts: Mutex::default() }
    }

    /// Counts one more connection of its client. False: the client is at its limit.
    pub(super) fn admit(&self, peer: Peer) -> bool {
        let (true, Peer::Ip(ip)) = (self.most > 0, peer) else { return true };
        let mut counts = self.counts.lock();
        let count = counts.entry(Client::of(Some(ip))).or_insert(0);
        let is_admitted = *count < self.most;
        *count += usize::from(is_admitted);
        is_admitted
    }

    /// Uncounts a connection that was admitted.
    pub(super) fn leave(&self, peer: Peer) {
        let (true, Peer::Ip(ip)) = (self.most > 0, peer) else { return };
        let mut counts = self.counts.lock();
        let client = Client::of(Some(ip));
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Ip(address.parse().expect("an address"))
    }

    #[test]
    fn a_client_of_ipv6_is_its_network_whatever_its_address() {
        let guests = Guests::new(2);
        assert!(guests.admit(peer("2001:db8::1")) && guests.admit(peer("2001:db8::ffff:2")));
        assert!(!guests.admit(peer("2001:db8::3")), "it has 2^64 of them");
        assert!(guests.admit(peer("2001:db8:0:1::1")), "another network");
        guests.leave(peer("2001:db8::1"));
        assert!(guests.admit(peer("2001:db8::3")));
    }

    #[test]
    fn a_client_of_ipv4_is_its_address_and_who_has_none_is_not_counted() {
        let guests = Guests::new(1);
        assert!(guests.admit(peer("192.0.2.1")) && !guests.admit(peer("192.0.2.1")) && guests.admit(peer("192.0.2.2")));
        assert!(guests.admit(Peer::Unix) && guests.admit(Peer::Unix));
    }

    #[test]
    fn who_has_left_takes_no_memory() {
        let guests = Guests::new(1);
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(guests.admit(peer(address)));
            guests.leave(peer(address));
        }
        assert!(guests.counts.lock().is_empty());
    }
}
