//! At which step an image's build failed.

/// The last step that a build's output names: `3/5: RUN make`. Reads the output of Docker's builder
/// (`Step 3/5 : RUN make`), of Podman's (`STEP 3/5: RUN make`) and of BuildKit's (`#8 [3/5] RUN make`, where that of the
/// `ERROR` counts).
pub fn failing_step(output: &str) -> Option<String> {
    let mut last = None;
    let mut named: Vec<(&str, String)> = Vec::new();
    for line in output.lines().map(str::trim) {
        let classic = line
            .strip_prefix("Step ")
            .or_else(|| line.strip_prefix("STEP "));
        if let Some((count, what)) = classic.and_then(|rest| rest.split_once(':'))
            && is_count(count.trim())
        {
            last = Some(format!("{}: {}", count.trim(), what.trim()));
        } else if let Some((number, rest)) =
            line.strip_prefix('#').and_then(|rest| rest.split_once(' '))
        {
            if let Some((count, what)) = rest
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("] "))
                && is_count(count.rsplit(' ').next().unwrap_or(count))
            {
                named.push((
                    number,
                    format!("{}: {}", count.rsplit(' ').next().unwrap_or(count), what),
                ));
            } else if rest.starts_with("ERROR")
                && let Some((_, step)) = named.iter().rev().find(|(known, _)| *known == number)
            {
                return Some(step.clone());
            }
        }
    }
    last
}

/// The last lines of a build's output that tell why it failed, `most` of them at most: those of its last step, without
/// what builders say about themselves and without colours.
pub fn last_words(output: &str, most: usize) -> Vec<String> {
    let own = |line: &&str| {
        let line = line.trim();
        !line.is_empty()
            && !line.starts_with("---> ")
            && !line.starts_with("Removing intermediate container")
    };
    let plain = plain(output);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).filter(own).collect();
    let is_step = |line: &&str| {
        let rest = line
            .strip_prefix("Step ")
            .or_else(|| line.strip_prefix("STEP "));
        rest.and_then(|rest| rest.split_once(':'))
            .is_some_and(|(count, _)| is_count(count.trim()))
    };
    let begin = lines.iter().rposition(is_step).unwrap_or(0);
    let begin = begin.max(lines.len().saturating_sub(most));
    lines[begin..]
        .iter()
        .map(|line| line.chars().take(400).collect())
        .collect()
}

/// Text without the sequences that move cursors and set colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            // ESC [ … up to a letter.
            if rest.next() == Some('[') {
                let _ = rest.find(char::is_ascii_alphabetic);
            }
        } else if c == '\n' || !c.is_control() {
            plain.push(c);
        }
    }
    plain
}

fn is_count(text: &str) -> bool {
    text.split_once('/').is_some_and(|(k, n)| {
        let number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        number(k) && number(n)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_step_is_found_in_the_words_of_each_builder() {
        for (output, step) in [
            (
                "Step 1/3 : FROM a\n ---> 12\nStep 2/3 : RUN false\n ---> Running in 3\nThe command returned a non-zero code: 1\n",
                Some("2/3: RUN false"),
            ),
            (
                "STEP 1/2: FROM a\nSTEP 2/2: RUN false\nError: building at STEP\n",
                Some("2/2: RUN false"),
            ),
            (
                "#5 [1/3] FROM a\n#6 [2/3] RUN false\n#7 [stage 3/3] RUN true\n#6 ERROR: process did not complete\n",
                Some("2/3: RUN false"),
            ),
            ("no such file", None),
        ] {
            assert_eq!(failing_step(output).as_deref(), step);
        }
    }

    #[test]
    fn the_last_words_are_those_of_the_step() {
        let output = "Sending build context\nStep 1/2 : FROM a\n ---> 12\nStep 2/2 : RUN x\n ---> Running in 3\n\u{1b}[91moh no\n\u{1b}[0mRemoving intermediate container 3\nThe command returned 3\n";
        assert_eq!(
            last_words(output, 15),
            ["Step 2/2 : RUN x", "oh no", "The command returned 3"]
        );
        assert_eq!(last_words(output, 1), ["The command returned 3"]);
        assert_eq!(last_words("a\n\nb\n", 9), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn any_output_is_safe(output in "(Step |STEP |#|[0-9/: \\[\\]]|\n|.){0,200}") {
            let _ = last_words(&output, 3);
            let _ = failing_step(&output);
        }
    }
}
