//! Not built yet.

use crate::chat::Request;
use crate::failure::{Failure, Kind};
use crate::wire::{Adjusted, Outgoing, Target};

/// Writes a request.
///
/// # Errors
/// Always, for now.
pub fn write_request(_: &Request<'_>, _: &Target<'_>, _: &mut Adjusted) -> Result<Outgoing, Failure> {
    Err(Failure::new(Kind::Internal, "this format is not built yet"))
}
