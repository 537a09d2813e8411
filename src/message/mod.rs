#[derive(Debug, Default)]
pub struct SorrySite;
