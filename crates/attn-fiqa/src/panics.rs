//! Turns panics of decoders and runtimes into errors.
//!
//! Decoders and the ONNX runtime process untrusted bytes. If one of them panics, the library
//! returns an error for that file, but the program's panic hook runs first and by default writes to
//! standard error. A hook that calls [`is_caught`] can skip that.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread at this point would become an error that the library returns. For
/// panic hooks, which need not report such a panic.
///
/// # Examples
///
/// A hook that reports all other panics as before:
///
/// ```
/// let report = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     if !attn_fiqa::panics::is_caught() {
///         report(panic);
///     }
/// }));
/// ```
pub fn is_caught() -> bool {
    // A thread that is being torn down runs no work of the library.
    CAUGHT.try_with(Cell::get).unwrap_or(false)
}

/// Runs `work`; `None` if it panicked. For readers of untrusted bytes that may panic: anything that
/// `work` changes outside itself must not be used after a panic.
///
/// # Examples
///
/// ```
/// let lengths = [3_usize, 5];
/// assert_eq!(attn_fiqa::panics::caught(|| lengths[1]), Some(5));
/// ```
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catching(work).ok()
}

/// Runs `work` and catches its panic. Anything that `work` changes outside itself must not be used
/// after a panic.
pub(crate) fn catching<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    let _mark = Mark { before: CAUGHT.replace(true) };
    catch_unwind(AssertUnwindSafe(work))
}

/// Runs `work`, called from within [`catching`], as if nothing were caught: a panic of the caller's
/// own code must be reported.
#[cfg(any(test, feature = "video"))]
pub(crate) fn reported<T>(work: impl FnOnce() -> T) -> T {
    let _mark = Mark { before: CAUGHT.replace(false) };
    work()
}

/// Restores the mark, even when a panic unwinds.
struct Mark {
    before: bool,
}

impl Drop for Mark {
    fn drop(&mut self) {
        CAUGHT.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What the hook saw for panics with this text, whatever other tests do in the meantime.
    static SEEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    const TEXT: &str = "a decoder that gave up";

    #[test]
    fn a_hook_can_tell_which_panics_are_caught() {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() == Some(TEXT) {
                SEEN.lock().expect("no panic while it is held").push(is_caught());
            } else {
                report(panic);
            }
        }));
        assert!(!is_caught());
        assert!(catching(|| panic!("{TEXT}")).is_err());
        assert!(!is_caught(), "after a panic");
        assert!(catching(|| reported(|| panic!("{TEXT}"))).is_err());
        let inner = catching(|| {
            let inner = catching(|| panic!("{TEXT}")).is_err();
            assert!(is_caught(), "the outer one still catches");
            inner
        });
        assert!(inner.is_ok_and(|inner| inner));
        assert!(!is_caught());
        assert!(std::panic::catch_unwind(|| panic!("{TEXT}")).is_err());
        assert_eq!(*SEEN.lock().expect("no panic"), [true, false, true, false]);
    }
}
