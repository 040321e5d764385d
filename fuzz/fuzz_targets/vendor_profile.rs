//! Vendors' profiles: any text gives a profile, or errors that name their place.
#![no_main]

use std::path::Path;

use flagperf_accel::{Format, read_profile};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match read_profile(Path::new("fuzz/acme.toml"), text) {
        Ok(profile) => {
            assert!(profile.is_called(&profile.name));
            for chip in &profile.chips {
                for format in Format::ALL {
                    assert!(chip.peak(format).is_none_or(|peak| peak > 0.0 && peak.is_finite()));
                }
                // A product without stars is one of its own patterns.
                for product in chip.products.iter().filter(|product| !product.contains('*')) {
                    assert!(profile.chip(product).is_some());
                }
            }
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(errors.to_string().starts_with("fuzz/acme.toml:"));
        }
    }
});
