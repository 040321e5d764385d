//! A monitor under test.

use std::time::{Duration, Instant};

use flagperf_host::Monitor;

use crate::tree::Tree;

/// A monitor and its last sample.
pub(crate) struct Watched {
    pub(crate) monitor: Monitor,
    pub(crate) out: Vec<Option<i64>>,
}

impl Watched {
    pub(crate) fn of(tree: &Tree) -> Self {
        Self {
            monitor: Monitor::open(&tree.root()),
            out: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self) -> &mut Self {
        self.monitor.sample(&mut self.out);
        assert_eq!(self.out.len(), self.monitor.series().len());
        self
    }

    /// The stored value of a series.
    pub(crate) fn raw(&self, name: &str, instance: Option<&str>) -> Option<i64> {
        let place = self
            .monitor
            .series()
            .iter()
            .position(|s| s.name == name && s.instance.as_deref() == instance);
        self.out[place.unwrap_or_else(|| panic!("no {name} {instance:?}"))]
    }

    /// Samples until a paced sensor has a value: it may rest for some milliseconds in between.
    pub(crate) fn sensor(&mut self, name: &str, instance: &str) -> i64 {
        let start = Instant::now();
        loop {
            self.sample();
            if let Some(value) = self.raw(name, Some(instance)) {
                return value;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{name} never came"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn instances(&self, name: &str) -> Vec<&str> {
        let series = self.monitor.series().iter().filter(|s| s.name == name);
        series.filter_map(|s| s.instance.as_deref()).collect()
    }

    pub(crate) fn reason(&self, name: &str) -> &str {
        let absent = self.monitor.absent().iter().find(|a| a.name == name);
        &absent
            .unwrap_or_else(|| panic!("{name} is not absent"))
            .reason
    }
}
