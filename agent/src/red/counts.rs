//! Exchanges, counted by role and outcome.

use crate::exchange::{OUTCOMES, Outcome, Role};

/// Both roles, for tables and counters.
pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// How many exchanges ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeCounts([[u64; OUTCOMES.len()]; ROLES.len()]);

impl ExchangeCounts {
    /// One more.
    pub const fn add(&mut self, role: Role, outcome: Outcome) {
        self.0[role as usize][outcome as usize] += 1;
    }

    /// Each role and outcome with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Role, Outcome, u64)> {
        ROLES.into_iter().flat_map(move |role| {
            OUTCOMES.into_iter().map(move |outcome| (role, outcome, self.0[role as usize][outcome as usize]))
        })
    }

    /// All exchanges.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }
}

// The tables are indexed by discriminant.
const _: () = {
    let mut index = 0;
    while index < OUTCOMES.len() {
        assert!(OUTCOMES[index] as usize == index);
        index += 1;
    }
    assert!(ROLES[0] as usize == 0 && ROLES[1] as usize == 1);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_its_own_count() {
        let mut counts = ExchangeCounts::default();
        let mut expected = 0;
        for role in ROLES {
            for outcome in OUTCOMES {
                expected += 1;
                for _ in 0..expected {
                    counts.add(role, outcome);
                }
            }
        }
        let seen: Vec<u64> = counts.iter().map(|(_, _, count)| count).collect();
        assert_eq!(seen, (1..=12).collect::<Vec<u64>>());
        assert_eq!(counts.total(), 78);
    }
}
