//! Messages that ring the doorbell: RabbitMQ on a cluster, an SQLite table on one machine.
//!
//! A message never holds the only copy of anything: the record does. What must hold: `publish`
//! returns after the broker has confirmed; a delivery that is neither acked nor rejected comes again.
