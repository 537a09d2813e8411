//! The shape of host names.

/// Labels of letters, digits, `-` and `_` (seen in container networks), 1 to 63 characters each, 253 together, not
/// beginning or ending with `-`. The last label is not a number, so that a mistyped address is no name.
pub(in crate::config) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let last_is_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && !last_is_number && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for good in ["w1", "app-1.example.com", "example.com.", "app_1", "1a", "3com.example"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", ".", "a..b", "-a", "a-", "1.2.3", "300.1.2.3", "a b", "a/b", "ü", &"x".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
