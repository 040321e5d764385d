use flagperf_config::{decide_environment, read_exec_in_container};
use flagperf_model::Environment;

#[test]
fn the_variable_as_it_is_meant() {
    for text in ["True", "true", "1"] {
        assert_eq!(read_exec_in_container(Some(text)), Ok(Some(true)), "{text}");
    }
    for text in ["False", "false", "0", ""] {
        assert_eq!(
            read_exec_in_container(Some(text)),
            Ok(Some(false)),
            "{text}"
        );
    }
    assert_eq!(read_exec_in_container(None), Ok(None));
    for (text, shown) in [
        ("yes", "yes"),
        ("TRUE", "TRUE"),
        (" 1", " 1"),
        ("2", "2"),
        ("\u{1b}[2J", "\u{fffd}[2J"),
    ] {
        assert_eq!(
            read_exec_in_container(Some(text)).unwrap_err().to_string(),
            format!(
                "EXEC_IN_CONTAINER is `{shown}`; expected `True`, `true` or `1` for in-container mode, \
                 or `False`, `false`, `0` or nothing for none"
            )
        );
    }
}

#[test]
fn who_decides_and_what_the_log_says() {
    let on = &Environment::InContainer;
    let off = &Environment::Host;
    for (flag, variable, file, expected, reason) in [
        (None, None, None, off, None),
        (
            None,
            Some("True"),
            None,
            on,
            Some("EXEC_IN_CONTAINER=True: in-container mode"),
        ),
        (
            None,
            Some("0"),
            Some(true),
            off,
            Some("EXEC_IN_CONTAINER=0: off"),
        ),
        (
            None,
            Some(""),
            Some(true),
            off,
            Some("EXEC_IN_CONTAINER is empty: off"),
        ),
        (
            None,
            None,
            Some(true),
            on,
            Some("in_container = true in flagperf.toml: in-container mode"),
        ),
        (
            None,
            None,
            Some(false),
            off,
            Some("in_container = false in flagperf.toml: off"),
        ),
        (
            Some(true),
            Some("False"),
            Some(false),
            on,
            Some("--in-container: in-container mode"),
        ),
        (
            Some(false),
            Some("True"),
            Some(true),
            off,
            Some("--in-container=false: off"),
        ),
        // Who has said it on the command line does not have to mend the variable.
        (
            Some(true),
            Some("maybe"),
            None,
            on,
            Some("--in-container: in-container mode"),
        ),
    ] {
        assert_eq!(
            decide_environment(flag, variable, file),
            Ok((expected.clone(), reason.map(str::to_owned)))
        );
    }
    assert!(decide_environment(None, Some("maybe"), Some(true)).is_err());
}
