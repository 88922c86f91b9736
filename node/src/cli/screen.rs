//! A terminal that is drawn again in place, without flicker, until the person at it has seen enough.
//!
//! A picture goes out in one write, line over line, between the marks of a synchronised update; nothing is ever
//! cleared first. The screen is the terminal's second one, so what stood there before comes back.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyModifiers};
use crossterm::terminal;
use tokio::sync::mpsc;

/// How soon the reader of keys sees that the screen is closed.
const KEYS: Duration = Duration::from_millis(100);

/// Second screen, no cursor, no wrapping of long lines.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Quit,
    Redraw,
}

pub(super) struct Screen {
    wakes: mpsc::Receiver<Wake>,
    closed: Arc<AtomicBool>,
    keys: Option<std::thread::JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal; `None` when there is none.
    pub(super) fn open() -> Option<Screen> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        terminal::enable_raw_mode().ok()?;
        let _ = write!(io::stdout(), "{OPEN}").and_then(|()| io::stdout().flush());
        let (send, wakes) = mpsc::channel(8);
        let closed = Arc::new(AtomicBool::new(false));
        let stop = closed.clone();
        let keys = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let event = match crossterm::event::poll(KEYS) {
                    Ok(true) => crossterm::event::read(),
                    Ok(false) => continue,
                    Err(e) => Err(e),
                };
                let wake = event.map_or(Some(Wake::Quit), |event| wake(&event));
                if wake.is_some_and(|wake| send.blocking_send(wake).is_err()) {
                    return;
                }
            }
        });
        Some(Screen { wakes, closed, keys: Some(keys) })
    }

    /// Draws a picture over the last one.
    pub(super) fn draw(&self, picture: &str) {
        // Some terminals do not know their size and say 0.
        let height = terminal::size().map(|(_, rows)| usize::from(rows)).ok().filter(|rows| *rows > 0);
        let mut out = io::stdout().lock();
        let _ = out.write_all(over(picture, height.unwrap_or(24)).as_bytes()).and_then(|()| out.flush()); // the next one may do
    }

    /// Waits this long, or less when the terminal's size changes; `true` when the person has seen enough.
    pub(super) async fn enough(&mut self, at_most: Duration) -> bool {
        match tokio::time::timeout(at_most, self.wakes.recv()).await {
            Ok(wake) => wake != Some(Wake::Redraw),
            Err(_) => false,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wakes.close();
        if let Some(keys) = self.keys.take() {
            let _ = keys.join();
        }
        let _ = write!(io::stdout(), "{CLOSE}").and_then(|()| io::stdout().flush());
        let _ = terminal::disable_raw_mode();
    }
}

fn wake(event: &Event) -> Option<Wake> {
    match event {
        Event::Key(key) => match key.code {
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wake::Quit),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wake::Quit),
            _ => None,
        },
        Event::Resize(..) => Some(Wake::Redraw),
        _ => None,
    }
}

/// The picture as bytes for a terminal of this height: every line ends by clearing what an older one left of itself.
fn over(picture: &str, height: usize) -> String {
    let mut out = String::from("\x1b[?2026h\x1b[H");
    for (i, line) in picture.lines().take(height.max(1)).enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        out.push_str(line);
        out.push_str("\x1b[K");
    }
    out.push_str("\x1b[J\x1b[?2026l");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEvent;

    #[test]
    fn a_picture_never_scrolls_and_clears_what_was_longer() {
        assert_eq!(over("a\nbc", 9), "\x1b[?2026h\x1b[Ha\x1b[K\r\nbc\x1b[K\x1b[J\x1b[?2026l");
        assert_eq!(over("a\nb\nc", 2).matches("\r\n").count(), 1);
        assert!(!over("a", 9).contains("\x1b[2J"), "clearing first is what flickers");
    }

    #[test]
    fn some_keys_end_it() {
        let key = |code, modifiers| wake(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Wake::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wake::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(wake(&Event::Resize(80, 24)), Some(Wake::Redraw));
    }
}
