/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server for a new flow: affinity, then rules, then the ring or the consistent hash. */
#ifndef TSUJI_CHOOSE_H
#define TSUJI_CHOOSE_H

#include "connections.h"

/* Whether the answer is to be the one that needs no memory: for a connection that we did not see begin, in a flood. */
enum { HASHED_NO, HASHED_PICKUP, HASHED_FLOOD };

inline_always struct policy *policy_at(u32 line)
{
	return bpf_map_lookup_elem(&plan, &line);
}

/* The server number at a place of a list that begins at a line of the plan. */
inline_always u32 word_at(u32 line, u32 place)
{
	u32 at = line + place / WORDS_A_LINE;
	struct line *words = bpf_map_lookup_elem(&plan, &at);

	return words ? words->word[place % WORDS_A_LINE] : NO_SERVER;
}

inline_always struct server *server_at(u32 number)
{
	return bpf_map_lookup_elem(&servers, &number);
}

inline_always struct counters *counters_of(u32 cpu, u32 number)
{
	u32 at = cpu * MAX_SERVERS + (number & (MAX_SERVERS - 1));

	return bpf_map_lookup_elem(&counters, &at);
}

inline_always void remark(u32 cpu, u32 reason, u32 bytes)
{
	u32 at = cpu * REASONS + reason;
	struct tally *tally = bpf_map_lookup_elem(&reasons, &at);

	if (tally) {
		tally->packets++;
		tally->bytes += bytes;
	}
}

inline_always u32 mask6(u32 prefix, u32 word)
{
	u32 before = word * 32;

	if (prefix <= before)
		return 0;
	return prefix - before >= 32 ? ~0u : be32(~0u << (32 - (prefix - before)));
}

separate int find_network(struct work *work, const struct policy *policy)
{
	if (!work || !policy)
		return 0;
	work->network.group = policy->group;
	work->network.family = work->family;
	if (work->family == 4) {
		work->network.address[0] = work->network.address[1] = work->network.address[2] = 0;
		work->network.address[3] = work->flow.saddr[3] & policy->mask4;
		return 0;
	}
#pragma unroll
	for (u32 i = 0; i < 4; i++)
		work->network.address[i] = work->flow.saddr[i] & mask6(policy->prefix6, i);
	return 0;
}

/* Ports that share records know one machine by servers of their own. */
inline_always u32 sibling(const struct policy *policy, u32 number)
{
	struct server *server;

	if (!(policy->flags & POLICY_CROSSPORT))
		return number;
	server = server_at(number);
	if (!server || server->host >= policy->siblings_length)
		return NO_SERVER;
	return word_at(policy->siblings, server->host);
}

/* The client was there last, and may come again. */
separate u32 by_record(struct work *work, const struct policy *policy)
{
	struct record *record;
	struct server *server;
	u32 number, noted;

	if (!work || !policy)
		return NO_SERVER;
	record = bpf_map_lookup_elem(&affinity, &work->network);
	if (!record || work->now - READ_ONCE(record->last) >= policy->sticky)
		return NO_SERVER;
	noted = READ_ONCE(record->server);
	server = server_at(noted & 0xffff);
	if (!server || (u16)server->epoch != noted >> 16)
		return NO_SERVER;
	number = sibling(policy, noted & 0xffff);
	server = server_at(number);
	if (!server || !(server->flags & SERVER_AFFINITY))
		return NO_SERVER;
	work->by_affinity = 1;
	return number;
}

/* One rule's answer for a client: its address as a number in two halves. */
separate int in_rule(const struct rule *rule, u64 upper, u64 lower, u32 family)
{
	if (!rule)
		return 0;
	if (rule->family == 0)
		return 1;
	if (rule->family != family)
		return 0;
	if (upper < rule->first[0] || (upper == rule->first[0] && lower < rule->first[1]))
		return 0;
	return upper < rule->last[0] || (upper == rule->last[0] && lower <= rule->last[1]);
}

/* The first rule that is true, or else all servers of the port: the line and the place of a target. */
inline_always const struct target *by_rules(struct work *work, const struct policy *policy)
{
	u64 upper = (u64)be32(work->flow.saddr[0]) << 32 | be32(work->flow.saddr[1]);
	u64 lower = (u64)be32(work->flow.saddr[2]) << 32 | be32(work->flow.saddr[3]);
	u32 count = policy->rules;

	for (u32 i = 0; i < RULES; i++) {
		u32 line = work->policy_line + 1 + i;
		struct rule *rule;

		if (i >= count)
			break;
		rule = bpf_map_lookup_elem(&plan, &line);
		if (rule && in_rule(rule, upper, lower, work->family)) {
			work->by_rule = 1;
			return &rule->target;
		}
	}
	return &policy->target;
}

/* Weighted round robin is exact: the ring has the smooth order, and all CPUs take from one cursor. */
inline_always u32 next_in_ring(const struct target *target)
{
	u32 at = target->cursor, length = target->ring_length;
	struct cursor *cursor = bpf_map_lookup_elem(&cursors, &at);

	if (!cursor || length == 0)
		return NO_SERVER;
	return word_at(target->ring, __sync_fetch_and_add(&cursor->next, 1) % length);
}

inline_always u32 by_hash(const struct work *work, const struct target *target)
{
	if (target->maglev_length == 0)
		return NO_SERVER;
	return word_at(target->maglev, in_range(hash_client(&work->flow), target->maglev_length));
}

inline_always void count_hit(const struct target *target)
{
	u32 at = target->cursor;
	struct cursor *cursor = bpf_map_lookup_elem(&cursors, &at);

	if (cursor)
		__sync_fetch_and_add(&cursor->hits, 1);
}

/* Notes where the client went. A table that is full gives up its oldest record, so this fails only for want of a node. */
separate int note(struct work *work, u32 number)
{
	struct server *server = server_at(number);
	struct record *known;
	u32 noted;

	if (!work || !server)
		return 0;
	noted = number | server->epoch << 16;
	known = bpf_map_lookup_elem(&affinity, &work->network);
	if (known) {
		WRITE_ONCE(known->server, noted);
		WRITE_ONCE(known->last, work->now);
		return 0;
	}
	work->record.server = noted;
	work->record.last = work->now;
	if (bpf_map_update_elem(&affinity, &work->network, &work->record, BPF_ANY))
		remark(work->cpu, REASON_AFFINITY_FULL, 0);
	return 0;
}

inline_always u32 by_policy(struct work *work, const struct policy *policy)
{
	const struct target *target;
	u32 number;

	if (!work || !policy)
		return NO_SERVER;
	target = by_rules(work, policy);
	number = work->hashed || policy->flags & POLICY_HASH ? by_hash(work, target) : next_in_ring(target);
	if (work->by_rule)
		count_hit(target);
	return number;
}

/* The server's number, or NO_SERVER and the reason in the work. */
separate u32 choose(struct work *work)
{
	struct policy *policy;
	struct server *server;
	u32 sticky, number = NO_SERVER;

	if (!work)
		return NO_SERVER;
	work->by_affinity = 0;
	work->by_rule = 0;
	work->reason = REASON_BROKEN_PLAN;
	policy = policy_at(work->policy_line);
	if (!policy)
		return NO_SERVER;
	sticky = work->flags & SERVICE_STICKY && policy->sticky;
	if (sticky) {
		find_network(work, policy);
		number = by_record(work, policy);
	}
	if (number == NO_SERVER)
		number = by_policy(work, policy);
	server = server_at(number);
	if (!server) {
		work->reason = REASON_NO_SERVER;
		return NO_SERVER;
	}
	/* Clients shall leave a sorry server as soon as the rule no longer sends them there. In a flood nothing new is
	   remembered. */
	if (sticky && work->hashed != HASHED_FLOOD && !(work->by_rule && server->flags & SERVER_STICKY_NO))
		note(work, number);
	return number;
}

#endif
