# What stands before the program of a case: its packages, its variables, its directory.
#
# Arguments: output directory, requirements file, environment file, name of the log of that, `bashrc` or nothing,
# network file, directory, and the program with its arguments. What is empty is left out. The arguments wait in
# an array, so that a sourced file is not taken to have been given them.
flagperf=("$@")
set --

flagperf_failed() {
    echo "flagperf: $2 ended with exit status $1${3:+; the last lines of $3:}" >&2
    [ -z "$3" ] || tail -n 20 "${flagperf[0]}/$3" >&2
    exit "$1"
}

if [ -n "${flagperf[1]}" ]; then
    pip install -r "${flagperf[1]}" > "${flagperf[0]}/pip_install.log.txt" 2>&1 ||
        flagperf_failed $? "pip install -r ${flagperf[1]}" pip_install.log.txt
fi
if [ -n "${flagperf[2]}" ]; then
    source "${flagperf[2]}" > "${flagperf[0]}/${flagperf[3]}" 2>&1 ||
        flagperf_failed $? "source ${flagperf[2]}" "${flagperf[3]}"
    # Tracing that it left on would mix with the output of the case.
    { set +x; } 2> /dev/null
fi
if [ -n "${flagperf[4]}" ] && [ -f ~/.bashrc ]; then
    source ~/.bashrc || flagperf_failed $? "source ~/.bashrc"
    { set +x; } 2> /dev/null
fi
cd -- "${flagperf[6]}" || exit
if [ -n "${flagperf[5]}" ]; then
    IFS= read -r flagperf_line < "${flagperf[5]}"
    # The line stands before the program as if it had been pasted there.
    eval "${flagperf_line%$'\r'}"$'\n''exec "${flagperf[@]:7}"'
fi
exec "${flagperf[@]:7}"
