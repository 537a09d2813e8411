//! Every interleaving of the protocol's steps by two and three threads, under a memory model weaker than the machine's.
