//! The templates seen, as tries: what shows which positions of a path hold words, and which hold values that look
//! like words.
//!
//! A position with more than [`MAX_WORDS`] words that are not in the vocabulary holds values: from then on only
//! words of the vocabulary are told apart there, and if those become too many, none. What was below the words is
//! merged. The tries of all services share one arena.

use std::mem;

use super::{RouteId, segment, words};

/// Words that a position may have before they are held to be values; so many words of the vocabulary besides.
pub const MAX_WORDS: usize = 32;

/// Likewise where room is scarce ([`Tries::collapse_widest`]).
const MAX_WORDS_IN_NEED: usize = 8;

/// A position: what may follow after the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

/// All tries.
#[derive(Debug, Default)]
pub(super) struct Tries {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    collapses: u64,
}

#[derive(Debug, Default)]
struct Node {
    /// The template that ends here.
    route: Option<RouteId>,
    keeps: Keeps,
    /// Children that are words out of the vocabulary.
    words: usize,
    /// Children that are words of the vocabulary.
    known: usize,
    /// In the order of their texts.
    children: Vec<(Box<str>, NodeId)>,
}

/// Which words a position tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Keeps {
    #[default]
    All,
    Known,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Placeholder,
    Known,
    Word,
}

impl Kind {
    fn of(text: &str) -> Self {
        if words::is_placeholder(text) {
            Self::Placeholder
        } else if words::is_known(text) || words::is_bare_version(text) {
            Self::Known
        } else {
            Self::Word
        }
    }
}

impl Keeps {
    /// What a segment is at a position.
    fn text(self, segment: &str) -> &str {
        let is_kept = match self {
            Self::All => true,
            Self::Known => Kind::of(segment) != Kind::Word,
            Self::None => Kind::of(segment) == Kind::Placeholder,
        };
        if is_kept { segment } else { segment::placeholder(segment.as_bytes()) }
    }
}

impl Node {
    fn child(&self, text: &str) -> Result<NodeId, usize> {
        let place = self.children.binary_search_by(|(child, _)| (**child).cmp(text))?;
        self.children.get(place).map(|(_, child)| *child).ok_or(place)
    }

    /// What it would keep if it had one more child of a kind.
    const fn would_keep(&self, kind: Kind) -> Keeps {
        match kind {
            Kind::Word if self.words >= MAX_WORDS => Keeps::Known,
            Kind::Known if self.known >= MAX_WORDS => Keeps::None,
            _ => self.keeps,
        }
    }

    const fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Placeholder => {}
            Kind::Known => self.known += 1,
            Kind::Word => self.words += 1,
        }
    }
}

impl Tries {
    /// A new trie's root.
    pub(super) fn plant(&mut self) -> NodeId {
        if let Some(node) = self.free.pop() {
            return node;
        }
        self.nodes.push(Node::default());
        NodeId(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
    }

    /// Gives up a trie.
    pub(super) fn fell(&mut self, root: NodeId) {
        let mut rest = vec![root];
        while let Some(node) = rest.pop() {
            rest.extend(self.take(node).children.into_iter().map(|(_, child)| child));
        }
    }

    /// How many nodes a template needs that are not there, and the route where it ends.
    pub(super) fn find<T: AsRef<str>>(&self, root: NodeId, template: &[T]) -> (usize, Option<RouteId>) {
        let mut at = self.node(root);
        for (depth, segment) in template.iter().enumerate() {
            let child = at.and_then(|node| node.child(node.keeps.text(segment.as_ref())).ok());
            let Some(child) = child else { return (template.len() - depth, None) };
            at = self.node(child);
        }
        (0, at.and_then(|node| node.route))
    }

    /// The node where a template ends, which is put in if it is not there.
    pub(super) fn insert<T: AsRef<str>>(&mut self, root: NodeId, template: &[T]) -> NodeId {
        template.iter().fold(root, |node, segment| self.child(node, segment.as_ref()))
    }

    /// A template as the trie has it by now.
    pub(super) fn text<T: AsRef<str>>(&self, root: NodeId, template: &[T]) -> String {
        let mut at = Some(root);
        let mut text = String::new();
        for segment in template {
            let node = at.and_then(|at| self.node(at));
            let segment = node.map_or(Keeps::All, |node| node.keeps).text(segment.as_ref());
            at = node.and_then(|node| node.child(segment).ok());
            text.push('/');
            text.push_str(segment);
        }
        if text.is_empty() {
            text.push('/');
        }
        text
    }

    pub(super) fn route(&self, node: NodeId) -> Option<RouteId> {
        self.node(node)?.route
    }

    pub(super) fn set_route(&mut self, node: NodeId, route: RouteId) {
        if let Some(node) = self.node_mut(node) {
            node.route = Some(route);
        }
    }

    /// Nodes that are in use.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// How often a position was found to hold values.
    pub(super) const fn collapses(&self) -> u64 {
        self.collapses
    }

    /// Where room is scarce: the position with the most words holds values, unless none has more than a few. The
    /// first of those with equally many.
    pub(super) fn collapse_widest(&mut self, root: NodeId) -> bool {
        let mut widest = None;
        let mut most = MAX_WORDS_IN_NEED;
        let mut rest = vec![root];
        while let Some(at) = rest.pop() {
            let Some(node) = self.node(at) else { continue };
            if node.words > most {
                (most, widest) = (node.words, Some(at));
            }
            rest.extend(node.children.iter().rev().map(|(_, child)| *child));
        }
        if let Some(widest) = widest {
            self.collapse(widest, Keeps::Known);
        }
        widest.is_some()
    }

    fn child(&mut self, parent: NodeId, segment: &str) -> NodeId {
        loop {
            let Some(node) = self.node(parent) else { return parent };
            let text = node.keeps.text(segment);
            let place = match node.child(text) {
                Ok(child) => return child,
                Err(place) => place,
            };
            let kind = Kind::of(text);
            let keeps = node.would_keep(kind);
            if keeps > node.keeps {
                self.collapse(parent, keeps);
                continue;
            }
            let child = self.plant();
            if let Some(node) = self.node_mut(parent) {
                node.count(kind);
                node.children.insert(place, (text.into(), child));
            }
            return child;
        }
    }

    /// Each level of recursion, here and in [`Self::adopt`], is a segment further down.
    fn collapse(&mut self, at: NodeId, keeps: Keeps) {
        self.collapses += 1;
        let Some(node) = self.node_mut(at) else { return };
        node.keeps = keeps;
        (node.words, node.known) = (0, 0);
        let (kept, values): (Vec<_>, Vec<_>) =
            mem::take(&mut node.children).into_iter().partition(|(text, _)| keeps.text(text) == &**text);
        for (text, _) in &kept {
            node.count(Kind::of(text));
        }
        node.children = kept;
        for (text, child) in values {
            let heir = self.child(at, &text);
            self.adopt(heir, child);
        }
    }

    /// Merges a node that goes into another. Its routes go with it: their texts are others now.
    fn adopt(&mut self, heir: NodeId, from: NodeId) {
        let node = self.take(from);
        if self.node(heir).is_some_and(|heir| heir.keeps < node.keeps) {
            self.collapse(heir, node.keeps);
        }
        for (text, child) in node.children {
            let heir = self.child(heir, &text);
            self.adopt(heir, child);
        }
    }

    fn take(&mut self, node: NodeId) -> Node {
        self.free.push(node);
        self.node_mut(node).map(mem::take).unwrap_or_default()
    }

    fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(node.0).ok()?)
    }

    fn node_mut(&mut self, node: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(node.0).ok()?)
    }

    /// Asserts that these are all tries there are, and that each is in order.
    #[cfg(test)]
    pub(super) fn check(&self, roots: impl IntoIterator<Item = NodeId>) {
        let mut rest: Vec<_> = roots.into_iter().collect();
        let mut met = 0;
        while let Some(at) = rest.pop() {
            met += 1;
            assert!(!self.free.contains(&at));
            let node = self.node(at).unwrap();
            assert!(node.children.is_sorted_by(|(a, _), (b, _)| a < b), "{node:?}");
            let of = |kind| node.children.iter().filter(|(text, _)| Kind::of(text) == kind).count();
            assert_eq!((node.words, node.known), (of(Kind::Word), of(Kind::Known)), "{node:?}");
            assert!(node.words <= MAX_WORDS && node.known <= MAX_WORDS, "{node:?}");
            assert!(node.children.iter().all(|(text, _)| node.keeps.text(text) == &**text), "{node:?}");
            rest.extend(node.children.iter().map(|(_, child)| *child));
        }
        assert_eq!(met, self.len());
    }
}
