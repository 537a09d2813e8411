/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables that this program shares with user space. `sys/datapath_layout.rs` has the same structures and
 * `packet/layout.rs` the same numbers and bits; tests/packets runs this program over tables that were filled by them. A
 * change of anything here needs another SCHEMA, and an answer to what is taken over (`datapath/xdp/heritage.rs`).
 */
#ifndef TSUJI_LAYOUT_H
#define TSUJI_LAYOUT_H

#include "kernel.h"

/* --- Connections ------------------------------------------------------------------------------------------------- */

/*
 * key    an IPv4 flow of a service with one address and one port: client address 32 | client port 16 | service 16,
 *        any other: fingerprint 48 | service 16. A service is never 0, so neither is a key.
 * value  last seen 32 | generation 12 | unsynced 1 | state 3 | server 16, or 0: the slot is free.
 */
struct slot {
	u64 key;
	u64 value;
};

#define SLOTS 4
struct bucket {
	struct slot slot[SLOTS];
};

enum state { STATE_NEW = 1, STATE_ESTABLISHED = 2, STATE_FIN = 3, STATE_CLOSED = 4, STATE_UDP = 5, STATE_DEAD = 7 };

#define VALUE_SERVER(v) ((u32)(v) & 0xffff)
#define VALUE_STATE(v) ((u32)((v) >> 16) & 7)
#define VALUE_LAST(v) ((u32)((v) >> 32))
#define VALUE_UNSYNCED (1ull << 19)
#define VALUE_GENERATION (0xfffull << 20)
#define VALUE_NEXT_GENERATION(v) (((v) + (1ull << 20)) & VALUE_GENERATION)
#define VALUE_MAKE(server, state, generation, now) \
	((u64)(now) << 32 | (generation) | VALUE_UNSYNCED | (u64)(state) << 16 | (u64)(server))

/* Time in the tables: units of 2^22 ns (4.19 ms) of the coarse monotonic clock; wraps after 208 days. */
#define TIME_SHIFT 22

/* The flow behind a fingerprint, at its slot's place; written before the key, read by reports and replication. */
struct tuple {
	u32 saddr[4];
	u32 daddr[4];
	u16 sport, dport;
	u8 protocol, pad[3];
};

/* --- Services ---------------------------------------------------------------------------------------------------- */

/*
 * An entry of the service table: an address with one port, or, with port 0, all that an address has besides.
 * Open addressing, linear probes, at most SERVICE_PROBES of them; two banks, of which `live.bank` is the one in use.
 */
struct service {
	u32 address[4]; /* network order; IPv4 in the last word, the others 0 */
	u16 port;       /* network order */
	u8 family;      /* 4, 6; 0: nothing here */
	u8 flags;
	u16 service; /* even: TCP; UDP is the next one */
	u8 touch;    /* a sticky record is renewed when (time >> touch) moves on */
	u8 ranges;   /* port 0: so many ranges follow at */
	u32 line;    /*         this line of the plan */
	u32 pad;
};

#define SERVICE_BANK 8192
#define SERVICE_PROBES 4
#define SERVICE_MIX 0x9e3779b97f4a7c15ull
#define SERVICE_HASH_SHIFT 51 /* 64 - log2(SERVICE_BANK) */

enum {
	SERVICE_EXACT = 1,        /* its IPv4 flows have exact keys */
	SERVICE_STICKY = 2,       /* affinity records are kept */
	SERVICE_UNRECORDED = 4,   /* no connections: every packet by its affinity record */
	SERVICE_UNSERVED_PASS = 8 /* port 0: packets to other ports go to this host instead of nowhere */
};

/* A run of ports of one address, eight to a line. The wildcard port is the run from 0 to 65535, as the last one. */
struct range {
	u16 first, last; /* host order, both included */
	u16 service;
	u8 flags;
	u8 touch;
};
#define RANGES_A_LINE 8
#define RANGES 16

/* --- The plan: how a service chooses ------------------------------------------------------------------------------ */

#define LINE 64
#define WORDS_A_LINE 32
#define RULES 16
#define NO_SERVER 0xffff

/* Where a choice comes from: 16-bit server numbers in lines of the plan. */
struct target {
	u32 ring, ring_length;
	u32 maglev, maglev_length;
	u32 cursor;
};

/* A service's first line; `selection[service >> 1]` names it. Its rules follow, a line each. */
struct policy {
	u16 flags;
	u8 rules;
	u8 prefix6;  /* bits of an IPv6 client that make its network */
	u32 mask4;   /* the same for IPv4, as a mask in network order */
	u32 group;   /* whose affinity records these are */
	u32 sticky;  /* time units; 0: none */
	u32 siblings, siblings_length; /* by a server's host number: this service's server there, or NO_SERVER */
	struct target target;
	u32 lines; /* of this policy, its rules and its lists */
	u32 pad[4];
};

/* What a service is chosen by: the word that swaps one plan for the next, and whose it is. */
struct selection {
	u64 line;
	u64 identity;
};

enum {
	POLICY_HASH = 1,     /* consistent hash instead of the ring */
	POLICY_PICKUP = 2,   /* segments of unknown connections go to the hash's answer */
	POLICY_CROSSPORT = 4 /* records are shared with other ports */
};

/*
 * Clients from `first` to `last`, both included, go to `target`; family 0: all clients. Addresses are numbers of 128
 * bits in two halves, the upper one first.
 */
struct rule {
	u64 first[2], last[2];
	struct target target;
	u32 family;
	u32 pad[2];
};

/* A cache line each: CPUs that take from different rings do not meet. */
struct cursor {
	u64 next;
	u64 hits;
	u64 identity; /* of the service or rule */
	u64 pad[5];
};

/* --- Servers ------------------------------------------------------------------------------------------------------ */

struct server {
	u8 mac[6];
	u8 source[6]; /* the address of our interface to it */
	u32 ifindex;  /* that interface; 0: its MAC is not known */
	u16 flags;
	u16 host; /* the machine, shared by the servers of all ports that have its address */
	u32 epoch; /* records of another one are forgotten */
	u64 identity;
	u64 machine;
	u64 pad[3];
};

enum {
	SERVER_AFFINITY = 1,  /* clients with a record may still come */
	SERVER_DOWN = 2,      /* takes no new connection: a SYN is decided anew */
	SERVER_DEAD = 4,      /* its connections have ended */
	SERVER_RESET = 8,     /* and their clients are told so */
	SERVER_LOCAL = 16,    /* this host itself */
	SERVER_STICKY_NO = 32, /* gets no record when a rule chose it */
	SERVER_FORGOTTEN = 64  /* its epoch has moved on; for user space alone */
};

/* Per CPU and server, at [cpu * servers + server]; only that CPU writes. */
struct counters {
	u64 packets, bytes, opened, closed_fin, closed_rst, picked_up, sticky, resets;
};

/* --- Affinity and fragments ---------------------------------------------------------------------------------------- */

struct network {
	u32 group;
	u32 family;
	u32 address[4];
};

struct record {
	u32 server; /* number 16 | epoch 16 */
	u32 last;
};

struct datagram {
	u32 saddr[4], daddr[4];
	u32 id;
	u32 protocol;
};

/* --- What lives ---------------------------------------------------------------------------------------------------- */

#define PARTNERS 4
struct live {
	u32 bank;  /* 0 or 1 */
	u32 flags;
	u64 clock_offset; /* added to the clock, in ns: tests step it */
	u64 salt[2];      /* of each bank's hash */
	u32 new_limit;    /* new connections per CPU and flood window */
	u32 partners;
	u8 partner[PARTNERS][8]; /* MACs whose frames are never dispatched */
	/* For the next daemon, which adopts all this. */
	u32 schema;
	u32 buckets;
	u64 keys[32];
	u64 gate[1024];          /* a bit for the last 16 bits of each cluster address */
};

enum {
	LIVE_ACTIVE = 1,    /* answers echo requests */
	LIVE_STATELESS = 2, /* user space has seen too many half-open connections */
	LIVE_WILDCARD4 = 4, /* there is a wildcard cluster */
	LIVE_WILDCARD6 = 8,
	LIVE_IPV6 = 16 /* there are IPv6 clusters */
};

/* Per CPU: the flood gauge. */
struct gauge {
	u32 serial; /* the generation of the newest connection */
	u32 window, created, picked_up, stateless;
	u32 pad[11];
};
#define FLOOD_WINDOW_SHIFT 2 /* of time units: 16.8 ms */

/*
 * Per CPU: a packet whose flow is not known, while it is decided on. Here and not on the stack, which has no room for
 * it, and in one piece, so that the functions that decide are verified once each and not once per way to them.
 */
struct flow {
	u32 saddr[4], daddr[4]; /* network order; IPv4 in the last word, the others 0 */
	u16 sport, dport;       /* network order */
	u8 protocol;
	u8 tcp; /* the flags of a TCP segment */
	u16 pad;
};

struct work {
	u64 key;
	u64 seen;  /* the entry at `place` as it was read */
	u32 place; /* of the entry that is to be taken over; NOWHERE: there is none */
	u32 first, second;
	u32 family, now, cpu, length;
	u32 policy_line, service, state, reason, generation;
	u32 fragment_id;
	u8 flags; /* of the service */
	u8 hashed, by_affinity, by_rule;
	struct flow flow;
	struct network network;
	struct record record;
	struct datagram datagram;
	u32 number;
	u32 pad;
};
#define NOWHERE (~0u)

/* Why a packet went where it went. The names in `reason.rs` are these, in this order. */
enum reason {
	REASON_FOREIGN,
	REASON_OTHER_MAC,
	REASON_NOT_IP,
	REASON_PROTOCOL,
	REASON_PARTNER,
	REASON_UNSERVED_PASS,
	REASON_LOCAL,
	REASON_FORWARDED,
	REASON_REDIRECTED,
	REASON_ECHO,
	REASON_RESET,
	REASON_ICMP_PASS,
	REASON_MALFORMED,
	REASON_UNSERVED,
	REASON_NO_SERVER,
	REASON_NO_NEIGHBOUR,
	REASON_STRAY_FIN,
	REASON_STRAY_ACK,
	REASON_STRAY_RST,
	REASON_STRAY_OTHER,
	REASON_FRAGMENT,
	REASON_ICMP_UNKNOWN,
	REASON_BROKEN_PLAN,
	/* Remarks: the packet is counted above too. */
	REASON_TABLE_FULL,
	REASON_STATELESS,
	REASON_AFFINITY_FULL,
	REASONS = 32
};

struct tally {
	u64 packets, bytes;
};

#endif
