//! Bounds the bytes of images that were requested ahead but not yet consumed.
//!
//! Images are admitted in the order in which they were started, which is the order in which they
//! are consumed: the oldest one always gets room eventually, so nothing can wait forever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Budget {
    max_bytes: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: u64,
    /// Number of tickets issued.
    given: u64,
    /// The ticket to be admitted next.
    turn: u64,
    /// Later tickets that will never be admitted.
    dropped: Vec<u64>,
}

/// A position in the order.
#[derive(Debug)]
pub(super) struct Ticket {
    budget: Arc<Budget>,
    number: u64,
    is_admitted: bool,
}

/// Room for bytes, released on drop.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, state: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn ticket(self: &Arc<Self>) -> Ticket {
        let mut state = self.lock();
        let number = state.given;
        state.given += 1;
        Ticket { budget: Arc::clone(self), number, is_admitted: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_turn(&mut self, number: u64) {
        if number == self.turn {
            self.turn += 1;
            while let Some(at) = self.dropped.iter().position(|&next| next == self.turn) {
                self.dropped.swap_remove(at);
                self.turn += 1;
            }
        } else {
            self.dropped.push(number);
        }
    }
}

impl Ticket {
    /// Waits for the ticket's turn and for room for `bytes`; an image larger than the budget gets
    /// all of it to itself.
    pub(super) async fn admit(mut self, bytes: u64) -> Room {
        loop {
            let changed = self.budget.changed.notified();
            tokio::pin!(changed);
            // No change is missed from here on.
            changed.as_mut().enable();
            {
                let mut state = self.budget.lock();
                let fits =
                    state.held == 0 || state.held.saturating_add(bytes) <= self.budget.max_bytes;
                if state.turn == self.number && fits {
                    state.held += bytes;
                    state.end_turn(self.number);
                    self.is_admitted = true;
                }
            }
            if self.is_admitted {
                self.budget.changed.notify_waiters();
                return Room { budget: Arc::clone(&self.budget), bytes };
            }
            changed.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_admitted {
            self.budget.lock().end_turn(self.number);
            self.budget.changed.notify_waiters();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.lock().held -= self.bytes;
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }

    #[test]
    fn images_are_admitted_in_order_and_within_the_budget() {
        let budget = Arc::new(Budget::new(100));
        let tickets: Vec<_> = (0..50).map(|_| budget.ticket()).collect();
        runtime().block_on(async {
            // Started in reverse; one in ten is dropped.
            let mut tasks: Vec<_> = tickets
                .into_iter()
                .rev()
                .map(|ticket| {
                    tokio::spawn(async move {
                        let number = ticket.number;
                        (number % 10 != 3).then_some(ticket)?.admit(10 + 3 * number).await.into()
                    })
                })
                .collect();
            tasks.reverse();
            for (number, task) in tasks.into_iter().enumerate() {
                let room: Option<Room> = task.await.unwrap();
                assert_eq!(room.is_none(), number % 10 == 3);
                // Without this image's room, a later image above the budget may be admitted alone.
                if room.is_some() {
                    let held = budget.lock().held;
                    assert!(held <= 100 || held == 10 + 3 * number as u64, "{number}: {held}");
                }
            }
        });
        assert_eq!(budget.lock().held, 0);
    }

    #[test]
    fn a_later_image_waits_for_an_earlier_one() {
        let budget = Arc::new(Budget::new(100));
        let (first, second) = (budget.ticket(), budget.ticket());
        runtime().block_on(async {
            let second = tokio::spawn(second.admit(1));
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(!second.is_finished());
            let room = first.admit(1000).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(!second.is_finished(), "there is no room");
            drop(room);
            second.await.unwrap();
        });
    }
}
