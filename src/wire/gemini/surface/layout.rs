//! The two forms of a stream: events (`alt=sse`), or the items of one JSON array.

use crate::wire::{Layout, sse};

/// Writes the objects of a stream.
#[derive(Debug)]
pub(super) struct Frames {
    layout: Layout,
    begun: bool,
}

impl Frames {
    pub fn new(layout: Layout) -> Frames {
        Frames { layout, begun: false }
    }

    /// Writes one object.
    pub fn write(&mut self, json: &[u8], out: &mut Vec<u8>) {
        match self.layout {
            Layout::Events | Layout::EventStream => {
                out.extend_from_slice(b"data: ");
                sse::write_line(json, out);
                out.extend_from_slice(b"\r\n\r\n");
            }
            Layout::Array => {
                out.extend_from_slice(if std::mem::replace(&mut self.begun, true) { b",\r\n" } else { b"[" });
                out.extend_from_slice(json);
            }
        }
    }

    /// Ends a whole stream. One that broke off is never closed.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.layout == Layout::Array {
            out.extend_from_slice(if self.begun { b"\r\n]\r\n" } else { b"[]\r\n" });
        }
    }

    /// Something harmless that keeps proxies from hanging up.
    pub fn keep_alive(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.layout {
            Layout::Events | Layout::EventStream => b": keep-alive\n\n".as_slice(),
            Layout::Array => b"\n",
        });
    }
}
