//! The agent against real traffic, watched through the kernel.

mod accounts;
mod bulk;
mod configuration;
mod confine;
mod containers;
mod dns;
mod export;
mod graph;
mod harm;
mod lifecycle;
mod namespaces;
mod programs;
mod raw;
mod replay;
mod same;
mod servers;
mod silence;
mod tcp;
mod telling;
mod tls;
mod udp;
mod unit;
