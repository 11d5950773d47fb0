//! A counter of time that costs a few instructions, to notice that something took long. A clock then says how long.
//!
//! ```text
//! x86-64    the time-stamp counter      aarch64    the virtual counter      elsewhere    always 0
//! ```
//!
//! Its rate is not known: measure it before you compare ticks with a time.

/// The counter without its lowest bits. It wraps around after a minute or more.
#[inline(always)]
pub fn ticks() -> u32 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let ticks: u32;
        // SAFETY: both instructions are part of x86-64. They write these two registers and the flags only.
        unsafe {
            core::arch::asm!("rdtsc", "shrd eax, edx, 10", out("eax") ticks, out("edx") _, options(nomem, nostack));
        }
        ticks
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        let count: u64;
        // SAFETY: Linux lets every program read this register. The instruction writes one register only.
        unsafe {
            core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack, preserves_flags));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the counter wraps around")]
        {
            (count >> 4) as u32
        }
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    0
}
