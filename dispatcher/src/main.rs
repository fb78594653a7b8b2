//! The dispatcher as a process of its own.

use dispatcher::{Config, Dispatcher, Error};
use process::{admin::Admin, init, shutdown_on_signal};
use queue::Queue;
use secrecy::ExposeSecret;
use storage::Storage;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    init(&config.log, config.log_format);
    let token = shutdown_on_signal()?;
    let admin = Admin::open("dispatcher", config.admin_listen, token.clone()).await?;
    let queue = Queue::open(config.queue_url.expose_secret()).await?;
    let open = async || {
        let storage = Storage::open(config.storage_url.expose_secret()).await?;
        Dispatcher::open(config.clone(), storage, queue.clone(), &token).await
    };
    let Some(dispatcher) = admin.patiently(Error::may_pass, open).await? else { return Ok(()) };
    admin.ask(dispatcher.probe());
    dispatcher.run(token).await;
    Ok(())
}
