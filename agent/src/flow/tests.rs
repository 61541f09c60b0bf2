//! The flow table by properties: what it tells does not depend on how segments are cut, captured, ordered or hinted
//! at, and no record can hurt it.

mod disorder;
mod hostile;
mod kernel;
mod life;
