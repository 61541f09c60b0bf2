//! What was written before: which series have ended, and which exemplars were told of.

use hashbrown::{Equivalent, HashMap, hash_map::EntryRef};

use crate::{export::metrics::Attributes, semconv::Metric};

/// The points of the page before, as many as there are.
#[derive(Debug, Default)]
pub struct Known {
    points: HashMap<(&'static str, Attributes), Entry>,
    page: u64,
}

/// A point that was written.
#[derive(Debug)]
pub struct Entry {
    /// Its family.
    pub metric: &'static Metric,
    /// Which series it has.
    pub form: Form,
    /// When the exemplar of each bucket was that was written last, in milliseconds; empty without any.
    told: Vec<i64>,
    page: u64,
}

/// The series of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// A number's.
    pub number: bool,
    /// Buckets, sum and count.
    pub classic: bool,
    /// One with native histograms.
    pub native: bool,
}

impl Known {
    /// A page begins.
    pub const fn begin(&mut self) {
        self.page += 1;
    }

    /// The point is on the page, in this form.
    pub fn seen(&mut self, metric: &'static Metric, attributes: &Attributes, form: Form) -> &mut Entry {
        let page = self.page;
        match self.points.entry_ref(&Borrowed(metric.prometheus, attributes)) {
            EntryRef::Occupied(known) => {
                let entry = known.into_mut();
                (entry.form, entry.page) = (form, page);
                entry
            }
            EntryRef::Vacant(vacant) => {
                let entry = Entry { metric, form, told: Vec::new(), page };
                vacant.insert_with_key((metric.prometheus, attributes.clone()), entry)
            }
        }
    }

    /// Those that were on the page before, and are not on this one.
    pub fn gone(&mut self) -> Vec<(Attributes, Entry)> {
        let page = self.page;
        let gone = self.points.extract_if(|_, entry| entry.page != page);
        gone.map(|((_, attributes), entry)| (attributes, entry)).collect()
    }
}

impl Entry {
    /// Whether the exemplar of a bucket is later than the one before; it is, only once. One of the same millisecond is not: for a
    /// receiver, which is told no more of its time, it may be out of order.
    pub fn is_new(&mut self, bucket: usize, at: i64) -> bool {
        if self.told.len() <= bucket {
            self.told.resize(bucket + 1, 0);
        }
        match self.told.get_mut(bucket) {
            Some(told) if *told < at => {
                *told = at;
                true
            }
            _ => false,
        }
    }

    /// The time of the latest exemplar that was written.
    pub fn latest(&self) -> i64 {
        self.told.iter().copied().max().unwrap_or_default()
    }
}

/// A key that is looked for.
#[derive(Hash)]
struct Borrowed<'a>(&'static str, &'a Attributes);

impl Equivalent<(&'static str, Attributes)> for Borrowed<'_> {
    fn equivalent(&self, key: &(&'static str, Attributes)) -> bool {
        self.0 == key.0 && *self.1 == key.1
    }
}
