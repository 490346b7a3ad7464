//! Makes text from untrusted files safe for one line of a message.

/// Maximum number of characters of a file-supplied name in a message.
const LONGEST_NAME: usize = 100;

/// A name from a file: control characters are escaped, and a long one is truncated.
pub(crate) fn sanitized_name(name: &str) -> String {
    let mut escaped = name.chars().flat_map(char::escape_debug);
    let mut text: String = escaped.by_ref().take(LONGEST_NAME).collect();
    if escaped.next().is_some() {
        text.push('…');
    }
    text
}

/// Maximum number of characters of a text from a network or its runtime in a message.
#[cfg(feature = "onnx")]
const LONGEST_TEXT: usize = 300;

/// Text from a network or its runtime on one line, truncated if it is long.
#[cfg(feature = "onnx")]
pub(crate) fn sanitized(text: &str) -> String {
    sanitized_line(text, LONGEST_TEXT)
}

/// Text on one line, without control characters, truncated after `longest` of its own characters.
pub(crate) fn sanitized_line(text: &str, longest: usize) -> String {
    let mut chars = text.chars();
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut line: String = chars.by_ref().take(longest).map(printable).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_message() {
        assert_eq!(sanitized_name("a\x1b[2J"), "a\\u{1b}[2J");
        assert_eq!(sanitized_line("a\nb\x1b", 10), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn long_text_is_truncated_with_ellipsis() {
        assert_eq!(sanitized_name(&"x".repeat(101)), format!("{}…", "x".repeat(100)));
        assert_eq!(sanitized_name(&"x".repeat(100)), "x".repeat(100));
        assert_eq!(sanitized_line("grüße", 3), "grü…");
        assert_eq!(sanitized_line("grü", 3), "grü");
    }
}
