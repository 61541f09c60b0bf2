//! The connection as its flow sees it.

use super::{Chunks, Connection, Pending, Reading, head};
use crate::{
    exchange::Exchange,
    protocol::{Appetite, Class, Detail, Direction, End, Output, Parse, Parser, Piece},
    time::Nanos,
    trace::context::Fields,
};

impl Parser for Connection {
    fn parse(&mut self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse {
        let is_request = direction == self.requests;
        let parse = self.read(is_request, piece, output);
        let passed = match parse {
            Parse::Done(used) => used,
            Parse::Skip(_) => piece.bytes.len(),
            Parse::NeedMore | Parse::Invalid => 0,
        };
        if passed > 0 {
            let side = if is_request { &mut self.request } else { &mut self.response };
            side.seen = side.seen.max(piece.at + passed as u64);
            side.last = side.last.max(piece.last);
        }
        parse
    }

    fn gap(&mut self, direction: Direction, piece: &Piece<'_>, to: u64, output: &mut Output) {
        let is_request = direction == self.requests;
        let side = if is_request { &mut self.request } else { &mut self.response };
        side.seen = side.seen.max(to);
        side.resumed = to;
        if !piece.bytes.is_empty() {
            side.last = side.last.max(piece.last);
        }
        match side.reading {
            Reading::Chunked(mut chunks) => {
                chunks.gap(to);
                side.reading = Reading::Chunked(chunks);
                if chunks == Chunks::Lost && (self.missing || self.pending.len() > 1) {
                    self.others_may_follow(is_request, output);
                }
            }
            Reading::Head => {
                side.searched = 0;
                let mut fields = Fields::default();
                match head::parse_partial_with(piece.bytes, &mut fields) {
                    Some(found) if is_request => {
                        self.response_gives_way(output);
                        self.request_begins(&found, &fields, piece, true, output);
                        self.request.reading = Reading::Unframed;
                        self.request.sized = false;
                        // Others may follow it.
                        self.astray = true;
                        self.missing |= self.pipelined;
                    }
                    Some(found) => self.partial_response(&found, piece, to, output),
                    None => self.goes_astray(is_request, output),
                }
            }
            Reading::Length(end) if to > end => {
                let moment = side.last;
                self.body_ends(is_request, end, moment, output);
                self.goes_astray(is_request, output);
            }
            Reading::Declined(end) => side.reading = Reading::Length(end),
            Reading::Length(_) | Reading::UntilClose | Reading::Unframed | Reading::Tunnel => {}
        }
    }

    fn appetite(&self, direction: Direction) -> Appetite {
        let side = if direction == self.requests { &self.request } else { &self.response };
        match side.reading {
            Reading::Tunnel => Appetite::Nothing,
            Reading::UntilClose | Reading::Chunked(Chunks::Lost) => Appetite::Bulk,
            _ => Appetite::Bytes,
        }
    }

    fn is_from_server(&self, direction: Direction) -> bool {
        direction != self.requests
    }

    fn note_loss(&mut self) {
        self.lossy = true;
        self.lost = true;
    }

    /// Every request that had arrived by then is in the application's hands.
    fn picked_up(&mut self, moment: Nanos) {
        for pending in &mut self.pending {
            let times = &mut pending.exchange.times;
            if times.picked_up.is_none() && times.request_first.is_some_and(|first| first <= moment) {
                times.picked_up = Some(moment);
            }
        }
    }

    fn server_closes(&mut self, end: &End, output: &mut Output) {
        self.server_sends_no_more(end, output);
    }

    fn close(&mut self, end: &End, output: &mut Output) {
        self.is_over(end, output);
    }

    fn abandon(&mut self, end: &End, output: &mut Output) {
        self.is_forgotten(end, output);
    }

    fn expire(&mut self, oldest: Nanos, now: Nanos, output: &mut Output) {
        self.time_out(oldest, now, output);
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.stream.is_none()
    }

    fn class(&self) -> Class {
        match self.request.reading {
            Reading::Tunnel => Class::Stream,
            _ => Class::Http1,
        }
    }

    fn detail(&self) -> Detail {
        match (self.pipelined, self.long_head) {
            (true, _) => Detail::Everything,
            (false, true) => Detail::Single,
            (false, false) => Detail::Heads,
        }
    }

    fn kept_bytes(&self) -> usize {
        let details = |pending: &Pending| pending.exchange.details.kept_bytes();
        let each = size_of::<Pending>() + size_of::<Exchange>();
        self.pending.iter().map(|pending| each + details(pending)).sum()
    }
}
