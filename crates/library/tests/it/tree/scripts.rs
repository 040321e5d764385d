//! The scripts around cases, run for real with stand-ins for pip, Python and torchrun.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flagperf_model::{COPY, OUT, ProcessSpec, SetupCommand, Suite};

use super::made::Made;

/// A place where processes run: a copy of a suite, an output directory, and stand-ins on the search path.
struct Place {
    directory: tempfile::TempDir,
    copy: PathBuf,
}

impl Place {
    fn new(copy: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["bin", "out", "home"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let place = Self { directory, copy };
        for name in ["pip", "pip3", "python3", "torchrun"] {
            place.stand_in(name, "echo \"$0 in $PWD with $#:\" \"$@\"\n");
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, argv: &[String], directory: &Path) -> Command {
        let filled = |word: &String| {
            word.replace(COPY, &self.copy.to_string_lossy())
                .replace(OUT, &self.path("out").to_string_lossy())
        };
        let mut command = Command::new(filled(&argv[0]));
        command
            .args(argv[1..].iter().map(filled))
            .current_dir(directory)
            .env_clear()
            .env("HOME", self.path("home"))
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            );
        command
    }

    fn run(&self, process: &ProcessSpec) -> Output {
        let directory = process
            .cwd
            .as_ref()
            .map_or(self.copy.clone(), |cwd| self.copy.join(cwd));
        self.command(&process.argv, &directory)
            .envs(&process.env)
            .output()
            .unwrap()
    }

    fn set_up(&self, setup: &SetupCommand) -> Output {
        self.command(&setup.argv, &self.copy).output().unwrap()
    }

    /// What was printed, with the places in it called by their names.
    fn text(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let text = text.replace(&*self.path("bin").to_string_lossy(), "BIN");
        text.replace(&*self.path("out").to_string_lossy(), "OUT")
            .replace(&*self.copy.to_string_lossy(), "COPY")
    }

    fn log(&self, name: &str) -> String {
        self.text(&fs::read(self.path("out").join(name)).unwrap())
    }
}

const ADAPTED: &str = "base/benchmarks/computation-FP16/nvidia/A100";

fn benchmark(made: &Made) -> (Place, ProcessSpec) {
    let case = made
        .wish(Suite::Base, "nvidia", &["computation-FP16"])
        .only();
    (
        Place::new(made.root().join("base")),
        case.tasks[0].processes[0].clone(),
    )
}

#[test]
fn packages_then_variables_then_the_program_in_its_directory() {
    let made = Made::new();
    made.write(
        &format!("{ADAPTED}/env.sh"),
        "echo told $# in $PWD\nexport SEEN=\"a b\"\nset -x\n",
    );
    let (place, process) = benchmark(&made);
    place.stand_in("torchrun", "echo \"[$SEEN] in $PWD: $*\"\nexit 7\n");
    let output = place.run(&process);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        place.text(&output.stdout),
        "[a b] in COPY/benchmarks/computation-FP16: --nproc_per_node=8 --nnodes=1 --node_rank=0 --master_addr=one --master_port=29501 main.py --vendor=nvidia/A100 --node_size=8\n"
    );
    // Tracing that the script turned on does not reach the output of the case.
    assert_eq!(place.text(&output.stderr), "");
    let requirements = "COPY/benchmarks/computation-FP16/nvidia/A100/requirements.txt";
    assert_eq!(
        place.log("pip_install.log.txt"),
        format!("BIN/pip in COPY with 3: install -r {requirements}\n")
    );
    assert_eq!(place.log("env.log.txt"), "told 0 in COPY\n");
}

#[test]
fn packages_that_cannot_be_installed_are_the_failure_of_the_case() {
    let made = Made::new();
    let (place, process) = benchmark(&made);
    place.stand_in("pip", "seq 1 30\necho no such package >&2\nexit 3\n");
    place.stand_in("torchrun", "echo it ran\n");
    let output = place.run(&process);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(place.text(&output.stdout), "");
    let text = place.text(&output.stderr);
    let requirements = "COPY/benchmarks/computation-FP16/nvidia/A100/requirements.txt";
    assert!(
        text.starts_with(&format!("flagperf: pip install -r {requirements} ended with exit status 3; the last lines of pip_install.log.txt:\n12\n")),
        "{text}"
    );
    assert!(text.ends_with("30\nno such package\n"), "{text}");
}

#[test]
fn variables_that_cannot_be_set_are_the_failure_of_the_case() {
    let made = Made::new();
    made.write(&format!("{ADAPTED}/env.sh"), "echo no tool\nfalse\n");
    let (place, process) = benchmark(&made);
    let output = place.run(&process);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        place.text(&output.stderr),
        "flagperf: source COPY/benchmarks/computation-FP16/nvidia/A100/env.sh ended with exit status 1; the last lines of env.log.txt:\nno tool\n"
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let made = Made::new();
    let (place, process) = benchmark(&made);
    fs::remove_file(place.path("bin").join("torchrun")).unwrap();
    let output = place.run(&process);
    assert_eq!(output.status.code(), Some(127));
    let text = place.text(&output.stderr);
    assert!(text.contains("torchrun: not found"), "{text}");
}

#[test]
fn ascend_reads_the_users_settings_if_there_are_any() {
    let made = Made::new();
    let case = made
        .wish(Suite::Base, "ascend", &["computation-FP16"])
        .only();
    let process = &case.tasks[0].processes[0];
    let place = Place::new(made.root().join("base"));
    place.stand_in("torchrun", "echo \"[$TOOLS]\"\n");
    made.write(
        "base/benchmarks/computation-FP16/ascend/env.sh",
        "export A=1\n",
    );
    assert_eq!(place.text(&place.run(process).stdout), "[]\n");
    fs::write(place.path("home").join(".bashrc"), "export TOOLS=found\n").unwrap();
    assert_eq!(place.text(&place.run(process).stdout), "[found]\n");
    fs::write(place.path("home").join(".bashrc"), "(exit 5)\n").unwrap();
    let output = place.run(process);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        place.text(&output.stderr),
        "flagperf: source ~/.bashrc ended with exit status 5\n"
    );
}

#[test]
fn the_line_for_the_network_stands_before_the_program() {
    let made = Made::new();
    let case = made
        .wish(
            Suite::Training,
            "nvidia",
            &["chatglm3_6b:deepspeed:H100:1:8:1 = /my data"],
        )
        .only();
    let place = Place::new(made.root().join("training"));
    let script =
        "echo \"[$NET $IB $LATER] in $PWD:\"; for word; do echo \"$word\"; done | tail -n 2\n";
    let run = |network: &str| {
        made.write(
            "training/nvidia/chatglm3_6b-deepspeed/config/net.sh",
            network,
        );
        place.stand_in("torchrun", script);
        let output = place.run(&case.tasks[0].processes[0]);
        assert_eq!(
            (place.text(&output.stderr), output.status.code()),
            (String::new(), Some(0)),
            "{network}"
        );
        place.text(&output.stdout)
    };
    let seen = |variables: &str| {
        format!("[{variables}] in COPY/benchmarks/chatglm3_6b/deepspeed:\n--data_dir\n/my data\n")
    };
    for (network, variables) in [
        ("export NET=1;export IB=0;\r\nexport LATER=1\n", "1 0 "),
        ("export NET=1;", "1  "),
        ("export NET=1\nexport IB=2\n", "1  "),
        ("export NET=1 &&", "1  "),
        ("\nexport NET=1\n", "  "),
        ("", "  "),
    ] {
        assert_eq!(run(network), seen(variables), "{network:?}");
    }
}

#[test]
fn setup_commands_install_and_build() {
    let made = Made::new();
    made.write(
        "training/nvidia/resnet50-pytorch/config/environment_variables.sh",
        "export SEEN=yes\n",
    );
    let case = made
        .wish(
            Suite::Training,
            "nvidia",
            &["resnet50:pytorch:A100:1:2:1 = /d"],
        )
        .only();
    let place = Place::new(made.root().join("training"));
    let [install, build] = &case.setup[..] else {
        panic!("{:?}", case.setup);
    };
    let output = place.set_up(install);
    assert_eq!(
        place.text(&output.stdout),
        "BIN/pip3 in COPY with 5: install -r COPY/nvidia/resnet50-pytorch/config/requirements.txt -i https://packages.invalid/simple\n"
    );
    place.stand_in(
        "python3",
        "echo \"[$SEEN] $EXTENSION_SOURCE_DIR in $PWD: $*\"; touch built; exit 4\n",
    );
    made.write("training/nvidia/sandbox/extension/left/behind", "");
    let output = place.set_up(build);
    assert_eq!(
        place.text(&output.stdout),
        "[yes] COPY/nvidia/resnet50-pytorch/csrc in COPY/nvidia/sandbox/extension: COPY/nvidia/resnet50-pytorch/csrc/setup.py install\n"
    );
    // The original loses the status of the build, because removing the sandbox comes after it.
    assert_eq!(output.status.code(), Some(4));
    assert!(
        !made
            .root()
            .join("training/nvidia/sandbox/extension")
            .exists()
    );
    place.stand_in("pip3", "exit 6\n");
    assert_eq!(place.set_up(install).status.code(), Some(6));
}

#[test]
fn without_a_source_pip_uses_its_own() {
    let made = Made::new();
    let mut wish = made.wish(Suite::Inference, "nvidia", &["resnet50:pytorch = /d"]);
    wish.settings.pip_source = None;
    let place = Place::new(made.root().join("inference"));
    let output = place.set_up(&wish.only().setup[0]);
    assert_eq!(
        place.text(&output.stdout),
        "BIN/pip3 in COPY with 3: install -r COPY/benchmarks/resnet50/pytorch/nvidia_requirements.txt\n"
    );
}
