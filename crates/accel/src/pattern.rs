//! What product names of chips are compared with.

/// Does a text fit a pattern, in which `*` stands for any characters? Capital letters and small ones of ASCII
/// count as the same. The time is at most the product of the two lengths.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last `*`, and up to where the text was given to it.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern
            .get(p)
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&text[t]))
        {
            p += 1;
            t += 1;
        } else if let Some((at, given)) = star {
            star = Some((at, given + 1));
            p = at + 1;
            t = given + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;
    use proptest::prelude::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, does) in [
            ("", "", true),
            ("*", "", true),
            ("NVIDIA H100 PCIe", "nvidia h100 pcie", true),
            ("NVIDIA H100", "NVIDIA H100 PCIe", false),
            ("*H100*PCIe", "NVIDIA H100 80GB PCIe", true),
            ("*H100*PCIe", "NVIDIA H100 PCIe NVL", false),
            ("a*b*c", "abbbbc", true),
            ("a*b*c", "acccc", false),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern, text), does, "{pattern} {text}");
        }
    }

    /// The same by taking every way to give the stars something.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            Some((byte, rest)) => text
                .split_first()
                .is_some_and(|(first, left)| byte.eq_ignore_ascii_case(first) && slow(rest, left)),
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_is_the_slow_one(pattern in "[aAb*]{0,6}", text in "[abB]{0,8}") {
            prop_assert_eq!(fits(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
