//! What administrators do: batches, the dispatching switch, dead letters.

pub(crate) mod batch;
pub(crate) mod dispatching;
pub(crate) mod import;
pub(crate) mod letters;
pub(crate) mod reprocess;
