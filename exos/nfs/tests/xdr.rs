//! Messages: what is written is read again, and whatever is read ends where the message ends.

use exos_nfs::xdr::{Malformed, Reader, Writer};
use proptest::prelude::*;

#[derive(Clone, PartialEq, Debug)]
enum Item {
    Word(u32),
    Long(u64),
    Bool(bool),
    Fixed(Vec<u8>),
    Opaque(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        any::<u32>().prop_map(Item::Word),
        any::<u64>().prop_map(Item::Long),
        any::<bool>().prop_map(Item::Bool),
        bytes().prop_map(Item::Fixed),
        bytes().prop_map(Item::Opaque),
    ]
}

/// The rule, byte by byte.
fn model(items: &[Item]) -> Vec<u8> {
    let mut message = Vec::new();
    for item in items {
        match item {
            Item::Word(word) => message.extend(word.to_be_bytes()),
            Item::Long(long) => message.extend(long.to_be_bytes()),
            Item::Bool(bool) => message.extend([0, 0, 0, u8::from(*bool)]),
            Item::Opaque(bytes) => {
                message.extend((bytes.len() as u32).to_be_bytes());
                message.extend(bytes);
            }
            Item::Fixed(bytes) => message.extend(bytes),
        }
        while message.len() % 4 != 0 {
            message.push(0);
        }
    }
    message
}

fn read(reader: &mut Reader, like: &Item) -> Result<Item, Malformed> {
    Ok(match like {
        Item::Word(_) => Item::Word(reader.word()?),
        Item::Long(_) => Item::Long(reader.long()?),
        Item::Bool(_) => Item::Bool(reader.bool()?),
        Item::Fixed(bytes) => Item::Fixed(reader.fixed(bytes.len())?.to_vec()),
        Item::Opaque(_) => Item::Opaque(reader.opaque(20)?.to_vec()),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(items in prop::collection::vec(item(), 0..20), cut in any::<prop::sample::Index>()) {
        let mut memory = [0xff; 1024];
        let mut writer = Writer::new(&mut memory);
        for item in &items {
            match item {
                Item::Word(word) => writer.word(*word),
                Item::Long(long) => writer.long(*long),
                Item::Bool(bool) => writer.word((*bool).into()),
                Item::Fixed(bytes) => writer.fixed(bytes),
                Item::Opaque(bytes) => writer.opaque(bytes),
            }
        }
        let message = writer.finish().unwrap();
        prop_assert_eq!(message, model(&items));
        let mut reader = Reader::new(message);
        for item in &items {
            prop_assert_eq!(&read(&mut reader, item).unwrap(), item);
        }
        prop_assert_eq!(reader.end(), Ok(()));
        // Any shorter message lacks something.
        let cut = cut.index(message.len() + 1);
        let mut reader = Reader::new(&message[..cut]);
        let all = items.iter().try_for_each(|item| read(&mut reader, item).map(drop));
        prop_assert_eq!(all.is_ok(), cut == message.len());
    }

    #[test]
    fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..100), items in prop::collection::vec(item(), 0..30)) {
        let mut reader = Reader::new(&bytes);
        let mut left = bytes.len();
        for item in &items {
            if let Ok(read) = read(&mut reader, item) {
                let taken = model(&[read]).len();
                prop_assert!(taken <= left);
                left -= taken;
            }
        }
    }
}

#[test]
fn too_little_room_makes_no_message() {
    for room in 0..12 {
        let mut memory = [0; 12];
        let mut writer = Writer::new(&mut memory[..room]);
        writer.opaque(b"12345");
        assert_eq!(writer.finish(), None, "{room} bytes");
    }
    assert_eq!(Reader::new(&[0, 0, 0, 2]).bool(), Err(Malformed));
    assert_eq!(Reader::new(&[0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0]).opaque(8), Err(Malformed));
    assert_eq!(Reader::new(&[0xff; 16]).opaque(usize::MAX), Err(Malformed));
}
