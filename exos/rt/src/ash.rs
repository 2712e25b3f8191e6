//! Handlers that the kernel runs when a message comes (the paper's section 6.3): their memory and their installation.
//! `aegis_abi::ash` says what a handler is.

use crate::sequences::window;
use crate::{call, memory, net, public};
use aegis_abi::Error;
use aegis_abi::ash::{
    Code, GUARD, HANDLERS_MAX, Installed, LAYERS_MAX, Part, REGION_MAX, Request, SETS, Set, WORDS_MAX,
};
use aegis_abi::network::{Entry, FILTERS};
use aegis_abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};

/// Where regions are: each filter's number has addresses of its own, a multiple of the largest region's size.
const SPACE: u32 = 2 * REGION_MAX;
const SPACES: u32 = NORMAL_START - 0x0100_0000 - SPACE * FILTERS as u32;
const _: () = assert!(REGION_MAX + GUARD <= SPACE && SPACES.is_multiple_of(SPACE));

/// Memory that a handler works on, which this environment has mapped where the handler's pointers mean the same.
#[derive(Debug)]
pub struct Region {
    filter: u32,
    first: u32,
    bytes: u32,
}

impl Region {
    /// Makes the region for a filter's handler, which has none yet.
    ///
    /// # Errors
    /// Those of allocating frames; [`Error::BadArgument`] for a size that no region has.
    pub fn new(filter: u32, bytes: u32) -> Result<Self, Error> {
        if !bytes.is_power_of_two() || !(PAGE_BYTES..=REGION_MAX).contains(&bytes) {
            return Err(Error::BadArgument);
        }
        let pages = (bytes + GUARD) / PAGE_BYTES;
        let first = memory::allocate_run(pages, bytes / PAGE_BYTES)?;
        let region = Self { filter, first, bytes };
        let word = first << PAGE_SHIFT | entry_lo::DIRTY;
        // SAFETY: the addresses are this filter's, and the frames are new.
        unsafe { call::env_map(call::self_id(), call::NO_CAPABILITY, region.address(), word, pages)? };
        Ok(region)
    }

    /// Its address, a multiple of its size.
    #[must_use]
    pub fn address(&self) -> u32 {
        SPACES + self.filter * SPACE
    }

    /// The number of its first frame.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The word at an offset, as the handler left it.
    ///
    /// # Panics
    /// If it is not in the region.
    #[must_use]
    pub fn word(&self, offset: u32) -> u32 {
        assert!(offset < self.bytes);
        // SAFETY: the region is mapped there; volatile, because the handler changes it.
        unsafe { (((self.address() + offset) & !3) as *const u32).read_volatile() }
    }

    /// Writes bytes from an offset on.
    ///
    /// # Panics
    /// If they are not in the region.
    pub fn write(&self, offset: u32, bytes: &[u8]) {
        assert!(offset as usize + bytes.len() <= self.bytes as usize);
        for (at, &byte) in (self.address() + offset..).zip(bytes) {
            // SAFETY: as in `word`.
            unsafe { (at as *mut u8).write_volatile(byte) };
        }
    }

    /// Frees its frames. A handler that has it is gone then.
    pub fn close(self) {
        let pages = (self.bytes + GUARD) / PAGE_BYTES;
        // SAFETY: nobody has a reference to what is mapped there. They are this environment's, so nothing of it fails.
        unsafe {
            let _ = call::env_unmap(call::self_id(), call::NO_CAPABILITY, self.address());
            for frame in self.first..self.first + pages {
                let _ = call::frame_free(frame);
            }
        }
    }
}

/// A layer of a chain: what it does with a message, and what with the news of what the others have done. Each is words, none if there is
/// no such handler, and the cycles that loops and transfers in them may cost.
///
/// ```ignore
/// let ip = Layer::body(&check_header, 0);
/// let udp = Layer::body(&sum, 900).commit(&count, 0).abort(&forget, 0);
/// let chain = Handler::install_chain(&region, &[ip, udp], sets)?;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Layer<'a>([(&'a [u32], u16); Part::ALL.len()]);

impl<'a> Layer<'a> {
    /// A layer with this body.
    #[must_use]
    pub fn body(words: &'a [u32], budget: u16) -> Self {
        Self::default().with(Part::Body, words, budget)
    }

    /// The same with what is run when all layers have consumed the message.
    #[must_use]
    pub fn commit(self, words: &'a [u32], budget: u16) -> Self {
        self.with(Part::Commit, words, budget)
    }

    /// The same with what is run when this layer has consumed the message and a later one has not.
    #[must_use]
    pub fn abort(self, words: &'a [u32], budget: u16) -> Self {
        self.with(Part::Abort, words, budget)
    }

    fn with(mut self, part: Part, words: &'a [u32], budget: u16) -> Self {
        self.0[part as usize] = (words, budget);
        self
    }
}

/// A handler, or a chain of them, that is installed.
#[derive(Debug)]
pub struct Handler {
    filter: u32,
    frame: u32,
}

/// Why a handler is not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The call's error.
    Error(Error),
    /// The word with this index breaks the rule with this number ([`Rule`](aegis_abi::ash::Rule)).
    Rule(u16, u16),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Handler {
    /// Installs a handler for the messages of a region's filter: its words, entered at the first, may take `budget` cycles for
    /// loops and transfers.
    ///
    /// # Errors
    /// Why it is not.
    pub fn install(region: &Region, words: &[u32], budget: u32, sets: [Set; SETS]) -> Result<Self, Refused> {
        let budget = u16::try_from(budget).map_err(|_| Error::BadArgument)?;
        let mut handlers = [Code::default(); HANDLERS_MAX];
        handlers[0] = Code { words: u16::try_from(words.len()).map_err(|_| Error::BadArgument)?, budget };
        Self::request(region, words, handlers, sets)
    }

    /// Installs a chain of layers, the lowest first: their bodies run in this order. When all have consumed the message their commit
    /// handlers do, and when one has not the abort handlers of those before it. A word that breaks a rule is counted from the first
    /// word of the first handler on: each layer's body, commit and abort handler, one layer after the other.
    ///
    /// # Errors
    /// Why it is not.
    pub fn install_chain(region: &Region, layers: &[Layer], sets: [Set; SETS]) -> Result<Self, Refused> {
        if layers.len() > LAYERS_MAX {
            return Err(Error::BadArgument.into());
        }
        let mut handlers = [Code::default(); HANDLERS_MAX];
        let (mut words, mut count) = ([0; WORDS_MAX], 0);
        let given = layers.iter().flat_map(|layer| layer.0);
        for (handler, (code, budget)) in handlers.iter_mut().zip(given) {
            words.get_mut(count..count + code.len()).ok_or(Error::BadArgument)?.copy_from_slice(code);
            count += code.len();
            *handler = Code { words: code.len() as u16, budget };
        }
        Self::request(region, &words[..count], handlers, sets)
    }

    fn request(
        region: &Region,
        words: &[u32],
        handlers: [Code; HANDLERS_MAX],
        sets: [Set; SETS],
    ) -> Result<Self, Refused> {
        let frame = memory::allocate_for_handler([region.first, public::filter(region.filter).frame])?;
        let request = Request {
            frame,
            region: region.first,
            region_bytes: region.bytes,
            words: words.as_ptr() as u32,
            handlers,
            sets,
        };
        let handler = Self { filter: region.filter, frame };
        // SAFETY: the region is for that.
        match unsafe { call::handler_install(region.filter, &request) } {
            Ok(()) => Ok(handler),
            Err(error) => {
                // Only what the kernel has seen has something to tell.
                let [word, rule] = if error == Error::BadArgument { handler.installed().refused } else { [0; 2] };
                handler.free();
                Err(if rule != 0 { Refused::Rule(word, rule) } else { Refused::Error(error) })
            }
        }
    }

    /// What the kernel notes of it, its counters among that.
    #[must_use]
    pub fn installed(&self) -> Installed {
        // SAFETY: the frame is public, or this environment's, and is mapped there when it is missed; volatile, because the
        // kernel changes it.
        unsafe { (window((self.frame + 1) << PAGE_SHIFT) as *const Installed).read_volatile() }
    }

    /// Removes it, and frees its frames. It may be gone already.
    pub fn remove(self) {
        // Another may be in its place.
        let Entry { owner, frame } = public::filter(self.filter);
        if owner != 0 && net::installed(frame).handler == self.frame {
            let _ = call::handler_remove(self.filter);
        }
        self.free();
    }

    fn free(self) {
        for frame in [self.frame, self.frame + 1] {
            // SAFETY: nothing uses them. They are this environment's, so it does not fail.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}
