//! Rows of Twitter's table of cache clusters (Yang, Yue, Rashmi 2020).
//!
//! ```text
//! cluster7,17,1936,72.9,0.01,1.37,"1.8h:0.28, 1.7h:0.24, …",get:0.82 set:0.18,1.0666
//!          │  │    │    │         └ seconds to live, by share  └ operations      └ Zipf's alpha
//!          │  │    │    └ one-hit objects, percent
//!          │  │    └ requests per object
//!          │  └ value, mean
//!          └ key
//! ```

use super::op::Op;
use super::plan::{Mix, Plan, Popularity, SizePlan, TtlPlan};
use super::random::whole;

/// One row.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Bytes of a key.
    pub key_len: u64,
    /// Bytes of a value, the mean.
    pub value_len: u64,
    /// Requests per object.
    pub requests_per_object: f64,
    /// Share of the objects that are requested once.
    pub one_hit_share: f64,
    /// Share, seconds to live.
    pub ttl_mix: Vec<(f64, f64)>,
    /// Shares of the kinds of requests, by the table's words.
    pub operations: Vec<(String, f64)>,
    /// Zipf's alpha.
    pub alpha: f64,
}

/// A server takes a larger number as a date.
const TTL_S_MAX: u64 = 2_592_000;
/// A key must have room for its number.
const KEY_LEN_MIN: u64 = 10;

impl Cluster {
    /// None: the line is not a row of the table.
    pub fn parse(line: &str) -> Option<Self> {
        let mut quoted = false;
        let fields: Vec<&str> = line
            .split(|letter: char| {
                quoted ^= letter == '"';
                letter == ',' && !quoted
            })
            .collect();
        let [name, key_len, value_len, requests, one_hit_percent, _, ttls, operations, alpha] = fields[..] else {
            return None;
        };
        let ttl_mix: Option<_> =
            pairs(ttls.trim_matches('"')).map(|(ttl, share)| Some((share.parse().ok()?, seconds(ttl)?))).collect();
        let operations: Option<_> = pairs(operations.trim_matches('"'))
            .map(|(op, share)| Some((op.to_string(), share.parse().ok()?)))
            .collect();
        Some(Self {
            name: name.to_string(),
            key_len: key_len.parse().ok()?,
            value_len: value_len.parse().ok()?,
            requests_per_object: requests.parse().ok()?,
            one_hit_share: one_hit_percent.parse::<f64>().ok()? / 100.0,
            ttl_mix: ttl_mix?,
            operations: operations?,
            // Some rows have no alpha.
            alpha: if alpha == "NA" { 0.0 } else { alpha.parse().ok()? },
        })
    }

    /// Gives a load this row's sizes, mix, times to live, popularity and share of new keys. All stores are sets, so
    /// that values keep the row's lengths: appended values would grow. The prefix is cut to the room that the keys
    /// leave.
    pub fn shape(&self, plan: &mut Plan) {
        let bytes = |len: u64| u32::try_from(len).unwrap_or(u32::MAX);
        let key_len = self.key_len.clamp(KEY_LEN_MIN, 250);
        plan.keys.prefix.truncate(usize::try_from(key_len - KEY_LEN_MIN).unwrap_or(0));
        plan.keys.length = SizePlan::Fixed(bytes(key_len));
        plan.values = SizePlan::Between(bytes(self.value_len / 2).max(1), bytes(self.value_len * 3 / 2).max(1));
        plan.keys.popularity = Popularity::Zipf(self.alpha);
        plan.keys.fresh = (self.one_hit_share / self.requests_per_object.max(1.0)).clamp(0.0, 1.0);
        plan.mix = self.mix();
        let mixed: f64 = self.ttl_mix.iter().map(|(share, _)| share).sum();
        // The table leaves out rare times to live: the mix is filled up in proportion.
        let ttls = self.ttl_mix.iter().map(|(share, ttl_s)| {
            (share / mixed, u32::try_from(whole(ttl_s.round()).clamp(1, TTL_S_MAX)).unwrap_or(u32::MAX))
        });
        plan.ttl = if mixed > 0.0 { TtlPlan::Mix(ttls.collect()) } else { TtlPlan::Never };
    }

    fn mix(&self) -> Mix {
        let mut shares: Vec<(Op, f64)> = Vec::new();
        for (name, share) in &self.operations {
            let op = match name.as_str() {
                "set" | "cas" | "append" | "prepend" => Op::Set,
                "add" => Op::Add,
                "replace" => Op::Replace,
                "delete" => Op::Delete,
                "incr" => Op::Incr,
                "decr" => Op::Decr,
                "touch" => Op::Touch,
                "gat" => Op::Gat,
                _ => Op::Get,
            };
            match shares.iter_mut().find(|(known, _)| *known == op) {
                Some((_, sum)) => *sum += share,
                None => shares.push((op, *share)),
            }
        }
        if shares.iter().map(|(_, share)| share).sum::<f64>() > 0.0 { Mix(shares) } else { Mix::only(Op::Get) }
    }
}

/// The pairs of a list such as `1.8h:0.28, 1.7h:0.24` or `get:0.82 set:0.18`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split([',', ' ']).filter_map(|pair| pair.split_once(':'))
}

fn seconds(ttl: &str) -> Option<f64> {
    let unit = match ttl.chars().last()? {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        _ => return None,
    };
    Some(ttl[..ttl.len() - 1].parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::Cluster;
    use crate::op::Op;
    use crate::plan::{Mix, Plan, Popularity, SizePlan, TtlPlan};

    #[test]
    fn a_row_shapes_a_load() {
        let line = "cluster7,17,1936,72.9,0.01,1.37,\"2h:0.25, 30s:0.25\",get:0.82 gets:0.08 set:0.1,1.0666";
        let cluster = Cluster::parse(line).unwrap();
        let mut plan = Plan::default();
        cluster.shape(&mut plan);
        assert_eq!(plan.keys.length, SizePlan::Fixed(17));
        assert_eq!(plan.keys.prefix, "bench:");
        assert_eq!(plan.values, SizePlan::Between(968, 2904));
        assert_eq!(plan.keys.popularity, Popularity::Zipf(1.0666));
        assert_eq!(plan.ttl, TtlPlan::Mix(vec![(0.5, 7200), (0.5, 30)]));
        assert_eq!(plan.mix, Mix(vec![(Op::Get, 0.82 + 0.08), (Op::Set, 0.1)]));
    }

    #[test]
    fn other_lines_are_no_rows() {
        for line in ["", "cluster,key_size_bytes,value_size_bytes", "cluster7,x,1,1,1,1,,get:1,1"] {
            assert!(Cluster::parse(line).is_none(), "{line}");
        }
    }
}
