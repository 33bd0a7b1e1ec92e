//! Waiting for several things at once, with less code in the script than a combinator leaves for each type.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures::future::{LocalBoxFuture, MaybeDone, maybe_done};
use worker::Delay;

/// What all of them give, in their order. They go on side by side.
pub(super) async fn all<'f, T: Unpin + 'f>(work: impl IntoIterator<Item: Future<Output = T> + 'f>) -> Vec<T> {
    let boxed = |work| -> LocalBoxFuture<'f, T> { Box::pin(work) };
    let mut doing: Vec<MaybeDone<LocalBoxFuture<'f, T>>> =
        work.into_iter().map(|work| maybe_done(boxed(work))).collect();
    poll_fn(|context| {
        let mut done = true;
        for one in &mut doing {
            done &= Pin::new(one).poll(context).is_ready();
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    doing.iter_mut().filter_map(|one| Pin::new(one).take_output()).collect()
}

/// What `work` gives, unless it takes longer than `limit`.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut limit) = (pin!(work), pin!(Delay::from(limit)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}
