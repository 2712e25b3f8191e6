//! Which page is to go when another needs its frame: the least recently used one, as systems that know nothing choose,
//! and a policy for programs that know when they scan.

/// No page.
const NONE: u16 = u16::MAX;

/// What a pager asks of a policy. Pages are numbers below [`PAGES`].
pub trait Replacement {
    /// A page is used; `once` if the program does not expect to use it again soon. It has a frame from here on.
    fn used(&mut self, page: u16, once: bool);

    /// Takes the frame of the page that is to go; `None` if no page has one.
    fn evict(&mut self) -> Option<u16>;
}

/// The most pages.
pub const PAGES: usize = 256;

/// A list of pages in the order of their last use, in place.
struct Order {
    next: [u16; PAGES],
    previous: [u16; PAGES],
    first: u16,
    last: u16,
}

impl Order {
    const fn new() -> Self {
        Self { next: [NONE; PAGES], previous: [NONE; PAGES], first: NONE, last: NONE }
    }

    fn contains(&self, page: u16) -> bool {
        self.first == page || self.previous[usize::from(page)] != NONE
    }

    fn remove(&mut self, page: u16) {
        if !self.contains(page) {
            return;
        }
        let (previous, next) = (self.previous[usize::from(page)], self.next[usize::from(page)]);
        match previous {
            NONE => self.first = next,
            previous => self.next[usize::from(previous)] = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.previous[usize::from(next)] = previous,
        }
        self.previous[usize::from(page)] = NONE;
        self.next[usize::from(page)] = NONE;
    }

    /// Makes a page the last one.
    fn append(&mut self, page: u16) {
        self.remove(page);
        self.previous[usize::from(page)] = self.last;
        match self.last {
            NONE => self.first = page,
            last => self.next[usize::from(last)] = page,
        }
        self.last = page;
    }

    fn take_first(&mut self) -> Option<u16> {
        let first = Some(self.first).filter(|&first| first != NONE)?;
        self.remove(first);
        Some(first)
    }
}

/// The least recently used page goes. What the program says of its future is not heard.
pub struct Lru(Order);

impl Lru {
    /// No page has a frame.
    #[must_use]
    pub const fn new() -> Self {
        Self(Order::new())
    }
}

impl Default for Lru {
    fn default() -> Self {
        Self::new()
    }
}

impl Replacement for Lru {
    fn used(&mut self, page: u16, _once: bool) {
        self.0.append(page);
    }

    fn evict(&mut self) -> Option<u16> {
        self.0.take_first()
    }
}

/// Pages that were used once only, as the program says, go before all others; so a scan, however long, takes no more than
/// a frame from those that are used again and again. Among the others the least recently used one goes.
pub struct Scans {
    again: Order,
    once: Order,
}

impl Scans {
    /// No page has a frame.
    #[must_use]
    pub const fn new() -> Self {
        Self { again: Order::new(), once: Order::new() }
    }
}

impl Default for Scans {
    fn default() -> Self {
        Self::new()
    }
}

impl Replacement for Scans {
    fn used(&mut self, page: u16, once: bool) {
        if !once {
            self.once.remove(page);
            self.again.append(page);
        } else if !self.again.contains(page) {
            self.once.append(page);
        }
    }

    fn evict(&mut self) -> Option<u16> {
        self.once.take_first().or_else(|| self.again.take_first())
    }
}
