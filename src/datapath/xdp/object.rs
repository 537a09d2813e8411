//! The compiled program and the sources that it was made of.

/// The object, as `make bpf` leaves it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("program/dispatch.o");

/// The program's name in the object.
pub const PROGRAM: &str = "tsuji";

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// `program/checksums` is what `make bpf` wrote: of each source, and of the object that it made.
    #[test]
    fn the_object_belongs_to_its_sources() {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/datapath/xdp/program");
        let check = Command::new("sha256sum").args(["--check", "--quiet", "checksums"]).current_dir(program).output();
        let Ok(check) = check else {
            println!("skipped: no sha256sum here");
            return;
        };
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success(), "run `make bpf`: {said}");
        let listed = std::fs::read_to_string(format!("{program}/checksums")).unwrap();
        for entry in std::fs::read_dir(program).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "checksums" || listed.contains(&name), "{name} has no checksum: run `make bpf`");
        }
    }
}
