//! What is known of each server: its last reading, its rates, and the rates of the last minutes.

use std::collections::VecDeque;

use larder::tools::RemoteServer;

use super::poll::Reading;
use super::rates::Rates;

/// Readings that the graphs go back. A wider terminal shows no more.
const HISTORY: usize = 600;

/// A server.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) reading: Option<Reading>,
    pub(crate) rates: Option<Rates>,
    /// Why the last reading has failed.
    pub(crate) failure: Option<String>,
    /// Requests per second, the newest last.
    pub(crate) requests: VecDeque<u64>,
    /// Hits in thousandths of gets, the newest last.
    pub(crate) hits: VecDeque<u64>,
}

/// All servers, and the one whose history is shown.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) servers: Vec<Watched>,
    pub(crate) selected: usize,
}

impl Board {
    pub(crate) fn new(servers: &[RemoteServer]) -> Self {
        let watched = |address: &RemoteServer| Watched { name: address.to_string(), ..Watched::default() };
        Self { servers: servers.iter().map(watched).collect(), selected: 0 }
    }

    /// Notes a reading, or why there is no reading.
    pub(crate) fn note(&mut self, server: usize, reading: Result<Reading, String>) {
        let Some(watched) = self.servers.get_mut(server) else { return };
        let reading = match reading {
            Ok(reading) => reading,
            Err(failure) => {
                (watched.failure, watched.reading, watched.rates) = (Some(failure), None, None);
                return;
            }
        };
        watched.failure = None;
        watched.rates = watched.reading.as_ref().and_then(|before| Rates::between(before, &reading));
        watched.reading = Some(reading);
        if let Some(rates) = watched.rates {
            push(&mut watched.requests, rates.requests);
            push(&mut watched.hits, rates.hit_ratio.unwrap_or(0.0) * 1000.0);
        }
    }

    /// Selects the server `by` lines further down.
    pub(crate) fn select(&mut self, by: isize) {
        let last = self.servers.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }
}

fn push(history: &mut VecDeque<u64>, value: f64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for a graph, never negative")]
    history.push_back(value.round() as u64);
}
