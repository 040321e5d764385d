# Builds and installs the extension of a case. Arguments: environment file or nothing, directory of the sources,
# directory to build in, all relative to the working directory.
flagperf=("$@" "$PWD")
set --
if [ -n "${flagperf[0]}" ]; then
    source "${flagperf[3]}/${flagperf[0]}"
fi
export EXTENSION_SOURCE_DIR="${flagperf[3]}/${flagperf[1]}"
flagperf_sandbox="${flagperf[3]}/${flagperf[2]}"
rm -rf -- "$flagperf_sandbox" && mkdir -p -- "$flagperf_sandbox" && cd -- "$flagperf_sandbox" &&
    python3 "$EXTENSION_SOURCE_DIR/setup.py" install
flagperf_status=$?
cd / && rm -rf -- "$flagperf_sandbox"
exit "$flagperf_status"
