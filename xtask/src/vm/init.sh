#!/busybox/sh
# The first process of a virtual machine: mounts what a host has mounted, loads the kernel's modules, and does the steps
# in /steps. Lines that begin with @ are for who started the machine.
PATH=/usr/local/bin:/usr/sbin:/usr/bin:/busybox
HOME=/tmp
export PATH HOME
/usr/bin/busybox --install -s /busybox
mkdir -p /proc /sys /dev /tmp /run /var/log /var/lib /var/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm /run/netns
mount -t devpts pts /dev/pts
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tracefs trace /sys/kernel/tracing
# Not over /tmp, where a clone of the sources may be, with the tests that are run: all is memory here anyway.
mount -t tmpfs run /run
mkdir -p /run/netns
chmod 1777 /tmp
ln -sf /proc/self/fd /dev/fd
ulimit -l unlimited
ulimit -n 65536
while read -r module; do
    insmod "/modules/$module.ko" || echo "@ no module $module"
done </modules/order
ip link set lo up
hostname redtap-vm

# step NAME SECONDS COMMAND…: runs it, tells how it ended, and what it said unless all is well.
step() {
    name=$1
    seconds=$2
    shift 2
    echo "@ begin $name"
    read -r start rest </proc/uptime
    timeout -s KILL "$seconds" "$@" >/tmp/step.log 2>&1
    status=$?
    read -r end rest </proc/uptime
    [ "$status" = 0 ] || cat /tmp/step.log
    echo "@ end $name $status $start $end"
}

# show NAME COMMAND…: runs it, what it says being for who started the machine.
show() {
    name=$1
    shift
    "$@" 2>&1 | sed "s/^/@ show $name /"
}

. /steps
echo "@ over"
sync
poweroff -f
