//! Random numbers from a seed that is printed, so that a failure can be repeated; and how long to go on.

use larder::base::Clock;

/// SplitMix64: small, quick, and good enough to choose test cases.
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of `seed`.
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a usize")
    }

    /// One of `choices`.
    pub(crate) fn pick<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> &'c T {
        choices[self.below(choices.len())]
    }

    /// True once in `times` calls.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Runs `case` with one seed after the other: `cases` of them in `cargo test`; for LARDER_FUZZ_S seconds if that is
/// set (`make fuzz`). LARDER_FUZZ_SEED is the first seed.
pub(crate) fn each_seed(name: &str, cases: u64, mut case: impl FnMut(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = Clock::start();
    let end_us = number("LARDER_FUZZ_S").map(|seconds| seconds * 1_000_000);
    let first = number("LARDER_FUZZ_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 32 | clock_seed());
    let mut count = 0;
    while end_us.map_or(count < cases, |end_us| clock.now_us() < end_us) {
        let seed = first.wrapping_add(count);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(seed)));
        if let Err(cause) = failed {
            larder::sys::log::log_line(
                larder::sys::log::Level::Info,
                format!("{name}: failed with LARDER_FUZZ_SEED={seed}").as_bytes(),
            );
            std::panic::resume_unwind(cause);
        }
        count += 1;
    }
    larder::sys::log::log_line(
        larder::sys::log::Level::Info,
        format!("{name}: {count} cases from seed {first}").as_bytes(),
    );
}

fn clock_seed() -> u64 {
    Clock::start().unix_s().unsigned_abs() & 0xffff_ffff
}
