//! The fields of a head that tell of traces, and of clients behind proxies.

/// Most `tracestate` fields of a request that are put together; one with more carries none.
pub const TRACE_STATES: usize = 8;

/// Values of fields, borrowed from the head; empty where a field is not there. Of a field that must not be repeated, and
/// is, the first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// `traceparent`
    pub traceparent: &'a [u8],
    /// How often that is there.
    pub traceparents: u8,
    /// `tracestate`, in order.
    pub tracestate: [&'a [u8]; TRACE_STATES],
    /// How often that is there.
    pub tracestates: u8,
    /// `b3`
    pub b3: &'a [u8],
    /// `X-B3-TraceId`
    pub b3_trace_id: &'a [u8],
    /// `X-B3-SpanId`
    pub b3_span_id: &'a [u8],
    /// `X-B3-Sampled`
    pub b3_sampled: &'a [u8],
    /// `X-B3-Flags`
    pub b3_flags: &'a [u8],
    /// `uber-trace-id`
    pub uber_trace_id: &'a [u8],
    /// `Forwarded`
    pub forwarded: &'a [u8],
    /// `X-Forwarded-For`
    pub x_forwarded_for: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Whether no field of a trace is among them, as of most requests.
    #[must_use]
    pub const fn tell_nothing(&self) -> bool {
        self.traceparents == 0
            && self.b3.is_empty()
            && self.b3_trace_id.is_empty()
            && self.b3_span_id.is_empty()
            && self.b3_sampled.is_empty()
            && self.b3_flags.is_empty()
            && self.uber_trace_id.is_empty()
    }

    /// Takes a field line if it is one of these. `value` is without white space around it.
    pub fn add(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |field: &[u8]| name.eq_ignore_ascii_case(field);
        let place = match name.len() {
            2 if is(b"b3") => &mut self.b3,
            9 if is(b"forwarded") => &mut self.forwarded,
            10 if is(b"tracestate") => {
                if let Some(place) = self.tracestate.get_mut(usize::from(self.tracestates)) {
                    *place = value;
                }
                self.tracestates = self.tracestates.saturating_add(1);
                return;
            }
            10 if is(b"x-b3-flags") => &mut self.b3_flags,
            11 if is(b"traceparent") => {
                self.traceparents = self.traceparents.saturating_add(1);
                &mut self.traceparent
            }
            11 if is(b"x-b3-spanid") => &mut self.b3_span_id,
            12 if is(b"x-b3-traceid") => &mut self.b3_trace_id,
            12 if is(b"x-b3-sampled") => &mut self.b3_sampled,
            13 if is(b"uber-trace-id") => &mut self.uber_trace_id,
            15 if is(b"x-forwarded-for") => &mut self.x_forwarded_for,
            _ => return,
        };
        if place.is_empty() {
            *place = value;
        }
    }

    /// The one `traceparent`; two contradict one another.
    pub(super) fn trace_parent(&self) -> Option<&'a [u8]> {
        (self.traceparents == 1).then_some(self.traceparent)
    }
}
