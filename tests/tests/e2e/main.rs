//! The agent against real traffic, watched through the kernel.

mod accounts;
mod bulk;
mod configuration;
mod lifecycle;
mod namespaces;
mod raw;
mod replay;
mod servers;
mod telling;
