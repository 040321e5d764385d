//! The committed JSON Schema is the one of the types.

use std::fs;
use std::path::Path;

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/run.schema.json");
    let schema = flagperf_store::run_schema();
    if std::env::var_os("FLAGPERF_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "docs/schema/run.schema.json does not describe the types any more; \
         FLAGPERF_BLESS=1 cargo test -p flagperf-store schema writes it anew"
    );
}
