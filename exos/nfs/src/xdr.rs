//! Numbers and bytes as messages have them (RFC 4506): in words of four bytes, the highest first.

/// What is read is not well formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Writes a message. What there is no room for makes it none.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    /// Bytes so far; none if there was too little room.
    length: Option<usize>,
}

impl<'a> Writer<'a> {
    /// A message in this memory.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, length: Some(0) }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.length = self.length.and_then(|length| {
            let end = length.checked_add(bytes.len())?;
            self.bytes.get_mut(length..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }

    /// A number.
    pub fn word(&mut self, word: u32) {
        self.put(&word.to_be_bytes());
    }

    /// A number of two words.
    pub fn long(&mut self, long: u64) {
        self.put(&long.to_be_bytes());
    }

    /// Bytes of which the reader knows how many there are.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.put(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]);
    }

    /// Bytes, behind their number.
    pub fn opaque(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u32);
        self.fixed(bytes);
    }

    /// What was written; none if there was too little room.
    #[must_use]
    pub fn finish(self) -> Option<&'a [u8]> {
        self.length.map(|length| &self.bytes[..length])
    }
}

/// Reads a message.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From its first byte on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number.
    ///
    /// # Errors
    /// [`Malformed`], as below, if the message ends before.
    pub fn word(&mut self) -> Result<u32, Malformed> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| Malformed)
    }

    /// A number of two words.
    ///
    /// # Errors
    /// As above.
    pub fn long(&mut self) -> Result<u64, Malformed> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_| Malformed)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As above; and if it is neither.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// So many bytes. What fills up their last word may be anything.
    ///
    /// # Errors
    /// As above.
    pub fn fixed(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.take(count)?;
        self.take((4 - count % 4) % 4)?;
        Ok(taken)
    }

    /// Bytes behind their number, which is `most` or less.
    ///
    /// # Errors
    /// As above; and if it is more.
    pub fn opaque(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(self.word()?).ok().filter(|&count| count <= most).ok_or(Malformed)?;
        self.fixed(count)
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// If something is.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
