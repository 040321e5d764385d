//! Keys one by one into a configuration.

use std::path::Path;

use flagperf_model::{NodeName, Suite};

use super::findings::{Findings, Given};
use super::keys::{Key, LEVELS, Need, PROGRAMS, suite_name};
use super::lists::{self, Cases};
use super::take::{self, is_size, is_variable, is_vendor};
use super::{BaseProgram, LogLevel, Place, SuiteConfig, SuiteKind};

/// Most ranks on a node.
const MOST_RANKS: u32 = 4096;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    vendor: Option<String>,
    path: Option<String>,
    log_path: Option<String>,
    log_level: Option<LogLevel>,
    call_information: Option<bool>,
    program: Option<BaseProgram>,
    hosts: Option<Vec<NodeName>>,
    nproc: Option<u32>,
    ssh_port: Option<u16>,
    hosts_ports: Option<Vec<u16>>,
    master_port: Option<u16>,
    shm_size: Option<String>,
    device: Option<u32>,
    container_options: Option<Vec<String>>,
    pip_source: Option<String>,
    clear_caches: Option<bool>,
    visible_devices_env: Option<String>,
    cases: Option<Cases>,
}

impl Fields {
    /// What a configuration says.
    pub(super) fn of(config: SuiteConfig, places: Vec<Place>) -> Self {
        let mut fields = Self {
            vendor: Some(config.vendor),
            path: config.path,
            log_path: Some(config.log_path),
            log_level: Some(config.log_level),
            hosts: Some(config.hosts),
            ssh_port: config.ssh_port,
            hosts_ports: Some(config.hosts_ports),
            master_port: config.master_port,
            shm_size: config.shm_size,
            container_options: Some(config.container_options),
            pip_source: config.pip_source,
            clear_caches: Some(config.clear_caches),
            visible_devices_env: config.visible_devices_env,
            ..Self::default()
        };
        let cases = config.cases.into_iter().zip(places);
        fields.cases = Some(
            cases
                .map(|((case, about), place)| (case, about, place))
                .collect(),
        );
        match config.kind {
            SuiteKind::Base {
                nproc_per_node,
                program,
            } => {
                fields.nproc = Some(nproc_per_node);
                fields.program = Some(program);
            }
            SuiteKind::Operation {
                nproc_per_node,
                device,
            } => {
                fields.nproc = Some(nproc_per_node);
                fields.device = Some(device);
            }
            SuiteKind::Inference {
                log_call_information,
            } => {
                fields.call_information = Some(log_call_information);
            }
            SuiteKind::Training => {}
        }
        fields
    }

    /// Takes what is said for a key. A mistake is noted, and harmless if nobody looks at the key.
    pub(super) fn take(
        &mut self,
        found: &mut Findings<'_>,
        suite: Suite,
        key: &Key,
        given: &Given,
    ) {
        let before = found.count();
        self.set(found, suite, key, given);
        if key.need(suite) == Need::Dead {
            let why = format!(
                "; ignored, since the suite {} does not use it",
                suite_name(suite)
            );
            found.forgive(before, &why);
        }
    }

    fn set(&mut self, found: &mut Findings<'_>, suite: Suite, key: &Key, given: &Given) {
        let (name, example) = (key.name, key.example);
        match name {
            "FLAGPERF_PATH" => {
                let path = take::text_or_none(found, given, example);
                self.path = path.map(|path| beside(found.path(given.key.text), &path));
            }
            "FLAGPERF_LOG_PATH" => self.log_path = take::text(found, given, example),
            "VENDOR" => {
                let expected =
                    "the name of a vendor such as \"nvidia\", of letters, digits and `_ - .`";
                self.vendor = take::text(found, given, example)
                    .and_then(|text| take::checked(found, given, text, is_vendor, expected));
            }
            "FLAGPERF_LOG_LEVEL" => {
                self.log_level = take::word(found, given, example, &LEVELS);
            }
            "LOG_CALL_INFORMATION" => self.call_information = take::flag(found, given),
            "BENCHMARKS_OR_TOOLKITS" => {
                self.program = take::word(found, given, example, &PROGRAMS);
            }
            "HOSTS" => self.hosts = lists::hosts(found, given),
            "NPROC_PER_NODE" => self.nproc = take::number(found, given, 1..=MOST_RANKS),
            "SSH_PORT" => self.ssh_port = lists::port(found, given),
            "HOSTS_PORTS" => self.hosts_ports = lists::ports(found, given),
            "MASTER_PORT" => self.master_port = lists::port(found, given),
            "SHM_SIZE" => {
                let expected = "a size such as \"32G\"";
                self.shm_size = take::text(found, given, example)
                    .and_then(|text| take::checked(found, given, text, is_size, expected));
            }
            "DEVICE" => self.device = take::number(found, given, 0..=MOST_RANKS - 1),
            "ACCE_CONTAINER_OPT" => {
                self.container_options = lists::options(found, given, example);
            }
            "PIP_SOURCE" => {
                self.pip_source = take::text_or_none(found, given, example);
            }
            "CLEAR_CACHES" => self.clear_caches = take::flag(found, given),
            "ACCE_VISIBLE_DEVICE_ENV_NAME" => {
                let expected =
                    "the name of an environment variable such as \"CUDA_VISIBLE_DEVICES\"";
                self.visible_devices_env = take::text_or_none(found, given, example)
                    .and_then(|text| take::checked(found, given, text, is_variable, expected));
            }
            "CASES" => self.cases = lists::cases(found, given, suite),
            _ => {}
        }
    }

    /// The configuration. Absent if something that must be there is not, which was noted before.
    pub(super) fn finish(self, suite: Suite) -> Option<(SuiteConfig, Vec<Place>)> {
        let kind = match suite {
            Suite::Base => SuiteKind::Base {
                nproc_per_node: self.nproc?,
                program: self.program?,
            },
            Suite::Operation => SuiteKind::Operation {
                nproc_per_node: self.nproc?,
                device: self.device.unwrap_or(0),
            },
            Suite::Inference => SuiteKind::Inference {
                log_call_information: self.call_information?,
            },
            Suite::Training => SuiteKind::Training,
        };
        let mut places = Vec::new();
        let mut cases = Vec::new();
        for (case, about, place) in self.cases? {
            cases.push((case, about));
            places.push(place);
        }
        let config = SuiteConfig {
            kind,
            vendor: self.vendor?,
            path: self.path,
            log_path: self.log_path?,
            log_level: self.log_level?,
            hosts: self.hosts?,
            ssh_port: self.ssh_port,
            master_port: self.master_port,
            hosts_ports: self.hosts_ports.unwrap_or_default(),
            shm_size: self.shm_size,
            container_options: self.container_options?,
            pip_source: self.pip_source,
            clear_caches: self.clear_caches?,
            visible_devices_env: self.visible_devices_env,
            cases,
        };
        Some((config, places))
    }
}

/// A path, from the directory of the file if it is relative.
fn beside(file: &Path, path: &str) -> String {
    let directory = file.parent().unwrap_or(Path::new(""));
    directory.join(path).to_string_lossy().into_owned()
}
