//! From the bytes of a file to its text.

use crate::toml_reader::{Problem, locate};

/// The text of a file, without the mark that some editors put before it.
///
/// # Errors
///
/// The place of the first byte that is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let wide = [&b"\xff\xfe"[..], b"\xfe\xff"];
        let message = if wide.iter().any(|mark| bytes.starts_with(mark)) {
            "this file is UTF-16; expected UTF-8, so save it as that".to_owned()
        } else {
            format!(
                "the byte 0x{:02x} is not UTF-8; save the file as UTF-8",
                bytes[at]
            )
        };
        // The text before the byte stays as it is, so the place in it is the same.
        let lossy = String::from_utf8_lossy(bytes);
        locate(&lossy, at..at + 1, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_at_the_beginning_is_no_text() {
        assert_eq!(decode("\u{feff}a: é".as_bytes()), Ok("a: é"));
        assert_eq!(decode(b""), Ok(""));
    }

    #[test]
    fn a_byte_of_another_encoding_is_shown_with_its_line() {
        let problem = decode(b"a: 1\nb: \"\xb0\xa1\"\nc: 2\n").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 5));
        assert_eq!(
            problem.message,
            "the byte 0xb0 is not UTF-8; save the file as UTF-8"
        );
        assert!(problem.excerpt.starts_with("  |\n2 | b: \"��\"\n"));
        let wide = decode(b"\xff\xfea\0:\0").unwrap_err();
        assert!(wide.message.contains("UTF-16"), "{}", wide.message);
    }
}
