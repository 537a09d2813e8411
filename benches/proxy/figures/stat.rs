//! Texts of `/proc`.

/// What `/proc/PID/stat` says of one process, or `/proc/PID/task/TID/stat` of one thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stat {
    pub id: u32,
    pub name: String,
    pub parent: u32,
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Stat {
    /// The name stands in brackets and may itself have blanks and brackets: what follows begins after the last one.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.rsplit_once(')')?;
        let (id, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse().ok();
        Some(Self {
            id: id.trim().parse().ok()?,
            name: name.to_owned(),
            // proc(5): state is field 3, parent 4, utime 14, stime 15.
            parent: u32::try_from(field(1)?).ok()?,
            user_ticks: field(11)?,
            system_ticks: field(12)?,
        })
    }
}

/// A process and all who descend from it, out of all processes of the machine.
pub fn descendants(root: u32, all: &[Stat]) -> Vec<Stat> {
    let mut family: Vec<Stat> = all.iter().filter(|stat| stat.id == root).cloned().collect();
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|stat| stat.id) {
        let children = all.iter().filter(|stat| stat.parent == parent && stat.id != root);
        family.extend(children.cloned());
        next += 1;
    }
    family
}

/// Resident memory out of `/proc/PID/status`, in KiB.
pub fn resident_kib(status: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The processor's name out of `/proc/cpuinfo`.
pub fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}
