/* SPDX-License-Identifier: Apache-2.0 */
/* The maps, and the constants that the loader sets. Sizes written as 1 are set by the loader too. */
#ifndef TSUJI_MAPS_H
#define TSUJI_MAPS_H

#include "layout.h"

/* An array of plain memory: user space maps it, and the verifier turns a lookup into an addition and a bound. */
#define SHARED_ARRAY(name, value_type, entries)                \
	struct {                                               \
		MAP_NUMBER(type, BPF_MAP_TYPE_ARRAY);          \
		MAP_NUMBER(map_flags, BPF_F_MMAPABLE);         \
		MAP_NUMBER(max_entries, entries);              \
		MAP_TYPE(key, u32);                            \
		MAP_TYPE(value, value_type);                   \
	} name SEC(".maps")

#define LRU_TABLE(name, key_type, value_type, entries)         \
	struct {                                               \
		MAP_NUMBER(type, BPF_MAP_TYPE_LRU_HASH);       \
		MAP_NUMBER(max_entries, entries);              \
		MAP_TYPE(key, key_type);                       \
		MAP_TYPE(value, value_type);                   \
	} name SEC(".maps")

#define MAX_SERVERS 4096
#define MAX_SERVICES 4096
#define PLAN_LINES 65536
#define CURSORS 16384

struct line {
	u16 word[WORDS_A_LINE];
};

SHARED_ARRAY(connections, struct bucket, 1);
SHARED_ARRAY(tuples, struct tuple, 1);
SHARED_ARRAY(services, struct service, 2 * SERVICE_BANK);
SHARED_ARRAY(selection, struct selection, MAX_SERVICES);
SHARED_ARRAY(plan, struct line, PLAN_LINES);
SHARED_ARRAY(cursors, struct cursor, CURSORS);
SHARED_ARRAY(servers, struct server, MAX_SERVERS);
SHARED_ARRAY(counters, struct counters, 1); /* MAX_SERVERS for each CPU */
SHARED_ARRAY(reasons, struct tally, 1);     /* REASONS for each CPU */
SHARED_ARRAY(gauges, struct gauge, 1);      /* one for each CPU */
SHARED_ARRAY(works, struct work, 1);       /* one for each CPU */
SHARED_ARRAY(live, struct live, 1);
LRU_TABLE(affinity, struct network, struct record, 1);
LRU_TABLE(fragments, struct datagram, u32, 16384);

/* The hash keys: secret, random, the same for as long as the connection table lives. */
const volatile u64 hash_keys[32] = {};
/* Buckets of the connection table. */
const volatile u32 buckets = 0;
/* The interface's own address, as the loads of a frame's first six bytes give it. */
const volatile u32 own_mac_first = 0;
const volatile u16 own_mac_last = 0;

#endif
