/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands before the program that is measured: gives each packet its flow and the frame its addresses back, then hands it
 * over. The kernel's test run repeats one frame, and would measure one flow; and after the first turn the frame would
 * carry a server's address.
 */
#include "kernel.h"
#include "frame.h"

enum { BPF_MAP_TYPE_PROG_ARRAY = 3 };

static long (*const bpf_tail_call)(void *frame, void *programs, u32 place) = (void *)12;

struct {
	MAP_NUMBER(type, BPF_MAP_TYPE_PROG_ARRAY);
	MAP_NUMBER(max_entries, 1);
	MAP_NUMBER(key_size, 4);
	MAP_NUMBER(value_size, 4);
} measured SEC(".maps");

/* Each CPU has its own turn, a cache line apart. */
struct turn {
	u64 next;
	u64 pad[7];
};

struct {
	MAP_NUMBER(type, BPF_MAP_TYPE_ARRAY);
	MAP_NUMBER(map_flags, BPF_F_MMAPABLE);
	MAP_NUMBER(max_entries, 64);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct turn);
} turns SEC(".maps");

/* Flows are taken in turn, scattered; 0: the same one always. */
const volatile u64 flows = 0;
const volatile u32 own_mac_first = 0;
const volatile u16 own_mac_last = 0;
const volatile u8 tcp_flags = 0;

SEC("xdp")
int vary(struct xdp_md *frame)
{
	void *data = (void *)(u64)frame->data, *end = (void *)(u64)frame->data_end;
	HEADER(ethernet, ethernet, data);
	u32 cpu = bpf_get_smp_processor_id() & 63;
	struct turn *turn = bpf_map_lookup_elem(&turns, &cpu);
	struct tcp *tcp;
	u64 flow;

	if (!turn || !FITS(ethernet, end))
		return XDP_ABORTED;
	flow = turn->next++;
	if (flows)
		flow = flow * 0x9e3779b1 % flows;
	*(u32 *)ethernet->destination = own_mac_first;
	ethernet->destination[2] = own_mac_last;
	if (ethernet->type == ETHER_IPV4) {
		HEADER(ipv4, ip, ethernet + 1);

		if (!FITS(ip, end))
			return XDP_ABORTED;
		ip->source = be32(0x0a000000 | (u32)(flow >> 12));
		tcp = (struct tcp *)(ip + 1);
	} else {
		HEADER(ipv6, ip, ethernet + 1);

		if (!FITS(ip, end))
			return XDP_ABORTED;
		ip->source[3] = be32((u32)(flow >> 12));
		tcp = (struct tcp *)(ip + 1);
	}
	if (!FITS(tcp, end))
		return XDP_ABORTED;
	tcp->source = be16(0x1000 | (u16)(flow & 0xfff));
	tcp->flags = tcp_flags;
	bpf_tail_call(frame, &measured, 0);
	return XDP_ABORTED;
}

/* The yardstick: what a dispatcher with one server and no memory would do. */
SEC("xdp")
int swap(struct xdp_md *frame)
{
	void *data = (void *)(u64)frame->data, *end = (void *)(u64)frame->data_end;
	HEADER(ethernet, ethernet, data);

	if (!FITS(ethernet, end))
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		u16 word = ethernet->source[i];

		ethernet->source[i] = ethernet->destination[i];
		ethernet->destination[i] = word;
	}
	return XDP_TX;
}

char licence[] SEC("license") = "Dual MIT/GPL";
