//! Any bytes as a samples file. What comes out must be consistent, whatever went in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let samples = flagperf_store::decode_samples(bytes);
    assert_eq!(samples.series.len(), samples.block.columns.len());
    for column in &samples.block.columns {
        assert_eq!(column.len(), samples.block.times.len());
    }
});
