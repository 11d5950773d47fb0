//! Work that several threads share.

/// Runs `work` on `threads` threads, the calling one included, and waits for all.
pub fn on_threads(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        // Ignored: without a thread, the others do its part.
        (1..threads).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, &work)));
        work();
    });
}
