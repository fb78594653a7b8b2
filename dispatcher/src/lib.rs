//! From a queued conversion to its Kubernetes Job to the finished event.
