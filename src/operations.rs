//! What administrators do: batches, the dispatching switch, dead letters; and operators, with the
//! databases themselves.

pub(crate) mod batch;
pub(crate) mod dispatching;
pub(crate) mod doctor;
pub(crate) mod import;
pub(crate) mod letters;
pub(crate) mod reprocess;
