//! Carrying out what was decided: a flat match, one function for each kind of action.

use super::Dispatcher;
use crate::{
    Error, batch,
    decide::Action,
    ending,
    launcher::{self, Note, job_name},
};
use domain::{Cause, Change, Conversion, ConversionId};
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use queue::{Message, Mp3Message, VideoMessage};
use storage::ChangeError;

/// Actions carried out at once: enough to hide the round trips, few enough for a small API server.
const AT_ONCE: usize = 16;

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was done.
    Yes,
    /// Things had moved on.
    No,
    /// Its Job was refused, for what it is.
    Refused,
    /// A quota refused its Job.
    NoRoom,
}

impl Done {
    fn if_some<T>(it: Option<T>) -> Self {
        if it.is_some() { Self::Yes } else { Self::No }
    }
}

impl Dispatcher {
    /// Carries all of it out beside one another, and tells for each what came of it, in the same order. One
    /// that fails keeps no other from being tried.
    pub(super) async fn carry_out_all(&self, actions: &[Action]) -> Vec<Result<Done, Error>> {
        let deeds = actions.iter().enumerate();
        let deeds: Vec<_> = deeds
            .map(|(at, action)| self.carry_out(action).map(move |done| (at, done)).boxed())
            .collect();
        let mut done: Vec<_> = stream::iter(deeds).buffer_unordered(AT_ONCE).collect().await;
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, done)| done).collect()
    }

    async fn carry_out(&self, action: &Action) -> Result<Done, Error> {
        match action {
            Action::Change(id, change) => self.change(*id, change).await.map(Done::if_some),
            Action::Dispatch(id, attempt) => self.dispatch(*id, *attempt).await,
            Action::Launch(id) => match self.record(*id).await? {
                Some(record) => self.launch(&record).await,
                None => Ok(Done::No),
            },
            Action::TakeBack(id, change, name) => match self.change(*id, change).await? {
                Some(_) => Ok(self.launcher.delete(name).await.map(|()| Done::Yes)?),
                None => Ok(Done::No),
            },
            Action::Delete(name) => Ok(self.launcher.delete(name).await.map(|()| Done::Yes)?),
            Action::Announce(id) => self.announce(*id).await.map(|()| Done::Yes),
            Action::Publish(id) => self.publish(*id).await.map(|()| Done::Yes),
        }
    }

    /// The record as it is now; `None` where it has been deleted since.
    async fn record(&self, id: ConversionId) -> Result<Option<Conversion>, Error> {
        match self.storage.conversion(id).await {
            Err(storage::Error::NotFound) => Ok(None),
            read => Ok(Some(read?)),
        }
    }

    /// Makes a change; `None` where the record has moved on, which is no trouble.
    async fn change(&self, id: ConversionId, change: &Change) -> Result<Option<Conversion>, Error> {
        match self.storage.change(id, change).await {
            Ok(record) => {
                if let Change::Release { attempt, cause }
                | Change::ReleaseSilent { attempt, cause, .. } = change
                {
                    let note = ending::taken_back(&record, cause);
                    self.launcher.note(&job_name(id, *attempt), &note).await;
                    metrics::counter!("audio_converter_attempts_taken_back_total", "cause" => cause.name()).increment(1);
                    tracing::info!(conversion.id = %id, ?cause, state = record.state.as_str(), "took an attempt back");
                }
                Ok(Some(record))
            }
            Err(ChangeError::Refused(_)) => Ok(None),
            Err(ChangeError::Storage(error)) => Err(error.into()),
        }
    }

    fn may_launch(&self) -> Result<(), Error> {
        if self.launcher.tenure().borrow().may_launch() {
            return Ok(());
        }
        Err(launcher::Error::NoTerm.into())
    }

    async fn dispatch(&self, id: ConversionId, attempt: u32) -> Result<Done, Error> {
        self.may_launch()?;
        let Some(record) = self.change(id, &Change::Dispatch { attempt }).await? else {
            return Ok(Done::No);
        };
        let done = self.launch(&record).await?;
        if done == Done::Yes {
            let waited = Timestamp::now().duration_since(record.not_before).as_secs_f64();
            metrics::histogram!("audio_converter_dispatch_seconds").record(waited.max(0.0));
        }
        Ok(done)
    }

    async fn launch(&self, record: &Conversion) -> Result<Done, Error> {
        self.may_launch()?;
        let cause = match self.launcher.launch(record, self.lesson.expected(record)).await {
            Ok(()) => {
                tracing::info!(conversion.id = %record.id, attempt = record.attempt, "dispatched");
                return Ok(Done::Yes);
            }
            // Back-pressure, not failure.
            Err(launcher::Error::Full(why)) => {
                let change = Change::NoRoom { attempt: record.attempt, why };
                return self.change(record.id, &change).await.map(|_| Done::NoRoom);
            }
            Err(
                error @ (launcher::Error::Unavailable(_)
                | launcher::Error::NoCluster(_)
                | launcher::Error::NoTerm),
            ) => return Err(error.into()),
            Err(error @ launcher::Error::Foreign(_)) => {
                tracing::error!(error = %error, "taking the next attempt's name");
                let text = format!("{error}; the conversion goes on under its next attempt's name");
                let note = Note { reason: "ForeignJob", text };
                self.launcher.note(&job_name(record.id, record.attempt), &note).await;
                Cause::Disruption("a foreign job has its name".to_owned())
            }
            Err(launcher::Error::Refused(why) | launcher::Error::Unfit(why)) => {
                Cause::NeverStarted(why)
            }
        };
        let change = Change::Release { attempt: record.attempt, cause };
        self.change(record.id, &change).await.map(|_| Done::Refused)
    }

    async fn announce(&self, id: ConversionId) -> Result<(), Error> {
        let Some(record) = self.record(id).await? else {
            return Ok(());
        };
        let message = VideoMessage {
            conversion: Some(id),
            video_fid: record.video_fid(),
            username: Some(record.owner.to_string()),
            trace: record.trace.clone(),
        };
        self.queue.publish(&Message::Video(message)).await?;
        self.change(id, &Change::Announced).await.map(drop)
    }

    async fn publish(&self, id: ConversionId) -> Result<(), Error> {
        let Some(record) = self.record(id).await? else {
            return Ok(());
        };
        let Some(mp3) = &record.mp3 else {
            return Ok(());
        };
        let message = Mp3Message {
            event: record.event(),
            conversion: id,
            video_fid: record.video_fid(),
            mp3_fid: mp3.id.to_string(),
            username: record.owner.to_string(),
            name: record.name.to_string(),
            trace: record.trace.clone(),
        };
        self.queue.publish(&Message::Mp3(message)).await?;
        // Before the record says that all is done: a crash in between does it again.
        batch::replace(&self.storage, &record).await?;
        self.change(id, &Change::Published).await?;
        tracing::info!(conversion.id = %id, mp3.id = %mp3.id, "finished");
        Ok(())
    }
}
