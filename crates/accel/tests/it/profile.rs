//! The text of a profile.

use std::path::Path;

use flagperf_accel::{Format, read_profile};
use proptest::prelude::*;

fn read(text: &str) -> Result<flagperf_accel::VendorProfile, String> {
    read_profile(Path::new("vendors/acme.toml"), text).map_err(|errors| errors.to_string())
}

/// All keys, with the values that other vendors than NVIDIA need.
const FULL: &str = r#"
name = "acme"
aliases = ["acme-corp"]
visible_devices = "ACME_RT_VISIBLE_DEVICES"

[container]
devices = ["/dev/acme[0-9]*", "/dev/acme_manager"]
mounts = ["/usr/local/acme/driver:/usr/local/acme/driver:ro", "/etc/acme_install.info"]
options = ["--group-add", "video", "--env", "ACME_VISIBLE=all"]

[status]
command = ["acme-smi", "-q", "{fields}"]
fields = ["temp", "power"]
repeat = ["--every={interval_ms}"]
search = ["/usr/local/acme/bin"]
environment = { LD_LIBRARY_PATH = "/usr/local/acme/lib64" }
reader = "nvidia-smi"
interval_s = 2
timeout_s = 2.5
start_timeout_s = 30

[[chip]]
name = "A1"
family = "A1"
products = ["ACME A1*"]
memory_gb = 64
bandwidth_gb_s = 1600.5
peak = { fp16 = 313, int8 = 640.25 }
source = "a sheet"
"#;

#[test]
fn every_key() {
    let profile = read(FULL).unwrap();
    assert_eq!(profile.name, "acme");
    assert!(profile.is_called("ACME-Corp") && !profile.is_called("corp"));
    assert_eq!(
        profile.visible_devices.as_deref(),
        Some("ACME_RT_VISIBLE_DEVICES")
    );
    assert_eq!(profile.container.devices.len(), 2);
    assert_eq!(profile.container.mounts[1], "/etc/acme_install.info");
    assert_eq!(profile.container.options[3], "ACME_VISIBLE=all");
    let status = profile.status.as_ref().unwrap();
    assert_eq!(status.vendor, "acme");
    assert_eq!(status.fields, ["temp", "power"]);
    assert_eq!(status.env["LD_LIBRARY_PATH"], "/usr/local/acme/lib64");
    assert_eq!(
        (
            status.interval_ns,
            status.timeout_ns,
            status.start_timeout_ns
        ),
        (2_000_000_000, 2_500_000_000, 30_000_000_000)
    );
    let chip = profile.chip(" acme a1 pro ").unwrap();
    assert_eq!(
        (chip.peak(Format::Int8), chip.peak(Format::Fp32)),
        (Some(640.25), None)
    );
    assert_eq!(
        (chip.memory_gb, chip.bandwidth_gb_s),
        (Some(64.0), Some(1600.5))
    );
}

/// What the page for those who write profiles shows is a profile.
#[test]
fn the_example_in_the_docs_is_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vendors.md");
    let page = std::fs::read_to_string(page).unwrap();
    let example = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let profile = read(example).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(profile.name, "acme");
    assert!(profile.status.is_some() && profile.chip("ACME A1 PCIe 64GB").is_some());
}

#[test]
fn a_name_is_enough() {
    let profile = read("name = \"acme\"\n").unwrap();
    assert!(profile.status.is_none() && profile.chips.is_empty());
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let text = r#"
name = "Acme Corp"
alias = ["x"]
visible_devices = "A-B"

[container]
devices = ["dev/acme"]
option = []

[status]
command = []
fields = ["a,b"]
repeat = ["-l"]
environment = { "1X" = "y", Z = 3 }
reader = "nvidia-sm"
timeout_s = 0

[[chip]]
name = "A1"
products = []
peak = { fp15 = 1, fp16 = 0, fp32 = "19.5" }

[[chip]]
name = "A1"
products = ["x"]
bandwidth_gb_s = 1e9
source = "s"
"#;
    let errors = read_profile(Path::new("vendors/acme.toml"), text).unwrap_err();
    let told: Vec<String> = errors
        .0
        .iter()
        .map(|error| format!("{}:{} {}", error.line, error.column, error.message))
        .collect();
    let expected = [
        "2:8 `Acme Corp` is no name of a vendor; expected small letters, digits, `-` and `_` alone",
        "3:1 a vendor's profile has no key `alias`; did you mean `aliases`?",
        "4:19 `A-B` is no name of a variable; expected letters, digits and `_`",
        "7:12 this is no whole path; expected one that begins with `/`",
        "8:1 `container` has no key `option`; did you mean `options`?",
        "11:11 this is empty; expected the command and its arguments, such as [\"npu-smi\", \"info\"]",
        "12:10 `command` has no `{fields}` to put them in",
        "13:10 none of these has `{interval_ms}`, the time between two samples",
        "14:17 `1X` is no name of a variable",
        "14:33 this is an integer; expected a text without a NUL character",
        "15:10 `nvidia-sm` is none of `nvidia-smi`; did you mean `nvidia-smi`?",
        "16:13 this is out of range; expected seconds from 0.01 to 60, above 0 and at most 1000000; leave out what is not known",
        "18:1 a chip lacks the key `source`: where its numbers stand",
        "20:12 this is empty; expected the product names that the vendor's tool gives, such as [\"NVIDIA H100 PCIe\"]",
        "21:10 `peak` has no key `fp15`; did you mean `fp16`?",
        "21:27 this is out of range; expected 10^12 operations a second, without sparsity, above 0 and at most 1000000; leave out what is not known",
        "21:37 this is a string; expected 10^12 operations a second, without sparsity",
        "26:18 this is out of range; expected 10^9 bytes a second, above 0 and at most 1000000; leave out what is not known",
    ];
    assert_eq!(told, expected);
    assert!(errors.to_string().starts_with("vendors/acme.toml:2:8: "));
}

#[test]
fn what_must_hold_between_keys() {
    let twice = FULL.to_owned() + "[[chip]]\nname = \"A1\"\nproducts = [\"y\"]\nsource = \"s\"\n";
    assert!(
        read(&twice)
            .unwrap_err()
            .contains("the chip `A1` is described twice")
    );
    let unfilled = FULL.replace("fields = [\"temp\", \"power\"]\n", "");
    assert!(
        read(&unfilled)
            .unwrap_err()
            .contains("`{fields}` stands for `fields`")
    );
    let two = FULL.replace("[\"temp\", \"power\"]", "[\"temp,power\"]");
    assert!(
        read(&two)
            .unwrap_err()
            .contains("`temp,power` is more than one name of a field")
    );
    assert!(
        read("name = \"a\"\n[status]\ncommand = \"npu-smi info\"\nreader = \"nvidia-smi\"\n")
            .unwrap_err()
            .contains("this is a string; expected the command and its arguments")
    );
}

proptest! {
    #[test]
    fn any_text_gives_a_profile_or_places(text in any::<String>(), cut in 0usize..FULL.len(), junk in "[a-z\\[\\]{}=\"0-9.\n ]{0,40}") {
        for text in [text, format!("{}{junk}{}", &FULL[..cut], &FULL[cut..])] {
            if let Err(errors) = read_profile(Path::new("x.toml"), &text) {
                prop_assert!(!errors.0.is_empty());
                for error in &errors.0 {
                    prop_assert!(error.line > 0 && error.column > 0 && !error.message.is_empty());
                }
            }
        }
    }
}
