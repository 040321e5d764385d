//! What went wrong, in words, and not without bound: an archive may hold millions of names.

/// Problems that are told one by one; of the others only their number.
const NOTICES: usize = 20;
/// Longest part of a name that is shown, in bytes.
const SHOWN: usize = 200;

#[derive(Debug, Default)]
pub(crate) struct Problems {
    told: Vec<String>,
    more: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, name: &[u8], what: impl std::fmt::Display) {
        if self.told.len() < NOTICES {
            self.told.push(format!("`{}` {what}", shown(name)));
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn into_texts(mut self) -> Vec<String> {
        match self.more {
            0 => {}
            1 => self.told.push("one more problem".to_owned()),
            more => self.told.push(format!("{more} more problems")),
        }
        self.told
    }
}

/// A name for people: text that neither floods nor steers a terminal.
fn shown(name: &[u8]) -> String {
    let kept = &name[..name.len().min(SHOWN)];
    let text = String::from_utf8_lossy(kept).replace(char::is_control, "\u{fffd}");
    if kept.len() < name.len() {
        format!("{text}…")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_and_long_names_are_cut() {
        let mut problems = Problems::default();
        for _ in 0..25 {
            problems.add(&[b'\x1b'; 1000], "is odd");
        }
        let texts = problems.into_texts();
        assert_eq!((texts.len(), texts[20].as_str()), (21, "5 more problems"));
        assert_eq!(texts[0].chars().filter(|c| *c == '\u{fffd}').count(), 200);
    }
}
