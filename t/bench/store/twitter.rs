//! Misses of loads with a time to live, made from the published parameters of Twitter's clusters.
//!
//! Time is compressed: the shortest time to live that a fifth of the items has becomes 5 s. The others shrink alike,
//! and the clocks of both servers are real. A replay lasts 30 s at a fixed rate, the same for both; what it misses
//! after the first 10 s counts. doc/measurements/store.md says which clusters, and how the rest is made.

use std::fs;
use std::io;
use std::time::Duration;

use crate::items::{Items, KeyLen, SECOND_GENERATION, ValueLen};
use crate::options::Options;
use crate::replay::{Client, Request, Tally};
use crate::traces::ratio_and_refusals;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::{Random, Zipf, whole};
use larder_bench::server::ServerCommand;
use larder_bench::trace::data_file;
use larder_bench::twitter::Cluster;

const FILE: &str = "twitter-2020Mar-clusters.csv";
/// Clusters that are read as caches. Most operations are gets, and none append or count. Objects are asked for 2.5 to
/// 100 times, and their popularity is Zipf's with an alpha between .4 and 1.3.
const CLUSTERS: [&str; 7] = ["cluster7", "cluster19", "cluster27", "cluster29", "cluster37", "cluster41", "cluster45"];
const MEGABYTES: u64 = 64;
/// Size of the population, as memcached stores it, as a multiple of `-m`.
const POPULATION: u64 = 3;
const MEMCACHED_OVERHEAD: u64 = 56;
const REPLAY: Duration = Duration::from_secs(30);
/// The shortest time to live that this share of the items has, and what it becomes.
const SHORT_TTL_SHARE: f64 = 0.20;
const SHORT_TTL_S: f64 = 5.0;
/// Large values are sent more slowly: the client must keep its pace on both servers.
const BYTES_PER_S: u64 = 400_000_000;
/// If a server falls further behind, too many items expire between two requests.
const LATE_MAX: Duration = Duration::from_secs(1);
const MISSES_MAX: f64 = 0.95;
const SEED: u64 = 0x7717;

/// A row of the table, read as a cache.
struct Cache(Cluster);

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let path = data_file(FILE)?;
    let text = fs::read_to_string(&path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let header = ["cluster", "key, value", "1 h is", "keys", "per s", "server", "miss ratio", "items held", "late"];
    let mut table = Table::new(header.map(str::to_string));
    let mut verdicts = Vec::new();
    for (cell, name) in CLUSTERS.into_iter().filter(|name| options.wants(name)).enumerate() {
        let line = text.lines().find(|line| line.split(',').next() == Some(name));
        let cluster = line.and_then(Cluster::parse).map(Cache);
        let cluster = cluster.ok_or_else(|| io::Error::other(format!("{FILE}: no {name}")))?;
        eprintln!("{name}");
        let found = options.both(cell, |command| cluster.measure(options, command))?;
        for (command, (tally, held)) in options.comparison.servers.iter().zip(&found) {
            table.row([
                name.to_string(),
                format!("{} B, {} B", cluster.0.key_len, cluster.0.value_len),
                format!("{:.2} s", 3600.0 / cluster.compression()),
                grouped(cluster.keys()),
                grouped(cluster.rate()),
                command.name.clone(),
                ratio_and_refusals(tally),
                grouped(*held),
                format!("{:.1} s", tally.late.as_secs_f64()),
            ]);
        }
        let [ours, theirs] = found.each_ref().map(|(tally, _)| tally.miss_ratio());
        let late = found.iter().any(|(tally, _)| tally.late > LATE_MAX);
        let remark = if late { " (late: not comparable, repeat)" } else { "" };
        let measure = format!("misses, Twitter {name} with TTLs, -m {MEGABYTES}{remark}");
        verdicts.push(Verdict::at_most(measure, "1.00".to_string(), ours / theirs, MISSES_MAX, "≤ 0.85"));
    }
    println!("Twitter clusters in compressed time, -m {MEGABYTES}.\n\n{table}");
    Ok(verdicts)
}

impl Cache {
    fn set_share(&self) -> f64 {
        self.0.operations.iter().filter(|(operation, _)| operation == "set").map(|(_, share)| share).sum()
    }

    /// Seconds of the cluster's life in one second of the replay.
    fn compression(&self) -> f64 {
        let common = self.0.ttl_mix.iter().filter(|(share, _)| *share >= SHORT_TTL_SHARE);
        let shortest = common.map(|(_, ttl_s)| *ttl_s).fold(f64::INFINITY, f64::min);
        // A mix of many close values has no common one. Its mean is used.
        let mean = || self.0.ttl_mix.iter().map(|(share, ttl_s)| share * ttl_s).sum::<f64>() / self.mixed_share();
        (if shortest.is_finite() { shortest } else { mean() }) / SHORT_TTL_S
    }

    fn mixed_share(&self) -> f64 {
        self.0.ttl_mix.iter().map(|(share, _)| share).sum()
    }

    fn items(&self) -> Items {
        let key_len = usize::try_from(self.0.key_len).expect("at most 250");
        let mut items = Items::new(KeyLen::Fixed(key_len), ValueLen::Around(self.0.value_len));
        // The file leaves out rare times to live: the mix is filled up in proportion.
        let (mixed, compression) = (self.mixed_share(), self.compression());
        items.ttl_mix = self
            .0
            .ttl_mix
            .iter()
            .map(|(share, ttl_s)| {
                let compressed = whole((ttl_s / compression).round()).clamp(1, u64::from(TTL_S_MAX));
                (share / mixed, u32::try_from(compressed).unwrap_or(TTL_S_MAX))
            })
            .collect();
        items
    }

    fn keys(&self) -> u64 {
        POPULATION * (MEGABYTES << 20) / (self.0.key_len + self.0.value_len + MEMCACHED_OVERHEAD)
    }

    fn rate(&self) -> u64 {
        RATE_MAX.min(BYTES_PER_S / (self.0.key_len + self.0.value_len))
    }

    fn measure(&self, options: &Options, command: &ServerCommand) -> io::Result<(Tally, u64)> {
        let server = options.start(command, MEGABYTES)?;
        let mut client = Client::connect(server.address)?;
        let items = self.items();
        let zipf = Zipf::new(self.keys(), self.0.alpha);
        let mut random = Random::with_seed(SEED);
        let set_share = self.set_share();
        let one_hit = self.0.one_hit_share / self.0.requests_per_object;
        let mut once = SECOND_GENERATION;
        let mut next = || {
            let drawn = random.unit();
            if drawn < one_hit {
                once += 1;
                return Request::Get(once);
            }
            let rank = zipf.rank(&mut random);
            if random.unit() < set_share { Request::Set(rank) } else { Request::Get(rank) }
        };
        let third = self.rate() * options.share_of_time(REPLAY).as_secs().max(3) / 3;
        let warm = client.replay(&items, third, self.rate(), &mut next)?;
        let mut counted = client.replay(&items, 2 * third, self.rate(), &mut next)?;
        counted.late += warm.late;
        let held = server.control()?.stat("curr_items")?;
        server.stop()?;
        eprintln!("{} on {}: {:.4}", command.name, self.0.name, counted.miss_ratio());
        Ok((counted, held))
    }
}

const RATE_MAX: u64 = 200_000;
/// A server takes a much larger number as a date, and no replay is that long.
const TTL_S_MAX: u32 = 86_400;
