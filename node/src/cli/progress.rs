//! A bar on a terminal, from the second second on.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Moved by whoever works; it goes away when dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
}

impl Progress {
    /// Over so many bytes; over nobody knows how many.
    pub(super) fn new(bytes: Option<u64>) -> Progress {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let shape = match bytes {
            Some(_) => "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{spinner} {bytes}, {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(shape).unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress { bar: bar.with_style(style), began: Instant::now() }
    }

    /// So many bytes are done.
    pub(super) fn is_at(&self, bytes: u64) {
        self.show();
        self.bar.set_position(bytes);
    }

    /// So many more are.
    pub(super) fn inc(&self, bytes: u64) {
        self.show();
        self.bar.inc(bytes);
    }

    fn show(&self) {
        if self.bar.is_hidden() && self.began.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
