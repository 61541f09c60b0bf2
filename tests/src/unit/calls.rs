//! The system calls that a unit allows, as filters for seccompiler. Groups of calls are as systemd defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;
use std::process::Command;

use serde_json::{Value, json};

use super::Unit;
use crate::gate::tool;
use crate::process::output;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Flags of clone(2) that make namespaces, but for that of time, which is none of its flags.
const NAMESPACES: u64 = 0x7e02_0000;

/// Permissions to become the file's owner or group.
const SET_ID: u64 = 0o6000;

/// Of mmap(2) and shmat(2).
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const SHM_EXEC: u64 = 0o100_000;

/// Two filters: what is allowed, and before it that glibc hears of clone3(2) as of one that does not exist.
pub(super) fn filters(unit: &Unit) -> Value {
    let mut calls = allowed(unit);
    let mut conditions: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut only = |call, alternatives| {
        conditions.insert(call, alternatives);
    };
    if unit.says("MemoryDenyWriteExecute") {
        only("mmap", vec![without(2, WRITE), without(2, EXECUTE)]);
        only("mprotect", vec![without(2, EXECUTE)]);
        only("pkey_mprotect", vec![without(2, EXECUTE)]);
        only("shmat", vec![without(2, SHM_EXEC)]);
    }
    if unit.says("RestrictSUIDSGID") {
        for (call, argument) in [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)] {
            only(call, vec![without(argument, SET_ID)]);
        }
    }
    let families: Vec<_> = unit.value("RestrictAddressFamilies").split_whitespace().map(family).collect();
    only("socket", families.iter().map(|family| argument(0, "eq".into(), *family)).collect());
    if unit.says("RestrictNamespaces") {
        only("clone", vec![without(0, NAMESPACES)]);
        calls.retain(|call| !["unshare", "setns"].contains(&call.as_str()));
    }
    if unit.says("LockPersonality") {
        calls.remove("personality");
    }
    assert!(!unit.says("RestrictRealtime") || !calls.contains("sched_setscheduler"));
    let rules = calls.iter().flat_map(|call| match conditions.get(call.as_str()) {
        None => vec![json!({ "syscall": call })],
        Some(alternatives) => alternatives.iter().map(|one| json!({ "syscall": call, "args": [one] })).collect(),
    });
    let rules: Vec<_> = rules.collect();
    json!({
        "1-clone3": filter("allow".into(), json!({ "errno": ENOSYS }), vec![json!({ "syscall": "clone3" })]),
        "2-allowed": filter(json!({ "errno": EPERM }), "allow".into(), rules),
    })
}

/// The calls that SystemCallFilter leaves, as far as this architecture has them.
fn allowed(unit: &Unit) -> BTreeSet<String> {
    assert_eq!(unit.value("SystemCallErrorNumber"), "EPERM");
    assert_eq!(unit.value("SystemCallArchitectures"), "native");
    // systemd leaves these to any allow list.
    let mut allowed = expanded("@default");
    for line in unit.values("SystemCallFilter") {
        match line.strip_prefix('~') {
            Some(refused) => {
                let refused: BTreeSet<_> = refused.split_whitespace().flat_map(expanded).collect();
                allowed.retain(|call| !refused.contains(call));
            }
            None => allowed.extend(line.split_whitespace().flat_map(expanded)),
        }
    }
    allowed.retain(|call| exists(call));
    allowed
}

/// A call, or those of a group and the groups in it.
fn expanded(word: &str) -> BTreeSet<String> {
    if !word.starts_with('@') {
        return [word.to_owned()].into();
    }
    let told = output(Command::new(tool("systemd-analyze")).args(["--no-pager", "syscall-filter", word]));
    let lines = told.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let calls: BTreeSet<_> = lines.flat_map(expanded).collect();
    assert!(!calls.is_empty(), "{word}: {told}");
    calls
}

/// Whether this architecture has a call.
fn exists(call: &str) -> bool {
    let one =
        json!({ "one": filter("allow".into(), json!({ "errno": EPERM }), vec![json!({ "syscall": call })]) });
    let architecture = ARCH.try_into().expect("an architecture that seccompiler knows");
    seccompiler::compile_from_json(one.to_string().as_bytes(), architecture).is_ok()
}

fn filter(mismatch: Value, matched: Value, rules: Vec<Value>) -> Value {
    json!({ "mismatch_action": mismatch, "match_action": matched, "filter": rules })
}

/// That an argument has none of these bits.
fn without(index: u8, bits: u64) -> Value {
    argument(index, json!({ "masked_eq": bits }), 0)
}

fn argument(index: u8, operation: Value, value: u64) -> Value {
    json!({ "index": index, "type": "qword", "op": operation, "val": value })
}

fn family(name: &str) -> u64 {
    match name {
        "AF_UNIX" => 1,
        "AF_INET" => 2,
        "AF_INET6" => 10,
        "AF_NETLINK" => 16,
        other => panic!("which number has {other}?"),
    }
}
