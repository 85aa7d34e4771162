//! Sign-in: who sits in front of a browser.

mod sessions;

pub use sessions::{Sessions, SignedIn};
