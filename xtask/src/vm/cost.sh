# What `cargo xtask vm --cost` does in the machine: every load, with every way to watch it.
echo 0 >/proc/sys/kernel/randomize_va_space
mkdir /sys/fs/cgroup/server
dd if=/dev/zero of=/tmp/bulk bs=1M count=1 2>/dev/null

# in_server COMMAND…: runs it in the background, in the cgroup of what is watched on one side.
in_server() {
    sh -c 'echo $$ >/sys/fs/cgroup/server/cgroup.procs; exec "$@"' sh "$@" >/tmp/server.log 2>&1 &
}

# await COMMAND…: waits until it succeeds.
await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "@ show failure waited too long: $*: $(cat /tmp/server.log /tmp/redtap.log)"; return 1; }
        sleep 0.1
    done
}

# get URL: what it is answered with.
get() {
    curl --silent --fail "$1"
}

OTEL_SERVICE_NAME=cost-server in_server nginx -p /cost -c /cost/server.conf -e stderr
in_server measured-load serve 127.0.0.1:8082
nginx -p /cost -c /cost/sink.conf -e stderr &
await get http://127.0.0.1:8080/hello
await get http://127.0.0.1:8081/

# ran WATCHED KIND WHEN: how long the programs have run, where that is measured.
ran() {
    [ "$1" = measured ] || return 0
    get http://127.0.0.1:9440/metrics >/tmp/metrics
    show "ran $2 $3" grep ^redtap_program_run_seconds_total /tmp/metrics
}

# load WATCHED KIND PORT REQUESTS [PID]: first a tenth of it, for whatever is new at first.
load() {
    show "warm $1 $2" measured-load "$2" "127.0.0.1:$3" $(($4 / 10))
    ran "$1" "$2" before
    show "cost $1 $2" measured-load "$2" "127.0.0.1:$3" "$4" $5
    ran "$1" "$2" after
}

# loads WATCHED [PID]
loads() {
    load "$1" kept 8080 20000 $2
    load "$1" churn 8080 4000 $2
    [ -z "$QUICK" ] || return 0
    load "$1" bulk 8080 400 $2
    load "$1" opaque 8082 20000 $2
}

# watched NAME FLAGS…: with redtap, and what it counted.
watched() {
    way=$1
    shift
    redtap run --listen 127.0.0.1:9440 "$@" >/tmp/redtap.log 2>&1 &
    agent=$!
    await get http://127.0.0.1:9440/readyz
    loads "$way" $agent
    get http://127.0.0.1:9440/metrics >/tmp/metrics
    show "told $way" grep -E '^(http_(server|client)_request_duration_seconds_count|redtap_dropped_total|redtap_records_total|redtap_program_run)' /tmp/metrics
    kill $agent
    wait $agent
}

loads nothing
if [ -n "$QUICK" ]; then
    watched both
    return 0
fi
watched server --cgroup /sys/fs/cgroup/server
watched both
watched spans --otlp-endpoint http://127.0.0.1:8081
watched measured --program-stats

# taken_apart KIND REQUESTS: where the agent's share goes, by what it makes of a recording.
taken_apart() {
    redtap record /tmp/recording >/tmp/redtap.log 2>&1 &
    recorder=$!
    await grep -q attached /tmp/redtap.log
    measured-load "$1" 127.0.0.1:8080 "$2" >/dev/null
    kill $recorder
    wait $recorder
    show "shares $1" redtap replay --bench /tmp/recording
}
taken_apart kept 10000
taken_apart churn 4000
