//! What this process may do in the kernel, to tell a want of rights from a program that the verifier does not like.

/// Whether the verifier lets this process's programs reckon with pointers: with `CAP_PERFMON`, or `CAP_SYS_ADMIN` in its place.
/// What cannot be read does not count as a want.
pub(super) fn has_perfmon() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    perfmon_in(&status).unwrap_or(true)
}

fn perfmon_in(status: &str) -> Option<bool> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let effective = u64::from_str_radix(effective.trim(), 16).ok()?;
    Some(effective & (1 << PERFMON | 1 << SYS_ADMIN) != 0)
}

/// Numbers of capabilities, as in `linux/capability.h`.
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        let status = |effective: &str| format!("Name:\ttsuji\nCapPrm:\t000001ffffffffff\nCapEff:\t{effective}\n");
        let cases = [
            ("000001ffffffffff", Some(true)),
            ("0000004000000000", Some(true)),
            ("0000000000200000", Some(true)),
            ("000001bfffdfffff", Some(false)),
            ("0000000000000000", Some(false)),
            ("nonsense", None),
        ];
        for (effective, expected) in cases {
            assert_eq!(perfmon_in(&status(effective)), expected, "{effective}");
        }
        assert_eq!(perfmon_in(""), None);
    }
}
