//! The id of the request that is being answered.

use uuid::Uuid;

tokio::task_local! {
    static REQUEST_ID: Uuid;
}

/// Runs `answer` as the request `id`.
pub(crate) async fn scope<F: Future>(id: Uuid, answer: F) -> F::Output {
    REQUEST_ID.scope(id, answer).await
}

/// Returns the id, or `None` outside of a request.
pub(crate) fn current() -> Option<String> {
    REQUEST_ID.try_with(Uuid::to_string).ok()
}
