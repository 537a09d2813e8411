/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast"): with secret random keys, two
 * different inputs meet with a probability of 2^-32, whatever a sender who does not know the keys may choose.
 */
#ifndef TSUJI_HASH_H
#define TSUJI_HASH_H

#include "maps.h"

#define PORTS(flow) ((u32)(flow)->sport | (u32)(flow)->dport << 16)

/* From a 32-bit hash to 0..n-1 without a division. */
inline_always u32 in_range(u32 hash, u32 n)
{
	return (u64)hash * n >> 32;
}

inline_always u32 hash_key(u64 key, int first)
{
	return (hash_keys[first] + hash_keys[first + 1] * (u32)key + hash_keys[first + 2] * (key >> 32)) >> 32;
}

inline_always u32 first_bucket(u64 key)
{
	return in_range(hash_key(key, 0), buckets);
}

inline_always u32 second_bucket(u64 key, u32 first)
{
	u32 second = in_range(hash_key(key, 3), buckets);

	if (second == first)
		second = first + 1 < buckets ? first + 1 : 0;
	return second;
}

inline_always u32 hash_flow(const struct flow *flow, int first)
{
	u64 sum = hash_keys[first];

	for (int i = 0; i < 4; i++)
		sum += hash_keys[first + 1 + i] * flow->saddr[i];
	for (int i = 0; i < 4; i++)
		sum += hash_keys[first + 5 + i] * flow->daddr[i];
	sum += hash_keys[first + 9] * PORTS(flow);
	sum += hash_keys[first + 10] * flow->protocol;
	return sum >> 32;
}

inline_always u64 exact_key(const struct flow *flow, u16 service)
{
	return (u64)flow->saddr[3] << 32 | (u64)flow->sport << 16 | service;
}

inline_always u64 fingerprint_key(const struct flow *flow, u16 service)
{
	return (u64)hash_flow(flow, 8) << 32 | (u64)(hash_flow(flow, 19) & 0xffff0000) | service;
}

/*
 * The consistent hash of a client. Its keys are no secret and never change: two dispatchers must find the same server.
 * A client who steers its own flows to one server can do no more harm than by sending them there at all.
 */
inline_always u32 hash_client(const struct flow *flow)
{
	static const u64 keys[6] = {
		0x8f14e45fceea167aull, 0x9b74c9897bac770full, 0xc2b2ae3d27d4eb4full,
		0x165667b19e3779f9ull, 0x27d4eb2f165667c5ull, 0xd6e8feb86659fd93ull,
	};
	u64 sum = keys[0];

	for (int i = 0; i < 4; i++)
		sum += keys[1 + i] * flow->saddr[i];
	return (sum + keys[5] * PORTS(flow)) >> 32;
}

/* Where the search for a service begins. User space picks a salt with which no search is long. */
inline_always u32 hash_service(const u32 address[4], u16 port, u64 salt)
{
	u64 high = (u64)address[1] << 32 | address[0];
	u64 low = (u64)address[3] << 32 | address[2];

	return ((high * SERVICE_MIX ^ low ^ port) * salt) >> SERVICE_HASH_SHIFT;
}

#endif
