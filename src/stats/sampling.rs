//! How far apart samples are.

/// The distance to the next sample, `rate` on average. It is random, so that a periodic pattern does not decide what is
/// sampled. `random` is the state of the generator (xorshift), and not 0.
pub fn next_distance(random: &mut u32, rate: u32) -> u32 {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    *random % (2 * rate - 1)
}
