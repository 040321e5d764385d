#!/bin/sh
# Stands in for a program that a case would start: writes down how it was called, and ends well. The original's own
# programs are run.
name=${0##*/}
case "$name ${1##*/}" in
"python3 container_main.py" | "python3 start_"*"_task.py" | "python3 prepare_in_container.py" | "python3 run.py")
    # A script of variables may have spoilt the search path of modules, on which only the stubs of this test are.
    exec env KEPT_PYTHONPATH="$PYTHONPATH" PYTHONPATH="$STUBS" "$REAL_PYTHON" "$@"
    ;;
esac
record="$RECORD/$$"
{
    printf '%s\0%s\0%s\0' "$name" "$(pwd -P)" "$#"
    [ "$#" -eq 0 ] || printf '%s\0' "$@"
    env -0
} > "$record.unfinished"
mv "$record.unfinished" "$record.call"
