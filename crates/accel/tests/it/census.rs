//! From answers of a tool to chips, series and rows.

use flagperf_accel::{Quantity, census};
use flagperf_model::Scope;

use crate::nvidia_smi::{TWO, read};

#[test]
fn chips_and_series_of_a_first_answer() {
    let first = read(TWO);
    let census = census("nvidia", "nvidia-smi", &first).unwrap();
    assert_eq!(census.chips.len(), 2);
    let chip = &census.chips[1];
    assert_eq!((chip.vendor.as_str(), chip.label.as_str()), ("nvidia", "1"));
    assert_eq!(chip.name.as_deref(), Some("NVIDIA H100 PCIe"));
    assert_eq!(chip.memory_bytes, Some(81559 << 20));
    assert_eq!(chip.driver.as_deref(), Some("550.54.15"));
    assert_eq!(census.absent, []);
    // Series of one quantity stand together, a chip each.
    let names: Vec<(&str, &str)> = census
        .series
        .iter()
        .map(|decl| (decl.name.as_str(), decl.instance.as_deref().unwrap()))
        .collect();
    assert_eq!(names.len(), 14);
    assert_eq!(
        names[..4],
        [
            ("chip.power", "0"),
            ("chip.power", "1"),
            ("chip.temperature", "0"),
            ("chip.temperature", "1"),
        ]
    );
    assert!(census.series.iter().all(|decl| decl.scope == Scope::Chip));
    let row = census.row(&first);
    assert_eq!(
        row[..6],
        [
            Some(6525),
            Some(34990),
            Some(310),
            Some(630),
            Some(10 << 20),
            Some(70123 << 20)
        ]
    );
}

#[test]
fn a_row_knows_its_chip_by_name_and_not_by_place() {
    let census = census("nvidia", "nvidia-smi", &read(TWO)).unwrap();
    let lines: Vec<&str> = TWO.lines().collect();
    // The first chip is gone, and the second got its number.
    let moved = lines[2].replacen("1, GPU", "0, GPU", 1);
    let readings = read(&format!("{}\n{moved}\n", lines[0]));
    assert!(!census.is_complete(&readings));
    let row = census.row(&readings);
    assert_eq!((row[0], row[1]), (None, Some(34990)));
    // A chip that nobody knew gets no place.
    let stranger = lines[1].replace("GPU-0000", "GPU-9999");
    let readings = read(&format!("{}\n{stranger}\n", lines[0]));
    assert!(census.row(&readings).iter().all(Option::is_none));
}

#[test]
fn what_chips_lack_is_absent_with_the_reason() {
    let text = "\
index, uuid, power.draw [W], temperature.gpu, utilization.gpu [%]
0, GPU-a, [N/A], 40, [N/A]
1, GPU-b, 99.00 W, [Unknown Error], [N/A]
2, GPU-c, [N/A], 42, [N/A]
";
    let readings = read(text);
    let census = census("nvidia", "nvidia-smi", &readings).unwrap();
    let absent: Vec<(&str, &str)> = census
        .absent
        .iter()
        .map(|absent| (absent.name.as_str(), absent.reason.as_str()))
        .collect();
    assert_eq!(
        absent,
        [
            ("chip.power", "chips 0, 2: nvidia-smi says [N/A]"),
            ("chip.memory_used", "nvidia-smi does not tell it"),
            ("chip.utilization", "nvidia-smi says [N/A]"),
            ("chip.memory_utilization", "nvidia-smi does not tell it"),
            ("chip.clock", "nvidia-smi does not tell it"),
            ("chip.memory_clock", "nvidia-smi does not tell it"),
        ]
    );
    // What could not be read for once keeps its place, with a gap.
    assert_eq!(
        census.row(&readings),
        [Some(9900), Some(400), None, Some(420)]
    );
    assert_eq!(census.series.len(), 4);
}

#[test]
fn nobody_and_too_many() {
    assert_eq!(census("nvidia", "nvidia-smi", &[]), None);
    let rows: Vec<String> = (0..2000).map(|index| format!("{index}, 40\n")).collect();
    let text = format!("index, temperature.gpu\n{}", rows.concat());
    assert_eq!(census("nvidia", "nvidia-smi", &read(&text)), None);
}

#[test]
fn chips_without_numbers_of_their_own_are_counted() {
    let text = "uuid, temperature.gpu\nGPU-a, 1\nGPU-b, 2\nGPU-a, 3\n";
    let readings = read(text);
    let census = census("nvidia", "nvidia-smi", &readings).unwrap();
    let labels: Vec<&str> = census
        .chips
        .iter()
        .map(|chip| chip.label.as_str())
        .collect();
    assert_eq!(labels, ["0", "1"]);
    // Of two answers on one chip the later counts.
    assert_eq!(census.row(&readings), [Some(30), Some(20)]);
    assert_eq!(readings[0].number(Quantity::Temperature), Some(1.0));
}
