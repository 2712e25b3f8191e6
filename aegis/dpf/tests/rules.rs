//! What the engine promises, one by one.

mod common;

use aegis_abi::filter::{ATOMS_MAX, Atom, COMPARE, OFFSET_MAX, SHIFT};
use aegis_dpf::Error;
use common::*;
use proptest::prelude::*;

const ANYBODY: fn(u32) -> bool = |_| true;
const NOBODY: fn(u32) -> bool = |_| false;

/// A message that a filter accepts.
fn message_for(filter: &[Atom]) -> Vec<u8> {
    let mut message = vec![0; 80];
    suit(filter, &mut message);
    message
}

#[test]
fn what_is_no_filter_is_refused() {
    let good = Atom::equal(12, 16, 0x800);
    let bad = [
        vec![],
        vec![good; ATOMS_MAX + 1],
        vec![good, Atom::shift(14)],
        vec![Atom { kind: 0, ..good }],
        vec![Atom { kind: 5, ..good }],
        vec![Atom { bits: 24, ..good }],
        vec![Atom { bits: 0, ..good }],
        vec![Atom { reserved: 1, ..good }],
        vec![Atom { scale: 1, ..good }],
        vec![Atom { mask: 0, value: 0, ..good }],
        vec![Atom { mask: 0x1_ffff, ..good }],
        vec![Atom { value: 0x1_0800, ..good }],
        vec![Atom::masked(0, 8, 0xf0, 0x01)],
        vec![Atom::equal(OFFSET_MAX, 8, 0)],
        vec![Atom::equal(u32::MAX, 8, 0)],
        vec![Atom::shift(OFFSET_MAX), Atom::shift(1), good],
        vec![Atom { kind: SHIFT, ..good }, good],
        // It might move the base by more than messages are long.
        vec![Atom::shift_by(0, 32, u32::MAX, 0), good],
        vec![Atom::shift_by(0, 8, 0xff, 24), good],
        vec![Atom::shift_by(0, 8, 0x0f, -4), good],
        vec![Atom::shift_by(0, 8, 0x0f, 100), good],
        // What is indirect is a comparison.
        vec![Atom::indirect(0, 8, 0x0f, 0), Atom::shift(2), good],
        // No message is both.
        vec![good, Atom::equal(12, 8, 9)],
    ];
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let empty = engine.room();
    for atoms in bad {
        assert_eq!(engine.insert(1, &atoms, ANYBODY), Err(Error::Malformed), "{atoms:?}");
    }
    let five: Vec<Atom> = (0..5).flat_map(|n| [Atom::indirect(n, 8, 15, 0), good]).collect();
    assert_eq!(engine.insert(1, &five, ANYBODY), Err(Error::TooLong));
    assert_eq!(engine.room(), empty);
    assert_eq!((engine.remove(0), engine.remove(1), engine.remove(u16::MAX)), (false, false, false));
}

#[test]
fn equal_filters_are_one_however_they_are_written() {
    let plain = vec![Atom::equal(34, 32, 0x0102_0304), Atom::equal(12, 16, 0x0800)];
    let others = [
        vec![Atom::equal(12, 16, 0x0800), Atom::equal(34, 16, 0x0102), Atom::equal(36, 16, 0x0304)],
        vec![Atom::shift(12), Atom::equal(0, 16, 0x0800), Atom::shift(20), Atom::equal(2, 32, 0x0102_0304)],
        vec![
            Atom::masked(12, 32, 0xffff_0000, 0x0800_0000),
            Atom::equal(34, 8, 1),
            Atom::equal(35, 16, 0x0203),
            Atom::equal(37, 8, 4),
        ],
    ];
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    engine.insert(1, &plain, NOBODY).expect("a good filter");
    for other in others {
        assert_eq!(engine.insert(1, &other, NOBODY), Err(Error::Exists), "{other:?}");
    }
    let by = |offset, bits, mask, scale| vec![Atom::shift_by(offset, bits, mask, scale), Atom::equal(0, 8, 7)];
    engine.insert(1, &by(14, 8, 0x0f, 2), NOBODY).expect("a good filter");
    assert_eq!(engine.insert(1, &by(13, 16, 0x000f, 2), NOBODY), Err(Error::Exists));
    assert_eq!(engine.insert(1, &by(14, 16, 0x0f00, -6), NOBODY), Err(Error::Exists));
}

#[test]
fn who_compares_more_comes_first_in_any_order_of_insertion() {
    let port = tcp(1234, 80);
    let listen = vec![Atom::equal(12, 16, 0x0800), Atom::equal(23, 8, 6), Atom::equal(36, 16, 80)];
    let ip = vec![Atom::equal(12, 16, 0x0800)];
    let sender = [ip.clone(), vec![Atom::equal(26, 32, 0xc00c_4501)]].concat();
    let all = [port, listen, ip, sender];
    for order in 0..24_usize {
        let mut left: Vec<usize> = (0..4).collect();
        let mut n = order;
        let mut draw = |count: usize| {
            let drawn = left.remove(n % count);
            n /= count;
            drawn
        };
        let order: Vec<usize> = (1..=4).rev().map(&mut draw).collect();
        let mut space = Space::new(SMALL);
        let mut engine = space.engine();
        let mut numbers = [0; 4];
        for which in order {
            numbers[which] = engine.insert(1, &all[which], NOBODY).expect("a good filter");
        }
        let mut processor = Processor::new(&mut engine);
        // Whom is a message for that suits some of them: who compares more, and then whose first comparison is nearer.
        let cases: [(&[usize], usize); 6] = [(&[2], 2), (&[1], 1), (&[3], 3), (&[0], 0), (&[3, 1], 1), (&[3, 0], 0)];
        for (suited, winner) in cases {
            let mut message = vec![0; 80];
            suited.iter().for_each(|&which| suit(&all[which], &mut message));
            assert_eq!(engine.interpret(&message), numbers[winner], "{suited:?}");
            assert_eq!(processor.demux(engine.entry(), &message).0, u32::from(numbers[winner]), "{suited:?}");
        }
    }
}

#[test]
fn who_reads_one_more_shift_comes_first_wherever_it_stands() {
    // What is read in different ways at one place, with smaller masks and greater, and farther on.
    let shifts = [(20, 0x3f, 0), (20, 0x0f, 2), (20, 0x0f, 0), (19, 0x3f, 0), (21, 0x01, 0)];
    let compare = |&(offset, mask, scale)| [Atom::indirect(offset, 8, mask, scale), Atom::equal(0, 8, 0)];
    for one in &shifts {
        for more in shifts.iter().filter(|&more| more != one) {
            let [less, more] = [compare(one).to_vec(), [compare(one), compare(more)].concat()];
            let mut space = Space::new(SMALL);
            let mut engine = space.engine();
            engine.insert(1, &less, NOBODY).expect("a good filter");
            let winner = engine.insert(1, &more, NOBODY).expect("another");
            assert_eq!(engine.interpret(&[0; 64]), winner, "{more:?}");
            assert_eq!(Processor::new(&mut engine).demux(engine.entry(), &[0; 64]).0, u32::from(winner), "{more:?}");
        }
    }
}

#[test]
fn owners_do_not_overlap_unless_it_is_allowed() {
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let mine = engine.insert(1, &tcp(1234, 80), NOBODY).expect("there is no other");
    assert_eq!(engine.owner(mine), Some(1));
    // Another port: disjoint, in any form.
    let disjoint = [
        tcp(1234, 81),
        vec![Atom::equal(37, 8, 81)],
        vec![Atom::masked(34, 32, 0x0100_0001, 0x0100_0000)],
        vec![Atom::equal(12, 16, 0x0806)],
        vec![Atom::shift_by(14, 8, 0x0f, 2), Atom::equal(16, 16, 80), Atom::equal(12, 16, 0x0806)],
    ];
    for other in &disjoint[..1] {
        engine.insert(2, other, NOBODY).expect("it is disjoint");
    }
    for other in &disjoint[1..] {
        let mut fresh = Space::new(SMALL);
        let mut engine = fresh.engine();
        engine.insert(1, &tcp(1234, 80), NOBODY).expect("there is no other");
        let error = engine.insert(2, other, NOBODY).err();
        let disjoint = !accepts(other, &{
            let mut both = message_for(&tcp(1234, 80));
            suit(other, &mut both);
            suit(&tcp(1234, 80), &mut both);
            both
        });
        assert_eq!(error.is_none(), disjoint, "{other:?}");
    }
    let overlapping = [
        // All of TCP; what is longer; the same; what is compared elsewhere, or from a base that is another.
        tcp(1234, 80)[..4].to_vec(),
        [tcp(1234, 80), vec![Atom::equal(4, 32, 1)]].concat(),
        tcp(1234, 80),
        vec![Atom::equal(0, 32, 0x0102_0304)],
        vec![Atom::shift_by(14, 8, 0x0f, 2), Atom::equal(16, 16, 81)],
    ];
    for other in &overlapping {
        let error = if *other == tcp(1234, 80) { Error::Exists } else { Error::Overlaps };
        assert_eq!(engine.insert(3, other, NOBODY), Err(error), "{other:?}");
        assert_eq!(engine.insert(3, other, |owner| owner == 2), Err(error), "{other:?}: it is 1 who must allow it");
    }
    engine.insert(1, &overlapping[3], NOBODY).expect_err("the other filter is not mine");
    for other in &overlapping[..2] {
        engine.insert(3, other, ANYBODY).expect("it is allowed");
    }
    // My own may overlap mine; but not those of whom I allowed.
    assert_eq!(engine.insert(1, &[Atom::equal(23, 8, 6)], |owner| owner == 2), Err(Error::Overlaps));
}

#[test]
fn proofs_are_bounded() {
    let mut space = Space::new(Size { filters: 4096, tables: 1 << 15, ..SMALL });
    let mut engine = space.engine();
    for port in 0..1200 {
        engine.insert(2, &[Atom::equal(12, 16, 0x0800), Atom::equal(36, 16, port)], NOBODY).expect("disjoint");
    }
    // Found among the values without a look at the others.
    engine.insert(1, &[Atom::equal(12, 16, 0x0800), Atom::equal(36, 16, 1200)], NOBODY).expect("disjoint");
    // Disjoint too, but all the others would have to be looked at.
    let masked = [Atom::equal(12, 16, 0x0800), Atom::masked(36, 16, 0x8000, 0x8000)];
    assert_eq!(engine.insert(1, &masked, NOBODY), Err(Error::Unproven));
    // They are one owner's, so if that one allows it nothing has to be looked at.
    engine.insert(3, &masked, |owner| owner == 2 || owner == 1).expect_err("there are two owners");
    engine.insert(2, &masked, |owner| owner == 1).expect_err("likewise");
}

#[test]
fn what_a_message_visits_is_bounded() {
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let mut inserted = Vec::new();
    let error = (0..=aegis_dpf::WORK_MAX as u32).find_map(|offset| {
        match engine.insert(1, &[Atom::masked(offset / 8, 8, 1 << (offset % 8), 0)], NOBODY) {
            Ok(filter) => {
                inserted.push(filter);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!((error, inserted.len()), (Some(Error::Full), aegis_dpf::WORK_MAX));
    let mut processor = Processor::new(&mut engine);
    let (filter, instructions) = processor.demux(engine.entry(), &[0xff; 80]);
    assert_eq!(filter, 0);
    assert!(instructions < 10 * aegis_dpf::WORK_MAX as u64, "{instructions} instructions");
    assert!(engine.remove(inserted[5]));
    engine.insert(1, &[Atom::equal(90, 8, 0)], NOBODY).expect_err("two nodes more are too many");
    engine.insert(1, &[Atom::equal(60, 8, 0)], NOBODY).expect("there is room for one again");
}

#[test]
fn what_filters_with_many_steps_visit_is_bounded() {
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    // All say no in their last step. They differ in their first, or in their second alone.
    for second in [false, true] {
        let mut inserted = Vec::new();
        let error = (0..14u32).find_map(|filter| {
            let at = |n: u32| match n {
                0 if second => 0,
                _ if n == u32::from(second) => filter + n,
                _ => 18 + 4 * n,
            };
            let steps: Vec<_> = (0..10).map(|n| Atom::masked(at(n), 8, 0xff, u32::from(n == 9))).collect();
            match engine.insert(1, &steps, NOBODY) {
                Ok(filter) => {
                    inserted.push(filter);
                    None
                }
                Err(error) => Some(error),
            }
        });
        let each = if second { 9 } else { 10 };
        assert_eq!((error, inserted.len()), (Some(Error::Full), (aegis_dpf::WORK_MAX - usize::from(second)) / each));
        let (filter, instructions) = Processor::new(&mut engine).demux(engine.entry(), &[0; 80]);
        assert_eq!(filter, 0);
        assert!(instructions < 8 * aegis_dpf::WORK_MAX as u64, "{instructions} instructions");
        assert!(inserted.into_iter().all(|filter| engine.remove(filter)));
    }
}

#[test]
fn nodes_with_many_values_are_more_work() {
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let tables = aegis_dpf::WORK_MAX / aegis_dpf::TABLE_WORK - 1;
    for table in 0..tables as u32 {
        for value in 0..9 {
            engine.insert(1, &[Atom::equal(2 + 4 * table, 32, value)], NOBODY).expect("so many tables may be there");
        }
    }
    engine.insert(1, &[Atom::equal(14, 8, 7)], NOBODY).expect("and a comparison");
    // Another may have as many values as are compared, and not one more.
    let value = |value| [Atom::equal(2 + 4 * tables as u32, 32, value)];
    let filters: Vec<_> = (0..8).map(|n| engine.insert(1, &value(n), NOBODY).expect("compared")).collect();
    assert_eq!(engine.insert(1, &value(8), NOBODY), Err(Error::Full));
    // Nor may there be much behind them.
    let left = aegis_dpf::WORK_MAX - tables * aegis_dpf::TABLE_WORK - 1 - 2;
    let behind = |count: usize| -> Vec<_> {
        let steps = (0..count as u32).map(|n| Atom::equal(20 + 2 * n, 8, 1));
        [Atom::equal(2, 32, 0)].into_iter().chain(steps).collect()
    };
    assert_eq!(engine.insert(1, &behind(left + 1), NOBODY), Err(Error::Full));
    let last = engine.insert(1, &behind(left), NOBODY).expect("so much may be behind them");
    assert!(engine.remove(last));
    assert_eq!(engine.insert(1, &[Atom::equal(2, 32, 1), Atom::equal(20, 8, 1)], NOBODY).err(), None);
    assert!(filters.into_iter().all(|filter| engine.remove(filter)));
}

#[test]
fn memory_that_is_used_up_is_an_error() {
    for size in [
        Size { filters: 4, ..SMALL },
        Size { nodes: 12, ..SMALL },
        Size { tables: 16, ..SMALL },
        Size { code: 2048 + 5 * 1024, ..SMALL },
        Size { nodes: 8, code: 16, ..SMALL },
    ] {
        let mut space = Space::new(size);
        let mut engine = space.engine();
        let empty = engine.room();
        let mut random = Random(77);
        let mut installed = Vec::new();
        let mut full = 0;
        for n in 0..400 {
            let filter = if n % 2 == 0 {
                tcp(n, 5)
            } else {
                vec![Atom::equal(12, 16, 0x0800), Atom::equal(20 + n % 7, 8, n / 7), Atom::equal(n % 50, 16, n)]
            };
            match engine.insert(1, &filter, NOBODY) {
                Ok(number) => installed.push((number, filter)),
                Err(Error::Full) => full += 1,
                Err(error) => assert!(error == Error::Malformed || error == Error::Exists, "{error:?}"),
            }
            if n % 40 == 39 {
                let mut processor = Processor::new(&mut engine);
                for (number, filter) in &installed {
                    let message = message_for(filter);
                    let found = engine.interpret(&message);
                    assert_eq!(processor.demux(engine.entry(), &message).0, u32::from(found));
                    assert!(found != 0 && engine.owner(found) == Some(1), "{number}");
                }
                for _ in 0..random.below(installed.len() + 1) {
                    let (number, _) = installed.swap_remove(random.below(installed.len()));
                    assert!(engine.remove(number));
                }
            }
        }
        assert!(full > 0);
        installed.drain(..).for_each(|(number, _)| assert!(engine.remove(number)));
        assert_eq!(engine.room(), empty);
    }
}

/// Instructions to find out that a message is for one of `count` TCP/IP filters, the mean of up to 200 of them.
fn classify(count: u32, filter: impl Fn(u32) -> Vec<Atom>) -> f64 {
    let mut space = Space::new(Size { filters: 1 << 14, nodes: 256, code: 1 << 14, tables: 1 << 17 });
    let mut engine = space.engine();
    let numbers: Vec<u16> =
        (0..count).map(|n| engine.insert(1 + n % 3, &filter(n), NOBODY).expect("they differ")).collect();
    let mut processor = Processor::new(&mut engine);
    let step = (count as usize / 200).max(1);
    let mut sum = 0;
    let sample: Vec<usize> = (0..count as usize).step_by(step).collect();
    for &n in &sample {
        let (found, instructions) = processor.demux(engine.entry(), &message_for(&filter(n as u32)));
        assert_eq!(found, u32::from(numbers[n]));
        sum += instructions;
    }
    sum as f64 / sample.len() as f64
}

#[test]
fn classifying_takes_few_instructions() {
    let by_port = |n| tcp(1000 + n, 80);
    let one = classify(1, by_port);
    let ten = classify(10, by_port);
    let thousand = classify(1000, by_port);
    let many = classify(10_000, by_port);
    assert_eq!([one, ten], [20.0, 25.0]);
    assert!(thousand < 1.5 * ten && many < 2.0 * ten, "{ten}, {thousand}, {many}");
    let random = |n: u32| tcp(n.wrapping_mul(2_654_435_761) >> 16, n.wrapping_mul(40_503) & 0xffff);
    let scattered = classify(10_000, random);
    assert!(scattered < 2.0 * classify(10, random), "{scattered}");
}

#[test]
fn a_level_of_two_atoms_takes_six_instructions() {
    let mut last = 0;
    for depth in 1..=7 {
        let filter: Vec<Atom> = (0..depth)
            .flat_map(|level| [Atom::equal(12, 16, 0x800 + level), Atom::equal(15, 8, 6), Atom::shift(4)])
            .take(3 * depth as usize - 1)
            .collect();
        let mut space = Space::new(SMALL);
        let mut engine = space.engine();
        let number = engine.insert(1, &filter, NOBODY).expect("a good filter");
        let mut processor = Processor::new(&mut engine);
        let (found, instructions) = processor.demux(engine.entry(), &message_for(&filter));
        assert_eq!(found, u32::from(number));
        assert!(depth == 1 || instructions - last <= 6, "{instructions} after {last}");
        last = instructions;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever a program passes is a filter or an error, and the code, if there is any, keeps to the message.
    #[test]
    fn garbage_does_no_harm(mut sets in filters(1..6), changes in prop::collection::vec(any::<[u32; 3]>(), 1..12)) {
        for [which, byte, value] in changes {
            let count = sets.len();
            let filter = &mut sets[which as usize % count];
            let n = byte as usize / 16 % filter.len();
            let atom = &mut filter[n];
            match byte % 16 {
                0 => atom.kind = value as u8 % 8,
                1 => atom.bits = value as u8,
                2 => atom.scale = value as i8,
                3 => atom.reserved = value as u8,
                bit @ 4..8 => atom.offset ^= value & 0xff << (8 * (bit - 4)),
                bit @ 8..12 => atom.mask ^= value & 0xff << (8 * (bit - 8)),
                bit => atom.value ^= value & 0xff << (8 * (bit - 12)),
            }
        }
        let mut space = Space::new(SMALL);
        let mut engine = space.engine();
        let good: Vec<Vec<Atom>> = sets.into_iter().filter(|atoms| engine.insert(1, atoms, NOBODY).is_ok()).collect();
        if !good.is_empty() {
            let mut processor = Processor::new(&mut engine);
            let mut random = Random(good.len() as u64);
            for _ in 0..20 {
                let message = message(&mut random, &good);
                let found = engine.interpret(&message);
                prop_assert_eq!(processor.demux(engine.entry(), &message).0, u32::from(found));
                prop_assert_eq!(found != 0, good.iter().any(|filter| accepts(filter, &message)));
            }
        }
    }

    /// Random bytes as atoms.
    #[test]
    fn noise_does_no_harm(noise in prop::collection::vec(any::<(u8, u8, i8, u32, u32, u32)>(), 0..40)) {
        let atoms: Vec<Atom> = noise
            .into_iter()
            .map(|(kind, bits, scale, offset, mask, value)| Atom {
                kind: kind % 6,
                bits: [8, 16, 32, bits][usize::from(bits) % 4],
                scale: if kind % 6 == COMPARE { 0 } else { scale },
                reserved: 0,
                offset: offset >> (offset % 32),
                mask: mask >> (mask % 32),
                value: value & mask >> (mask % 32),
            })
            .collect();
        let mut space = Space::new(SMALL);
        let mut engine = space.engine();
        if let Ok(filter) = engine.insert(1, &atoms, NOBODY) {
            prop_assert!(engine.remove(filter));
        }
    }
}
