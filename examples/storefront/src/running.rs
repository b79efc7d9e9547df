//! The requests that are being answered.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::Response,
    middleware::Next,
};
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

use crate::shop::Shop;

/// Counts requests from their head until their response is written.
#[derive(Debug)]
pub(crate) struct Running(watch::Sender<u64>);

impl Running {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn number(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        let mut running = self.0.subscribe();
        // The sender is `self`, so that this can't fail.
        let _ = running.wait_for(|running| *running == 0).await;
    }
}

/// A request that is counted until this is dropped.
#[derive(Debug)]
struct Counted(Shop);

impl Counted {
    fn new(shop: Shop) -> Self {
        shop.running.0.send_modify(|running| *running += 1);
        Self(shop)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.running.0.send_modify(|running| *running -= 1);
    }
}

/// The body of a response, whose request is counted until the body is dropped.
#[derive(Debug)]
struct CountedBody {
    body: Body,
    _counted: Counted,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts a request.
pub(crate) async fn count(
    State(shop): State<Shop>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let counted = Counted::new(shop);
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(CountedBody {
            body,
            _counted: counted,
        })
    })
}
