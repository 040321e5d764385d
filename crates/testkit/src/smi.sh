#!/bin/sh
# Stands in for nvidia-smi in tests. What it does stands in files beside it, which a test may change meanwhile:
#   mode    what it does from now on, see below
#   chips   how many chips there are
# It adds a line with its process id and its arguments to the file `calls` whenever it is started, and one to
# `printed` for each sample that it prints. It starts no process but to sleep, so that it is quick where all
# processors are busy.
here=${0%/*}
echo "$$ $*" >>"$here/calls"
fields=
interval=
for word; do
    case $word in
    --query-gpu=*) fields=${word#*=} ;;
    --loop-ms=*) interval=${word#*=} ;;
    esac
done
read -r chips <"$here/chips"
mode=
look() { read -r mode <"$here/mode"; }

# value FIELD CHIP: sets `value` to what a row has in that column.
value() {
    case $1 in
    index) value=$2 ;;
    uuid) value=GPU-$2$2$2$2-test ;;
    pci.bus_id) value=00000000:0$2:00.0 ;;
    name) value="NVIDIA H100 PCIe" ;;
    driver_version) value=550.54.15 ;;
    temperature.gpu) value=$((30 + $2)) ;;
    power.draw) value="$((100 * ($2 + 1))).50 W" ;;
    memory.used) value="$((1000 * ($2 + 1))) MiB" ;;
    memory.total) value="81559 MiB" ;;
    utilization.gpu)
        value="$((10 * $2)) %"
        # As of a chip that is cut into parts.
        [ "$mode" = mig ] && value="[N/A]"
        ;;
    utilization.memory) value="5 %" ;;
    clocks.sm) value="1755 MHz" ;;
    clocks.mem) value="1593 MHz" ;;
    *) value="[N/A]" ;;
    esac
}

# The names of the columns, with their units.
header() {
    line=
    IFS=,
    for field in $fields; do
        case $field in
        power.*) field="$field [W]" ;;
        memory.*) field="$field [MiB]" ;;
        utilization.*) field="$field [%]" ;;
        clocks.sm) field="clocks.current.sm [MHz]" ;;
        clocks.mem) field="clocks.current.memory [MHz]" ;;
        esac
        line="$line, $field"
    done
    unset IFS
    echo "${line#, }"
}

# Sets `rows` to a row for each chip.
rows() {
    rows=
    chip=0
    while [ "$chip" -lt "$chips" ]; do
        line=
        IFS=,
        for field in $fields; do
            value "$field" "$chip"
            line="$line, $value"
        done
        unset IFS
        # The second chip drops out.
        if [ "$mode" != lost ] || [ "$chip" != 1 ]; then
            rows="$rows${line#, }
"
        fi
        chip=$((chip + 1))
    done
    echo >>"$here/printed"
}

if [ -n "$interval" ]; then
    thousandth=00$((interval % 1000))
    seconds=$((interval / 1000)).${thousandth#"${thousandth%???}"}
fi

look
case $mode in
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
    [ "$mode" = block ] && sleep 1000
    rows
    printf '%s' "$rows"
    exit 0
fi
while true; do
    look
    case $mode in
    # It waits for a driver that does not answer.
    block) sleep 1000 ;;
    # What it prints is held back, and comes out together.
    buffered)
        held=
        for _ in 1 2 3 4; do
            rows
            held=$held$rows
            sleep "$seconds"
        done
        printf '%s' "$held"
        ;;
    garbage)
        echo "0, GPU-00"
        printf '\377\376,,,\033[2J\n'
        sleep "$seconds"
        ;;
    *)
        # It has a lot to think about.
        turns=0
        while [ "$mode" = busy ] && [ "$turns" -lt 20000 ]; do turns=$((turns + 1)); done
        rows
        printf '%s' "$rows"
        sleep "$seconds"
        ;;
    esac
done
