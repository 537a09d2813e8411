/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the service that a packet is for. */
#ifndef TSUJI_SERVICE_H
#define TSUJI_SERVICE_H

#include "choose.h"

/* What a service's table entry says, or why there is none. */
struct found {
	u32 service; /* 0: none */
	u32 flags;
	u32 touch;
	u32 reason;
};

inline_always struct service *service_at(struct live *live, const u32 address[4], u16 port, u32 family)
{
	u32 bank = READ_ONCE(live->bank) & 1;
	u32 start = hash_service(address, port, live->salt[bank]);

#pragma unroll
	for (u32 probe = 0; probe < SERVICE_PROBES; probe++) {
		u32 at = bank * SERVICE_BANK + ((start + probe) & (SERVICE_BANK - 1));
		struct service *service = bpf_map_lookup_elem(&services, &at);

		if (!service || service->family == 0)
			return 0;
		if (service->address[3] != address[3] || service->port != port || service->family != family)
			continue;
		if (family == 6 && (service->address[0] != address[0] || service->address[1] != address[1] ||
				    service->address[2] != address[2]))
			continue;
		return service;
	}
	return 0;
}

/* The run of ports that this one is in, as its eight bytes; 0: none. */
separate u64 range_of(u32 line, u32 count, u32 port)
{
	for (u32 i = 0; i < RANGES; i++) {
		u32 at = line + i / RANGES_A_LINE;
		struct line *words = bpf_map_lookup_elem(&plan, &at);
		struct range *range;

		if (i >= count || !words)
			return 0;
		range = (struct range *)words + i % RANGES_A_LINE;
		if (range->first <= port && port <= range->last)
			return *(u64 *)range;
	}
	return 0;
}

/* A `found` as a function's result: service 16 | flags 8 | touch 8 | reason 32. */
inline_always u64 packed(u32 service, u32 flags, u32 touch, u32 reason)
{
	return service | flags << 16 | touch << 24 | (u64)reason << 32;
}

inline_always u64 by_range(const struct service *all, u16 port)
{
	u64 range = range_of(all->line, all->ranges, be16(port));
	u32 reason = all->flags & SERVICE_UNSERVED_PASS ? REASON_UNSERVED_PASS : REASON_UNSERVED;

	return range >> 32 | (u64)reason << 32;
}

/* An address's ranges, of which the wildcard port is the last; then the wildcard cluster. */
separate u64 find_wildcard(u64 upper, u64 lower, u32 port, u32 family)
{
	u32 address[4] = { upper, upper >> 32, lower, lower >> 32 };
	u32 zero = 0;
	struct live *now = bpf_map_lookup_elem(&live, &zero);
	struct service *service;

	if (!now)
		return packed(0, 0, 0, REASON_BROKEN_PLAN);
	service = service_at(now, address, 0, family);
	if (service)
		return by_range(service, port);
	if (!(now->flags & (family == 4 ? LIVE_WILDCARD4 : LIVE_WILDCARD6)))
		return packed(0, 0, 0, REASON_FOREIGN);
	__builtin_memset(address, 0, sizeof(address));
	service = service_at(now, address, port, family);
	if (service)
		return packed(service->service, service->flags & ~SERVICE_EXACT, service->touch, 0);
	service = service_at(now, address, 0, family);
	return service ? by_range(service, port) : packed(0, 0, 0, REASON_FOREIGN);
}

/* Two words of an address in the order in which `find_wildcard` takes them. */
#define HALF(address, first) ((address)[first] | (u64)(address)[(first) + 1] << 32)

/* The single port, then what the address has besides, then the wildcard cluster. */
inline_always struct found find_service(struct live *live, const u32 address[4], u16 port, u32 family)
{
	struct found found = {};
	struct service *service = service_at(live, address, port, family);
	u64 other;

	if (likely(service)) {
		found.service = service->service;
		found.flags = service->flags;
		found.touch = service->touch;
		return found;
	}
	other = find_wildcard(HALF(address, 0), HALF(address, 2), port, family);
	found.service = other & 0xffff;
	found.flags = other >> 16 & 0xff;
	found.touch = other >> 24 & 0xff;
	found.reason = other >> 32;
	return found;
}

/* Whether this address is a cluster's. */
separate int is_cluster(u64 upper, u64 lower, u32 family)
{
	u32 address[4] = { upper, upper >> 32, lower, lower >> 32 };
	u32 zero = 0;
	struct live *now = bpf_map_lookup_elem(&live, &zero);

	return now && service_at(now, address, 0, family) != 0;
}

#endif
