//! The gateway as a process of its own: configuration, log, run, exit code.

use gateway::{Config, Server, StartError};
use process::{admin::Admin, config::Settings};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::read(Settings::from_env()) {
        Ok(config) => config,
        Err(faults) => {
            process::init("info", process::LogFormat::Text);
            tracing::error!("{faults}");
            return ExitCode::from(78);
        }
    };
    process::init(&config.log, config.log_format);
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the gateway cannot run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = process::shutdown_on_signal()?;
    let admin = Admin::open("gateway", config.admin_listen, shutdown.clone()).await?;
    let open = async || Server::open(config.clone()).await;
    let Some(server) = admin.patiently(StartError::may_pass, open).await? else { return Ok(()) };
    admin.ask(server.probe());
    server.run(shutdown).await;
    Ok(())
}
