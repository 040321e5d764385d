//! Captures of real tools, where somebody has them: `FLAGPERF_SMI_SAMPLES` names their directory, with a directory
//! of each vendor in it.

use std::path::PathBuf;

use flagperf_accel::{Quantity, Value, census};

use crate::nvidia_smi::read;

const MIB: f64 = 1_048_576.0;

/// The text of a capture; `None`, and a word about it, where there are none.
fn capture(name: &str) -> Option<String> {
    let Some(directory) = std::env::var_os("FLAGPERF_SMI_SAMPLES") else {
        println!("skipped: FLAGPERF_SMI_SAMPLES names no directory of captures");
        return None;
    };
    let path = PathBuf::from(directory).join("nvidia").join(name);
    Some(
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    )
}

#[test]
fn a_loaded_h100() {
    let Some(text) = capture("nvidia-smi-590.48-h100-load-querygpu-1.txt") else {
        return;
    };
    let chips = read(&text);
    assert_eq!(chips.len(), 1);
    let chip = &chips[0];
    assert_eq!(chip.index, Some(0));
    assert_eq!(chip.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
    assert_eq!(chip.driver.as_deref(), Some("590.48.01"));
    assert_eq!(chip.number(Quantity::Temperature), Some(59.0));
    assert_eq!(chip.number(Quantity::Power), Some(631.95));
    assert_eq!(chip.number(Quantity::MemoryUsed), Some(19818.0 * MIB));
    assert_eq!(chip.number(Quantity::MemoryTotal), Some(81559.0 * MIB));
    assert_eq!(chip.number(Quantity::Utilization), Some(100.0));
    assert!(chip.number(Quantity::Clock).is_some() && chip.number(Quantity::MemoryClock).is_some());
    let census = census("nvidia", "nvidia-smi", &chips).unwrap();
    assert_eq!((census.series.len(), census.absent.len()), (7, 0));
}

#[test]
fn an_h200_cut_into_parts() {
    let Some(text) = capture("nvidia-smi-590.48-h200-mig-load-querygpu-1.txt") else {
        return;
    };
    let chips = read(&text);
    assert_eq!(chips.len(), 1, "one row for the whole card");
    let chip = &chips[0];
    assert_eq!(chip.number(Quantity::Temperature), Some(36.0));
    assert_eq!(chip.number(Quantity::Power), Some(295.01));
    assert_eq!(chip.number(Quantity::MemoryUsed), Some(16959.0 * MIB));
    assert_eq!(chip.number(Quantity::MemoryTotal), Some(143_771.0 * MIB));
    assert!(matches!(
        chip.value(Quantity::Utilization),
        Value::Unsupported(_)
    ));
    let census = census("nvidia", "nvidia-smi", &chips).unwrap();
    assert!(
        census
            .absent
            .iter()
            .any(|absent| absent.name == "chip.utilization")
    );
}

#[test]
fn a_tool_that_goes_on() {
    let Some(text) = capture("nvidia-smi-unknown-power-loop-1.txt") else {
        return;
    };
    let rows = read(&text);
    assert_eq!(rows.len(), 91);
    assert_eq!(rows[0].number(Quantity::Power), Some(16.48));
    assert_eq!(rows[90].number(Quantity::Power), Some(70.01));
    assert_eq!(rows[90].value(Quantity::Temperature), &Value::Untold);
}

/// Forms that this reader was not made for give nothing, and no harm.
#[test]
fn other_forms_of_the_same_tool_give_nothing() {
    let Some(_) = capture("nvidia-smi-565.57-h100x8-1.txt") else {
        return;
    };
    let directory = PathBuf::from(std::env::var_os("FLAGPERF_SMI_SAMPLES").unwrap());
    let mut others = 0;
    for vendor in std::fs::read_dir(directory).unwrap().flatten() {
        let Ok(files) = std::fs::read_dir(vendor.path()) else {
            continue;
        };
        for file in files.flatten() {
            let name = file.file_name().into_string().unwrap();
            if name.contains("querygpu") || name.contains("power-loop") {
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned();
            assert_eq!(read(&text), [], "{name}");
            others += 1;
        }
    }
    assert!(others > 20, "{others}");
}
