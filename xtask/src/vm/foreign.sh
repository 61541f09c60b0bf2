# What `cargo xtask vm --arm64` does in the machine: the agent starts, requests are made, and their numbers are told.
show check redtap check --json
mkdir /tmp/pages
echo small >/tmp/pages/small
httpd -p 127.0.0.1:8080 -h /tmp/pages
redtap run --listen 127.0.0.1:9440 >/tmp/redtap.log 2>&1 &
tries=0
until wget -q -O /dev/null http://127.0.0.1:9440/readyz; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { show failure cat /tmp/redtap.log; break; }
    sleep 0.1
done
for request in $(seq 20); do
    wget -q -O /dev/null http://127.0.0.1:8080/small
done
wget -q -O /dev/null http://127.0.0.1:8080/missing
sleep 2
wget -q -O /tmp/metrics http://127.0.0.1:9440/metrics
show told grep -E '^(http_(server|client)_request_duration_seconds_count|redtap_dropped_total|redtap_confined)' /tmp/metrics
