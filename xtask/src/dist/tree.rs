//! Which crates are in a binary, as `cargo tree` tells: those that only run while it is built are not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::process::{command, output};

/// A crate: name and version.
pub type Crate = (String, String);

/// Crates, and those that each is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<Crate, BTreeSet<Crate>>);

impl Tree {
    /// The crates of `package`, of the sources in `root`, with more of cargo's `arguments`.
    ///
    /// # Errors
    /// When cargo does not tell.
    pub fn of(root: &Path, package: &str, arguments: &[&str]) -> Result<Self> {
        let mut cargo = command("cargo");
        cargo.current_dir(root).args(["tree", "--locked", "--quiet", "--edges", "normal", "--prefix", "depth"]);
        // A space, between the depth and the name.
        let told = output(cargo.args(["--format", " {p}", "--package", package]).args(arguments))?;
        Self::read(&told).with_context(|| format!("no tree of {package}: {told}"))
    }

    /// Reads a line for each crate: `DEPTH NAME vVERSION`, and words in parentheses. What is below one comes after it, the
    /// first time that it comes.
    fn read(told: &str) -> Option<Self> {
        let (mut above, mut edges): (Vec<Crate>, Vec<_>) = (Vec::new(), Vec::new());
        // Macros run in the compiler, and so does what they are made of.
        let mut macros = BTreeSet::new();
        for line in told.lines() {
            let mut words = line.split(' ');
            let depth: usize = words.next()?.parse().ok()?;
            let own = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
            if words.any(|word| word == "(proc-macro)") {
                macros.insert(own.clone());
            }
            above.truncate(depth);
            if let Some(over) = above.last() {
                edges.push((over.clone(), own.clone()));
            }
            above.push(own);
        }
        let mut tree = BTreeMap::new();
        let mut waiting = vec![above.into_iter().next()?];
        while let Some(own) = waiting.pop() {
            let of = edges.iter().filter(|(over, under)| *over == own && !macros.contains(under));
            let of: BTreeSet<Crate> = of.map(|(_, under)| under.clone()).collect();
            waiting.extend(of.iter().filter(|under| !tree.contains_key(*under)).cloned());
            tree.insert(own, of);
        }
        Some(Self(tree))
    }

    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        for (own, of) in other.0 {
            self.0.entry(own).or_default().extend(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crate, Tree};

    fn own(name: &str) -> Crate {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn macros_and_what_they_are_made_of_are_not_in_the_binary() {
        let told = "0 top v1.0.0 (/a/b)\n\
                    1 derive v1.0.0 (proc-macro)\n\
                    2 syn v1.0.0\n\
                    3 both v1.0.0\n\
                    4 under v1.0.0\n\
                    1 left v1.0.0\n\
                    2 both v1.0.0 (*)\n\
                    1 both v1.0.0 (*)";
        let tree = Tree::read(told).unwrap();
        let expected = [
            (own("both"), [own("under")].into()),
            (own("left"), [own("both")].into()),
            (own("top"), [own("both"), own("left")].into()),
            (own("under"), [].into()),
        ];
        assert_eq!(tree, Tree(expected.into()));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        for told in ["", "top v1.0.0", "0 top 1.0.0"] {
            assert_eq!(Tree::read(told), None, "{told:?}");
        }
    }
}
