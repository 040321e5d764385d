use std::fs;
use std::io::Write;

use flagperf_model::{SampleBlock, Scope, SeriesDecl, SeriesKind, Timestamp, Unit};
use proptest::prelude::*;

use super::file::{Reader, Writer, collect, compact, decode_samples};

fn decl(name: &str, instance: Option<String>, kind: SeriesKind, unit: Unit) -> SeriesDecl {
    SeriesDecl {
        name: name.to_owned(),
        instance,
        unit,
        kind,
        scope: Scope::Machine,
        resolution: 1e-3,
    }
}

fn decls(count: usize) -> Vec<SeriesDecl> {
    (0..count)
        .map(|n| decl("a.b", Some(n.to_string()), SeriesKind::Gauge, Unit::NONE))
        .collect()
}

fn file_of(series: &[SeriesDecl], blocks: &[SampleBlock]) -> Vec<u8> {
    let (writer, mut bytes) = Writer::live(series).unwrap();
    for block in blocks {
        bytes.extend(writer.block(block).unwrap());
    }
    bytes
}

fn joined(columns: usize, blocks: &[SampleBlock]) -> SampleBlock {
    let mut whole = SampleBlock {
        times: Vec::new(),
        columns: vec![Vec::new(); columns],
    };
    for block in blocks {
        whole.times.extend(&block.times);
        for (all, part) in whole.columns.iter_mut().zip(&block.columns) {
            all.extend(part);
        }
    }
    whole
}

/// Values as hard as they come: any number, small steps, constants, multiples, gaps.
fn column(ticks: usize) -> impl Strategy<Value = Vec<Option<i64>>> {
    let value = prop_oneof![
        any::<i64>().boxed(),
        (-100i64..100).boxed(),
        Just(7i64).boxed(),
        (-50i64..50).prop_map(|v| v * 4096).boxed(),
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)].boxed(),
    ];
    prop_oneof![
        prop::collection::vec(value.clone().prop_map(Some), ticks).boxed(),
        prop::collection::vec(prop::option::of(value), ticks).boxed(),
        prop::collection::vec((0i64..9).prop_map(Some), ticks)
            .prop_map(|steps| {
                let mut total = 1_000_000i64;
                steps
                    .into_iter()
                    .map(|step| {
                        total += step.unwrap_or(0);
                        Some(total)
                    })
                    .collect()
            })
            .boxed(),
    ]
}

fn block(columns: usize) -> impl Strategy<Value = SampleBlock> {
    (0usize..40).prop_flat_map(move |ticks| {
        (
            prop::collection::vec(any::<i64>().prop_map(Timestamp), ticks),
            prop::collection::vec(column(ticks), columns),
        )
            .prop_map(|(times, columns)| SampleBlock { times, columns })
    })
}

fn blocks() -> impl Strategy<Value = (usize, Vec<SampleBlock>)> {
    (0usize..5).prop_flat_map(|columns| {
        prop::collection::vec(block(columns), 0..5).prop_map(move |blocks| (columns, blocks))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read((columns, blocks) in blocks()) {
        let bytes = file_of(&decls(columns), &blocks);
        let read = decode_samples(&bytes);
        prop_assert_eq!(&read.damage, &None);
        prop_assert_eq!(&read.series, &decls(columns));
        prop_assert_eq!(&read.block, &joined(columns, &blocks));
    }

    #[test]
    fn a_cut_file_gives_its_whole_blocks((columns, blocks) in blocks(), cut in 0.0f64..1.0) {
        let bytes = file_of(&decls(columns), &blocks);
        let cut = (bytes.len() as f64 * cut) as usize;
        let read = decode_samples(&bytes[..cut]);
        let ends: Vec<usize> = (0..=blocks.len())
            .map(|n| file_of(&decls(columns), &blocks[..n]).len())
            .collect();
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        prop_assert_eq!(read.damage.is_none(), ends.contains(&cut));
        if whole > 0 {
            prop_assert_eq!(&read.block, &joined(columns, &blocks[..whole - 1]));
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed((columns, blocks) in blocks(), place: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = file_of(&decls(columns), &blocks);
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let read = decode_samples(&bytes);
        prop_assert!(read.damage.is_some());
        prop_assert!(read.block.times.len() <= joined(columns, &blocks).times.len());
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let read = decode_samples(&bytes);
        prop_assert!(read.block.times.is_empty());
        // The same behind a valid head, and inside a record whose checksum is right.
        let mut file = file_of(&decls(2), &[]);
        file.extend(&bytes);
        decode_samples(&file);
    }

    #[test]
    fn arbitrary_blocks_are_survived(raw in prop::collection::vec(any::<u8>(), 0..200), columns in 0usize..4) {
        let payload = zstd::bulk::compress(&raw, 1).unwrap();
        if let Ok(block) = super::block::decode(&payload, columns) {
            prop_assert_eq!(block.columns.len(), columns);
            prop_assert!(block.columns.iter().all(|column| column.len() == block.times.len()));
        }
        prop_assert!(super::block::decode(&raw, columns).is_err() || raw.len() >= 4);
    }
}

proptest! {
    // Each compaction syncs its file, which takes milliseconds.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn compacting_changes_nothing((columns, blocks) in blocks()) {
        let bytes = file_of(&decls(columns), &blocks);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("samples.fps");
        fs::write(&path, &bytes).unwrap();
        compact(&path).unwrap();
        let compacted = collect(Reader::open(&path).unwrap());
        prop_assert_eq!(&compacted.damage, &None);
        prop_assert_eq!(&compacted.block, &joined(columns, &blocks));
        prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_small_record_cannot_ask_for_much_memory() {
    // 256 MiB of zeros in some kilobytes.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0u8; 1 << 20];
    for _ in 0..256 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 64 << 10);
    let error = super::block::decode(&bomb, 1).unwrap_err();
    assert_eq!(error.to_string(), "it unfolds to more bytes than allowed");
    // A head that claims more moments than any block has.
    let mut raw = Vec::new();
    super::varint::put(&mut raw, u64::MAX);
    super::varint::put(&mut raw, 1);
    let payload = zstd::bulk::compress(&raw, 1).unwrap();
    let error = super::block::decode(&payload, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it claims more values than a block may have"
    );
    // A record that claims 4 GiB.
    let mut file = file_of(&decls(1), &[]);
    file.extend([2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(
        decode_samples(&file)
            .damage
            .unwrap()
            .contains("impossible length")
    );
}

#[test]
fn a_block_of_any_length_is_split() {
    let ticks = 10_000;
    let block = SampleBlock {
        times: (0..ticks).map(|t| Timestamp(t * 10_000_000)).collect(),
        columns: vec![(0..ticks).map(Some).collect(); 3],
    };
    let read = decode_samples(&file_of(&decls(3), std::slice::from_ref(&block)));
    assert_eq!((read.damage, read.block), (None, block));
}

#[test]
fn samples_that_do_not_fit_the_declaration_are_refused() {
    let (writer, _) = Writer::live(&decls(2)).unwrap();
    let block = SampleBlock {
        times: vec![Timestamp(1)],
        columns: vec![vec![Some(1)]],
    };
    assert_eq!(
        writer.block(&block).unwrap_err().to_string(),
        "samples do not match the 2 series that were declared"
    );
}

/// A small generator (xorshift64*), so that the data is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal: the sum of twelve uniform numbers.
    fn normal(&mut self, deviation: f64) -> f64 {
        ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0) * deviation
    }
}

/// One hour at one sample a second of 60 series as a busy server with 16 cores shows them:
/// processor time in ticks of 10 ms, memory in KiB, temperatures in thousandths of a degree in
/// steps of a whole one, energy in microjoules, network and disk counters, limits that never move.
fn hour_of_a_server() -> (Vec<SeriesDecl>, SampleBlock) {
    let mut random = Random(0x00f1_a9fe_2026);
    let ticks = 3600usize;
    let mut times = Vec::new();
    for tick in 0..ticks as i64 {
        // A timer wakes up some ten microseconds late.
        times.push(Timestamp(
            1_795_434_006_123_456_789 + tick * 1_000_000_000 + random.normal(20_000.0).abs() as i64,
        ));
    }
    let mut series = Vec::new();
    let mut columns: Vec<Vec<Option<i64>>> = Vec::new();
    let mut counter = |name: &str,
                       instance: Option<String>,
                       unit: Unit,
                       rate: f64,
                       noise: f64,
                       step: f64,
                       random: &mut Random| {
        let mut total = random.unit() * 1e9;
        series.push(decl(name, instance, SeriesKind::Counter, unit));
        columns.push(
            (0..ticks)
                .map(|_| {
                    total += (rate + random.normal(noise)).max(0.0);
                    Some((total / step) as i64 * step as i64)
                })
                .collect(),
        );
    };
    counter(
        "cpu.busy",
        None,
        Unit::SECONDS,
        1580.0,
        8.0,
        1.0,
        &mut random,
    );
    counter(
        "cpu.iowait",
        None,
        Unit::SECONDS,
        1.0,
        1.0,
        1.0,
        &mut random,
    );
    counter("cpu.steal", None, Unit::SECONDS, 0.0, 0.0, 1.0, &mut random);
    for cpu in 0..16 {
        counter(
            "cpu.busy",
            Some(format!("cpu{cpu}")),
            Unit::SECONDS,
            98.7,
            0.8,
            1.0,
            &mut random,
        );
    }
    for package in 0..2 {
        counter(
            "power.energy",
            Some(format!("package-{package}")),
            Unit::JOULES,
            205e6,
            1.5e6,
            61.0,
            &mut random,
        );
    }
    for port in ["eth0", "lo"] {
        for (what, rate, noise) in [
            ("network.receive", 2400.0, 900.0),
            ("network.send", 1800.0, 700.0),
            ("network.packets", 20.0, 6.0),
        ] {
            counter(
                what,
                Some(port.into()),
                Unit::BYTES,
                rate,
                noise,
                1.0,
                &mut random,
            );
        }
    }
    for disk in ["sda", "nvme0n1"] {
        counter(
            "disk.read",
            Some(disk.into()),
            Unit::BYTES,
            0.0,
            0.0,
            512.0,
            &mut random,
        );
        counter(
            "disk.write",
            Some(disk.into()),
            Unit::BYTES,
            40_000.0,
            60_000.0,
            4096.0,
            &mut random,
        );
        counter(
            "disk.busy",
            Some(disk.into()),
            Unit::SECONDS,
            2.0,
            3.0,
            1.0,
            &mut random,
        );
    }
    for kind in ["cpu", "memory", "io"] {
        counter(
            "pressure.some",
            Some(kind.into()),
            Unit::MICROSECONDS,
            if kind == "cpu" { 4000.0 } else { 0.0 },
            if kind == "cpu" { 900.0 } else { 0.0 },
            1.0,
            &mut random,
        );
    }
    counter(
        "cgroup.cpu",
        None,
        Unit::MICROSECONDS,
        15.8e6,
        40e3,
        1.0,
        &mut random,
    );
    counter(
        "monitor.cpu",
        None,
        Unit::MICROSECONDS,
        210.0,
        25.0,
        1.0,
        &mut random,
    );
    let mut gauge = |name: &str,
                     instance: Option<String>,
                     unit: Unit,
                     level: f64,
                     noise: f64,
                     step: f64,
                     pull: f64,
                     random: &mut Random| {
        let mut value = level;
        series.push(decl(name, instance, SeriesKind::Gauge, unit));
        columns.push(
            (0..ticks)
                .map(|_| {
                    value += (level - value) * pull + random.normal(noise);
                    Some((value / step) as i64 * step as i64)
                })
                .collect(),
        );
    };
    for (name, noise) in [
        ("memory.used", 200.0),
        ("memory.available", 200.0),
        ("memory.cached", 30.0),
        ("memory.swap_used", 0.0),
    ] {
        gauge(
            name,
            None,
            Unit::BYTES,
            64e6,
            noise,
            4.0,
            0.001,
            &mut random,
        );
    }
    gauge(
        "cgroup.memory",
        None,
        Unit::BYTES,
        20e9,
        150e3,
        4096.0,
        0.01,
        &mut random,
    );
    gauge(
        "cgroup.memory_limit",
        None,
        Unit::BYTES,
        64e9,
        0.0,
        1.0,
        0.0,
        &mut random,
    );
    for sensor in 0..7 {
        gauge(
            "temperature.core",
            Some(sensor.to_string()),
            Unit::CELSIUS,
            61_000.0,
            350.0,
            1000.0,
            0.05,
            &mut random,
        );
    }
    for cpu in 0..4 {
        gauge(
            "cpu.frequency",
            Some(format!("cpu{cpu}")),
            Unit::MEGAHERTZ,
            2_700_000.0,
            400.0,
            100.0,
            0.5,
            &mut random,
        );
    }
    for minutes in ["1", "5", "15"] {
        gauge(
            "load.average",
            Some(minutes.into()),
            Unit::NONE,
            1602.0,
            2.0,
            1.0,
            0.05,
            &mut random,
        );
    }
    gauge(
        "load.running",
        None,
        Unit::NONE,
        17.0,
        0.8,
        1.0,
        0.9,
        &mut random,
    );
    gauge(
        "power.input",
        None,
        Unit::WATTS,
        612e6,
        3e6,
        1e6,
        0.3,
        &mut random,
    );
    (series, SampleBlock { times, columns })
}

#[test]
fn an_hour_takes_at_most_one_byte_a_point() {
    let (series, block) = hour_of_a_server();
    let points = series.len() * block.times.len();
    assert_eq!(series.len(), 60);
    // Written as it comes, second after second, then compacted.
    let singles: Vec<SampleBlock> = (0..block.times.len())
        .map(|tick| SampleBlock {
            times: vec![block.times[tick]],
            columns: block.columns.iter().map(|c| vec![c[tick]]).collect(),
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("samples.fps");
    fs::write(&path, file_of(&series, &singles)).unwrap();
    let live = fs::metadata(&path).unwrap().len();
    compact(&path).unwrap();
    let compacted = fs::read(&path).unwrap();
    assert_eq!(decode_samples(&compacted).block, block);
    let ratio = compacted.len() as f64 / points as f64;
    println!(
        "{ratio:.3} bytes a point; while recording {:.2}",
        live as f64 / points as f64
    );
    assert!(ratio <= 1.0, "{ratio} bytes a point");
}
