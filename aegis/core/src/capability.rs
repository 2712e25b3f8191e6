//! Self-authenticating capabilities (the paper's section 3.1, after Chaum and Fabry): names of rights that nobody can
//! guess, so that whoever has one was given it.
//!
//! A capability's tag is a keyed hash (SipHash-2-4) of the resource, the right and, for a frame, a nonce. Only the
//! kernel has the key. It does not know who has a capability: it makes the tag anew, or has kept it, and compares.

use aegis_abi::EnvId;
use aegis_abi::frame::Capability;
use siphasher::sip::SipHasher24;

/// The key that all tags are made with: 128 bits that no program can know or guess, other ones at every start.
pub struct Key(pub [u8; 16]);

/// What a capability is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A frame, until its nonce changes.
    Frame {
        /// The frame's number.
        number: u32,
        /// When its capabilities were made void last, by a count of all times that any frame's were.
        nonce: u64,
    },
    /// An environment, while it lives: its id is never another's.
    Environment(EnvId),
    /// All frames and slices.
    Pool,
}

impl Key {
    /// The tag of the capability with `right` to `resource`. Costs a few hundred instructions on the R3000.
    #[must_use]
    pub fn tag(&self, resource: Resource, right: u32) -> Capability {
        match resource {
            Resource::Frame { number, nonce } => self.hash([1, number, right, nonce as u32, (nonce >> 32) as u32]),
            Resource::Environment(id) => self.hash([2, id.0, right, 0, 0]),
            Resource::Pool => self.hash([3, 0, right, 0, 0]),
        }
    }

    /// A tag of no capability, as hard to guess as one: it stands where no tag is known, and matches nothing.
    #[must_use]
    pub fn blank(&self) -> Capability {
        match self.hash([0; 5]) {
            Capability([0, 0]) => Capability([1, 1]),
            blank => blank,
        }
    }

    /// Whether `shown` is the tag of the capability with `right` to `resource`.
    #[must_use]
    pub fn authenticates(&self, shown: Capability, resource: Resource, right: u32) -> bool {
        same(self.tag(resource, right), shown)
    }

    /// The first word says what kind of thing the others are about, so that no two things have one message.
    fn hash(&self, message: [u32; 5]) -> Capability {
        let mut bytes = [0; 20];
        for (to, word) in bytes.chunks_exact_mut(4).zip(message) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let hash = SipHasher24::new_with_key(&self.0).hash(&bytes);
        Capability([hash as u32, (hash >> 32) as u32])
    }
}

/// Whether two tags are the same, in a time that does not tell where they differ.
#[must_use]
pub const fn same(one: Capability, other: Capability) -> bool {
    (one.0[0] ^ other.0[0]) | (one.0[1] ^ other.0[1]) == 0
}
