/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets everything pass. A veth device takes frames that its peer's program sends back (XDP_TX) only while it has a program
 * itself; without one they vanish uncounted.
 */
__attribute__((section("xdp"), used)) int pass(void *frame)
{
	(void)frame;
	return 2; /* XDP_PASS */
}

char licence[] __attribute__((section("license"), used)) = "Dual MIT/GPL";
