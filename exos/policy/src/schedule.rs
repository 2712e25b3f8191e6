//! What a scheduler asks of a policy: whose the next quantum is.

/// The most clients that a policy has.
pub const CLIENTS: usize = 32;

/// Shares of all clients together are at most this.
pub const SHARES_MAX: u32 = u16::MAX as u32;

/// Why a client was not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It has no share, or all together would have more than [`SHARES_MAX`].
    BadShare,
    /// There are [`CLIENTS`] already.
    Full,
}

/// Who runs next. A client is known by a number that the caller chooses: an environment's id, or a thread's.
pub trait Policy {
    /// Adds a client with a share of the processor, in proportion to those of the others.
    ///
    /// # Errors
    /// [`Refused`]; then nothing has changed.
    fn add(&mut self, client: u32, share: u16) -> Result<(), Refused>;

    /// Removes a client, if it is there.
    fn remove(&mut self, client: u32);

    /// Gives the next quantum to a client; `None` if there is none.
    fn next(&mut self) -> Option<u32>;
}

/// Whether a client with this share can be added to `clients` that have `shares` together; the new sum.
pub(crate) fn admitted(clients: usize, shares: u32, share: u16) -> Result<u32, Refused> {
    let sum = shares + u32::from(share);
    match (clients < CLIENTS, share != 0 && sum <= SHARES_MAX) {
        (false, _) => Err(Refused::Full),
        (true, false) => Err(Refused::BadShare),
        (true, true) => Ok(sum),
    }
}
