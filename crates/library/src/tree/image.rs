//! The image that a case of a tree runs in, and what it is made of.

use flagperf_model::{TreeCase, TreeProgram};

/// The tag of all images of the classic libraries.
const TAG: &str = "t_v0.1";

/// An image of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeImage {
    /// Its name with its tag: `flagperf-base-nvidia-pytorch_2.3:t_v0.1`.
    pub name: String,
    /// The directory on the controller that it is built from, which has a `Dockerfile`.
    pub directory: String,
    /// Name of the script in that directory that installs what is missing, as the contract has it; it may not
    /// be there.
    pub install: String,
}

/// The image of a case; absent if it has none because no framework was told, or because the case runs in
/// containers that exist already.
pub fn image_of(case: &TreeCase) -> Option<TreeImage> {
    let TreeCase {
        suite_directory,
        vendor,
        framework,
        ..
    } = case;
    if framework.is_empty() {
        return None;
    }
    let (suite, directory) = match &case.program {
        TreeProgram::Benchmark | TreeProgram::Toolkit => ("base-", format!("vendors/{vendor}")),
        TreeProgram::Operation { .. } => ("operation-", format!("vendors/{vendor}")),
        TreeProgram::Inference { .. } => ("inference-", format!("docker_images/{vendor}")),
        TreeProgram::Training { .. } => ("", format!("{vendor}/docker_image")),
        TreeProgram::InContainer | TreeProgram::InCluster => return None,
    };
    Some(TreeImage {
        name: format!("flagperf-{suite}{vendor}-{framework}:{TAG}"),
        directory: format!("{suite_directory}/{directory}/{framework}"),
        install: format!("{framework}_install.sh"),
    })
}
