//! Prints what this machine's monitors cost, source by source. An argument names another root than
//! `/`: a tree of files that stands for a larger machine.
#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use flagperf_host::{Monitor, Root, facts, thread_cpu_ns};

fn main() {
    let root = Root::new(std::env::args().nth(1).unwrap_or_else(|| "/".into()));
    println!("{:#?}", facts(&root));
    let mut monitor = Monitor::open(&root);
    for absent in monitor.absent() {
        println!("absent: {}: {}", absent.name, absent.reason);
    }
    let mut out = Vec::new();
    monitor.sample(&mut out);
    for (decl, value) in monitor.series().iter().zip(&out) {
        let instance = decl.instance.as_deref().unwrap_or("-");
        let value = value.map(|value| value as f64 * decl.resolution);
        println!("{} {instance}: {value:?} {}", decl.name, decl.unit);
    }
    for cost in monitor.costs(2000) {
        println!(
            "{:>9.2} us  {:3} series  {}",
            cost.nanos / 1e3,
            cost.series,
            cost.source
        );
    }
    let rounds = 2000;
    let before = thread_cpu_ns();
    for _ in 0..rounds {
        monitor.sample(&mut out);
    }
    let busy = (thread_cpu_ns() - before) as f64 / f64::from(rounds);
    println!("{:>9.2} us  a whole sample, back to back", busy / 1e3);
    // Between samples that are far apart the caches are lost, so this is the figure that counts.
    let rounds = 50;
    let mut spent = 0;
    for _ in 0..rounds {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let before = thread_cpu_ns();
        monitor.sample(&mut out);
        spent += thread_cpu_ns() - before;
    }
    let cold = spent as f64 / f64::from(rounds);
    println!("{:>9.2} us  a whole sample, ten times a second", cold / 1e3);
    println!("{:>9.4} %   of one core once a second", cold / 1e7);
    println!("{:>9.4} %   of one core ten times a second", cold / 1e6);
}
