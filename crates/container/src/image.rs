//! The install script of a build directory.

/// The script that completes an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Its file name.
    pub script: String,
    /// What it should be called, if it is called otherwise.
    pub expected: Option<String>,
}

/// Why it cannot be told which script is meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no `{expected}`, and several scripts could be meant: {}", .found.join(", "))]
pub struct InstallError {
    expected: String,
    found: Vec<String>,
}

const ENDING: &str = "_install.sh";

/// Finds the install script for a framework among the file names of a build directory. Case libraries name it
/// `<framework>_install.sh`, but several spell the framework differently there (`pytorch2.3` for
/// `pytorch_2.3`), or call it something else altogether.
///
/// # Errors
///
/// Several scripts could be meant and none is spelled like the framework.
pub fn find_install_script(
    framework: &str,
    files: &[String],
) -> Result<Option<Install>, InstallError> {
    let expected = format!("{framework}{ENDING}");
    let mut scripts: Vec<&String> = files.iter().filter(|name| name.ends_with(ENDING)).collect();
    scripts.sort();
    if scripts.iter().any(|name| **name == expected) {
        return Ok(Some(Install {
            script: expected,
            expected: None,
        }));
    }
    let alike: Vec<&String> = scripts
        .iter()
        .filter(|name| plain(name.trim_end_matches(ENDING)) == plain(framework))
        .copied()
        .collect();
    let candidates = if alike.is_empty() { scripts } else { alike };
    match candidates[..] {
        [] => Ok(None),
        [one] => Ok(Some(Install {
            script: one.clone(),
            expected: Some(expected),
        })),
        _ => Err(InstallError {
            expected,
            found: candidates.into_iter().cloned().collect(),
        }),
    }
}

/// A name without what is spelled now this way, now that.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(framework: &str, files: &[&str]) -> Result<Option<(String, bool)>, String> {
        let files: Vec<String> = files.iter().map(|&name| name.to_owned()).collect();
        find_install_script(framework, &files)
            .map(|found| found.map(|it| (it.script, it.expected.is_some())))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_script_is_found_as_libraries_really_name_it() {
        let exact = find(
            "pytorch_2.3",
            &["Dockerfile", "pytorch_2.3_install.sh", "x_install.sh"],
        );
        assert_eq!(exact, Ok(Some(("pytorch_2.3_install.sh".into(), false))));
        for (framework, name) in [
            ("pytorch_2.3", "pytorch2.3_install.sh"),
            ("pytorch_ssh", "pytorchssh_install.sh"),
            ("pytorch_1.13", "pytorch1.13_install.sh"),
            ("pytorch_1.13", "pytorch_install.sh"),
        ] {
            let found = find(framework, &["Dockerfile", name]);
            assert_eq!(found, Ok(Some((name.into(), true))), "{framework}");
        }
        assert_eq!(find("pytorch_2.3", &["Dockerfile", "install.sh"]), Ok(None));
        let several = find("pytorch", &["b_install.sh", "a_install.sh"]);
        let text = "there is no `pytorch_install.sh`, and several scripts could be meant: a_install.sh, b_install.sh";
        assert_eq!(several, Err(text.to_owned()));
    }
}
