//! How quarters of an hour, and numbers of them, are written.

/// A quarter's beginning: `09:15`.
pub fn clock(quarter: usize) -> String {
    format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)
}

/// A number to so many parts of one.
pub fn round(value: f64, to: f64) -> f64 {
    (value * to).round() / to
}
