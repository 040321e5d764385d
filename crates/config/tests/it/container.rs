use std::path::Path;

use flagperf_config::{Choice, Settings, parse_settings, resolve};
use flagperf_model::{BuildPolicy, EngineKind, Mount};

fn parse(text: &str) -> Result<Settings, String> {
    parse_settings(Path::new("lab/flagperf.toml"), text).map_err(|errors| errors.to_string())
}

#[test]
fn a_table_about_the_container_switches_the_mode_on() {
    let text = r#"
[container]
engine = "podman"
image_directory = "images/torch"
image = "lab/torch:2"
build = "always"
build_once = true
privileged = true
shm_size = "16G"
ulimits = ["memlock=-1", "stack=67108864"]
devices = ["/dev/davinci0"]
mounts = ["/data", "/models:/m:ro"]
env = { A = "1" }
options = "--gpus '\"device=0,1\"' --label x=$(id)"
setup = ["pip3 install -r 'my file.txt'", ["sh", "build.sh"]]
setup_directory = "setup"
pip_source = "https://index"
"#;
    let inventory = resolve(&parse(text).unwrap(), &Choice::default()).unwrap();
    let request = inventory.container.unwrap();
    assert_eq!(
        request.reason,
        "[container] in flagperf.toml: container mode"
    );
    let choice = request.choice;
    assert_eq!(choice.engine, Some(EngineKind::Podman));
    assert_eq!(choice.image_directory.as_deref(), Some("lab/images/torch"));
    assert_eq!(choice.setup_directory.as_deref(), Some("lab/setup"));
    assert_eq!(
        (choice.build, choice.build_once),
        (Some(BuildPolicy::Always), Some(true))
    );
    assert_eq!(
        choice.setup,
        [
            vec!["pip3", "install", "-r", "my file.txt"],
            vec!["sh", "build.sh"]
        ]
    );
    let options = choice.options;
    // Quotation marks hold words together, and nothing is replaced.
    assert_eq!(
        options.extra,
        ["--gpus", "\"device=0,1\"", "--label", "x=$(id)"]
    );
    assert_eq!(
        (options.network.as_deref(), options.ipc.as_deref()),
        (Some("host"), Some("host"))
    );
    assert!(options.privileged);
    assert_eq!(
        options.mounts,
        [
            Mount {
                from: "/data".into(),
                to: "/data".into(),
                read_only: false
            },
            Mount {
                from: "/models".into(),
                to: "/m".into(),
                read_only: true
            },
        ]
    );
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (text, expected) in [
        (
            "[container]\nengin = \"docker\"",
            "2:1: [container] has no key `engin`; did you mean `engine`?",
        ),
        (
            "[container]\nengine = \"dockr\"",
            "2:10: `dockr` is none of `docker`, `podman`, `nerdctl`; did you mean `docker`?",
        ),
        (
            "[container]\nimage = 3",
            "2:9: this is an integer; expected the name of an image",
        ),
        (
            "[container]\nmounts = [\"data:/x\"]",
            "2:11: `data:/x` is no mount",
        ),
        (
            "[container]\noptions = \"--gpus 'all\"",
            "2:11: a quotation mark is never closed",
        ),
        (
            "container = true",
            "1:13: this is a boolean; expected [container] as a table",
        ),
    ] {
        let found = parse(text).unwrap_err();
        assert!(found.contains(expected), "{found}\nlacks {expected}");
    }
}

#[test]
fn a_table_without_an_image_is_refused() {
    let settings = parse("[container]\nprivileged = true").unwrap();
    let error = resolve(&settings, &Choice::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("container mode needs an image: --image NAME"),
        "{error}"
    );
}

#[test]
fn options_of_the_command_line_are_split_as_a_shell_would_split_them() {
    let choice = |options: &str| Choice {
        container: Some(true),
        container_choice: flagperf_config::ContainerChoice {
            image: Some("a:1".into()),
            ..Default::default()
        },
        container_options: Some(options.to_owned()),
        ..Choice::default()
    };
    let inventory = resolve(&Settings::default(), &choice("--gpus '\"device=0,1\"'")).unwrap();
    let extra = inventory.container.unwrap().choice.options.extra;
    assert_eq!(extra, ["--gpus", "\"device=0,1\""]);
    let error = resolve(&Settings::default(), &choice("'"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--container-options: a quotation mark is never closed"),
        "{error}"
    );
}
