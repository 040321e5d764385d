//! What status tools print: any text gives readings that make sense, or none.
#![no_main]

use flagperf_accel::{Quantity, READERS, StatusReader, census};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for name in READERS {
        let Some(mut reader) = StatusReader::named(name) else {
            panic!("a reader that is named is not known");
        };
        let mut readings = Vec::new();
        for line in text.lines() {
            let _ = reader.refused_field(line);
            let _ = reader.says_none(line);
            readings.extend(reader.line(line));
        }
        for reading in &readings {
            assert!(reader.is_at_home());
            for quantity in Quantity::ALL {
                assert!(reading.number(quantity).is_none_or(f64::is_finite));
            }
        }
        let Some(census) = census("acme", name, &readings) else {
            continue;
        };
        assert!(census.is_complete(&readings));
        let row = census.row(&readings);
        assert_eq!(row.len(), census.series.len());
        // Every chip has a label of its own.
        let mut labels: Vec<&str> = census.chips.iter().map(|chip| chip.label.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), census.chips.len());
        assert!(census.row(&[]).iter().all(Option::is_none));
    }
});
