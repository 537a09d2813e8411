//! What the http and https advisors say, and which answers are good.

mod chunked;
mod request;
mod response;

pub use request::request;
pub use response::{LIMIT, Progress, Response, Verdict};
