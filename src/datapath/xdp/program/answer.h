/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that go back to where they came from: echo replies, and resets for the clients of a dead server. */
#ifndef TSUJI_ANSWER_H
#define TSUJI_ANSWER_H

#include "frame.h"

inline_always void turn_round(struct ethernet *ethernet)
{
#pragma unroll
	for (int i = 0; i < 3; i++) {
		u16 word = ethernet->source[i];

		ethernet->source[i] = ethernet->destination[i];
		ethernet->destination[i] = word;
	}
}

/* RFC 1624: HC' = ~(~HC + ~m + m'). */
inline_always u16 checksum_after(u16 checksum, u16 before, u16 after)
{
	u32 sum = (u16)~checksum + (u16)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

inline_always u16 folded(u64 sum)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

inline_always u64 sum_of(const u16 *words, int count, u64 sum)
{
#pragma unroll
	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/* The echo reply needs no new sum over the data: only the type has changed (8 -> 0, 128 -> 129). */
inline_always void echo_back(struct ethernet *ethernet, struct icmp *icmp, u8 type)
{
	u16 before = *(u16 *)icmp;

	turn_round(ethernet);
	icmp->type = type;
	icmp->checksum = checksum_after(icmp->checksum, before, *(u16 *)icmp);
}

/* What a reset needs of the segment that it answers. */
struct segment {
	u32 saddr[4], daddr[4];
	u16 sport, dport;
	u32 sequence, acknowledgment; /* network order */
	u32 length;                   /* of its data, SYN and FIN counted */
	u8 flags;
};

/* RFC 9293, 3.5.2: a segment with ACK is answered from its acknowledgment, any other by acknowledging it. */
inline_always void write_reset(struct tcp *tcp, const struct segment *segment, u64 pseudo_sum)
{
	tcp->source = segment->dport;
	tcp->destination = segment->sport;
	if (segment->flags & TCP_ACK) {
		tcp->sequence = segment->acknowledgment;
		tcp->acknowledgment = 0;
		tcp->flags = TCP_RST;
	} else {
		tcp->sequence = 0;
		tcp->acknowledgment = be32(be32(segment->sequence) + segment->length);
		tcp->flags = TCP_RST | TCP_ACK;
	}
	tcp->words = 5 << 4;
	tcp->window = 0;
	tcp->checksum = 0;
	tcp->urgent = 0;
	tcp->checksum = folded(sum_of((u16 *)tcp, sizeof(*tcp) / 2, pseudo_sum));
}

inline_always u64 pseudo_sum(const u32 *source, const u32 *destination, int words)
{
	u64 sum = be16(PROTOCOL_TCP) + be16(sizeof(struct tcp));

	sum = sum_of((const u16 *)source, words * 2, sum);
	return sum_of((const u16 *)destination, words * 2, sum);
}

#endif
