/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program needs of the kernel's interface: types, one context, map kinds, helpers, verdicts. Written out here,
 * because headers of a distribution differ and would make the object depend on the machine that built it.
 * Numbers: include/uapi/linux/bpf.h.
 */
#ifndef TSUJI_KERNEL_H
#define TSUJI_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_LRU_HASH = 9 };
enum { BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *frame, int delta) = (void *)65;
/* Since 5.11. Its step is one jiffy, 4 ms on most kernels: finer than anything here needs, and cheap. */
static u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;

#define SEC(name) __attribute__((section(name), used))
#define inline_always static inline __attribute__((always_inline))
/* A function with external linkage is verified by itself, for any arguments of its types. */
#define separate __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The shape of a map, in the form that loaders read from the object's type information. */
#define MAP_NUMBER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) typeof(type) *name

/* One load or store, neither repeated nor left out by the compiler. */
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define barrier() asm volatile("" ::: "memory")
/* Hides where a value came from, so that a bound which was checked stays checked in the code that the verifier sees. */
#define opaque(x) asm volatile("" : "+r"(x))

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Keys and hashes are made of native loads: little-endian machines only."
#endif
#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)

#endif
