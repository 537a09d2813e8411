/* SPDX-License-Identifier: Apache-2.0 */
/* Headers on the wire. */
#ifndef TSUJI_FRAME_H
#define TSUJI_FRAME_H

#include "kernel.h"

struct ethernet {
	u16 destination[3];
	u16 source[3];
	u16 type;
};

struct vlan {
	u16 tag;
	u16 type;
};

struct ipv4 {
	u8 version_words;
	u8 tos;
	u16 length;
	u16 id;
	u16 fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 destination;
};

struct ipv6 {
	u32 version_class_flow;
	u16 length;
	u8 next;
	u8 hops;
	u32 source[4];
	u32 destination[4];
};

struct ports {
	u16 source, destination;
};

struct udp {
	u16 source, destination;
	u16 length;
	u16 checksum;
};

struct tcp {
	u16 source, destination;
	u32 sequence;
	u32 acknowledgment;
	u8 words;
	u8 flags;
	u16 window;
	u16 checksum;
	u16 urgent;
};

struct icmp {
	u8 type, code;
	u16 checksum;
	u32 rest;
};

struct fragment6 {
	u8 next, reserved;
	u16 offset;
	u32 id;
};

enum { ETHER_IPV4 = be16(0x0800), ETHER_IPV6 = be16(0x86dd), ETHER_VLAN = be16(0x8100), ETHER_QINQ = be16(0x88a8) };
enum { PROTOCOL_HOP = 0, PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_ROUTING = 43 };
enum { PROTOCOL_FRAGMENT = 44, PROTOCOL_ICMP6 = 58, PROTOCOL_OPTIONS = 60 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum { IPV4_OFFSET = be16(0x1fff), IPV4_MORE = be16(0x2000), IPV6_OFFSET = be16(0xfff8), IPV6_MORE = be16(1) };

/* A header at this place, wholly within the frame. */
#define HEADER(type, name, at) \
	struct type *name = (void *)(at)
#define FITS(name, end) ((void *)((name) + 1) <= (void *)(end))

#endif
