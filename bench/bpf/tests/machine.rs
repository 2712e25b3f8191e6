//! The virtual machine: each instruction, and what is refused.

use aegis_bpf::{Error, Filter, Instruction, parse};
use proptest::prelude::*;

const fn i(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// What a filter returns that ends with `ret a`.
fn result(code: &[Instruction], packet: &[u8]) -> u32 {
    let code = [code, &[i(0x16, 0, 0, 0)]].concat();
    Filter::new(&code).expect("a good filter").run(packet, &mut [0; 16])
}

#[test]
fn instructions_compute() {
    let packet: Vec<u8> = (0..20).map(|n| 0x10 + n).collect();
    let load = |k| i(0x00, 0, 0, k);
    let index = |k| i(0x01, 0, 0, k);
    let cases: [(&[Instruction], u32); 27] = [
        (&[load(7)], 7),
        (&[i(0x20, 0, 0, 1)], 0x1112_1314),
        (&[i(0x28, 0, 0, 2)], 0x1213),
        (&[i(0x30, 0, 0, 19)], 0x23),
        (&[index(3), i(0x40, 0, 0, 1)], 0x1415_1617),
        (&[index(3), i(0x48, 0, 0, 1)], 0x1415),
        (&[index(3), i(0x50, 0, 0, 1)], 0x14),
        (&[i(0x80, 0, 0, 0)], 20),
        (&[i(0x81, 0, 0, 0), i(0x87, 0, 0, 0)], 20),
        (&[i(0xb1, 0, 0, 5), i(0x87, 0, 0, 0)], 20),
        (&[load(9), i(0x02, 0, 0, 15), load(1), i(0x60, 0, 0, 15)], 9),
        (&[index(9), i(0x03, 0, 0, 0), i(0x61, 0, 0, 0), i(0x87, 0, 0, 0)], 9),
        (&[load(u32::MAX), i(0x04, 0, 0, 3)], 2),
        (&[load(5), index(7), i(0x1c, 0, 0, 0)], u32::MAX - 1),
        (&[load(5), i(0x24, 0, 0, 7)], 35),
        (&[load(35), index(6), i(0x3c, 0, 0, 0)], 5),
        (&[load(35), i(0x3c, 0, 0, 0)], 0),
        (&[load(0xf0), i(0x44, 0, 0, 0x0f)], 0xff),
        (&[load(0xf3), i(0x54, 0, 0, 0x0f)], 3),
        (&[load(1), i(0x64, 0, 0, 31)], 1 << 31),
        (&[load(1), index(32), i(0x6c, 0, 0, 0)], 0),
        (&[load(0x80), i(0x74, 0, 0, 4)], 8),
        (&[load(1), i(0x84, 0, 0, 0)], u32::MAX),
        (&[load(4), i(0x07, 0, 0, 0), load(0), i(0x87, 0, 0, 0)], 4),
        (&[i(0x05, 0, 0, 1), load(1), i(0x04, 0, 0, 2)], 2),
        // Too short.
        (&[i(0x20, 0, 0, 17)], 0),
        (&[index(u32::MAX), i(0x50, 0, 0, 0)], 0),
    ];
    for (code, value) in cases {
        assert_eq!(result(code, &packet), value, "{code:x?}");
    }
    for (jump, a, k, taken) in [
        (0x15, 4, 4, true),
        (0x15, 4, 5, false),
        (0x25, 5, 4, true),
        (0x25, 4, 4, false),
        (0x35, 4, 4, true),
        (0x35, 3, 4, false),
        (0x45, 6, 2, true),
        (0x45, 4, 3, false),
    ] {
        let code = [load(a), index(k), i(jump, 1, 0, k), i(0x06, 0, 0, 100), i(0x06, 0, 0, 200)];
        let by_x = [code[0], code[1], i(jump | 8, 1, 0, 0), code[3], code[4]];
        for code in [code, by_x] {
            assert_eq!(
                Filter::new(&code).expect("a good filter").run(&[], &mut [0; 16]),
                if taken { 200 } else { 100 }
            );
        }
    }
}

#[test]
fn what_might_not_end_or_does_harm_is_refused() {
    let ret = i(0x06, 0, 0, 0);
    assert_eq!(Filter::new(&[]).err(), Some(Error::Length));
    assert_eq!(Filter::new(&[i(0, 0, 0, 1)]).err(), Some(Error::NoReturn));
    let bad = [
        i(0x05, 0, 0, 1),
        i(0x05, 0, 0, u32::MAX),
        i(0x15, 1, 0, 0),
        i(0x15, 0, 1, 0),
        i(0x60, 0, 0, 16),
        i(0x02, 0, 0, 16),
        i(0x34, 0, 0, 0),
        i(0x08, 0, 0, 0),
        i(0x55, 0, 0, 0),
        i(0xffff, 0, 0, 0),
    ];
    for bad in bad {
        assert_eq!(Filter::new(&[bad, ret]).err(), Some(Error::Instruction(0)), "{bad:x?}");
    }
    for text in ["", "1\n", "x\n6 0 0 0\n", "1\n6 0 0\n", "1\n6 0 300 0\n", "2\n6 0 0 0\n"] {
        assert_eq!(parse(text, &mut [ret; 4]).err(), Some(Error::Text), "{text:?}");
    }
    assert_eq!(parse("5\n", &mut [ret; 4]).err(), Some(Error::Length));
}

proptest! {
    #[test]
    fn whatever_is_accepted_ends(code in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..40), packet in any::<[u8; 40]>()) {
        let mut code: Vec<Instruction> = code
            .into_iter()
            .map(|(code, jt, jf, k)| i(code.into(), jt % 8, jf % 8, u32::from(k) % 64))
            .filter(|instruction| Filter::new(&[*instruction, i(6, 0, 0, 0), i(6, 0, 0, 0)]).is_ok() || instruction.code & 7 == 5)
            .collect();
        code.push(i(0x16, 0, 0, 0));
        if let Ok(filter) = Filter::new(&code) {
            let _ = filter.run(&packet, &mut [0; 16]);
        }
    }
}
