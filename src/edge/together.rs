//! Waiting for several things at once, with less code in the script than the combinators of `futures` leave for each type.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use worker::Delay;

/// What all of them give, in their order. They go on side by side.
pub(super) async fn all<'f, T: 'f>(work: impl IntoIterator<Item: Future<Output = T> + 'f>) -> Vec<T> {
    let mut waiting: Vec<Doing<'f, T>> = work.into_iter().map(Doing::begin).collect();
    poll_fn(|context| {
        let mut done = true;
        for doing in &mut waiting {
            if let Doing::Waiting(work) = doing {
                match work.as_mut().poll(context) {
                    Poll::Ready(value) => *doing = Doing::Done(value),
                    Poll::Pending => done = false,
                }
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(Doing::done).collect()
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

enum Doing<'f, T> {
    Waiting(Pin<Box<dyn Future<Output = T> + 'f>>),
    Done(T),
}

impl<'f, T> Doing<'f, T> {
    fn begin(work: impl Future<Output = T> + 'f) -> Doing<'f, T> {
        Doing::Waiting(Box::pin(work))
    }

    fn done(self) -> Option<T> {
        match self {
            Doing::Done(value) => Some(value),
            Doing::Waiting(_) => None,
        }
    }
}
