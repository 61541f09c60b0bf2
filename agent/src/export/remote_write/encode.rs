//! Messages as they go over the wire: protocol buffers in snappy's block format.

use hyper::body::Bytes;
use prost::Message as _;
use snap::raw;

use super::{Protocol, build::Message, legacy, proto::Request, queue::Item};

/// A message in the form of either version.
pub fn item(message: &Message, protocol: Protocol) -> Item {
    let bytes = match protocol {
        Protocol::V1 => legacy::request(&message.request).encode_to_vec(),
        Protocol::V2 => message.request.encode_to_vec(),
    };
    Item { protocol, body: compressed(&bytes), samples: message.samples }
}

/// One of 2.0 as one of 1.0.
pub fn downgraded(item: &Item) -> Item {
    if item.protocol == Protocol::V1 {
        return item.clone();
    }
    // Our own encoding can be read.
    let bytes = raw::Decoder::new().decompress_vec(&item.body).unwrap_or_default();
    let request = Request::decode(bytes.as_slice()).unwrap_or_default();
    self::item(&Message { request, samples: item.samples }, Protocol::V1)
}

/// Snappy fails only beyond 4 GiB.
fn compressed(bytes: &[u8]) -> Bytes {
    raw::Encoder::new().compress_vec(bytes).unwrap_or_default().into()
}
