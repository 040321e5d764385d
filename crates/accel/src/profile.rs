//! A vendor's profile: what there is to know about its chips without having one.

mod read;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use flagperf_model::StatusTool;

pub use read::read_profile;

use crate::Format;
use crate::pattern::fits;

/// What is to be known of one vendor. `docs/vendors.md` describes its file.
#[derive(Debug, Clone, PartialEq)]
pub struct VendorProfile {
    /// The name, as it stands in configurations and in names of files: `nvidia`.
    pub name: String,
    /// Other names that are taken for it.
    pub aliases: Vec<String>,
    /// What a container needs to use the chips.
    pub container: ContainerNeeds,
    /// The variable that says which chips a process may use.
    pub visible_devices: Option<String>,
    /// The command that tells the state of the chips, if there is one that can be read.
    pub status: Option<StatusTool>,
    /// Chips, those with the narrower patterns first.
    pub chips: Vec<Chip>,
}

/// What a container needs to use a vendor's chips.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerNeeds {
    /// Device files of the node, with `*`, `?` and `[…]` as a shell knows them: `/dev/davinci[0-9]*`.
    pub devices: Vec<String>,
    /// Files and directories of the node: `source`, `source:target` or `source:target:ro`.
    pub mounts: Vec<String>,
    /// Further options of the engine's `run`.
    pub options: Vec<String>,
}

/// A kind of chip, and what its maker states that it can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Chip {
    /// The name: `H100-PCIe`.
    pub name: String,
    /// What trees of cases call it and its like: `H100`.
    pub family: Option<String>,
    /// What the product names that the vendor's tool gives are compared with; `*` stands for any characters.
    pub products: Vec<String>,
    /// Memory in 10^9 or 2^30 bytes, as the maker counts.
    pub memory_gb: Option<f64>,
    /// Rate of the memory in 10^9 bytes per second.
    pub bandwidth_gb_s: Option<f64>,
    /// Dense matrix products, without sparsity, in 10^12 operations per second.
    pub peaks: BTreeMap<Format, f64>,
    /// Where these numbers stand.
    pub source: String,
}

impl Chip {
    /// The nominal peak of dense matrix products in a format, in 10^12 operations per second; `None` where the
    /// maker states none, which is not the same as 0.
    pub fn peak(&self, format: Format) -> Option<f64> {
        self.peaks.get(&format).copied()
    }
}

impl VendorProfile {
    /// True if somebody means this vendor by that name.
    pub fn is_called(&self, name: &str) -> bool {
        let names = std::iter::once(&self.name).chain(&self.aliases);
        names.into_iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The kind of chip that has this product name. A product that no kind is known of has none: the numbers
    /// of another chip would be worse than no numbers.
    pub fn chip(&self, product: &str) -> Option<&Chip> {
        self.chips
            .iter()
            .find(|chip| chip.products.iter().any(|own| fits(own, product.trim())))
    }
}

/// One mistake in a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}\n{excerpt}", path.display())]
pub struct ProfileError {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with a mark under the place.
    pub excerpt: String,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Every mistake in profiles, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProfileErrors(
    /// At least one.
    pub Vec<ProfileError>,
);

impl fmt::Display for ProfileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
