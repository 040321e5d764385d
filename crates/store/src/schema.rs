//! The JSON Schema of `run.json`, generated from the types.

use flagperf_model::RunRecord;

/// JSON Schema (draft 2020-12) of `run.json`, indented, with a newline at the end.
pub fn run_schema() -> String {
    let schema = schemars::schema_for!(RunRecord);
    format!("{:#}\n", schema.as_value())
}
