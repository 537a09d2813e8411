/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher: a packet for a cluster address gets the MAC of its server and leaves again. Nothing else in it
 * changes, so there is no checksum to mend; the server answers the client itself (direct server return).
 */
#include "answer.h"
#include "open.h"
#include "service.h"

/* One packet on its way. Everything here is a value; it lives in registers on the way of known flows. */
struct packet {
	struct xdp_md *frame;
	void *data, *end;
	struct live *live;
	u32 l3, l4; /* offsets in the frame */
	u32 cpu;
	u32 length;
	u32 fragment_id;
	u32 first_fragment;
};

inline_always int leave(const struct packet *packet, u32 reason, int verdict)
{
	remark(packet->cpu, reason, packet->length);
	return verdict;
}

inline_always u32 time_now(const struct live *live)
{
	return (bpf_ktime_get_coarse_ns() + live->clock_offset) >> TIME_SHIFT;
}

/* The packet as the functions see it that are not on the way of known flows. */
inline_always struct work *work_on(const struct packet *packet, const struct flow *flow, u32 family)
{
	u32 cpu = packet->cpu;
	struct work *work = bpf_map_lookup_elem(&works, &cpu);

	if (!work)
		return 0;
	work->flow = *flow;
	work->family = family;
	work->cpu = cpu;
	work->length = packet->length;
	work->fragment_id = packet->fragment_id;
	return work;
}

/* --- Sending -------------------------------------------------------------------------------------------------------- */

/* The frame goes to this server. */
inline_always int send(const struct packet *packet, const struct server *server, struct counters *counters)
{
	struct ethernet *ethernet = packet->data;
	const u16 *mac = (const u16 *)server->mac;
	const u16 *source = (const u16 *)server->source;

	counters->packets++;
	counters->bytes += packet->length;
	if (unlikely(server->flags & SERVER_LOCAL))
		return leave(packet, REASON_LOCAL, XDP_PASS);
	if (unlikely(server->ifindex == 0))
		return leave(packet, REASON_NO_NEIGHBOUR, XDP_DROP);
	ethernet->destination[0] = mac[0];
	ethernet->destination[1] = mac[1];
	ethernet->destination[2] = mac[2];
	ethernet->source[0] = source[0];
	ethernet->source[1] = source[1];
	ethernet->source[2] = source[2];
	if (likely(server->ifindex == packet->frame->ingress_ifindex))
		return XDP_TX;
	remark(packet->cpu, REASON_REDIRECTED, packet->length);
	return bpf_redirect(server->ifindex, 0);
}

inline_always int send_to(const struct packet *packet, u32 number)
{
	struct server *server = server_at(number);
	struct counters *counters = counters_of(packet->cpu, number);

	if (!server || !counters)
		return leave(packet, REASON_BROKEN_PLAN, XDP_DROP);
	return send(packet, server, counters);
}

/* --- Resets --------------------------------------------------------------------------------------------------------- */

/* The client of a dead server learns of it at once: the frame becomes a reset from the cluster address. */
separate int reset(struct xdp_md *frame, const struct flow *flow, u32 l3_l4, u32 length, u32 family)
{
	struct segment segment;
	u32 head = family == 4 ? sizeof(struct ipv4) : sizeof(struct ipv6);
	void *data = (void *)(u64)frame->data, *end = (void *)(u64)frame->data_end;
	u32 l3 = l3_l4 & 63, l4 = l3_l4 >> 16 & 2047, total;

	if (!flow)
		return XDP_DROP;

	if (family == 4) {
		HEADER(ipv4, ip, data + l3);

		if (!FITS(ip, end))
			return XDP_DROP;
		total = l3 + be16(ip->length);
	} else {
		HEADER(ipv6, ip, data + l3);

		if (!FITS(ip, end))
			return XDP_DROP;
		total = l3 + sizeof(*ip) + be16(ip->length);
	}
	HEADER(tcp, old, data + l4);
	if (!FITS(old, end))
		return XDP_DROP;
	segment.flags = old->flags;
	segment.sequence = old->sequence;
	segment.acknowledgment = old->acknowledgment;
	segment.length = total - l4 - (old->words >> 4) * 4 + !!(old->flags & TCP_SYN) + !!(old->flags & TCP_FIN);
	segment.sport = flow->sport;
	segment.dport = flow->dport;

	if (bpf_xdp_adjust_tail(frame, (int)(l3 + head + sizeof(struct tcp)) - (int)length))
		return XDP_DROP;
	data = (void *)(u64)frame->data;
	end = (void *)(u64)frame->data_end;
	if (data + sizeof(struct ethernet) > end)
		return XDP_DROP;
	turn_round(data);
	if (family == 4) {
		HEADER(ipv4, ip, data + l3);
		HEADER(tcp, tcp, data + l3 + sizeof(*ip));

		if (!FITS(tcp, end))
			return XDP_DROP;
		ip->version_words = 0x45;
		ip->tos = 0;
		ip->length = be16(sizeof(*ip) + sizeof(*tcp));
		ip->id = 0;
		ip->fragment = be16(0x4000);
		ip->ttl = 64;
		ip->protocol = PROTOCOL_TCP;
		ip->checksum = 0;
		ip->source = flow->daddr[3];
		ip->destination = flow->saddr[3];
		ip->checksum = folded(sum_of((u16 *)ip, sizeof(*ip) / 2, 0));
		write_reset(tcp, &segment, pseudo_sum(&flow->daddr[3], &flow->saddr[3], 1));
	} else {
		HEADER(ipv6, ip, data + l3);
		HEADER(tcp, tcp, data + l3 + sizeof(*ip));

		if (!FITS(tcp, end))
			return XDP_DROP;
		ip->version_class_flow = be32(0x60000000);
		ip->length = be16(sizeof(*tcp));
		ip->next = PROTOCOL_TCP;
		ip->hops = 64;
		__builtin_memcpy(ip->source, flow->daddr, sizeof(ip->source));
		__builtin_memcpy(ip->destination, flow->saddr, sizeof(ip->destination));
		write_reset(tcp, &segment, pseudo_sum(flow->daddr, flow->saddr, 4));
	}
	return XDP_TX;
}

/* --- Flows ---------------------------------------------------------------------------------------------------------- */

inline_always int new_flow(struct packet *packet, struct work *work)
{
	u32 number = open(work);

	if (number == NO_SERVER)
		return leave(packet, work->reason, XDP_DROP);
	if (unlikely(packet->first_fragment))
		remember_fragment(work, number);
	return send_to(packet, number);
}

/* A connection to a server that may not have this packet: its server is dead, or this is a SYN and begins another one. */
inline_always int is_over(u32 state, u32 flags, u8 tcp, int is_tcp)
{
	if (flags & SERVER_DEAD)
		return 1;
	if (!is_tcp)
		return flags & SERVER_DOWN;
	return is_syn(tcp) && (state == STATE_FIN || state == STATE_CLOSED || flags & SERVER_DOWN);
}

/* Moves the connection on, once per time unit and whenever its state changes. 1: its affinity record is due too. */
inline_always int advance(struct entry entry, struct counters *counters, struct found service, u32 next, u32 now)
{
	u32 state = VALUE_STATE(entry.value), last = VALUE_LAST(entry.value), touch = service.touch & 31;
	u64 value = (u64)now << 32 | (entry.value & 0xfff8ffff) | (u64)next << 16;

	/* A closed connection is kept for its late segments, and they do not keep it. */
	if (likely(next == state && (last == now || state == STATE_CLOSED)))
		return 0;
	if (next != state)
		value |= VALUE_UNSYNCED;
	if (change(entry.slot, entry.value, value) == entry.value && next != state)
		count_end(counters, state, next);
	return service.flags & SERVICE_STICKY && (next != state || now >> touch != last >> touch);
}

inline_always int dispatch(struct packet *packet, const struct flow *flow, struct found service, u32 family)
{
	int is_tcp = flow->protocol == PROTOCOL_TCP, over = 0;
	u64 key = service.flags & SERVICE_EXACT ? exact_key(flow, service.service)
						: fingerprint_key(flow, service.service);
	u32 now = time_now(packet->live);
	u32 first = first_bucket(key), second = 0;
	struct entry entry = {};
	struct counters *counters = 0;
	struct server *server = 0;
	struct work *work;

	if (likely(!(service.flags & SERVICE_UNRECORDED))) {
		entry = find_in(first, key);
		if (unlikely(!entry.slot)) {
			second = second_bucket(key, first);
			entry = find_in(second, key);
		}
	}
	if (likely(entry.slot)) {
		u32 number = VALUE_SERVER(entry.value), state = VALUE_STATE(entry.value), next = state;

		server = server_at(number);
		counters = counters_of(packet->cpu, number);
		if (!server || !counters)
			return leave(packet, REASON_BROKEN_PLAN, XDP_DROP);
		over = is_over(state, server->flags, flow->tcp, is_tcp);
		if (likely(!over)) {
			if (likely(is_tcp))
				next = is_syn(flow->tcp) ? STATE_NEW : state_after(state, flow->tcp);
			if (likely(!advance(entry, counters, service, next, now) && !packet->first_fragment))
				return send(packet, server, counters);
		}
	}
	work = work_on(packet, flow, family);
	if (!work)
		return leave(packet, REASON_BROKEN_PLAN, XDP_DROP);
	work->now = now;
	work->service = service.service;
	work->flags = service.flags;
	work->key = key;
	work->first = first;
	work->second = second;
	work->place = NOWHERE;
	if (!entry.slot)
		return new_flow(packet, work);
	if (over) {
		if (is_tcp && server->flags & SERVER_RESET && !(flow->tcp & TCP_RST) && !is_syn(flow->tcp)) {
			counters->resets++;
			remark(packet->cpu, REASON_RESET, packet->length);
			return reset(packet->frame, &work->flow, packet->l3 | packet->l4 << 16, packet->length, family);
		}
		work->place = entry.place;
		work->seen = entry.value;
		return new_flow(packet, work);
	}
	if (packet->first_fragment)
		remember_fragment(work, VALUE_SERVER(entry.value));
	if (service.flags & SERVICE_STICKY)
		touch(work);
	return send(packet, server, counters);
}

/* --- Errors and echoes ---------------------------------------------------------------------------------------------- */

/*
 * An error tells the server of what became of its packet, which went from the cluster address to the client: the flow
 * is the quoted packet's, turned round.
 */
inline_always int forward_error(struct packet *packet, struct work *work, u32 family)
{
	struct flow *quoted = &work->flow;
	struct found service = find_service(packet->live, quoted->daddr, quoted->dport, family);
	struct entry entry;
	u32 first, number;
	u64 key;

	if (!service.service)
		return leave(packet, REASON_ICMP_UNKNOWN, XDP_DROP);
	work->service = service.service | (quoted->protocol == PROTOCOL_UDP);
	key = service.flags & SERVICE_EXACT ? exact_key(quoted, work->service) : fingerprint_key(quoted, work->service);
	first = first_bucket(key);
	entry = find_in(first, key);
	if (!entry.slot)
		entry = find_in(second_bucket(key, first), key);
	number = entry.slot ? VALUE_SERVER(entry.value) : hashed_server(work);
	return number == NO_SERVER ? leave(packet, REASON_ICMP_UNKNOWN, XDP_DROP) : send_to(packet, number);
}

inline_always int icmp4(struct packet *packet, struct work *work)
{
	HEADER(icmp, icmp, packet->data + packet->l4);
	HEADER(ipv4, ip, packet->data + packet->l3);
	HEADER(ipv4, inner, icmp + 1);
	struct flow *flow = &work->flow;

	if (!FITS(icmp, packet->end) || !FITS(ip, packet->end))
		return leave(packet, REASON_MALFORMED, XDP_DROP);
	if (icmp->type == 8 && packet->live->flags & LIVE_ACTIVE && !packet->first_fragment) {
		ip->source = flow->daddr[3];
		ip->destination = flow->saddr[3];
		echo_back(packet->data, icmp, 0);
		return leave(packet, REASON_ECHO, XDP_TX);
	}
	if (icmp->type != 3 && icmp->type != 4 && icmp->type != 11 && icmp->type != 12)
		return leave(packet, REASON_ICMP_PASS, XDP_PASS);
	if (!FITS(inner, packet->end))
		return leave(packet, REASON_MALFORMED, XDP_DROP);
	if ((inner->version_words & 15) < 5 || inner->fragment & IPV4_OFFSET || inner->source != flow->daddr[3] ||
	    (inner->protocol != PROTOCOL_TCP && inner->protocol != PROTOCOL_UDP))
		return leave(packet, REASON_ICMP_UNKNOWN, XDP_DROP);
	HEADER(ports, ports, (void *)inner + (inner->version_words & 15) * 4);
	if (!FITS(ports, packet->end))
		return leave(packet, REASON_MALFORMED, XDP_DROP);
	flow->saddr[3] = inner->destination;
	flow->sport = ports->destination;
	flow->dport = ports->source;
	flow->protocol = inner->protocol;
	return forward_error(packet, work, 4);
}

inline_always int is_same(const u32 one[4], const u32 other[4])
{
	return ((one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3])) == 0;
}

inline_always int icmp6(struct packet *packet, struct work *work)
{
	HEADER(icmp, icmp, packet->data + packet->l4);
	HEADER(ipv6, ip, packet->data + packet->l3);
	HEADER(ipv6, inner, icmp + 1);
	HEADER(ports, ports, inner + 1);
	struct flow *flow = &work->flow;

	if (!FITS(icmp, packet->end) || !FITS(ip, packet->end))
		return leave(packet, REASON_MALFORMED, XDP_DROP);
	if (icmp->type == 128 && packet->live->flags & LIVE_ACTIVE && !packet->first_fragment) {
		__builtin_memcpy(ip->source, flow->daddr, sizeof(ip->source));
		__builtin_memcpy(ip->destination, flow->saddr, sizeof(ip->destination));
		echo_back(packet->data, icmp, 129);
		return leave(packet, REASON_ECHO, XDP_TX);
	}
	/* Neighbour discovery, router discovery and the like belong to this host. */
	if (icmp->type == 0 || icmp->type > 4)
		return leave(packet, REASON_ICMP_PASS, XDP_PASS);
	if (!FITS(ports, packet->end))
		return leave(packet, REASON_MALFORMED, XDP_DROP);
	if (!is_same(inner->source, flow->daddr) || (inner->next != PROTOCOL_TCP && inner->next != PROTOCOL_UDP))
		return leave(packet, REASON_ICMP_UNKNOWN, XDP_DROP);
	__builtin_memcpy(flow->saddr, inner->destination, sizeof(flow->saddr));
	flow->sport = ports->destination;
	flow->dport = ports->source;
	flow->protocol = inner->next;
	return forward_error(packet, work, 6);
}

/* A frame's place of headers as one argument: l3 6 | l4 11 << 16 | first fragment 1 << 31. */
inline_always u32 place_of(const struct packet *packet)
{
	return packet->l3 | packet->l4 << 16 | packet->first_fragment << 31;
}

separate int icmp(struct xdp_md *frame, struct work *work, u32 place)
{
	u32 zero = 0;
	struct packet packet = {
		.frame = frame,
		.data = (void *)(u64)frame->data,
		.end = (void *)(u64)frame->data_end,
		.live = bpf_map_lookup_elem(&live, &zero),
		.l3 = place & 63,
		.l4 = place >> 16 & 2047,
		.first_fragment = place >> 31,
	};

	if (!work || !packet.live || packet.data + sizeof(struct ethernet) > packet.end)
		return XDP_DROP;
	packet.cpu = work->cpu;
	packet.length = work->length;
	work->now = time_now(packet.live);
	return work->family == 4 ? icmp4(&packet, work) : icmp6(&packet, work);
}

/* --- By family ------------------------------------------------------------------------------------------------------ */

inline_always int is_partner(struct live *live, const struct ethernet *ethernet)
{
	for (u32 i = 0; i < PARTNERS; i++) {
		u16 *mac = (u16 *)live->partner[i];

		if (i >= live->partners)
			break;
		if (mac[0] == ethernet->source[0] && mac[1] == ethernet->source[1] && mac[2] == ethernet->source[2])
			return 1;
	}
	return 0;
}

inline_always int transport(struct packet *packet, struct flow *flow, u32 family)
{
	struct found service;

	if (likely(flow->protocol == PROTOCOL_TCP)) {
		HEADER(tcp, tcp, packet->data + packet->l4);

		if (unlikely(!FITS(tcp, packet->end)))
			return leave(packet, REASON_MALFORMED, XDP_DROP);
		flow->sport = tcp->source;
		flow->dport = tcp->destination;
		flow->tcp = tcp->flags;
	} else {
		HEADER(udp, udp, packet->data + packet->l4);

		if (unlikely(!FITS(udp, packet->end)))
			return leave(packet, REASON_MALFORMED, XDP_DROP);
		flow->sport = udp->source;
		flow->dport = udp->destination;
	}
	service = find_service(packet->live, flow->daddr, flow->dport, family);
	if (unlikely(!service.service)) {
		int pass = service.reason == REASON_FOREIGN || service.reason == REASON_UNSERVED_PASS;

		return leave(packet, service.reason, pass ? XDP_PASS : XDP_DROP);
	}
	if (unlikely(packet->live->partners) && is_partner(packet->live, packet->data))
		return leave(packet, REASON_PARTNER, XDP_PASS);
	service.service |= flow->protocol == PROTOCOL_UDP;
	return dispatch(packet, flow, service, family);
}

/* Neither TCP nor UDP, or without their header. */
inline_always int other(struct packet *packet, const struct flow *flow, u32 family, int later)
{
	u32 wildcard = packet->live->flags & (family == 4 ? LIVE_WILDCARD4 : LIVE_WILDCARD6);
	struct work *work;
	u32 number;

	if (!is_cluster(HALF(flow->daddr, 0), HALF(flow->daddr, 2), family) && !(later && wildcard))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	if (!later && flow->protocol != (family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6))
		return leave(packet, REASON_PROTOCOL, XDP_PASS);
	work = work_on(packet, flow, family);
	if (!work)
		return leave(packet, REASON_BROKEN_PLAN, XDP_DROP);
	if (!later)
		return icmp(packet->frame, work, place_of(packet));
	number = server_of_fragment(work);
	return number == NO_SERVER ? leave(packet, REASON_FRAGMENT, XDP_DROP) : send_to(packet, number);
}

inline_always int ipv4(struct packet *packet)
{
	HEADER(ipv4, ip, packet->data + packet->l3);
	struct flow flow = {};
	u32 words, low;
	int later;

	if (unlikely(!FITS(ip, packet->end)))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	low = ip->destination >> 16;
	if (likely(!(packet->live->gate[low >> 6] >> (low & 63) & 1)))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	words = ip->version_words & 15;
	if (unlikely(ip->version_words >> 4 != 4 || words < 5))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	packet->l4 = packet->l3 + words * 4;
	flow.saddr[3] = ip->source;
	flow.daddr[3] = ip->destination;
	flow.protocol = ip->protocol;
	later = ip->fragment & IPV4_OFFSET;
	if (unlikely(ip->fragment & (IPV4_OFFSET | IPV4_MORE))) {
		packet->fragment_id = ip->id;
		packet->first_fragment = !later;
	}
	if (likely(!later && (flow.protocol == PROTOCOL_TCP || flow.protocol == PROTOCOL_UDP)))
		return transport(packet, &flow, 4);
	return other(packet, &flow, 4, later);
}

/* Extension headers (RFC 8200, 4) that are looked past. */
#define EXTENSIONS 4

inline_always int ipv6(struct packet *packet)
{
	HEADER(ipv6, ip, packet->data + packet->l3);
	struct flow flow = {};
	u32 at = packet->l3 + sizeof(*ip), later = 0;

	if (!(packet->live->flags & LIVE_IPV6) || unlikely(!FITS(ip, packet->end)))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	__builtin_memcpy(flow.saddr, ip->source, sizeof(flow.saddr));
	__builtin_memcpy(flow.daddr, ip->destination, sizeof(flow.daddr));
	flow.protocol = ip->next;
	for (int i = 0; i < EXTENSIONS; i++) {
		HEADER(fragment6, extension, packet->data + (at & 1023));

		if (likely(flow.protocol != PROTOCOL_HOP && flow.protocol != PROTOCOL_ROUTING &&
			   flow.protocol != PROTOCOL_OPTIONS && flow.protocol != PROTOCOL_FRAGMENT))
			break;
		if (at > 1023 || !FITS(extension, packet->end))
			return leave(packet, REASON_FOREIGN, XDP_PASS);
		if (flow.protocol == PROTOCOL_FRAGMENT) {
			packet->fragment_id = extension->id;
			packet->first_fragment = !!(extension->offset & IPV6_MORE);
			later = extension->offset & IPV6_OFFSET;
			at += sizeof(*extension);
		} else {
			at += (extension->reserved + 1) * 8;
		}
		flow.protocol = extension->next;
		if (later)
			break;
	}
	/* Further than the program looks: nobody sends so many options, and ports must not be read from the wrong place. */
	if (unlikely(at > 1023))
		return leave(packet, REASON_FOREIGN, XDP_PASS);
	packet->l4 = at & 1023;
	if (later)
		packet->first_fragment = 0;
	if (likely(!later && (flow.protocol == PROTOCOL_TCP || flow.protocol == PROTOCOL_UDP)))
		return transport(packet, &flow, 6);
	return other(packet, &flow, 6, later);
}

SEC("xdp")
int tsuji(struct xdp_md *frame)
{
	struct packet packet = {
		.frame = frame,
		.data = (void *)(u64)frame->data,
		.end = (void *)(u64)frame->data_end,
	};
	struct ethernet *ethernet = packet.data;
	u32 zero = 0;
	u16 type;

	packet.cpu = bpf_get_smp_processor_id();
	packet.length = packet.end - packet.data;
	packet.live = bpf_map_lookup_elem(&live, &zero);
	if (!packet.live || !FITS(ethernet, packet.end))
		return leave(&packet, REASON_NOT_IP, XDP_PASS);
	/* A switch that does not know an address floods its frames: one that is not for us is not ours to dispatch. */
	if (unlikely(*(u32 *)ethernet->destination != own_mac_first || ethernet->destination[2] != own_mac_last))
		return leave(&packet, REASON_OTHER_MAC, XDP_PASS);
	type = ethernet->type;
	packet.l3 = sizeof(*ethernet);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		HEADER(vlan, vlan, packet.data + packet.l3);

		if (likely(type != ETHER_VLAN && type != ETHER_QINQ))
			break;
		if (!FITS(vlan, packet.end))
			return leave(&packet, REASON_NOT_IP, XDP_PASS);
		type = vlan->type;
		packet.l3 += sizeof(*vlan);
	}
	if (likely(type == ETHER_IPV4))
		return ipv4(&packet);
	if (type == ETHER_IPV6)
		return ipv6(&packet);
	return leave(&packet, REASON_NOT_IP, XDP_PASS);
}

/* The kernel lends most of its helpers only to programs that say so. */
char licence[] SEC("license") = "Dual MIT/GPL";
