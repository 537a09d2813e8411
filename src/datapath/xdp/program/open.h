/* SPDX-License-Identifier: Apache-2.0 */
/* New flows: whether they may be remembered, which server they get, and their entry in the table. */
#ifndef TSUJI_OPEN_H
#define TSUJI_OPEN_H

#include "choose.h"
#include "frame.h"

/* What a segment makes of a connection's state. */
inline_always u32 state_after(u32 state, u8 tcp)
{
	if (unlikely(tcp & TCP_RST))
		return STATE_CLOSED;
	if (unlikely(tcp & TCP_FIN))
		return state == STATE_CLOSED ? STATE_CLOSED : STATE_FIN;
	return state == STATE_NEW ? STATE_ESTABLISHED : state;
}

inline_always int is_syn(u8 tcp)
{
	return (tcp & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

inline_always u32 stray(u8 tcp)
{
	if (tcp & TCP_RST)
		return REASON_STRAY_RST;
	if (tcp & TCP_FIN)
		return REASON_STRAY_FIN;
	return tcp & TCP_ACK && !(tcp & TCP_SYN) ? REASON_STRAY_ACK : REASON_STRAY_OTHER;
}

inline_always void count_end(struct counters *counters, u32 before, u32 after)
{
	if (before == STATE_FIN || before == STATE_CLOSED)
		return;
	if (after == STATE_FIN)
		counters->closed_fin++;
	if (after == STATE_CLOSED)
		counters->closed_rst++;
}

/* Whether this CPU opens more than it should remember. */
inline_always int is_flood(const struct live *live, struct gauge *gauge, u32 now, int picked_up)
{
	u32 window = now >> FLOOD_WINDOW_SHIFT;
	u32 limit = live->new_limit;

	if (gauge->window != window) {
		/* Entered above the limit, left below half of it. */
		u32 level = gauge->stateless ? limit / 2 : limit;

		gauge->stateless = gauge->window + 1 == window && gauge->created > level;
		gauge->window = window;
		gauge->created = 0;
		gauge->picked_up = 0;
	}
	if (picked_up)
		return ++gauge->picked_up > limit;
	gauge->created++;
	return gauge->stateless || gauge->created > limit || live->flags & LIVE_STATELESS;
}

/* An entry that this flow shall not have besides: its CPU has counted it, or will. */
inline_always void displace(struct work *work, struct slot *slot, u64 value)
{
	struct counters *counters = counters_of(work->cpu, VALUE_SERVER(value));

	if (end(slot, work->key, value, work->now) && counters)
		counters->opened--;
}

/*
 * Looks at one bucket for entries of our key that others made at the same time: of all the lowest stays. All slots count:
 * of three entries the first other one may be ended by the third. The server of a lower one, or NO_SERVER.
 */
inline_always u32 settle_in(struct work *work, struct entry mine, u32 index)
{
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &index);

	if (!bucket)
		return NO_SERVER;
#pragma unroll
	for (u32 i = 0; i < SLOTS; i++) {
		struct slot *slot = &bucket->slot[i];
		u32 place = index * SLOTS + i;
		u64 value;

		if (place == mine.place || READ_ONCE(slot->key) != work->key)
			continue;
		value = READ_ONCE(slot->value);
		if (READ_ONCE(slot->key) != work->key || !is_live(value))
			continue;
		if (place < mine.place) {
			displace(work, mine.slot, mine.value);
			return VALUE_SERVER(value);
		}
		displace(work, slot, value);
	}
	return NO_SERVER;
}

/* Enters the flow with this server. The server that the flow has then, or NO_SERVER: both buckets are full. */
inline_always u32 enter(struct work *work, u32 number)
{
	struct counters *counters;
	struct entry mine;
	u32 one, two, winner;
	u64 value;
	int exact;

	counters = counters_of(work->cpu, number);
	if (!counters)
		return NO_SERVER;
	exact = work->flags & SERVICE_EXACT;
	value = VALUE_MAKE(number, work->state, ((u64)work->generation << 20) & VALUE_GENERATION, work->now);
	/*
	 * The first bucket is the one that packets look at first; its last slot is left to flows whose second bucket is as
	 * full. With half of all slots in use one flow in some thousands finds no room, and one in ten is in its second bucket.
	 */
	one = work->first;
	two = work->second;
	if (free_slots(one) < 2 && free_slots(two) > 1) {
		one = work->second;
		two = work->first;
	}
	mine = claim_in(one, work->key, value, &work->flow, exact);
	if (!mine.slot)
		mine = claim_in(two, work->key, value, &work->flow, exact);
	if (!mine.slot)
		return NO_SERVER;
	counters->opened++;
	winner = settle_in(work, mine, work->first);
	if (winner == NO_SERVER)
		winner = settle_in(work, mine, work->second);
	return winner == NO_SERVER ? number : winner;
}

/* Takes an entry over that has ended, or whose server has. */
separate u32 take_over(struct work *work, u32 number)
{
	struct counters *counters, *before;
	struct slot *slot;
	u64 value, met;

	if (!work)
		return NO_SERVER;
	slot = slot_at(work->place);
	counters = counters_of(work->cpu, number);
	before = counters_of(work->cpu, VALUE_SERVER(work->seen));
	if (!slot || !counters || !before)
		return NO_SERVER;
	value = VALUE_MAKE(number, work->state, VALUE_NEXT_GENERATION(work->seen), work->now);
	met = change(slot, work->seen, value);
	if (met != work->seen)
		return is_live(met) ? VALUE_SERVER(met) : number;
	count_end(before, VALUE_STATE(work->seen), STATE_CLOSED);
	counters->opened++;
	return number;
}

inline_always u32 remember(struct work *work, u32 number)
{
	u32 entered;

	if (work->place != NOWHERE)
		return take_over(work, number);
	entered = enter(work, number);
	if (entered != NO_SERVER)
		return entered;
	/* No room: the answer that the flow's next packets will find too. */
	remark(work->cpu, REASON_TABLE_FULL, 0);
	if (work->hashed)
		return number;
	work->hashed = HASHED_FLOOD;
	return choose(work);
}

/* Chooses and remembers. */
inline_always u32 open_with_policy(struct work *work, u32 picked_up)
{
	struct counters *counters;
	u32 number = choose(work);

	if (!work)
		return NO_SERVER;
	counters = counters_of(work->cpu, number);
	if (number == NO_SERVER || !counters)
		return NO_SERVER;
	if (work->by_affinity)
		counters->sticky++;
	if (picked_up)
		counters->picked_up++;
	if (work->hashed == HASHED_FLOOD) {
		remark(work->cpu, REASON_STATELESS, 0);
		return number;
	}
	/* What ends a connection does not begin one. */
	if (work->flags & SERVICE_UNRECORDED || work->state == STATE_FIN || work->state == STATE_CLOSED)
		return number;
	return remember(work, number);
}

/* The server of a packet whose flow is not known, or NO_SERVER and the reason in the work. */
separate u32 open(struct work *work)
{
	u32 at, zero = 0, picked_up = 0;
	struct policy *policy;
	struct gauge *gauge;
	struct live *now;
	struct selection *selected;

	if (!work)
		return NO_SERVER;
	work->reason = REASON_BROKEN_PLAN;
	work->hashed = HASHED_NO;
	at = work->service >> 1;
	selected = bpf_map_lookup_elem(&selection, &at);
	gauge = bpf_map_lookup_elem(&gauges, &work->cpu);
	now = bpf_map_lookup_elem(&live, &zero);
	if (!selected || !gauge || !now)
		return NO_SERVER;
	work->policy_line = READ_ONCE(selected->line);
	policy = policy_at(work->policy_line);
	if (!policy)
		return NO_SERVER;
	work->state = STATE_UDP;
	if (work->flow.protocol == PROTOCOL_TCP) {
		work->state = is_syn(work->flow.tcp) ? STATE_NEW : state_after(STATE_NEW, work->flow.tcp);
		picked_up = work->state != STATE_NEW && !(work->flags & SERVICE_UNRECORDED);
	}
	if (picked_up) {
		work->reason = stray(work->flow.tcp);
		if (!(policy->flags & POLICY_PICKUP))
			return NO_SERVER;
		work->hashed = HASHED_PICKUP;
	}
	work->generation = ++gauge->serial;
	if (work->place == NOWHERE && !(work->flags & SERVICE_UNRECORDED) &&
	    is_flood(now, gauge, work->now, picked_up))
		work->hashed = HASHED_FLOOD;
	return open_with_policy(work, picked_up);
}

/* Renews the client's affinity record, a few times per stickytime: it never expires under a living connection. */
separate int touch(struct work *work)
{
	struct policy *policy;
	struct record *record;
	struct selection *selected;
	u32 at;

	if (!work)
		return 0;
	at = work->service >> 1;
	selected = bpf_map_lookup_elem(&selection, &at);
	policy = selected ? policy_at(READ_ONCE(selected->line)) : 0;
	if (!policy)
		return 0;
	find_network(work, policy);
	record = bpf_map_lookup_elem(&affinity, &work->network);
	if (record)
		WRITE_ONCE(record->last, work->now);
	return 0;
}

/* The later fragments of a datagram carry no ports: they follow the first. */
inline_always void find_datagram(struct work *work)
{
	__builtin_memcpy(work->datagram.saddr, work->flow.saddr, sizeof(work->flow.saddr));
	__builtin_memcpy(work->datagram.daddr, work->flow.daddr, sizeof(work->flow.daddr));
	work->datagram.id = work->fragment_id;
	/* A later IPv6 fragment does not tell what its datagram carries. */
	work->datagram.protocol = work->family == 4 ? work->flow.protocol : 0;
}

separate int remember_fragment(struct work *work, u32 number)
{
	if (!work)
		return 0;
	find_datagram(work);
	work->number = number;
	bpf_map_update_elem(&fragments, &work->datagram, &work->number, BPF_ANY);
	return 0;
}

separate u32 server_of_fragment(struct work *work)
{
	u32 *number;

	if (!work)
		return NO_SERVER;
	find_datagram(work);
	number = bpf_map_lookup_elem(&fragments, &work->datagram);
	return number ? *number : NO_SERVER;
}

/* The answer of the consistent hash for a flow that nobody remembers. */
separate u32 hashed_server(struct work *work)
{
	struct policy *policy;
	struct selection *selected;
	u32 at;

	if (!work)
		return NO_SERVER;
	at = work->service >> 1;
	selected = bpf_map_lookup_elem(&selection, &at);
	if (!selected)
		return NO_SERVER;
	work->policy_line = READ_ONCE(selected->line);
	policy = policy_at(work->policy_line);
	if (!policy || !(policy->flags & POLICY_HASH))
		return NO_SERVER;
	work->by_rule = 0;
	work->hashed = HASHED_PICKUP;
	return by_hash(work, by_rules(work, policy));
}

#endif
