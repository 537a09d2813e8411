/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hop alone: each IPv4 frame to one address gets another MAC address and goes back out, with no question asked. What the
 * lab's extra passage costs, whoever dispatches.
 */
#include "kernel.h"
#include "frame.h"

const volatile u32 address = 0;
const volatile u32 to_first = 0, from_first = 0;
const volatile u16 to_last = 0, from_last = 0;

SEC("xdp")
int hop(struct xdp_md *frame)
{
	void *data = (void *)(u64)frame->data, *end = (void *)(u64)frame->data_end;
	HEADER(ethernet, ethernet, data);
	HEADER(ipv4, ip, ethernet + 1);

	if (!FITS(ip, end) || ethernet->type != ETHER_IPV4 || ip->destination != address)
		return XDP_PASS;
	*(u32 *)ethernet->destination = to_first;
	ethernet->destination[2] = to_last;
	*(u32 *)ethernet->source = from_first;
	ethernet->source[2] = from_last;
	return XDP_TX;
}

char licence[] SEC("license") = "Dual MIT/GPL";
