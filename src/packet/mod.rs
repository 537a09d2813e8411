//! What a packet engine decides with: the forwarding table compiled for packets, and the tables of connections.
