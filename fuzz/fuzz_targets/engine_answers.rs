//! What container engines print: any text gives facts, or an error that shows it in short.
#![no_main]

use flagperf_container as container;
use flagperf_container::Labels;
use flagperf_model::{ContainerOptions, EngineKind};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = container::image(text) {
        assert!(error.to_string().len() < 2000);
    }
    if let Ok(state) = container::container_state(text)
        && let Some(labels) = state.labels
    {
        assert!(!labels.run.is_empty() && !labels.owner.is_empty());
    }
    for id in container::ids(text) {
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let _ = container::failing_step(text);
    let options = ContainerOptions {
        extra: text.split(' ').map(str::to_owned).collect(),
        ..ContainerOptions::default()
    };
    for engine in EngineKind::ALL {
        let labels = Labels::default();
        let run = container::run(engine, "name", "image:1", "/program", &options, &labels, false);
        assert!(run.argv().ends_with(&["image:1".to_owned(), "agent".to_owned()]));
        let _ = container::refusal(&run, "exit status 125", text);
    }
});
