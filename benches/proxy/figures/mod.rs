//! The pure half of this bench: what programs and the kernel write becomes numbers, numbers become a report, and the
//! report becomes a table and a chart. Tested in `tests/figures`.

pub mod chart;
pub mod h2load;
pub mod measure;
pub mod order;
pub mod report;
pub mod stat;
pub mod strace;
pub mod table;
pub mod wrk;
