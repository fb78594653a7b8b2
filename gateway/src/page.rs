//! Lists in pages: `?limit=` entries, newest first, and a cursor that leads to the next ones.

use crate::{error::Error, view::StateName};
use domain::{ConversionId, State, VideoId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use storage::{Page, Which};
use utoipa::{IntoParams, ToSchema};

const DEFAULT_LIMIT: u32 = 20;
const HIGHEST_LIMIT: u32 = 100;

/// What a client may say about a list, as it wrote it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only what was made at this time or later.
    #[param(value_type = Option<Timestamp>)]
    since: Option<String>,
    /// Only what was made before this time.
    #[param(value_type = Option<Timestamp>)]
    until: Option<String>,
    /// Entries on the page; 20 where it is absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// What `next` of the page before said.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<String>,
}

/// Which conversions a client asks for; one of these at a time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only those in this state.
    #[param(value_type = Option<StateName>)]
    state: Option<String>,
    /// Only those of this video.
    #[param(value_type = Option<Uuid>)]
    video: Option<String>,
}

/// An id that says when it was made.
pub(crate) trait Dated: FromStr + Ord + Copy {
    /// The lowest id that can be made at `time` or later.
    fn lowest_at(time: Timestamp) -> Self;
}

impl Dated for VideoId {
    fn lowest_at(time: Timestamp) -> Self {
        Self::lowest_at(time)
    }
}

impl Dated for ConversionId {
    fn lowest_at(time: Timestamp) -> Self {
        Self::lowest_at(time)
    }
}

/// One page as it is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<Item> {
    pub(crate) items: Vec<Item>,
    /// The cursor of the next page; null on the last one.
    pub(crate) next: Option<String>,
}

impl Query {
    /// The page to read: one entry more than is shown, which tells whether there are others.
    pub(crate) fn page<Id: Dated>(&self) -> Result<Page<Id>, Error> {
        let limit = match self.limit.as_deref().map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit @ 1..=HIGHEST_LIMIT)) => limit,
            Some(_) => return Err(Error::bad_request("limit is a number from 1 to 100")),
        };
        let before = self.cursor.as_deref().map(str::parse).transpose();
        let before = before
            .map_err(|_| Error::bad_request("cursor is what `next` of an earlier page said"))?;
        let until = time(self.until.as_deref(), "until")?.map(Id::lowest_at);
        let from = time(self.since.as_deref(), "since")?.map(Id::lowest_at);
        Ok(Page { before: before.into_iter().chain(until).min(), from, limit: limit + 1 })
    }
}

impl Filter {
    /// Which conversions to show.
    pub(crate) fn which(&self) -> Result<Which, Error> {
        match (self.state.as_deref(), self.video.as_deref()) {
            (None, None) => Ok(Which::All),
            (Some(word), None) => {
                let state = State::ALL.into_iter().find(|state| state.as_str() == word);
                state.map(Which::InState).ok_or_else(|| {
                    Error::bad_request(
                        "state is one of queued, running, succeeded, failed, cancelled",
                    )
                })
            }
            (None, Some(id)) => id
                .parse()
                .map(Which::OfVideo)
                .map_err(|_| Error::bad_request("video is the id of a video")),
            (Some(_), Some(_)) => {
                Err(Error::bad_request("state and video are asked for one at a time"))
            }
        }
    }
}

fn time(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, Error> {
    let time = text.map(str::parse).transpose();
    time.map_err(|_| Error::bad_request(format!("{name} is a time, as 2026-11-23T06:00:00Z")))
}

impl<Item> List<Item> {
    /// Shows what was read for `page`; `cursor` names an entry.
    pub(crate) fn new<Id, Record>(
        mut records: Vec<Record>,
        page: &Page<Id>,
        cursor: impl Fn(&Record) -> String,
        show: impl Fn(Record) -> Item,
    ) -> Self {
        let shown = page.limit.saturating_sub(1) as usize;
        let more = records.len() > shown;
        records.truncate(shown);
        let next = records.last().filter(|_| more).map(cursor);
        Self { items: records.into_iter().map(show).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: Option<&str>, cursor: Option<&str>) -> Result<Page<VideoId>, Error> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Query { limit: own(limit), cursor: own(cursor), ..Query::default() }.page()
    }

    #[test]
    fn limits_and_cursors_are_checked() {
        assert_eq!(query(None, None).unwrap().limit, 21);
        assert_eq!(query(Some("100"), None).unwrap().limit, 101);
        let id = VideoId::generate();
        assert_eq!(query(None, Some(&id.to_string())).unwrap().before, Some(id));
        for limit in ["0", "101", "-1", "1e2", "", "99999999999"] {
            assert!(matches!(query(Some(limit), None), Err(Error::BadRequest(_))), "{limit}");
        }
        assert!(matches!(query(None, Some("' or 1=1")), Err(Error::BadRequest(_))));
    }

    #[test]
    fn there_is_a_next_page_only_if_something_is_on_it() {
        let page = Page::<VideoId> { before: None, from: None, limit: 3 };
        let list = |records: Vec<u8>| List::new(records, &page, u8::to_string, |record| record);
        let full = list(vec![9, 8, 7]);
        assert_eq!((full.items, full.next.as_deref()), (vec![9, 8], Some("8")));
        assert_eq!(list(vec![9, 8]).next, None);
        assert_eq!(list(vec![]).next, None);
    }
}
