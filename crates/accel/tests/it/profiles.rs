//! The profiles that come with the program, and those beside them.

use std::path::Path;

use flagperf_accel::{Format, Profiles, READERS, StatusReader, read_profile};
use flagperf_model::ChipFacts;

/// Every file in `vendors/` is read without a mistake and is compiled in.
#[test]
fn every_profile_is_sound_and_built_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vendors");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let profile = read_profile(&path, &text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(
            path.file_stem().unwrap().to_str(),
            Some(profile.name.as_str())
        );
        for chip in &profile.chips {
            assert!(!chip.source.is_empty());
            for product in &chip.products {
                // A pattern before it must not take its products away.
                assert_eq!(
                    profile.chip(product).map(|found| &found.name),
                    Some(&chip.name)
                );
            }
        }
        names.push(profile.name);
    }
    names.sort();
    let profiles = Profiles::built_in();
    let mut built_in: Vec<String> = profiles
        .iter()
        .map(|profile| profile.name.clone())
        .collect();
    built_in.sort();
    assert_eq!(built_in, names);
    assert!(
        READERS
            .iter()
            .all(|name| StatusReader::named(name).is_some())
    );
}

fn chip(name: &str) -> ChipFacts {
    ChipFacts {
        vendor: "nvidia".into(),
        name: Some(name.into()),
        ..ChipFacts::default()
    }
}

#[test]
fn peaks_are_those_of_the_very_chip_and_dense() {
    let profiles = Profiles::built_in();
    let peak = |name: &str, format| profiles.peak(&chip(name), format);
    assert_eq!(peak("NVIDIA A100-SXM4-40GB", Format::Fp16), Some(312.0));
    assert_eq!(peak("NVIDIA A100-SXM4-40GB", Format::Fp64), Some(19.5));
    assert_eq!(peak("NVIDIA H100 80GB HBM3", Format::Fp16), Some(989.5));
    assert_eq!(peak("NVIDIA H100 PCIe", Format::Fp8), Some(1513.0));
    assert_eq!(peak("NVIDIA H800", Format::Fp64), Some(1.0));
    assert_eq!(peak("NVIDIA H20", Format::Int8), Some(296.0));
    assert_eq!(peak("NVIDIA B200", Format::Bf16), Some(2250.0));
    assert_eq!(peak("Tesla V100-SXM2-32GB", Format::Fp32), Some(15.7));
    assert_eq!(peak("NVIDIA L40S", Format::Tf32), Some(183.0));
    // Never another's, and never 0.
    assert_eq!(peak("NVIDIA H100", Format::Fp16), None);
    assert_eq!(peak("NVIDIA H200 MIG 1g.18gb", Format::Fp16), None);
    assert_eq!(peak("Tesla V100-SXM2-32GB", Format::Bf16), None);
    assert_eq!(peak("NVIDIA A10G", Format::Fp16), None);
    let other = ChipFacts {
        vendor: "acme".into(),
        ..chip("NVIDIA H20")
    };
    assert_eq!(profiles.peak(&other, Format::Fp16), None);
    assert_eq!(
        profiles.peak(
            &ChipFacts {
                name: None,
                ..chip("")
            },
            Format::Fp16
        ),
        None
    );
}

#[test]
fn all_the_asked_for_chips_are_there_with_the_main_formats() {
    let profiles = Profiles::built_in();
    let nvidia = profiles.named("NVIDIA").unwrap();
    for family in [
        "A100", "A800", "H100", "H800", "H200", "H20", "L40S", "L20", "A10", "V100", "T4", "B200",
    ] {
        let chips: Vec<_> = nvidia
            .chips
            .iter()
            .filter(|chip| chip.family.as_deref() == Some(family))
            .collect();
        assert!(!chips.is_empty(), "{family}");
        for chip in chips {
            assert!(
                chip.peak(Format::Fp16).is_some() && chip.bandwidth_gb_s.is_some(),
                "{}",
                chip.name
            );
            // Halving twice, or not at all, would show here.
            if let (Some(fp16), Some(int8)) = (chip.peak(Format::Fp16), chip.peak(Format::Int8)) {
                assert!((int8 / fp16 - 2.0).abs() < 0.05, "{}", chip.name);
            }
            if let (Some(fp16), Some(tf32)) = (chip.peak(Format::Fp16), chip.peak(Format::Tf32)) {
                assert!((fp16 / tf32 - 2.0).abs() < 0.05, "{}", chip.name);
            }
        }
    }
}

#[test]
fn a_vendor_is_found_by_any_of_its_names_or_the_nearest_is_told() {
    let profiles = Profiles::built_in();
    let error = profiles.named("nvidea").unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no profile of the vendor `nvidea`; did you mean `nvidia`?"
    );
    let error = profiles.watch(Some("zzz")).unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no profile of the vendor `zzz`; the known ones are `nvidia`"
    );
    let watch = profiles.watch(Some("Nvidia")).unwrap();
    assert!(watch.asked && watch.tools.len() == 1);
    let tool = &watch.tools[0];
    assert_eq!(
        (tool.vendor.as_str(), tool.name()),
        ("nvidia", "nvidia-smi")
    );
    let watch = profiles.watch(None).unwrap();
    assert!(!watch.asked && watch.tools.contains(tool));
}

#[test]
fn files_of_ones_own_come_over_the_built_in_ones() {
    let own = "name = \"nvidia\"\naliases = [\"green\"]\n";
    let new = "name = \"acme\"\n[[chip]]\nname = \"X\"\nproducts = [\"ACME X*\"]\npeak = { fp16 = 1 }\nsource = \"ours\"\n";
    let profiles = Profiles::built_in()
        .with([(Path::new("a.toml"), own), (Path::new("b.toml"), new)])
        .unwrap();
    assert_eq!(profiles.named("green").unwrap().chips, []);
    let names: Vec<&str> = profiles
        .iter()
        .map(|profile| profile.name.as_str())
        .collect();
    assert_eq!(names, ["acme", "nvidia"]);
    // A vendor without a tool can be named; there is nothing to sample then.
    assert!(profiles.watch(Some("acme")).unwrap().tools.is_empty());
    let wrong = Profiles::built_in().with([
        (Path::new("a.toml"), "name = 3\n"),
        (Path::new("b.toml"), "nam = \"x\"\n"),
    ]);
    let errors = wrong.unwrap_err();
    let files: Vec<&str> = errors
        .0
        .iter()
        .map(|error| error.path.to_str().unwrap())
        .collect();
    assert_eq!(files, ["a.toml", "b.toml", "b.toml"]);
}
