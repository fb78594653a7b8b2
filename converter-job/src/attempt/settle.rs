//! What an attempt does at its end, whichever it is.

use super::{
    Attempt, Stopped, answered,
    commit::{Committed, commit},
    interrupted,
};
use crate::{
    ending::Ending,
    work::{Made, Verdict},
};
use domain::{Change, Failure, Mp3};
use std::time::Duration;
use storage::{Blob, BlobWriter, Error};
use tokio::time::timeout;

/// For what is tidied up on the way out; the sweeper does the rest.
const PATIENCE: Duration = Duration::from_secs(5);

impl Attempt {
    /// Commits the end, and deletes what no record will name.
    pub(super) async fn settle(&self, stopped: Stopped, writer: BlobWriter) -> Ending {
        match stopped {
            Stopped::Verdict(Verdict::Converted(made)) => self.succeed(writer, *made).await,
            Stopped::Verdict(Verdict::Failed(failure)) => {
                let ending = self.fail(failure).await;
                discard(writer).await;
                ending
            }
            Stopped::Verdict(verdict) => {
                discard(writer).await;
                Ending::of(&verdict)
            }
            Stopped::Record => {
                discard(writer).await;
                self.superseded().await
            }
            Stopped::Signal => {
                discard(writer).await;
                interrupted()
            }
        }
    }

    async fn succeed(&self, writer: BlobWriter, made: Made) -> Ending {
        let length = made.length;
        let blob = match self.store(writer, &made).await {
            Ok(blob) if blob.length == length => blob,
            wrong => {
                self.delete().await;
                return match wrong {
                    Ok(blob) => {
                        Ending::trouble(format!("{} of {length} bytes were stored", blob.length))
                    }
                    Err(error) => Ending::trouble(error),
                };
            }
        };
        let mp3 = Mp3 {
            id: self.record.id.mp3(self.record.claim),
            length: blob.length,
            sha256: blob.sha256,
            duration_ms: made.duration_ms,
            loudness: made.loudness.clone(),
        };
        let change = Change::Succeed { claim: self.record.claim, mp3 };
        match commit(&self.storage, self.record.id, &change).await {
            Committed::Yes => {
                // Left behind, the marker tells the sweeper no more than the record does.
                let _ = timeout(PATIENCE, self.storage.forget(self.file())).await;
                Ending::succeeded(&made, self.began.elapsed())
            }
            Committed::Refused => {
                self.delete().await;
                self.superseded().await
            }
            // The write may still arrive, so the file must stay; its marker lets the sweeper judge.
            Committed::Unknown(error) => {
                Ending::trouble(format!("the MP3 may not be committed: {error}"))
            }
        }
    }

    /// Makes the MP3 a file of its own, with its report and its waveform beside it.
    async fn store(&self, writer: BlobWriter, made: &Made) -> Result<Blob, Error> {
        let beside = made.beside(&self.record.options, self.began.elapsed());
        let beside = beside.map_err(|error| Error::Corrupt(error.to_string()))?;
        writer.finish_with(&beside).await
    }

    /// Commits a failure.
    pub(super) async fn fail(&self, failure: Failure) -> Ending {
        let change = Change::Fail { claim: self.record.claim, failure: failure.clone() };
        match commit(&self.storage, self.record.id, &change).await {
            Committed::Yes => Ending::failed(&failure),
            Committed::Refused => self.superseded().await,
            Committed::Unknown(error) => {
                Ending::trouble(format!("a failure may not be committed: {error}"))
            }
        }
    }

    /// Somebody newer must be there, or the end: else the dispatcher has to know that this attempt
    /// did nothing.
    async fn superseded(&self) -> Ending {
        let read = async {
            match self.storage.conversion(self.record.id).await {
                Err(Error::NotFound) => Ok(None),
                read => read.map(Some),
            }
        };
        match answered(read).await {
            Ok(None) => Ending::superseded("the conversion has been deleted"),
            Ok(Some(record)) if record.state.is_terminal() => {
                Ending::superseded(format!("the conversion is {}", record.state.as_str()))
            }
            Ok(Some(record)) if record.claim > self.record.claim => {
                Ending::superseded("a newer claim exists")
            }
            Ok(Some(_)) => Ending::trouble("the attempt was taken back"),
            Err(ending) => ending,
        }
    }

    /// Deletes a file that has no writer any more.
    async fn delete(&self) {
        let deleted = async {
            self.storage.delete(self.file()).await?;
            self.storage.forget(self.file()).await
        };
        tell_failure(timeout(PATIENCE, deleted).await);
    }
}

async fn discard(writer: BlobWriter) {
    tell_failure(timeout(PATIENCE, writer.discard()).await);
}

fn tell_failure(deleted: Result<Result<(), Error>, tokio::time::error::Elapsed>) {
    match deleted {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the MP3 stays for the sweeper"),
        Err(error) => tracing::warn!(%error, "the MP3 stays for the sweeper"),
    }
}
