//! The order to end, heard by every task that runs for as long as Millrace does.

use tokio::sync::watch;

/// The side that gives the order.
#[derive(Debug)]
pub struct Ending(watch::Sender<bool>);

/// The side that hears it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A new order that has not been given yet.
#[must_use]
pub fn shutdown() -> (Ending, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Ending(sender), Shutdown(receiver))
}

impl Ending {
    /// Gives the order.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Waits until the order is given, or whoever could give it is gone.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        // An error means that the sender was dropped, which ends things as well.
        drop(receiver.wait_for(|ending| *ending).await);
    }

    /// Whether the order was given.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
