//! HTTP/1.1 as bytes and values: no sockets, no clocks, no unsafe.

pub mod body;
pub mod coding;
pub mod conditions;
pub mod date;
pub mod disposition;
pub mod encoder;
pub mod headers;
pub mod media_type;
pub mod method;
pub mod multipart;
pub mod pairs;
pub mod parser;
pub mod ranges;
pub mod refusal;
mod scan;
pub mod status;
pub mod target;
