//! What the signals of the system mean to us.

use std::io;

use crate::app::Shutdown;

/// Watches for signals: SIGTERM drains, SIGINT or a second signal ends without delay. SIGHUP, which
/// elsewhere means to load the configuration again, does not end the process.
#[cfg(unix)]
pub(super) fn shutdown() -> io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let shutdown = Shutdown::default();
    let told = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    tracing::warn!("SIGHUP is ignored: a new configuration needs a restart");
                }
                _ = terminate.recv() => {
                    if told.drain.is_cancelled() {
                        told.hurry.cancel();
                    }
                    told.drain.cancel();
                }
                _ = interrupt.recv() => {
                    told.drain.cancel();
                    told.hurry.cancel();
                }
            }
        }
    });
    Ok(shutdown)
}

/// Watches for Ctrl-C.
#[cfg(not(unix))]
pub(super) fn shutdown() -> io::Result<Shutdown> {
    let shutdown = Shutdown::default();
    let told = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.drain.cancel();
            told.hurry.cancel();
        }
    });
    Ok(shutdown)
}
