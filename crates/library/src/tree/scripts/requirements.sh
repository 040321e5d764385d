# Installs what a case needs of Python packages. Arguments: environment file or nothing, requirements file, both
# relative to the working directory, and where packages come from, or nothing.
flagperf=("$@" "$PWD")
set --
if [ -n "${flagperf[0]}" ]; then
    source "${flagperf[3]}/${flagperf[0]}"
fi
flagperf_file="${flagperf[3]}/${flagperf[1]}"
if [ -n "${flagperf[2]}" ]; then
    exec pip3 install -r "$flagperf_file" -i "${flagperf[2]}"
fi
exec pip3 install -r "$flagperf_file"
