//! What the monitor itself costs.

use flagperf_model::{Scope, Unit};

use super::{Probe, Source, counter, scoped, stored};
use crate::root::Scratch;
use crate::{own_cpu_ns, thread_cpu_ns};

/// Processor time of the sampling thread and of the whole process.
struct Own;

pub(super) fn probe(probe: &mut Probe<'_>) {
    let nanos = |name| scoped(Scope::Monitor, counter(name, Unit::SECONDS, 1e-9));
    let series = vec![nanos("monitor.sampler_cpu"), nanos("monitor.agent_cpu")];
    probe.add("processor clocks", series, Own);
}

impl Source for Own {
    fn sample(&mut self, _: &mut Scratch, out: &mut [Option<i64>]) {
        out[0] = stored(Some(thread_cpu_ns()));
        out[1] = stored(Some(own_cpu_ns()));
    }
}
