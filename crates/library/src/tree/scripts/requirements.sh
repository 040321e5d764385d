# Installs what a case needs of Python packages. Arguments: environment file or nothing, requirements file,
# and where packages come from, or nothing.
flagperf=("$@")
set --
if [ -n "${flagperf[0]}" ]; then
    source "${flagperf[0]}"
fi
if [ -n "${flagperf[2]}" ]; then
    exec pip3 install -r "${flagperf[1]}" -i "${flagperf[2]}"
fi
exec pip3 install -r "${flagperf[1]}"
