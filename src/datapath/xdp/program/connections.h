/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection table. `packet/connections` is its twin and carries the proof that this protocol is right.
 *
 *   FREE (0, 0) -> value by compare-and-swap -> key by exchange -> both buckets looked at again: of two entries with
 *   one key the lower slot stays, and whoever sees both ends the higher one.
 *
 * Readers read key, value, key. Every later change is a compare-and-swap of the value that was read, so that nothing
 * lands on a flow that has moved into the slot since: a slot rests for 100 ms between two flows, and their values
 * differ in the time. Stores are seen in the order in which they were made (x86-64); the exchange is a full barrier,
 * so of two CPUs that enter one flow at once at least one sees the other's entry.
 */
#ifndef TSUJI_CONNECTIONS_H
#define TSUJI_CONNECTIONS_H

#include "hash.h"

struct entry {
	struct slot *slot; /* 0: none */
	u64 value;
	u32 place;
};

inline_always int is_live(u64 value)
{
	return value != 0 && VALUE_STATE(value) != STATE_DEAD;
}

inline_always struct entry find_in(u32 index, u64 key)
{
	struct entry entry = {};
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &index);

	if (!bucket)
		return entry;
#pragma unroll
	for (u32 i = 0; i < SLOTS; i++) {
		struct slot *slot = &bucket->slot[i];
		u64 value;

		if (READ_ONCE(slot->key) != key)
			continue;
		value = READ_ONCE(slot->value);
		if (READ_ONCE(slot->key) != key || !is_live(value))
			continue;
		entry.slot = slot;
		entry.value = value;
		entry.place = index * SLOTS + i;
		return entry;
	}
	return entry;
}

inline_always struct slot *slot_at(u32 place)
{
	u32 index = place / SLOTS;
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &index);

	return bucket ? &bucket->slot[place % SLOTS] : 0;
}

/* The value that this change met; equal to `seen` when it was made. */
inline_always u64 change(struct slot *slot, u64 seen, u64 next)
{
	return __sync_val_compare_and_swap(&slot->value, seen, next);
}

inline_always void write_tuple(u32 place, const struct flow *flow)
{
	struct tuple *tuple = bpf_map_lookup_elem(&tuples, &place);

	if (!tuple)
		return;
	__builtin_memcpy(tuple->saddr, flow->saddr, sizeof(tuple->saddr));
	__builtin_memcpy(tuple->daddr, flow->daddr, sizeof(tuple->daddr));
	tuple->sport = flow->sport;
	tuple->dport = flow->dport;
	tuple->protocol = flow->protocol;
}

inline_always u32 free_slots(u32 index)
{
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &index);
	u32 count = 0;

	if (!bucket)
		return 0;
#pragma unroll
	for (u32 i = 0; i < SLOTS; i++)
		count += READ_ONCE(bucket->slot[i].value) == 0;
	return count;
}

/* Puts the flow into a free slot of this bucket, when there is one. */
inline_always struct entry claim_in(u32 index, u64 key, u64 value, const struct flow *flow, int exact)
{
	struct entry entry = {};
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &index);

	if (!bucket)
		return entry;
#pragma unroll
	for (u32 i = 0; i < SLOTS; i++) {
		struct slot *slot = &bucket->slot[i];

		if (READ_ONCE(slot->value) != 0 || READ_ONCE(slot->key) != 0)
			continue;
		if (change(slot, 0, value) != 0)
			continue;
		entry.slot = slot;
		entry.value = value;
		entry.place = index * SLOTS + i;
		if (!exact)
			write_tuple(entry.place, flow);
		__sync_lock_test_and_set(&slot->key, key);
		return entry;
	}
	return entry;
}

/*
 * LIVE -> DEAD -> without key, whatever refreshes come in between. The sweeper frees the slot when it has rested. 1: it was
 * us who ended it. The key is taken away by compare-and-swap: who is held up here must not meet the next flow's.
 */
inline_always int end(struct slot *slot, u64 key, u64 value, u32 now)
{
#pragma unroll
	for (int i = 0; i < 3; i++) {
		u64 dead = (u64)now << 32 | (u64)STATE_DEAD << 16 | (value & 0xfff0ffffull);
		u64 met;

		if (!is_live(value) || READ_ONCE(slot->key) != key)
			return 0;
		met = change(slot, value, dead);
		if (met == value) {
			__sync_val_compare_and_swap(&slot->key, key, 0);
			return 1;
		}
		value = met;
	}
	return 0;
}

#endif
