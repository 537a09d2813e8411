//! Who answers for a cluster address: ARP and neighbour discovery as a machine of events and time.
