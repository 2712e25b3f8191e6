//! Nothing that a guest or an image does makes the model panic, and all of it repeats.

mod common;
use common::*;
use decstation::{Config, Injection, Limits, Machine};
use proptest::prelude::*;

fn image() -> Vec<u8> {
    elf(&assemble(&format!(".org 0x80030000; li $2, 1; {HALT}; .org 0x80050000; .word 1, 2, 3")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn damaged_images(changes in prop::collection::vec((0usize..200, any::<u8>()), 1..8), cut in prop::option::of(0usize..5000)) {
        let mut bytes = image();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        let mut machine = Machine::new(Config { ram_mb: 1, ..strict() });
        if machine.load_elf(&bytes).is_ok() {
            machine.run(Limits::instructions(200));
        }
        let _ = machine.add_symbols(&bytes);
    }

    #[test]
    fn random_code(words in prop::collection::vec(any::<u32>(), 200), registers in prop::collection::vec(any::<u32>(), 31), status in any::<u32>()) {
        for (timed, strict, fpu) in
            [(false, false, false), (true, false, false), (true, true, false), (true, false, true), (true, true, true)]
        {
            let program = Program {
                words: words.iter().enumerate().map(|(i, &w)| (0x8003_0000 + i as u32 * 4, w)).collect(),
                ..Program::default()
            };
            let run = || {
                let mut machine = Machine::new(Config { ram_mb: 1, timed, strict, fpu, ..Config::default() });
                machine.load_elf(&elf(&program)).expect("a well-formed image");
                for (i, &value) in registers.iter().enumerate() {
                    // Half of them point to where something is.
                    machine.set_register(i + 1, if i % 2 == 0 { value } else { 0x8000_0000 | value & 0xf_ffff });
                }
                machine.inject(10, Injection::Interrupt { lines: status });
                machine.inject(20, Injection::BusError { start: 0x3_0000, length: status });
                machine.inject(30, Injection::Tick);
                let stop = machine.run(Limits::instructions(2000));
                (machine.describe(&stop), machine.pc(), machine.cycles(), machine.take_output())
            };
            prop_assert_eq!(run(), run());
        }
    }

    #[test]
    fn likely_code(seeds in prop::collection::vec((0usize..40, 0u32..32, 0u32..32, 0u32..32, any::<u16>()), 300)) {
        // Words that decode, privileged ones too, so that the machine gets into odd states.
        const OPS: [u32; 40] = [
            0x0000_0021, 0x0000_0020, 0x0000_0018, 0x0000_001a, 0x0000_0010, 0x0000_0008, 0x0000_0009, 0x0000_000c,
            0x0400_0000, 0x0411_0000, 0x0800_0000, 0x0c00_0000, 0x1000_0000, 0x1400_0000, 0x2400_0000, 0x3c00_0000,
            0x3400_0000, 0x8c00_0000, 0x8000_0000, 0x8800_0000, 0x9800_0000, 0xac00_0000, 0xa000_0000, 0xa800_0000,
            0xb800_0000, 0x4080_6000, 0x4080_5000, 0x4080_1000, 0x4080_0000, 0x4000_6000, 0x4200_0001, 0x4200_0002,
            0x4200_0006, 0x4200_0008, 0x4200_0010, 0x4100_0000, 0x4400_0000, 0xc400_0000, 0xe400_0000, 0x4080_6800,
        ];
        let word = |(op, s, t, d, i): (usize, u32, u32, u32, u16)| {
            let base = OPS[op];
            let fields = match base >> 26 {
                0 => s << 21 | t << 16 | d << 11,
                1 => s << 21 | u32::from(i) & 31,
                0x10 if base & 0x0200_0000 != 0 => 0,
                0x10 => t << 16,
                2 | 3 => 0xc000 + u32::from(i) % 300,
                4 | 5 => s << 21 | t << 16 | u32::from(i) & 0x1f,
                _ => s << 21 | t << 16 | u32::from(i),
            };
            base | fields
        };
        let program = Program {
            words: seeds.into_iter().enumerate().map(|(i, seed)| (0x8003_0000 + i as u32 * 4, word(seed))).collect(),
            ..Program::default()
        };
        for (timed, fpu) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut machine = Machine::new(Config { ram_mb: 1, timed, fpu, strict: false, ..Config::default() });
            machine.load_elf(&elf(&program)).expect("a well-formed image");
            let stop = machine.run(Limits::instructions(5000));
            machine.describe(&stop);
        }
    }
}

proptest! {
    #[test]
    fn random_use_of_devices(uses in prop::collection::vec((0u32..5, 0u32..64, any::<u32>(), any::<u32>(), 0u64..100_000_000), 200)) {
        let mut board = decstation::kn02::Kn02::new(25_000_000, false);
        let mut now = 0;
        for (device, register, value, mask, later) in uses {
            now += later;
            let address = [0x1fd0_0000, 0x1fd8_0000, 0x1fe0_0000, 0x1fe8_0000, 0x1ff0_0000][device as usize] + register * 4;
            if value & 1 == 0 {
                let _ = board.read(now, address);
            } else {
                let _ = board.write(now, address, value >> 1, mask);
            }
            if value & 0x70 == 0 {
                board.dz.type_character(now, value as u8);
            }
            let event = board.advance(now);
            prop_assert!(event > now, "an event that lies behind would be looked for at every instruction");
            board.interrupts();
        }
    }
}

#[test]
fn prom_calls_with_wild_arguments() {
    for offset in (0..0xb0u32).step_by(4).chain([0x254]) {
        for argument in
            [0u32, 0x8000_0000, 0x8003_0000, 0xa00f_fffc, 0xbfc0_0000, 0xbe00_0000, 0xffff_ffff, 0x7fff_0000]
        {
            let text = format!(
                "li $25, {:#x}; li $4, {argument:#x}; li $5, {argument:#x}; jalr $25; li $6, 64; {HALT}",
                0xbfc0_8000 + offset * 2
            );
            let (mut machine, _) = load(Config { ram_mb: 1, ..plain() }, &text);
            let stop = machine.run(Limits::instructions(1000));
            machine.describe(&stop);
        }
    }
}
