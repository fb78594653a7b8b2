//! What a pass has to remember, and to read, for the next slot to go where it should.

use super::{Dispatcher, deed::Done};
use crate::{
    Error,
    decide::{Action, Full, Known},
    launcher,
};
use domain::{Change, Conversion};
use std::collections::{HashMap, HashSet};
use storage::Wanted;

impl Dispatcher {
    /// Whoever was refused for want of room keeps the turn, and so does whoever was not even tried.
    pub(super) fn take_turns(
        &mut self,
        known: &Known,
        actions: &[Action],
        done: &[Result<Done, Error>],
    ) {
        let due: HashMap<_, _> = known.due.iter().map(|record| (record.id, record)).collect();
        let (mut made, mut refused) = (0, false);
        for (action, done) in actions.iter().zip(done) {
            refused |= matches!(done, Ok(Done::NoRoom));
            if let Action::Dispatch(id, _) = action
                && let Some(record) = due.get(id)
                && had_a_turn(done)
            {
                self.turns.take(record.lane(), &record.owner);
                made += usize::from(matches!(done, Ok(Done::Yes)));
            }
        }
        self.full = Full::after(known, made, refused);
        if refused {
            // The next look knows when to try again.
            self.wake.notify_one();
        }
    }

    /// The store gives the first few of each owner, and these may not be among them. What came of an action
    /// says little, as it may be done and reported failed: the next look forgets those who are not owed.
    pub(super) fn owe(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Change(id, Change::Release { .. } | Change::ReleaseSilent { .. })
                | Action::TakeBack(id, ..)
                | Action::Launch(id) => drop(self.owed.insert(*id)),
                _ => {}
            }
        }
    }

    /// Of what is due, as much as may be chosen.
    pub(super) async fn due(&mut self, known: &Known) -> Result<Vec<Conversion>, Error> {
        let slots = known.free_slots();
        if slots == 0 {
            return Ok(Vec::new());
        }
        let owners = known.owners_needed();
        let (now, paused) = (known.now, &known.paused_batches);
        let wanted = Wanted { now, slots: slots as u32, owners: owners as u32, paused };
        let mut due = self.storage.due(&wanted).await?;
        if !self.owed.is_empty() {
            let ids: Vec<_> = self.owed.iter().copied().collect();
            let owed = self.storage.conversions_of_ids(&ids).await?;
            let waits = |it: &&Conversion| it.was_interrupted();
            self.owed = owed.iter().filter(waits).map(|record| record.id).collect();
            let read: HashSet<_> = due.iter().map(|record| record.id).collect();
            let is_new = |it: &Conversion| {
                it.was_interrupted() && it.not_before <= now && !read.contains(&it.id)
            };
            due.extend(owed.into_iter().filter(is_new));
        }
        Ok(due)
    }
}

/// Whether it came so far that a Job may be there, or was refused for what it is.
fn had_a_turn(done: &Result<Done, Error>) -> bool {
    match done {
        Ok(Done::Yes | Done::Refused) => true,
        Ok(Done::No | Done::NoRoom) => false,
        Err(Error::Launcher(error)) => !matches!(error, launcher::Error::NoTerm),
        Err(Error::Storage(_) | Error::Queue(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_tried_keeps_the_turn() {
        let launcher = |error| Err(Error::Launcher(error));
        let away = || "away".to_owned();
        assert!(had_a_turn(&Ok(Done::Yes)) && had_a_turn(&Ok(Done::Refused)));
        // Its Job may be there.
        assert!(had_a_turn(&launcher(launcher::Error::Unavailable(away()))));
        assert!(!had_a_turn(&launcher(launcher::Error::NoTerm)));
        assert!(!had_a_turn(&Err(Error::Storage(storage::Error::NotFound))));
        assert!(!had_a_turn(&Ok(Done::No)) && !had_a_turn(&Ok(Done::NoRoom)));
    }
}
