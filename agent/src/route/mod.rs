//! From the path of a request to the template that `http.route` shows: few, whatever paths come.
//!
//! The user's patterns come first, in their order. What matches none is guessed, if that is wanted: the
//! conventions have `http.route` for what the server's framework matched, which nobody sees from outside, and
//! forbid the path in its place. The guess is a template as a framework would have it, or nothing.
//!
//! ```text
//! path ─> cache ─┬─> answer
//!                └─> segments ─┬─> patterns ─> their text
//!                              └─> template (each segment looked at) ─> trie of the service (positions) ─> text
//! ```
//!
//! **The bias**: rather one route for two things than two for one, and rather `{id}` than a segment that might
//! tell who or what was asked for. A user who wants more told apart writes patterns.
//!
//! What was chosen:
//! - One placeholder, `{id}`, as most frameworks write one. Kinds (`{uuid}`, `{date}`) would make two routes out of one
//!   wherever an API takes both, and a guess look like knowledge.
//! - A file whose name is a value keeps the end of its name, if that is known: `{id}.js`, `{id}.json`. So does a custom
//!   method of Google's APIs: `{id}:cancel`.
//! - Dates are values, even where an API has them for versions (`2024-06`): nothing tells the two apart. Versions are
//!   `v1`, `v1.2`, `v2beta1`, and a single digit, or two with a dot, after `api`.
//! - A trailing slash goes, as do doubled ones, `;parameters` and dots: see [`path`]. Case stays.
//! - After a word such as `users`, what follows is a name unless it is itself a word of routes: `/users/{id}`,
//!   `/users/me`. The vocabulary is in `words.txt`.
//! - Locales stay: `en-US`.
//!
//! **What looks like a word and is none** shows by its number: see [`trie`]. A route that was given out stays valid, and
//! its series goes on; requests from then on get the merged one. The same sequence of paths gives the same routes: what
//! the cache remembers makes no difference.
//!
//! **Limits**: routes of a service and in all, [`MAX_SERVICES`], nodes of the tries in proportion to the routes, segments
//! and bytes of a template, paths remembered. When three quarters of a service's routes are spent, each new one first
//! makes the position with the most words hold values, so that few are refused but to those who send noise. What is
//! beyond a limit is counted and goes as [`Unmatched`] says.

mod cache;
mod letters;
pub mod path;
mod pattern;
mod segment;
#[cfg(test)]
mod tests;
mod texts;
pub mod trie;
mod words;

use std::sync::Arc;

use hashbrown::HashMap;

pub use pattern::{BadPattern, MAX_PATTERN, Pattern};
pub use texts::RouteId;

use self::{
    cache::Cache,
    path::Segments,
    texts::Texts,
    trie::{NodeId, Tries},
};
use crate::identity::ServiceId;

/// Services whose paths are learned from; those beyond have the user's patterns alone.
pub const MAX_SERVICES: usize = 4096;

/// Nodes of a trie for each route that it may have: most are that deep at most.
const NODES_PER_ROUTE: usize = 8;

/// What is shown for a path without a route, if anything is.
const ANY: &str = "/**";

/// How paths become routes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The user's routes. The first that matches is the one.
    pub patterns: Vec<Pattern>,
    /// Whether the route of what matches none is guessed.
    pub heuristic: bool,
    /// What becomes of a path that has no route.
    pub unmatched: Unmatched,
    /// Most guessed routes of one service.
    pub per_service: usize,
    /// Most guessed routes in all.
    pub total: usize,
}

/// What becomes of a path that matches no pattern and whose route is not guessed, or is beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It has no route.
    #[default]
    Omit,
    /// Its route is `/**`.
    Wildcard,
}

/// The routes of all services.
#[derive(Debug)]
pub struct Routes {
    patterns: Vec<(Pattern, RouteId)>,
    heuristic: bool,
    /// The route of what has none.
    unmatched: Option<RouteId>,
    per_service: usize,
    texts: Texts,
    tries: Tries,
    services: HashMap<ServiceId, Service>,
    cache: Cache,
    /// Counts the times that answers became void.
    epoch: u64,
    refused: u64,
}

#[derive(Debug)]
struct Service {
    /// Places of the patterns that are for some services and this one.
    patterns: Box<[usize]>,
    root: NodeId,
    nodes: usize,
    routes: usize,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Route(RouteId),
    /// It has no route.
    Unmatched,
    /// Likewise, because of a limit.
    Refused,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            heuristic: true,
            unmatched: Unmatched::default(),
            per_service: 200,
            total: 4096,
        }
    }
}

impl Routes {
    /// No path seen yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let any = (options.unmatched == Unmatched::Wildcard).then_some(ANY);
        let fixed = options.patterns.iter().map(Pattern::text).chain(any);
        let mut texts = Texts::new(options.total, fixed);
        let unmatched = any.and_then(|any| texts.intern(any));
        let ids: Vec<_> = options.patterns.iter().map_while(|pattern| texts.intern(pattern.text())).collect();
        Self {
            patterns: options.patterns.into_iter().zip(ids).collect(),
            heuristic: options.heuristic,
            unmatched,
            per_service: options.per_service,
            texts,
            tries: Tries::default(),
            services: HashMap::new(),
            cache: Cache::new(),
            epoch: 1,
            refused: 0,
        }
    }

    /// The route of a request to `service`, whose name is `name`, for `path` (as sent, without the query). `None`
    /// for what is no path, such as the `*` of an OPTIONS.
    ///
    /// A path seen lately costs one look-up and no allocation. The name counts when the service is first seen.
    pub fn of(&mut self, service: ServiceId, name: &str, path: &[u8]) -> Option<RouteId> {
        let answer = match self.cache.get(service, self.epoch, path) {
            Some(answer) => answer,
            None => {
                let answer = self.learn(service, name, &Segments::parse(path)?);
                self.cache.put(service, self.epoch, path, answer);
                answer
            }
        };
        self.refused += u64::from(answer == Answer::Refused);
        self.shown(answer)
    }

    /// Likewise, for a request that the server had no route for (404, 405): nothing is learned from it, so that
    /// whoever tries paths leaves no trace. It has a route if one like it was seen before.
    pub fn known(&mut self, service: ServiceId, name: &str, path: &[u8]) -> Option<RouteId> {
        if let Some(answer) = self.cache.get(service, self.epoch, path) {
            return self.shown(answer);
        }
        let path = Segments::parse(path)?;
        let answer = self.pattern(service, name, &path).or_else(|| {
            let known = self.services.get(&service).filter(|_| self.heuristic)?;
            self.tries.find(known.root, &segment::template(&path)).1
        });
        answer.or(self.unmatched)
    }

    /// Gives up what was learned of a service that is gone. Its routes stay valid.
    pub fn forget(&mut self, service: ServiceId) {
        if let Some(gone) = self.services.remove(&service) {
            self.tries.fell(gone.root);
            self.epoch += 1;
        }
    }

    /// All routes; a [`RouteId`] is a place in it.
    #[must_use]
    pub fn all(&self) -> &[Arc<str>] {
        self.texts.all()
    }

    /// Guessed routes: services that have the same share it.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.texts.entries()
    }

    /// Most of them.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.texts.limit()
    }

    /// How many requests had no route because of a limit.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// How often a position was found to hold values rather than words.
    #[must_use]
    pub const fn collapses(&self) -> u64 {
        self.tries.collapses()
    }

    fn shown(&self, answer: Answer) -> Option<RouteId> {
        match answer {
            Answer::Route(route) => Some(route),
            Answer::Unmatched | Answer::Refused => self.unmatched,
        }
    }

    fn learn(&mut self, service: ServiceId, name: &str, path: &Segments<'_>) -> Answer {
        self.meet(service, name);
        if let Some(route) = self.pattern(service, name, path) {
            return Answer::Route(route);
        }
        if !self.heuristic {
            return Answer::Unmatched;
        }
        let collapses = self.tries.collapses();
        let route = self.guess(service, &segment::template(path));
        if self.tries.collapses() != collapses {
            self.epoch += 1;
        }
        route.map_or(Answer::Refused, Answer::Route)
    }

    /// The first pattern that matches.
    fn pattern(&self, service: ServiceId, name: &str, path: &Segments<'_>) -> Option<RouteId> {
        let known = self.services.get(&service);
        let is_for = |place: usize, pattern: &Pattern| {
            !pattern.is_for_some()
                || known.map_or_else(|| pattern.is_for(name), |known| known.patterns.binary_search(&place).is_ok())
        };
        let mut patterns = self.patterns.iter().enumerate();
        let (_, (_, route)) =
            patterns.find(|(place, (pattern, _))| pattern.matches(path) && is_for(*place, pattern))?;
        Some(*route)
    }

    fn meet(&mut self, service: ServiceId, name: &str) {
        if self.services.contains_key(&service) || self.services.len() >= MAX_SERVICES {
            return;
        }
        let patterns = self.patterns.iter().enumerate();
        let own = patterns.filter(|(_, (pattern, _))| pattern.is_for_some() && pattern.is_for(name));
        let own = own.map(|(place, _)| place).collect();
        let root = self.tries.plant();
        self.services.insert(service, Service { patterns: own, root, nodes: 1, routes: 0 });
    }

    /// The route of a template, within the limits. A second time it does nothing but find what the first time
    /// found, or find again that there is no room.
    fn guess<T: AsRef<str>>(&mut self, service: ServiceId, template: &[T]) -> Option<RouteId> {
        let service = self.services.get_mut(&service)?;
        let root = service.root;
        if let (_, Some(route)) = self.tries.find(root, template) {
            return Some(route);
        }
        if service.routes >= self.per_service {
            return None;
        }
        let before = self.tries.len();
        if self.texts.is_full() {
            self.texts.intern(&self.tries.text(root, template))?;
        } else if service.routes >= self.per_service - self.per_service / 4 {
            self.tries.collapse_widest(root);
        }
        let most = self.per_service.saturating_mul(NODES_PER_ROUTE);
        let most_in_all = self.texts.limit().saturating_mul(NODES_PER_ROUTE);
        let has_room = loop {
            let (missing, _) = self.tries.find(root, template);
            let nodes = (service.nodes + self.tries.len() + missing).saturating_sub(before);
            if nodes <= most && self.tries.len() + missing <= most_in_all {
                break true;
            }
            if !self.tries.collapse_widest(root) {
                break false;
            }
        };
        let node = has_room.then(|| self.tries.insert(root, template));
        service.nodes = (service.nodes + self.tries.len()).saturating_sub(before);
        let node = node?;
        if let Some(route) = self.tries.route(node) {
            return Some(route);
        }
        let route = self.texts.intern(&self.tries.text(root, template))?;
        self.tries.set_route(node, route);
        service.routes += 1;
        Some(route)
    }
}
