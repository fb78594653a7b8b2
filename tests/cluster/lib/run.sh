# shellcheck shell=bash
# A run: one folder, and everything that was started for it. Sourced by up,
# down, image, enter, part and rabbitmqctl.
#
# All processes of a run live in one PID, mount, network, UTS and IPC namespace
# whose first process is node/init. When that one ends, the kernel ends every
# other, pods included, and drops all mounts; so a run is ended by one kill, no
# matter how it came to be left behind. Every process of ours carries
# AUDIO_CONVERTER_RUN=<folder> in its environment: that, and nothing else, is
# how a process is recognised as ours.

# shellcheck source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
inner_path="/run/cache/$(basename "$kubernetes_cache"):/run/cache/$(basename "$coredns_cache"):/usr/sbin:/usr/bin:/sbin:/bin"
default_run="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/target/cluster"

# Sets the names that follow from a run's folder.
set_run() {
    run="$(realpath -m "${1:-${CLUSTER_RUN:-$default_run}}")"
    id="$(printf %s "$run" | sha256sum | cut -c1-8)"
    node="audio-converter-$id"
    host_device="ac-$id"
}

# exit 77 is the customary code for "cannot run here, skip".
skip() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 77
}

require_root() {
    [[ $(uname -s) == Linux ]] || skip "the local cluster needs Linux"
    ((EUID != 0)) || return 0
    sudo -n true 2>/dev/null || skip "the local cluster needs root, or sudo without a password"
    # The caller's own settings go along, sudo would drop them.
    exec sudo -n --preserve-env=AUDIO_CONVERTER_CACHE,CLUSTER_RUN,CLUSTER_OWNER,CLUSTER_PODS,CONVERTER_IMAGE,XDG_CACHE_HOME \
        env HOME="$HOME" PATH="$PATH" "$0" "$@"
}

# Prints the host's PIDs of all processes of the run in folder $1.
run_processes() {
    grep -lzxsF "AUDIO_CONVERTER_RUN=$1" /proc/[0-9]*/environ 2>/dev/null |
        sed -E 's#/proc/([0-9]+)/environ#\1#' || true
}

# Prints the PID of the node's first process, if it lives.
node_pid() {
    local pid
    pid="$(cat "$run/pid" 2>/dev/null)" || return 1
    grep -qzxsF "AUDIO_CONVERTER_RUN=$run" "/proc/$pid/environ" && echo "$pid"
}

# Runs a command inside the node.
in_node() {
    local pid
    pid="$(node_pid)" || { echo "${0##*/}: no cluster runs in $run" >&2; return 1; }
    nsenter --target "$pid" --mount --net --pid --uts --ipc -- \
        env -i AUDIO_CONVERTER_RUN="$run" HOME=/root LANG=C.UTF-8 PATH="$inner_path" "$@"
}

# Ends the run in $run, whatever is left of it; does nothing when nothing is.
end_run() {
    local pids=''
    for _ in {1..200}; do
        pids="$(run_processes "$run")"
        [[ $pids ]] || break
        # shellcheck disable=SC2086  # one word per process
        kill -KILL $pids 2>/dev/null || true
        sleep 0.05
    done
    [[ -z $pids ]] || { echo "${0##*/}: these do not end: $pids" >&2; return 1; }
    end_network
    end_cgroups
    rm -rf "$run"/{data,parts,config,node,pid,owner,env,kubeconfig}
}

end_network() {
    # With the name goes the namespace, and with it both ends of its cable.
    rm -f "/run/audio-converter/$node"
    [[ ! -e /run/netns/$node ]] || ip netns del "$node"
    [[ ! -e /sys/class/net/$host_device ]] || ip link del "$host_device" 2>/dev/null || true
}

# A group of processes that were just killed can stay busy for a moment.
end_cgroups() {
    local folders
    for _ in {1..100}; do
        folders="$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$node" 2>/dev/null)"
        [[ $folders ]] || return 0
        # shellcheck disable=SC2086
        find $folders -depth -type d -exec rmdir {} + 2>/dev/null && return 0
        sleep 0.05
    done
    echo "${0##*/}: these stay behind: $folders" >&2
}

# Ends runs that nobody can want any more: their first process is dead, their
# folder is gone, or the process that asked for them (CLUSTER_OWNER) is gone.
# Looks only at namespaces with a name of our form, and takes their folder from
# our mark in a process or from the note that `up` wrote.
end_stale_runs() {
    local name folder
    for name in /run/netns/audio-converter-????????; do
        [[ -e $name ]] || continue
        name="${name##*/}"
        folder="$(run_folder "$name")"
        [[ $folder ]] || continue
        (
            set_run "$folder"
            [[ $node == "$name" ]] || exit 0
            # Whoever holds the lock is starting or ending that run just now.
            [[ ! -d $run ]] || { exec {lock}>"$run/lock" && flock -n "$lock"; } || exit 0
            if ! node_pid >/dev/null || ! owner_lives; then end_run; fi
        )
    done
}

# Prints the folder of the run whose network namespace has the name $1.
run_folder() {
    local pid folder=''
    for pid in $(ip netns pids "$1" 2>/dev/null); do
        folder="$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^AUDIO_CONVERTER_RUN=//p')" || continue
        [[ -z $folder ]] || break
    done
    [[ $folder ]] || folder="$(cat "/run/audio-converter/$1" 2>/dev/null)" || true
    echo "$folder"
}

# The file owner holds the PID and the start time of the process that asked.
owner_lives() {
    [[ -d $run ]] || return 1
    local pid start
    read -r pid start 2>/dev/null <"$run/owner" || return 0
    [[ $(start_time "$pid") == "$start" ]]
}

# The time since boot at which a process began, so that a PID used again is
# not taken for the old one.
start_time() { sed -E 's/.*\) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
