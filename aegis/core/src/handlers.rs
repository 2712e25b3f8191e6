//! Handlers for messages (the paper's section 6.3): which filter has one, and whose memory it works on.
//!
//! A handler belongs to a filter and goes with it. The two frames that its code is in are public while it is there, as the
//! filter's is. The frames of its region stay their owner's: like a ring they hold for as long as they were not unbound, and
//! whether they were is asked before the handler runs, if any frame at all has been unbound, or anybody has ended, since that was asked last. So a
//! frame that is freed, given away or taken is not touched any more, without being looked for.

use crate::frames::Frames;
use crate::hardware::Hardware;
use crate::system::System;
use aegis_abi::ash::{GUARD, Installed, REGION_MAX, REGION_MIN, Request};
use aegis_abi::frame::PUBLIC;
use aegis_abi::network::Entry;
use aegis_abi::revocation::HANDLERS;
use aegis_abi::vm::PAGE_BYTES;
use aegis_abi::{EnvId, Error};

impl System<'_> {
    /// Takes the two frames of a handler for the caller's filter, and notes its region: it can be made now. One that was begun
    /// with the same frames, and not made, begins anew.
    ///
    /// # Errors
    /// Those of [`call::HANDLER_INSTALL`](aegis_abi::call::HANDLER_INSTALL).
    pub fn handler_begin(
        &mut self,
        hw: &mut impl Hardware,
        caller: EnvId,
        number: u32,
        request: &Request,
    ) -> Result<(), Error> {
        let Entry { frame: filter, .. } = self.own_filter(caller, number)?;
        let &Request { frame, region, region_bytes, .. } = request;
        let good = region_bytes.is_power_of_two() && (REGION_MIN..=REGION_MAX).contains(&region_bytes);
        if !good || !region.is_multiple_of(region_bytes / PAGE_BYTES) {
            return Err(Error::BadArgument);
        }
        let end = region.checked_add(frames_of(region_bytes)).ok_or(Error::BadArgument)?;
        for frame in region..end {
            self.movable(caller, frame)?;
            if self.frames.owner(frame) != caller.0 {
                return Err(Error::Denied);
            }
        }
        let has = self.handler_frame(number);
        if has == 0 {
            for frame in [frame, frame.saturating_add(1)] {
                self.movable(caller, frame)?;
                let inside = frame.wrapping_sub(region) < frames_of(region_bytes);
                if self.frames.owner(frame) != caller.0 || self.frames.binding(frame) != 0 || inside {
                    return Err(Error::Busy);
                }
            }
            // Nothing maps them: this voids their capabilities and is done at once.
            for frame in [frame, frame + 1] {
                self.hand_over(hw, frame, PUBLIC)?;
                self.frames.written(frame);
            }
            self.network.handlers[number as usize] = frame as u16;
            self.took(caller, HANDLERS);
            hw.installed(filter).handler = frame;
        } else if has != frame || hw.handler(has + 1).entry != 0 {
            return Err(Error::Busy);
        }
        // The handler writes where nobody else may have.
        (region..region + frames_of(region_bytes)).for_each(|frame| self.frames.written(frame));
        let stamp = self.frames.stamp();
        let stamp = [stamp as u32, (stamp >> 32) as u32];
        let noted = Installed { filter: number, owner: caller.0, region, region_bytes, stamp, ..Installed::NONE };
        *hw.handler(frame + 1) = noted;
        Ok(())
    }

    /// Removes the handler of the caller's filter; the number of the first of its frames.
    ///
    /// # Errors
    /// Those of [`call::HANDLER_REMOVE`](aegis_abi::call::HANDLER_REMOVE).
    pub fn handler_remove(&mut self, hw: &mut impl Hardware, caller: EnvId, number: u32) -> Result<u32, Error> {
        self.own_filter(caller, number)?;
        if self.handler_frame(number) == 0 {
            return Err(Error::BadArgument);
        }
        let frame = self.unhandle(hw, number);
        self.gave(caller, HANDLERS);
        Ok(frame)
    }

    /// Removes the handler of a filter, which has one; the first of its frames.
    pub(crate) fn unhandle(&mut self, hw: &mut impl Hardware, number: u32) -> u32 {
        let frame = self.handler_frame(number);
        let Entry { owner, frame: filter } = self.network.filter(number);
        hw.installed(filter).handler = 0;
        self.take_down(number, owner);
        frame
    }

    /// Whether the handler that has this second frame runs for a message of so many bytes now, at once, and nothing more has to be asked. Nearly
    /// always it is so.
    #[inline(always)]
    pub fn is_ready(&self, noted: &Installed, bytes: u32) -> bool {
        self.is_stamped(noted) && bytes >= noted.at_once_bytes && self.may_handle(EnvId(noted.owner))
    }

    /// Whether no frame has been unbound, and nobody has ended, since its region was found to be its owner's.
    #[inline(always)]
    fn is_stamped(&self, &Installed { stamp: [low, high], .. }: &Installed) -> bool {
        let now = self.frames.stamp();
        (now as u32, (now >> 32) as u32) == (low, high)
    }

    /// The handler that a message for a filter, which there is, goes to: the second of its frames. Its owner lives, and its region is its
    /// owner's; one whose region is not goes.
    pub fn handler(&mut self, hw: &mut impl Hardware, number: u32) -> Option<u32> {
        let frame = match self.handler_frame(number) {
            0 => return None,
            first => first + 1,
        };
        let noted = hw.handler(frame);
        if noted.entry != 0 && self.is_stamped(noted) {
            return Some(frame);
        }
        self.handler_after_unbinding(hw, number)
    }

    /// The same when frames have been unbound, or environments have ended, since that was asked last, or the handler is not made.
    #[inline(never)]
    fn handler_after_unbinding(&mut self, hw: &mut impl Hardware, number: u32) -> Option<u32> {
        let frame = self.handler_frame(number) + 1;
        let Installed { entry, owner, region, region_bytes, stamp: [low, high], .. } = *hw.handler(frame);
        if entry == 0 || !self.lives(EnvId(owner)) {
            return None;
        }
        let stamp = u64::from(high) << 32 | u64::from(low);
        if !self.frames.unchanged(region, frames_of(region_bytes), owner, stamp) {
            self.unhandle(hw, number);
            self.gave(EnvId(owner), HANDLERS);
            return None;
        }
        let now = self.frames.stamp();
        hw.handler(frame).stamp = [now as u32, (now >> 32) as u32];
        Some(frame)
    }

    /// Whether an environment has time for its handlers: it does not owe too much for them.
    #[must_use]
    #[inline]
    pub fn may_handle(&self, owner: EnvId) -> bool {
        self.slices.may_charge(owner)
    }

    /// Charges so many cycles of a handler to its owner, which may be charged: as many as a slice has are a slice that it
    /// pays.
    pub fn charge(&mut self, handler: &mut Installed, cycles: u32, slice_cycles: u32) {
        handler.charged = handler.charged.saturating_add(cycles);
        if handler.charged >= slice_cycles {
            handler.charged -= slice_cycles;
            handler.slices = handler.slices.wrapping_add(1);
            self.slices.charge(EnvId(handler.owner));
        }
    }

    /// The first of the frames of a filter's handler, or 0.
    #[must_use]
    pub fn handler_frame(&self, number: u32) -> u32 {
        self.network.handlers.get(number as usize).copied().unwrap_or(0).into()
    }

    /// Gives the frames of a filter's handler, if it has one, back to the filter's owner, dead or alive. What others have mapped
    /// the owner unbinds, as with any frame that it has begun to free. Whether it had one.
    pub(crate) fn take_down(&mut self, number: u32, owner: u32) -> bool {
        let first = core::mem::take(&mut self.network.handlers[number as usize]).into();
        if first != 0 {
            for frame in [first, first + 1] {
                self.frames.set_owner(frame, owner);
                if self.frames.binding(frame) != 0 {
                    self.frames.begin_to_unbind(frame);
                }
            }
        }
        first != 0
    }

    /// Whether the frames of a filter's handler are in order; if not, what is wrong.
    pub(crate) fn audit_handler(&self, number: u32) -> Result<(), &'static str> {
        let first = self.handler_frame(number);
        let public = |frames: &Frames| [first, first + 1].into_iter().all(|frame| frames.owner(frame) == PUBLIC);
        if first == 0 || public(&self.frames) { Ok(()) } else { Err("has a handler in a frame that is not public") }
    }
}

/// Frames of a region of so many bytes, and its guard.
const fn frames_of(region_bytes: u32) -> u32 {
    (region_bytes + GUARD) / PAGE_BYTES
}
