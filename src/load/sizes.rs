//! Lengths that are read from a file: CacheLib's kvcache_reg.

use std::fs;
use std::io;
use std::path::Path;

use super::plan::invalid;
use super::random::whole;

/// Lengths by their place in the distribution, from a file of two lists of numbers: `valSizeRange`, the upper ends of
/// ranges of lengths, and `valSizeRangeProbability`, how many values each of them has.
///
/// # Errors
/// The file cannot be read, or has another format.
pub(super) fn kvcache_reg(path: &Path) -> io::Result<impl Fn(f64) -> u64 + use<>> {
    let wrong = |what: &str| invalid(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| wrong(error.to_string().split(" (os error").next().unwrap_or_default()))?;
    let list = |name: &str| {
        let numbers = numbers(&text, name).ok_or_else(|| wrong(&format!("no list of numbers {name}")))?;
        if numbers.is_empty() { Err(wrong(&format!("{name} is empty"))) } else { Ok(numbers) }
    };
    let (lengths, weights) = (list("valSizeRange")?, list("valSizeRangeProbability")?);
    if weights.iter().any(|weight| *weight < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
        return Err(wrong("valSizeRangeProbability has no weight"));
    }
    // Of each range: the weight of all up to it, where it starts and where it ends.
    let mut ranges = Vec::new();
    let (mut sum, mut lower) = (0.0, 0.0);
    for (upper, weight) in lengths.into_iter().zip(weights) {
        sum += weight;
        ranges.push((sum, lower, upper, weight));
        lower = upper;
    }
    Ok(move |unit: f64| {
        let drawn = unit * sum;
        let index = ranges.partition_point(|range| range.0 < drawn).min(ranges.len() - 1);
        let (end, lower, upper, weight) = ranges[index];
        let within = if weight > 0.0 { 1.0 - (end - drawn) / weight } else { 1.0 };
        whole((lower + (upper - lower) * within.clamp(0.0, 1.0)).round().max(1.0))
    })
}

fn numbers(text: &str, name: &str) -> Option<Vec<f64>> {
    let (_, after) = text.split_once(&format!("\"{name}\""))?;
    let (_, after) = after.split_once('[')?;
    let (inside, _) = after.split_once(']')?;
    inside.split(',').map(|number| number.trim().parse::<f64>().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn a_list_is_found_by_its_name() {
        let text = "{\"valSizeRange\": [1, 32.0,\n 64], \"valSizeRangeProbability\": [0.5, 0.5, x]}";
        assert_eq!(numbers(text, "valSizeRange"), Some(vec![1.0, 32.0, 64.0]));
        assert_eq!(numbers(text, "valSizeRangeProbability"), None);
        assert_eq!(numbers(text, "popularity"), None);
    }
}
