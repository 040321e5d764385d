#!/bin/sh
# Stands in for nvidia-smi in tests. What it does stands in files beside it, which a test may change meanwhile:
#   mode    what it does from now on, see below
#   chips   how many chips there are
# It adds a line with its process id and its arguments to the file `calls` whenever it is started.
here=$(dirname "$0")
echo "$$ $*" >>"$here/calls"
fields=
interval=
for word; do
    case $word in
    --query-gpu=*) fields=${word#*=} ;;
    --loop-ms=*) interval=${word#*=} ;;
    esac
done

mode() { cat "$here/mode"; }

# value FIELD CHIP: what a row has in that column.
value() {
    case $1 in
    index) echo "$2" ;;
    uuid) echo "GPU-$2$2$2$2-test" ;;
    pci.bus_id) echo "00000000:0$2:00.0" ;;
    name) echo "NVIDIA H100 PCIe" ;;
    driver_version) echo "550.54.15" ;;
    temperature.gpu) echo "$((30 + $2))" ;;
    power.draw) echo "$((100 * ($2 + 1))).50 W" ;;
    memory.used) echo "$((1000 * ($2 + 1))) MiB" ;;
    memory.total) echo "81559 MiB" ;;
    utilization.gpu)
        # As of a chip that is cut into parts.
        if [ "$(mode)" = mig ]; then echo "[N/A]"; else echo "$((10 * $2)) %"; fi
        ;;
    utilization.memory) echo "5 %" ;;
    clocks.sm) echo "1755 MHz" ;;
    clocks.mem) echo "1593 MHz" ;;
    *) echo "[N/A]" ;;
    esac
}

header() {
    line=
    for field in $(echo "$fields" | tr , ' '); do
        case $field in
        power.*) field="$field [W]" ;;
        memory.*) field="$field [MiB]" ;;
        utilization.*) field="$field [%]" ;;
        clocks.sm) field="clocks.current.sm [MHz]" ;;
        clocks.mem) field="clocks.current.memory [MHz]" ;;
        esac
        line="$line, $field"
    done
    echo "${line#, }"
}

rows() {
    chip=0
    while [ "$chip" -lt "$(cat "$here/chips")" ]; do
        line=
        for field in $(echo "$fields" | tr , ' '); do
            line="$line, $(value "$field" "$chip")"
        done
        # The second chip drops out.
        if [ "$(mode)" != lost ] || [ "$chip" != 1 ]; then
            echo "${line#, }"
        fi
        chip=$((chip + 1))
    done
}

pause() { sleep "$(printf '%d.%03d' $((interval / 1000)) $((interval % 1000)))"; }

case $(mode) in
fail)
    echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver." >&2
    exit 9
    ;;
none)
    echo "No devices were found"
    exit 6
    ;;
old)
    # A driver that knows neither of these.
    for field in power.draw.average power.draw.instant; do
        case ",$fields," in
        *,$field,*)
            echo "Field \"$field\" is not a valid field to query."
            exit 2
            ;;
        esac
    done
    ;;
layout)
    echo "+-----------------------------+"
    echo "| NVIDIA-SMI 999  GPU 0   31C |"
    echo "+-----------------------------+"
    exit 0
    ;;
esac

header
if [ -z "$interval" ]; then
    [ "$(mode)" = block ] && sleep 1000
    rows
    exit 0
fi
while true; do
    case $(mode) in
    # It waits for a driver that does not answer.
    block) sleep 1000 ;;
    # What it prints is held back, and comes out together.
    buffered)
        held=
        for _ in 1 2 3 4; do
            held="$held$(rows)
"
            pause
        done
        printf '%s' "$held"
        ;;
    garbage)
        echo "0, GPU-00"
        printf '\377\376,,,\033[2J\n'
        pause
        ;;
    *)
        rows
        pause
        ;;
    esac
done
