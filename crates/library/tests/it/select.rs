use flagperf_library::{Library, parse_params};
use flagperf_model::{CaseSpec, ParamValue};

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn names(selected: &[&CaseSpec]) -> Vec<String> {
    selected.iter().map(|spec| spec.name.to_string()).collect()
}

fn refusal(items: &[&str]) -> String {
    let library = Library::builtin().unwrap();
    library.select(&texts(items)).unwrap_err().to_string()
}

#[test]
fn no_names_mean_all_and_named_twice_means_once() {
    let library = Library::builtin().unwrap();
    assert_eq!(
        names(&library.select(&[]).unwrap()),
        [
            "computation-FP64",
            "computation-FP32",
            "computation-BF16",
            "computation-FP16",
            "computation-INT8",
            "main_memory-bandwidth",
            "main_memory-capacity",
            "interconnect-P2P_intraserver",
            "interconnect-MPI_intraserver",
            "interconnect-P2P_interserver",
            "interconnect-MPI_interserver",
        ]
    );
    let wanted = texts(&[
        "main_memory-capacity",
        "computation-FP64",
        "main_memory-capacity",
    ]);
    assert_eq!(
        names(&library.select(&wanted).unwrap()),
        ["main_memory-capacity", "computation-FP64"]
    );
}

#[test]
fn a_wrong_name_gets_the_nearest() {
    assert_eq!(
        refusal(&["computation-FP46"]),
        "no case is named `computation-FP46`; did you mean `computation-FP64`?"
    );
    assert_eq!(
        refusal(&["Computation-fp16"]),
        "no case is named `Computation-fp16`; did you mean `computation-FP16`?"
    );
    assert_eq!(
        refusal(&["main_memory"]),
        "no case is named `main_memory`; cases whose names begin so: `main_memory-bandwidth`, `main_memory-capacity`"
    );
    assert_eq!(
        refusal(&["computation"]),
        "no case is named `computation`; cases whose names begin so: `computation-FP64`, `computation-FP32`, `computation-BF16`, `computation-FP16`, `computation-INT8`"
    );
    assert_eq!(
        refusal(&["interconnect-p2p"]),
        "no case is named `interconnect-p2p`; cases whose names begin so: `interconnect-P2P_intraserver`, `interconnect-P2P_interserver`"
    );
    assert_eq!(
        refusal(&["intraserver"]),
        "no case is named `intraserver`; cases whose names contain it: `interconnect-P2P_intraserver`, `interconnect-MPI_intraserver`"
    );
    assert_eq!(
        refusal(&["resnet"]),
        "no case is named `resnet`; the cases are `computation-FP64`, `computation-FP32`, `computation-BF16`, `computation-FP16`, `computation-INT8`, `main_memory-bandwidth`, `main_memory-capacity`, `interconnect-P2P_intraserver`, `interconnect-MPI_intraserver`, `interconnect-P2P_interserver`, `interconnect-MPI_interserver`"
    );
}

#[test]
fn a_chip_is_refused_and_all_errors_come_at_once() {
    assert_eq!(
        refusal(&[
            "computation-FP64:A100",
            "main_memory-capacity",
            "computation-FP61:A100"
        ]),
        "`computation-FP64:A100` names a chip, but the built-in case `computation-FP64` measures the processor of the machine that it runs on; leave `:A100` out\n\
         no case is named `computation-FP61:A100`; did you mean `computation-FP64`?"
    );
}

#[test]
fn a_parameter_goes_to_every_case_that_has_it() {
    let library = Library::builtin().unwrap();
    let selected = library.select(&[]).unwrap();
    let given = texts(&["m=4_096", "bytes=64MiB"]);
    let params = parse_params(&given, &selected).unwrap();
    for spec in &selected {
        let of_case = &params[&spec.name];
        let m = spec.params.contains_key("m");
        let bytes = spec.params.contains_key("bytes");
        assert_ne!(m, bytes, "{}", spec.name);
        assert_eq!(of_case.len(), 1, "{}", spec.name);
        if m {
            assert_eq!(of_case["m"], ParamValue::Integer(4096));
        } else {
            assert_eq!(of_case["bytes"], ParamValue::Integer(64 << 20));
        }
    }
}

#[test]
fn wrong_parameters_are_told_all_at_once() {
    let library = Library::builtin().unwrap();
    let wanted = texts(&[
        "computation-FP64",
        "computation-FP32",
        "main_memory-bandwidth",
    ]);
    let selected = library.select(&wanted).unwrap();
    let given = texts(&[
        "m=abc",
        "n=0",
        "bytes=64M",
        "thread=2",
        "wavelength=1",
        "k",
        "=3",
        "seed=1",
        "seed=2",
    ]);
    assert_eq!(
        parse_params(&given, &selected).unwrap_err().to_string(),
        "`k` is not a parameter; expected NAME=VALUE\n\
         `=3` is not a parameter; expected NAME=VALUE\n\
         the parameter `seed` is given twice, as `1` and as `2`\n\
         the parameter `m` of `computation-FP64`, `computation-FP32`: `abc` is not a whole number; expected a whole number from 1 to 65536\n\
         the parameter `n` of `computation-FP64`, `computation-FP32`: `0` is out of range; expected a whole number from 1 to 65536\n\
         the parameter `bytes` of `main_memory-bandwidth`: `64M` is not a size: `M` is not a unit of size; the units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; expected a size from 1 MiB to 1 TiB, such as 64MiB, 2GB or 4096\n\
         no selected case has a parameter `thread`; did you mean `threads`, a parameter of `computation-FP64`, `computation-FP32`, `main_memory-bandwidth`?\n\
         no selected case has a parameter `wavelength`; they have `bytes`, `k`, `m`, `n`, `seed`, `threads`"
    );
    for text in [
        "m=1__0",
        "m=_1",
        "m=1_",
        "m=1.5",
        "m=",
        "m=99999999999999999999",
    ] {
        let refused = parse_params(&texts(&[text]), &selected).unwrap_err();
        assert!(
            refused.to_string().contains("is not a whole number"),
            "{text}"
        );
    }
}
