//! What `nvidia-smi` prints, in all its forms.

use flagperf_accel::{ChipReading, Quantity, StatusReader, Value, census};
use proptest::prelude::*;

/// Two chips, as a driver of 2024 prints them; the texts of tests are our own, in the tool's form.
pub(crate) const TWO: &str = "\
index, uuid, pci.bus_id, name, driver_version, temperature.gpu, power.draw [W], memory.used [MiB], memory.total [MiB], utilization.gpu [%], utilization.memory [%], clocks.current.sm [MHz], clocks.current.memory [MHz]
0, GPU-00000000-0000-0000-0000-000000000000, 00000000:01:00.0, NVIDIA H100 PCIe, 550.54.15, 31, 65.25 W, 10 MiB, 81559 MiB, 0 %, 0 %, 345 MHz, 1593 MHz
1, GPU-11111111-1111-1111-1111-111111111111, 00000000:02:00.0, NVIDIA H100 PCIe, 550.54.15, 63, 349.90 W, 70123 MiB, 81559 MiB, 100 %, 41 %, 1755 MHz, 1593 MHz
";

pub(crate) fn read(text: &str) -> Vec<ChipReading> {
    let mut reader = StatusReader::named("nvidia-smi").unwrap();
    text.lines().filter_map(|line| reader.line(line)).collect()
}

#[test]
fn every_value_of_every_chip() {
    let chips = read(TWO);
    assert_eq!(chips.len(), 2);
    let one = &chips[1];
    assert_eq!(one.index, Some(1));
    assert_eq!(
        one.uuid.as_deref(),
        Some("GPU-11111111-1111-1111-1111-111111111111")
    );
    assert_eq!(one.bus.as_deref(), Some("00000000:02:00.0"));
    assert_eq!(one.name.as_deref(), Some("NVIDIA H100 PCIe"));
    assert_eq!(one.driver.as_deref(), Some("550.54.15"));
    let numbers = Quantity::ALL.map(|quantity| one.number(quantity).unwrap());
    let mib = 1_048_576.0;
    assert_eq!(
        numbers,
        [
            349.9,
            63.0,
            70123.0 * mib,
            81559.0 * mib,
            100.0,
            41.0,
            1755.0,
            1593.0
        ]
    );
}

#[test]
fn columns_are_known_by_name_in_any_order_with_any_others_between() {
    let text = "\
pstate, power.draw [W], fan.speed [%], gpu_uuid, memory.used [MiB], index
P0, 300.00 W, 45 %, GPU-a, 7 MiB, 3
";
    let chips = read(text);
    assert_eq!(chips[0].index, Some(3));
    assert_eq!(chips[0].uuid.as_deref(), Some("GPU-a"));
    assert_eq!(chips[0].number(Quantity::Power), Some(300.0));
    assert_eq!(
        chips[0].number(Quantity::MemoryUsed),
        Some(7.0 * 1_048_576.0)
    );
    assert_eq!(chips[0].value(Quantity::Temperature), &Value::Untold);
}

#[test]
fn units_may_stand_in_the_header_alone() {
    let text = "index, power.draw [W], memory.used [MiB], temperature.gpu\n0, 65.25, 10, 31\n";
    let chips = read(text);
    assert_eq!(chips[0].number(Quantity::Power), Some(65.25));
    assert_eq!(
        chips[0].number(Quantity::MemoryUsed),
        Some(10.0 * 1_048_576.0)
    );
    let other = "index, power.draw [mW], memory.used [KiB]\n0, 65250, 1024\n";
    assert_eq!(read(other)[0].number(Quantity::Power), Some(65.25));
    assert_eq!(
        read(other)[0].number(Quantity::MemoryUsed),
        Some(1_048_576.0)
    );
    // A unit that nobody knows is not guessed.
    let strange = "index, memory.used [sectors]\n0, 1024\n";
    assert!(matches!(
        read(strange)[0].value(Quantity::MemoryUsed),
        Value::Unreadable(_)
    ));
}

#[test]
fn what_a_chip_lacks_is_told_from_what_could_not_be_read() {
    let text = "\
index, power.draw [W], temperature.gpu, utilization.gpu [%], utilization.memory [%], memory.used [MiB], clocks.sm [MHz]
0, [N/A], [Not Supported], [Unknown Error], ERR!, [GPU is lost], 
";
    let chip = &read(text)[0];
    assert_eq!(
        chip.value(Quantity::Power),
        &Value::Unsupported("[N/A]".into())
    );
    assert_eq!(
        chip.value(Quantity::Temperature),
        &Value::Unsupported("[Not Supported]".into())
    );
    for quantity in [
        Quantity::Utilization,
        Quantity::MemoryUtilization,
        Quantity::MemoryUsed,
        Quantity::Clock,
    ] {
        assert!(
            matches!(chip.value(quantity), Value::Unreadable(_)),
            "{quantity:?}: {:?}",
            chip.value(quantity)
        );
    }
}

#[test]
fn power_comes_from_the_first_column_that_the_chip_has() {
    let header = "index, power.draw [W], power.draw.average [W], power.draw.instant [W]\n";
    let power = |row: &str| {
        let chip = read(&format!("{header}{row}\n")).remove(0);
        chip.value(Quantity::Power).clone()
    };
    assert_eq!(power("0, 1.00 W, 2.00 W, 3.00 W"), Value::Number(1.0));
    assert_eq!(power("0, [N/A], [N/A], 3.00 W"), Value::Number(3.0));
    assert_eq!(
        power("0, [N/A], [N/A], [N/A]"),
        Value::Unsupported("[N/A]".into())
    );
    // What could not be read for once must not become another quantity for once.
    assert!(matches!(
        power("0, [Unknown Error], 2.00 W, 3.00 W"),
        Value::Unreadable(_)
    ));
}

#[test]
fn torn_shifted_and_foreign_lines_are_passed_over() {
    let text = format!(
        "NVIDIA-SMI has a word to say, before all else\n{TWO}0, GPU-0000\n\
         0, GPU-0, 00000000:01:00.0, NVIDIA H100, PCIe, 550.54.15, 31, 65,25 W, 10 MiB, 81559 MiB, 0 %, 0 %, 345 MHz, 1593 MHz\n\
         [N/A], [N/A], [N/A], NVIDIA H100 PCIe, 550.54.15, 31, 65.25 W, 10 MiB, 81559 MiB, 0 %, 0 %, 345 MHz, 1593 MHz\n\
         Unable to determine the device handle for GPU0000:02:00.0: Unknown Error\n"
    );
    assert_eq!(read(&text), read(TWO));
    assert_eq!(read(""), []);
    // Rows without a header have no meaning.
    let rows: String = TWO.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(read(&rows), []);
}

#[test]
fn a_header_may_come_again_and_be_another() {
    let text = format!("{TWO}index, temperature.gpu\n1, 64\n");
    let chips = read(&text);
    assert_eq!(chips.len(), 3);
    assert_eq!(chips[2].number(Quantity::Temperature), Some(64.0));
    assert_eq!(chips[2].number(Quantity::Power), None);
}

#[test]
fn what_it_says_instead() {
    let reader = StatusReader::named("nvidia-smi").unwrap();
    assert_eq!(
        reader.refused_field("Field \"power.draw.average\" is not a valid field to query."),
        Some("power.draw.average")
    );
    assert_eq!(reader.refused_field("Field of stars"), None);
    assert!(reader.says_none("No devices were found\r\n"));
    assert!(!reader.says_none("0, 31"));
    assert!(StatusReader::named("npu-smi").is_none());
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in any::<String>(), junk in "[a-z0-9.,%\\[\\] \n/A-W-]{0,400}") {
        for text in [&text, &junk, &format!("{TWO}{junk}"), &format!("{junk}\n{TWO}")] {
            let chips = read(text);
            for chip in &chips {
                prop_assert!(chip.uuid.is_some() || chip.bus.is_some() || chip.index.is_some());
                for quantity in Quantity::ALL {
                    prop_assert!(chip.number(quantity).is_none_or(f64::is_finite));
                }
            }
            if let Some(census) = census("nvidia", "nvidia-smi", &chips) {
                prop_assert_eq!(census.row(&chips).len(), census.series.len());
                prop_assert!(census.is_complete(&chips));
            }
        }
    }

    /// A number that is printed is the number that is read, whichever columns stand around it.
    #[test]
    fn printed_numbers_come_back(
        rows in prop::collection::vec((0u32..100_000, 0u32..1_000_000, 0u32..=100), 1..20),
        order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let names = ["index", "power.draw [W]", "memory.used [MiB]", "utilization.gpu [%]"];
        let line = |cells: [String; 4]| order.iter().map(|&at| cells[at].clone()).collect::<Vec<_>>().join(", ");
        let mut text = line(names.map(str::to_owned)) + "\n";
        for (place, (centiwatts, mib, percent)) in rows.iter().enumerate() {
            text += &line([
                place.to_string(),
                format!("{}.{:02} W", centiwatts / 100, centiwatts % 100),
                format!("{mib} MiB"),
                format!("{percent} %"),
            ]);
            text += "\n";
        }
        let chips = read(&text);
        let census = census("nvidia", "nvidia-smi", &chips).unwrap();
        let row = census.row(&chips);
        let (n, values) = (rows.len(), rows.iter());
        for (place, (centiwatts, mib, percent)) in values.enumerate() {
            prop_assert_eq!(row[place], Some(i64::from(*centiwatts)));
            prop_assert_eq!(row[n + place], Some(i64::from(*mib) << 20));
            prop_assert_eq!(row[2 * n + place], Some(i64::from(*percent) * 10));
        }
    }
}
