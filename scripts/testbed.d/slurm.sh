# shellcheck shell=bash
# A Slurm cluster: its controller beside the keeper, and a slurmd beside the sshd of each host.
# Sourced by keeper.sh and by node.sh, with dir and, for the first, names and address set.
# shellcheck disable=SC2154 # set by those

start_slurm_controller() {
    local home="$dir/slurm" name
    mkdir -p "$home"/{state,spool,log} "$home/munge"
    mungekey --create --keyfile "$home/munge/key"
    # Forced, because it distrusts sockets below folders that only their owner may enter.
    munged --force --key-file "$home/munge/key" --socket "$home/munge/socket" \
        --pid-file "$home/munge/pid" --seed-file "$home/munge/seed" \
        --log-file "$home/log/munged.log" --origin "$controller_address" 1>&2
    cat >"$home/slurm.conf" <<-END
	ClusterName=testbed
	SlurmctldHost=controller($controller_address)
	SlurmUser=root
	SlurmdUser=root
	AuthType=auth/munge
	CredType=cred/munge
	AuthInfo=socket=$home/munge/socket
	StateSaveLocation=$home/state
	SlurmdSpoolDir=$home/spool/%n
	SlurmctldPidFile=$home/slurmctld.pid
	SlurmdPidFile=$home/slurmd-%n.pid
	SlurmctldLogFile=$home/log/slurmctld.log
	SlurmdLogFile=$home/log/slurmd-%n.log
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	SwitchType=switch/none
	MpiDefault=none
	ReturnToService=2
	SchedulerType=sched/backfill
	SelectType=select/cons_tres
	SelectTypeParameters=CR_CPU
	JobAcctGatherType=jobacct_gather/none
	# The nodes have the processors that this says, whatever the machine has.
	SlurmdParameters=config_overrides
	PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
	END
    for name in "${names[@]}"; do
        # Addresses, because srun may run where no file tells what these names mean.
        printf 'NodeName=%s NodeAddr=%s CPUs=2 RealMemory=1000 State=UNKNOWN\n' \
            "$name" "${address[$name]}"
    done >>"$home/slurm.conf"
    export SLURM_CONF="$home/slurm.conf"
    printf 'SLURM_CONF=%s\n' "$SLURM_CONF" >"$dir/env"
    slurmctld -D >"$home/log/slurmctld.out" 2>&1 </dev/null &
    slurmctld=$!
}

start_slurmd() { # start_slurmd NODE: inside it
    slurmd -D >"$dir/slurm/log/slurmd-$1.out" 2>&1 </dev/null {ready}>&- {quiet}<&- &
}

# await_slurm_nodes: until the controller could start something on each of them.
await_slurm_nodes() {
    local turn
    for ((turn = 0; turn < 300; turn++)); do
        # Without a controller sinfo itself would wait for long.
        [[ "$(timeout 5 sinfo --noheader --format=%D --states=idle 2>/dev/null)" != "${#names[@]}" ]] ||
            return 0
        kill -0 "$slurmctld" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$dir"/slurm/log/*.log >&2
    return 1
}
