//! `flagperf config convert`: the configuration of a classic suite as a `flagperf.toml`.

use std::path::Path;

use flagperf_library::find_suite;

use super::suite::{of_files, warnings};
use crate::cli::ConvertArgs;
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};

pub(crate) fn convert(args: &ConvertArgs) -> Result<Exit, Failure> {
    let start = args.tree.as_deref().unwrap_or(Path::new("."));
    let tree = find_suite(start, None).map_err(Failure::usage)?;
    let reading = of_files(&tree, &args.set)?;
    let text = flagperf_config::classic::to_toml(&reading.config);
    for warning in warnings(reading.warnings) {
        warn(&warning);
    }
    print(&text).map_err(Failure::internal)?;
    Ok(Exit::Success)
}
