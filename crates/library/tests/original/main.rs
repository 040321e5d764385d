//! Every case of a real tree, as the classic launchers start it and as it is planned here.
//!
//! The original's own programs run on a copy of the tree, from the launcher's command down to the stand-ins for
//! torchrun, Python, pip and bash, which write down how they were called. What is planned here runs on another
//! copy with the same stand-ins. The two must agree in argument vector, directory and variables, but for the
//! differences in `expected.rs`, each with its reason.
//!
//! `FLAGPERF_TREE=/path/to/FlagPerf` names the tree; without it there is nothing to do. Needed are Python 3 and bash.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod expected;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod world;

#[cfg(test)]
mod test {
    use std::collections::BTreeMap;

    use crate::compare::{Difference, Part, compare, names};
    use crate::expected::reason;
    use crate::jobs::all_jobs;
    use crate::world::World;

    #[test]
    fn every_case_of_a_real_tree_starts_as_the_original_starts_it() {
        let Some(tree) = std::env::var_os("FLAGPERF_TREE") else {
            eprintln!("FLAGPERF_TREE names no tree: nothing is compared");
            return;
        };
        let world = World::make(tree.as_ref());
        let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut calls: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut cases: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut unexpected = Vec::new();
        for job in all_jobs(&world) {
            let begun = std::time::Instant::now();
            let original = world.original(&job);
            let asked = begun.elapsed();
            for wanted in &job.cases {
                *cases.entry(job.kind).or_default() += 1;
                match world.ours(&job, wanted) {
                    Err(problem) => {
                        let difference = Difference {
                            kind: job.kind,
                            case: wanted.name.clone(),
                            vendor: job.vendor.clone(),
                            part: Part::Refused,
                            program: String::new(),
                            original: names(&original.run(&world, &wanted.name, 0)),
                            ours: problem,
                        };
                        note(&difference, &mut reasons, &mut unexpected);
                    }
                    Ok(planned) => {
                        for (place, ours) in planned {
                            let theirs = original.run(&world, &wanted.name, place);
                            *calls.entry(job.kind).or_default() += theirs.len();
                            for difference in compare(&job, &wanted.name, theirs, ours) {
                                note(&difference, &mut reasons, &mut unexpected);
                            }
                        }
                    }
                }
            }
            eprintln!(
                "{} {} {} hosts, {} cases: {asked:?} {:?}",
                job.kind,
                job.vendor,
                job.hosts.len(),
                job.cases.len(),
                begun.elapsed()
            );
        }
        println!("cases: {cases:?}\ncalls of the original: {calls:?}");
        for (reason, times) in &reasons {
            println!("{times:6} × {reason}");
        }
        if let Some(path) = std::env::var_os("DUMP") {
            std::fs::write(path, unexpected.join("\n")).unwrap();
        }
        assert!(
            unexpected.is_empty(),
            "{} differences without a reason, the first of them:\n{}",
            unexpected.len(),
            unexpected[..unexpected.len().min(30)].join("\n")
        );
    }

    fn note(
        difference: &Difference,
        reasons: &mut BTreeMap<&'static str, usize>,
        unexpected: &mut Vec<String>,
    ) {
        match reason(difference) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => unexpected.push(difference.to_string()),
        }
    }
}
