//! The dispatcher as a process of its own.

use dispatcher::{Config, Dispatcher};
use process::{init, shutdown_on_signal};
use queue::Queue;
use storage::Storage;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    init(&config.log, config.log_format);
    let token = shutdown_on_signal()?;
    let storage = Storage::open(&config.storage_url).await?;
    let queue = Queue::open(&config.queue_url).await?;
    Dispatcher::open(config, storage, queue, &token).await?.run(token).await;
    Ok(())
}
