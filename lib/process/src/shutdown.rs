//! One token for the whole process: the first signal cancels it, a second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that SIGTERM or SIGINT cancels. Must be called inside the runtime.
///
/// # Errors
/// When the signal handlers cannot be set.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} };
        next().await;
        tracing::info!("shutting down; a second signal ends at once");
        cancelled.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(token)
}
