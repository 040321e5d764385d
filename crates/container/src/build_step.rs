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

    proptest! {
        #[test]
        fn any_output_is_safe(output in "(Step |STEP |#|[0-9/: \\[\\]]|\n|.){0,200}") {
            let _ = failing_step(&output);
        }
    }
}
