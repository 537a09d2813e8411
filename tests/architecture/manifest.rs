//! Cargo.toml.

/// Dependencies without a comment above that says why they are there.
pub fn without_reason(manifest: &str) -> Vec<String> {
    let (mut faults, mut among_dependencies, mut before) = (Vec::new(), false, "");
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            among_dependencies = line.ends_with("dependencies]");
        } else if among_dependencies
            && let Some((name, _)) = line.split_once(" =")
            && !line.starts_with(['#', ' '])
            && !before.starts_with("# ")
        {
            faults.push(format!("Cargo.toml:{}: `{name}` stands without its reason", number + 1));
        }
        before = line;
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_without_a_reason_are_caught() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# Bytes.\nbytes = \"1\"\nhttp = \"1\"\n\n\
                        [target.'cfg(unix)'.dev-dependencies]\nlibc = \"0.2\"\n[lints.rust]\na = \"deny\"\n";
        let expected =
            ["Cargo.toml:6: `http` stands without its reason", "Cargo.toml:9: `libc` stands without its reason"];
        assert_eq!(without_reason(manifest), expected);
    }
}
