//! The last lines that the children of a server wrote to their standard
//! error, in bounded memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use trunkline_model::{Clock, Timestamp};

/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 4096;
/// What a line costs besides its text, so that empty lines are bounded too, in bytes.
const LINE_OVERHEAD: usize = 64;

/// One line of a server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub at: Timestamp,
    pub source: LogSource,
    /// The process id of the child; none when no child was started.
    pub process_id: Option<u32>,
    pub text: String,
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The child, to its standard error.
    Stderr,
    /// The child, to its standard output, where only messages belong.
    Stdout,
    /// The hub, about the child.
    Hub,
}

/// The last lines of one server, over all of its children and restarts.
#[derive(Debug)]
pub struct LogRing {
    clock: Arc<dyn Clock>,
    most_lines: usize,
    most_bytes: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl LogRing {
    /// An empty ring that keeps at most `most_lines` lines and about `most_bytes` bytes.
    pub fn new(clock: Arc<dyn Clock>, most_lines: usize, most_bytes: usize) -> Self {
        Self { clock, most_lines, most_bytes, ring: Mutex::default() }
    }

    /// Adds a line; the oldest ones leave when it does not fit.
    pub fn push(&self, source: LogSource, process_id: Option<u32>, text: &[u8]) {
        let line = LogLine { at: self.clock.now(), source, process_id, text: readable(text) };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += cost(&line);
        ring.lines.push_back(line);
        while ring.lines.len() > self.most_lines || ring.bytes > self.most_bytes {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= cost(&oldest);
        }
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> Vec<LogLine> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lines.iter().cloned().collect()
    }
}

fn cost(line: &LogLine) -> usize {
    line.text.len() + LINE_OVERHEAD
}

/// `text` as one readable line: cut, and without control characters, which
/// could steer the terminal of whoever reads the log.
pub(super) fn readable(text: &[u8]) -> String {
    let cut = text.len() > LONGEST_LINE;
    let kept = String::from_utf8_lossy(&text[..text.len().min(LONGEST_LINE)]);
    let mut line: String = kept
        .trim_end()
        .chars()
        .map(|character| if character.is_control() && character != '\t' { '\u{fffd}' } else { character })
        .collect();
    if cut {
        line.push_str(" …");
    }
    line
}

#[cfg(test)]
mod tests {
    use trunkline_model::ManualClock;

    use super::*;

    fn ring(most_lines: usize, most_bytes: usize) -> LogRing {
        let clock = ManualClock::starting_at(Timestamp::from_micros(7));
        LogRing::new(Arc::new(clock), most_lines, most_bytes)
    }

    #[test]
    fn the_oldest_lines_leave_when_there_are_too_many() {
        let log = ring(3, 1 << 20);
        for number in 0..10 {
            log.push(LogSource::Stderr, Some(1), number.to_string().as_bytes());
        }
        let texts: Vec<_> = log.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["7", "8", "9"]);
        assert_eq!(log.lines()[0].at, Timestamp::from_micros(7));
    }

    #[test]
    fn bytes_are_bounded_whatever_the_lines_are() {
        let log = ring(usize::MAX, 16 << 10);
        for _ in 0..100 {
            log.push(LogSource::Stderr, None, &vec![b'x'; 100_000]);
            log.push(LogSource::Stderr, None, b"");
        }
        let held: usize = log.lines().iter().map(|line| line.text.len() + LINE_OVERHEAD).sum();
        assert!(held <= 16 << 10, "{held}");
        assert!(!log.lines().is_empty());
    }

    #[test]
    fn a_line_cannot_steer_a_terminal() {
        let log = ring(10, 1 << 20);
        log.push(LogSource::Stderr, None, b"\x1b[31mred\xff\tend\r");
        assert_eq!(log.lines()[0].text, "\u{fffd}[31mred\u{fffd}\tend");
    }
}
