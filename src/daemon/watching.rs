//! Connects the store with the clients that watch.

use std::sync::Arc;

use crate::base::Clock;
use crate::settings::Settings;
use crate::store::{Departure, DepartureReason, DepartureSink, JobEvent, JobSink, Store};
use crate::watch::{Event, Hub, HubConfig, ItemFacts};

use super::failure::Failure;

/// Passes items that leave the store to the hub.
struct DepartureWatch(Arc<Hub>);

impl DepartureSink for DepartureWatch {
    fn departed(&self, departure: &Departure<'_>) {
        let (item, moment) = (departure.item, departure.moment);
        let (is_fetched, idle_s) = (item.word0().is_fetched(), item.word0().idle_s(moment.now));
        let ttl_s = item.deadline().remaining_s(moment.tick);
        let facts = ItemFacts { ttl_s, class: item.class(), fd: -1, size: item.value_len() };
        let event = match departure.reason {
            DepartureReason::Evicted => Event::Evicted { is_fetched, idle_s, item: facts },
            DepartureReason::Expired | DepartureReason::Flushed => Event::Expired { is_fetched, idle_s, item: facts },
        };
        self.0.note_elsewhere(departure.thread, event, item.key());
    }
}

/// Passes what background jobs do to the hub.
struct JobWatch(Arc<Hub>);

impl JobSink for JobWatch {
    fn done(&self, event: JobEvent, thread: usize) {
        let event = match event {
            JobEvent::PageMove { from, to, is_moved } => Event::PageMoved { from, to, is_moved },
            JobEvent::Sweep { elapsed_s, checked, freed } => Event::Swept { elapsed_s, checked, freed },
        };
        self.0.note_elsewhere(thread, event, b"");
    }
}

/// The hub of the process, which the store tells of items that leave. Its thread starts with the first watcher, unless
/// workers may not start threads.
pub(super) fn watch_hub(settings: &Settings, clock: &Arc<Clock>, store: &'static Store) -> Result<Arc<Hub>, Failure> {
    let config = HubConfig {
        ring_bytes: settings.worker_logbuf_bytes as usize,
        buffer_bytes: settings.watcher_logbuf_bytes as usize,
    };
    let hub = Hub::new(Arc::clone(clock), config);
    let switch = store.add_departure_sink(Box::new(DepartureWatch(Arc::clone(&hub))));
    // Always on: these events are rare.
    store.add_job_sink(Box::new(JobWatch(Arc::clone(&hub)))).switch_on();
    hub.on_store_watched(move |is_on| if is_on { switch.switch_on() } else { switch.switch_off() });
    if settings.drop_privileges && settings.watch_enabled {
        hub.start().map_err(Failure::system("start the watch thread"))?;
    }
    Ok(hub)
}
