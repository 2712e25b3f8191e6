//! The state of a machine as bytes: to keep it in a file and go on from there, and to compare two machines.
//!
//! A machine that is restored goes on exactly as the one that was saved. A file has a magic number, [`VERSION`], its length
//! and a checksum; one that is damaged, or was made by a model with another state, is refused. Memory is kept page by page
//! without those that are zero.

use crate::cache::{CodeWord, DataWord, WORDS};
use crate::machine::{Config, Machine};
use crate::profile::{PROFILES, Profile};
use borsh::{BorshDeserialize, BorshSerialize};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};

/// The version of what is saved: raised with every change of it, or of what a machine does with it.
pub const VERSION: u32 = 1;

/// What a file begins with.
const MAGIC: [u8; 16] = *b"decstation state";
/// Magic number, version, length and checksum.
const HEADER: usize = 16 + 4 + 8 + 4;
/// Elements of memory that are kept together.
const PAGE: usize = 1024;

/// Why a state is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is something else.
    #[error("it is no saved state of a machine")]
    Other,
    /// It is for another model.
    #[error("it has version {0}, this is version {VERSION}: it can be restored only by what saved it")]
    Version(u32),
    /// It is incomplete, or was changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// A machine with parameters of its own.
    #[error("the machine has other parameters than those of {0}, and such a one can't be kept")]
    Profile(&'static str),
}

/// What of a machine is saved beside its memory and caches, in this order.
macro_rules! state {
    ($($field:ident)*) => {
        impl Machine {
            fn write_state(&self, out: &mut impl Write) -> io::Result<()> {
                $(self.$field.serialize(out)?;)*
                self.write_caches(out)?;
                write_pages(&self.ram, out)?;
                write_pages(&self.written, out)
            }

            fn read_state(&mut self, from: &mut impl Read) -> io::Result<()> {
                $(self.$field = BorshDeserialize::deserialize_reader(from)?;)*
                self.read_caches(from)?;
                read_pages(&mut self.ram, from)?;
                read_pages(&mut self.written, from)
            }
        }
    };
}

state! {
    cpu cp0 fpu tlb write_buffer board translations context fetch_page fetch_tag fetch_base micro_tlb counts stretches
    word loops injections injected_lines bus_errors environment
}

/// What a machine is, as it is saved.
#[derive(BorshSerialize, BorshDeserialize)]
struct Kind {
    profile: String,
    ram_mb: u32,
    boot_args: String,
    strict: bool,
    tolerant: bool,
    timed: bool,
    instant_serial: bool,
    environment: Vec<(String, String)>,
    fpu: bool,
    ethernet: Option<[u8; 6]>,
    polls: (u32, u32),
    cold: bool,
}

impl Kind {
    fn of(config: &Config) -> Kind {
        Kind {
            profile: config.profile.name.to_owned(),
            ram_mb: config.ram_mb,
            boot_args: config.boot_args.clone(),
            strict: config.strict,
            tolerant: config.tolerant,
            timed: config.timed,
            instant_serial: config.instant_serial,
            environment: config.environment.clone(),
            fpu: config.fpu,
            ethernet: config.ethernet,
            polls: (config.polls.start, config.polls.end),
            cold: config.cold,
        }
    }

    fn config(self) -> Result<Config, StateError> {
        // Only so many fit the board, and this is where memory for them is taken.
        if !(1..=480).contains(&self.ram_mb) {
            return Err(StateError::Damaged("it has an impossible amount of memory"));
        }
        Ok(Config {
            profile: Profile::by_name(&self.profile).ok_or(StateError::Damaged("there is no such profile"))?,
            ram_mb: self.ram_mb,
            boot_args: self.boot_args,
            strict: self.strict,
            tolerant: self.tolerant,
            timed: self.timed,
            instant_serial: self.instant_serial,
            environment: self.environment,
            fpu: self.fpu,
            ethernet: self.ethernet,
            polls: self.polls.0..self.polls.1,
            cold: self.cold,
        })
    }
}

impl Machine {
    /// What a stop leaves behind that has no meaning goes: the state is then the same however the run came to this moment.
    fn settle(&mut self) {
        self.look_up();
        self.attention();
    }

    /// A number that tells states apart: of registers, memory, caches, TLB, devices and counts, everything that can make a
    /// difference to what the machine does. Output that was not taken yet is not among it.
    pub fn digest(&mut self) -> u64 {
        struct Digest(DefaultHasher);
        impl Write for Digest {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        self.settle();
        let mut digest = Digest(DefaultHasher::new());
        // It takes whatever it is given.
        let _ = self.write_state(&mut digest);
        digest.0.finish()
    }

    /// Saves the machine between two runs, to be [restored](Machine::restore). Instruments, symbols, and output that was
    /// not taken yet are not saved, nor are the rules broken so far and frames on a segment's cable.
    ///
    /// A machine whose profile is none of [`PROFILES`] is refused.
    pub fn save(&mut self) -> Result<Vec<u8>, StateError> {
        let profile = self.config.profile;
        if !PROFILES.contains(&profile) {
            return Err(StateError::Profile(profile.name));
        }
        let body = self.body();
        let mut file = Vec::with_capacity(HEADER + body.len());
        file.extend(MAGIC);
        file.extend(VERSION.to_le_bytes());
        file.extend((body.len() as u64).to_le_bytes());
        file.extend(crc32fast::hash(&body).to_le_bytes());
        file.extend(body);
        Ok(file)
    }

    /// A machine in the state that was saved.
    pub fn restore(file: &[u8]) -> Result<Machine, StateError> {
        let (header, body) = file.split_at_checked(HEADER).unwrap_or((file, &[]));
        let rest = header.strip_prefix(&MAGIC).ok_or(StateError::Other)?;
        let Some((version, rest)) = rest.split_first_chunk::<4>() else {
            return Err(StateError::Damaged("it is cut short"));
        };
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let Some((length, checksum)) = rest.split_first_chunk::<8>() else {
            return Err(StateError::Damaged("it is cut short"));
        };
        if u64::from_le_bytes(*length) != body.len() as u64 {
            return Err(StateError::Damaged("its length is another"));
        }
        if crc32fast::hash(body).to_le_bytes() != checksum {
            return Err(StateError::Damaged("its checksum is another"));
        }
        Machine::of_body(body)
    }

    /// What a file holds behind its header.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        self.settle();
        let mut body = Vec::new();
        // A vector takes whatever it is given.
        let _ = Kind::of(&self.config).serialize(&mut body).and_then(|()| self.write_state(&mut body));
        body
    }

    /// The machine of such.
    pub(crate) fn of_body(mut body: &[u8]) -> Result<Machine, StateError> {
        let form = |_| StateError::Damaged("it does not have the form of this version");
        let config = Kind::deserialize_reader(&mut body).map_err(form)?.config()?;
        let mut machine = Machine::new(config);
        machine.read_state(&mut body).map_err(form)?;
        if !body.is_empty() {
            return Err(StateError::Damaged("something is behind its end"));
        }
        // Nobody has forked it, and the loop looks up before its first instruction.
        machine.pages = crate::fork::Written::new(machine.ram.len());
        machine.attention();
        Ok(machine)
    }

    fn write_caches(&self, out: &mut impl Write) -> io::Result<()> {
        for word in self.caches.data.iter() {
            (word.tag, word.data).serialize(out)?;
        }
        for word in self.caches.code.iter() {
            (word.tag, word.data).serialize(out)?;
        }
        Ok(())
    }

    fn read_caches(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut word = || <(u32, u32)>::deserialize_reader(from);
        for i in 0..WORDS {
            let (tag, data) = word()?;
            self.caches.data[i] = DataWord { tag, data };
        }
        for i in 0..WORDS {
            let (tag, data) = word()?;
            self.caches.code[i] = CodeWord::new(tag, data);
        }
        Ok(())
    }
}

/// How many elements there are, and the pages that are not all zero, each behind its number.
fn write_pages<T: BorshSerialize + Default + PartialEq>(memory: &[T], out: &mut impl Write) -> io::Result<()> {
    (memory.len() as u64).serialize(out)?;
    for (number, page) in (0u32..).zip(memory.chunks(PAGE)) {
        if page.iter().any(|element| *element != T::default()) {
            number.serialize(out)?;
            page.iter().try_for_each(|element| element.serialize(out))?;
        }
    }
    u32::MAX.serialize(out)
}

/// The same back into memory that is all zero or is overwritten.
fn read_pages<T: BorshDeserialize + Default>(memory: &mut [T], from: &mut impl Read) -> io::Result<()> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if u64::deserialize_reader(from)? != memory.len() as u64 {
        return Err(wrong());
    }
    let mut zero_from = 0;
    loop {
        let number = u32::deserialize_reader(from)?;
        if number == u32::MAX {
            break;
        }
        let start = number as usize * PAGE;
        if start < zero_from || start >= memory.len() {
            return Err(wrong());
        }
        memory[zero_from..start].fill_with(T::default);
        zero_from = memory.len().min(start + PAGE);
        for element in &mut memory[start..zero_from] {
            *element = T::deserialize_reader(from)?;
        }
    }
    memory[zero_from..].fill_with(T::default);
    Ok(())
}
