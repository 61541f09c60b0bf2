//! What a unit hides and protects, as a script for a mount namespace of the process's own (systemd.exec(5)).

use super::Unit;

/// Directives, and what is done for each, in this order: hiding comes before all is made read-only.
const STEPS: [(&str, &str); 8] = [
    (
        "PrivateDevices",
        "mkdir -p $own/dev\nmount -t tmpfs -o mode=755 tmpfs $own/dev\n\
         for name in null zero full random urandom; do : >$own/dev/$name; mount --bind /dev/$name $own/dev/$name; done\n\
         mount --rbind $own/dev /dev\n",
    ),
    ("ProtectHome", "hide /home /root /run/user\n"),
    ("PrivateTmp", "for place in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done\n"),
    ("ProtectKernelModules", "hide /usr/lib/modules\n"),
    ("ProtectKernelLogs", "mount --bind /dev/null /proc/kmsg\n"),
    (
        "ProtectKernelTunables",
        "for place in /proc/sys /proc/irq /proc/bus /proc/fs /proc/sysrq-trigger /proc/acpi; do\n\
         if [ -e $place ]; then mount --bind $place $place; freeze $place; fi\ndone\n\
         for place in $(points); do case $place in /sys | /sys/[!f]*) freeze $place ;; esac; done\n",
    ),
    (
        "ProtectControlGroups",
        "for place in $(points); do case $place in /sys/fs/cgroup*) freeze $place ;; esac; done\n",
    ),
    (
        "ProtectSystem",
        "for place in $(points); do\n\
         case $place in /proc* | /sys* | /dev* | /tmp | /var/tmp) ;; *) freeze $place ;; esac\ndone\n",
    ),
];

/// Functions of the script: every mount point, those under others last; read-only; empty, and closed.
const FUNCTIONS: &str = "\
own=$(dirname \"$0\")
points() { cut -d' ' -f5 /proc/self/mountinfo; }
freeze() { mount -o remount,bind,ro \"$1\" || echo \"$1 cannot be made read-only\" >&2; }
hide() { for place; do if [ -d $place ]; then mount -t tmpfs -o mode=000,ro tmpfs $place; fi; done; }
";

/// The script. What cannot be done ends it, or is told.
///
/// # Panics
/// When the unit wants less protection than is made here.
pub(super) fn script(unit: &Unit) -> String {
    assert_eq!(unit.value("ProtectSystem"), "strict");
    let wanted = STEPS.iter().filter(|(name, _)| *name == "ProtectSystem" || unit.says(name));
    let steps: String = wanted.map(|(name, step)| format!("# {name}\n{step}")).collect();
    format!("{FUNCTIONS}{steps}")
}

/// The options of unshare(1).
pub(super) fn namespaces(unit: &Unit) -> String {
    let options = [("PrivateIPC", " --ipc"), ("ProtectHostname", " --uts")];
    let wanted = options.iter().filter(|(name, _)| unit.says(name)).map(|(_, option)| *option);
    format!("--mount{}", wanted.collect::<String>())
}
