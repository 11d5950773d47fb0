//! The bandwidth of a link: bytes that it may send, which grow with time.

/// Time for which a link may save bytes that it has not sent.
const SAVED_MS_MAX: u64 = 250;
/// Time for which a link sends nothing after a long value, at most. It is shorter than the silence that ends a link.
const OWED_MS_MAX: u64 = 5_000;

/// What a link may send.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    /// Bytes times 1000.
    saved: u64,
    owed: u64,
    renewed_ms: u64,
}

impl Allowance {
    /// Whether the link may send, at `rate` bytes a second; 0 without a limit.
    pub(super) fn allows(&mut self, rate: u64, now_ms: u64) -> bool {
        if rate == 0 {
            return true;
        }
        let earned = now_ms.saturating_sub(self.renewed_ms).saturating_mul(rate);
        self.renewed_ms = now_ms;
        let paid = earned.min(self.owed);
        self.owed = (self.owed - paid).min(rate.saturating_mul(OWED_MS_MAX));
        self.saved = self.saved.saturating_add(earned - paid).min(rate.saturating_mul(SAVED_MS_MAX));
        self.owed == 0
    }

    /// The link has sent `bytes`.
    pub(super) fn spend(&mut self, bytes: u64) {
        let cost = bytes.saturating_mul(1000);
        let spent = cost.min(self.saved);
        self.saved -= spent;
        self.owed = self.owed.saturating_add(cost - spent);
    }
}

#[cfg(test)]
mod tests {
    use super::Allowance;

    #[test]
    fn a_link_sends_as_much_as_its_rate() {
        let (mut allowance, mut sent) = (Allowance::default(), 0);
        for now_ms in 0..10_000 {
            if allowance.allows(1_000_000, now_ms) {
                allowance.spend(64_000);
                sent += 64_000;
            }
        }
        assert!((9_900_000..=10_400_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_long_value_keeps_a_link_silent_for_a_bounded_time() {
        let mut allowance = Allowance::default();
        assert!(allowance.allows(1_000, 0));
        allowance.spend(1 << 30);
        assert!(!allowance.allows(1_000, 1));
        assert!(!allowance.allows(1_000, 4_900));
        assert!(allowance.allows(1_000, 5_100));
    }

    #[test]
    fn without_a_rate_a_link_may_send_always() {
        let mut allowance = Allowance::default();
        allowance.spend(1 << 40);
        assert!(allowance.allows(0, 1));
    }
}
