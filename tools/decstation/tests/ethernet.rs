//! The Ethernet controller, driven by guest code, alone and on a segment.

mod common;
use common::*;
use decstation::lance::{self, *};
use decstation::pcap::Capture;
use decstation::profile::{DEC2100, DEC3100, DEC5000, DEC5000_200};
use decstation::segment::{Fault, Faults, GAP_NS, Passed, TURN_NS};
use decstation::tunnel::Tunnel;
use decstation::{Config, Limits, Machine, Profile, Segment, Stop};
use std::sync::{Arc, Mutex};

/// Where things are in buffer memory.
const RECEIVE: u32 = 0x100;
const TRANSMIT: u32 = 0x200;
const BUFFERS: u32 = 0x1000;
const DATA: u32 = 0x5000;
/// Bytes from one receive buffer to the next.
const APART: u32 = 0x640;

const MILLISECOND: u64 = 1_000_000;
/// Cycles after which a loop that polls has seen something and gone on: a round takes 13, and what is behind it comes from
/// memory for the first time.
const POLL: u64 = 70;

/// The station address of a machine.
fn address(number: u8) -> [u8; 6] {
    [0x08, 0, 0x2b, 0, 0, number]
}

/// What a guest gives its controller.
#[derive(Clone)]
struct Setup {
    mode: u16,
    address: [u8; 6],
    filter: u64,
    /// The length of each receive buffer; a power of two of them.
    receive: Vec<u16>,
}

impl Setup {
    fn new(number: u8) -> Setup {
        Setup { mode: 0, address: address(number), filter: 0, receive: vec![1600; 4] }
    }
}

/// Stores that fill buffer memory from $s0 on.
fn fill(at: u32, bytes: &[u8]) -> String {
    let words = bytes.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    });
    (at..).step_by(4).zip(words).map(|(at, word)| format!("li $t0, {word:#x}; sw $t0, {at}($s0)\n")).collect()
}

fn halves(halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
}

/// A descriptor of the chip's.
fn descriptor(at: u32, status: u16, length: u16) -> [u16; 4] {
    [at as u16, status | (at >> 16) as u16, length.wrapping_neg(), 0]
}

/// Writes a value to CSR0.
fn csr0(value: u16) -> String {
    format!("li $t0, {value}; sw $t0, 0($s1)\n")
}

/// Waits for bits in CSR0, which then are in $t0, and clears them. The label must be new.
fn wait(label: &str, bits: u16) -> String {
    format!(
        "{label}: lw $t0, 0($s1); nop; andi $t1, $t0, {bits}; beq $t1, $zero, {label}; nop
         ori $t1, $t1, {INEA}; sw $t1, 0($s1)\n"
    )
}

/// Initialises and starts the controller: $s0 is buffer memory, $s1 the registers, with CSR0 selected.
fn begin(setup: &Setup) -> String {
    let Setup { mode, address, filter, receive } = setup;
    let mut block = vec![*mode];
    block.extend(address.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)));
    block.extend((0..4).map(|i| (filter >> (16 * i)) as u16));
    let receivers = receive.len().trailing_zeros() as u16;
    // Four descriptors to send.
    block.extend([RECEIVE as u16, receivers << 13, TRANSMIT as u16, 2 << 13]);
    let mut text = "start: la $s0, 0xbf800000; la $s1, 0xbf900000\n".to_owned();
    text += &fill(0, &halves(&block));
    for (i, &length) in (0..).zip(receive) {
        text += &fill(RECEIVE + i * 8, &halves(&descriptor(BUFFERS + i * APART, OWN, length)));
    }
    text += &fill(TRANSMIT, &[0; 32]);
    text +=
        "li $t0, 1; sw $t0, 4($s1); sw $zero, 0($s1); li $t0, 2; sw $t0, 4($s1); sw $zero, 0($s1); sw $zero, 4($s1)\n";
    text += &csr0(INIT);
    text += &wait("initialise", IDON);
    text += &csr0(STRT | INEA);
    text
}

/// Data of a frame: both addresses, a type, and a pattern up to this length.
fn frame(to: [u8; 6], from: [u8; 6], length: usize) -> Vec<u8> {
    let mut data = [&to[..], &from, &[0x90, 0x00]].concat();
    data.extend((data.len()..length).map(|i| i as u8 ^ from[5]));
    data.truncate(length);
    data
}

/// Puts a frame into buffer memory and gives it to the controller, in descriptor 0 to 3.
fn give(descriptor_number: u32, data: &[u8]) -> String {
    let at = DATA + descriptor_number * 0x680;
    let words = descriptor(at, OWN | STP | ENP, data.len() as u16);
    let at_descriptor = TRANSMIT + descriptor_number * 8;
    // The chip's bit last.
    let mut late = words;
    late[1] = 0;
    let own = u32::from(words[1]) << 16 | u32::from(words[0]);
    format!("{}{}li $t0, {own:#x}; sw $t0, {at_descriptor}($s0)\n", fill(at, data), fill(at_descriptor, &halves(&late)))
}

/// Sends a frame and waits until it is gone.
fn send(label: &str, descriptor_number: u32, data: &[u8]) -> String {
    format!("{}{}{}", give(descriptor_number, data), csr0(TDMD | INEA), wait(label, TINT))
}

/// Goes on for ever, not so simply that it is taken for stuck.
const IDLE: &str = "idle: nop; b idle; nop\n";

fn config(profile: Profile, number: u8) -> Config {
    Config { profile, timed: true, strict: true, ram_mb: 1, ethernet: Some(address(number)), ..Config::default() }
}

fn machine(profile: Profile, number: u8, text: &str) -> Machine {
    load(config(profile, number), &format!("{text}{IDLE}{HALT}")).0
}

/// Runs a machine that is on no segment.
fn alone(text: &str) -> Machine {
    let (mut machine, _) = load(config(DEC5000_200, 1), &format!("{text}{HALT}"));
    let stop = machine.run(Limits::instructions(1_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    machine
}

fn chip(machine: &Machine) -> &Lance {
    machine.ethernet().expect("it has one")
}

/// The four halfwords of a descriptor.
fn read(lance: &Lance, ring: u32, number: u32) -> [u16; 4] {
    std::array::from_fn(|i| lance.half(ring + number * 8 + i as u32 * 2))
}

/// Status and length of receive descriptors.
fn received(segment: &Segment, number: usize) -> Vec<(u16, u16)> {
    let lance = chip(segment.machine(number));
    (0..4).map(|i| read(lance, RECEIVE, i)).map(|[_, status, _, length]| (status & 0xff00, length)).collect()
}

/// Frames that pass from now on.
fn listen(segment: &mut Segment) -> Arc<Mutex<Vec<Passed>>> {
    let passed = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&passed);
    segment.listen(Box::new(move |frame| sink.lock().expect("no panic").push(frame.clone())));
    passed
}

fn take(passed: &Arc<Mutex<Vec<Passed>>>) -> Vec<Passed> {
    std::mem::take(&mut passed.lock().expect("no panic"))
}

/// A segment with one station that only receives, once it has started.
fn receiver(setup: &Setup) -> Segment {
    let mut segment = Segment::new();
    segment.join(machine(DEC5000_200, 1, &begin(setup))).expect("a controller");
    assert_eq!(segment.run(MILLISECOND), None);
    assert_eq!(chip(segment.machine(0)).csr0() & (RXON | TXON), RXON | TXON);
    segment
}

// What a round trip takes without an operating system.

/// Answers each frame with one that has the number in it, at byte 44, and one more: the least loop that does, with nothing else on the machine.
/// The answer's other bytes lie in the transmit buffers; if `whole`, all 60 are read to memory and written each time.
fn echo(number: u8, whole: bool) -> String {
    let words = || (0..60).step_by(4).filter(|&at| at != 44);
    let header = frame(address(3 - number), address(number), 60);
    let mut text = begin(&Setup::new(number));
    (0..4).for_each(|buffer| text += &fill(DATA + buffer * 0x680, &header));
    // In main memory, for the copy.
    text += "la $s7, 0x80050000\n";
    for (at, word) in (0..).step_by(4).zip(header.as_chunks::<4>().0) {
        text += &format!("li $t0, {:#x}; sw $t0, {at}($s7)\n", u32::from_le_bytes(*word));
    }
    for buffer in 0..4_u32 {
        text += &fill(TRANSMIT + buffer * 8, &halves(&descriptor(DATA + buffer * 0x680, 0, 60)));
    }
    text += &format!("li $t6, {}; li $t7, {}; li $t8, {OWN}; move $s6, $zero\n", OWN | STP | ENP, TDMD | INEA);
    let (read, write) = match whole {
        true => (
            words().map(|at| format!("lw $t3, {at}($s3); nop; sw $t3, {}($s7)\n", 256 + at)).collect(),
            words().map(|at| format!("lw $t3, {at}($s7); nop; sw $t3, {at}($s5)\n")).collect(),
        ),
        false => (String::new(), String::new()),
    };
    // $s2 to $s5: receive descriptor and buffer, transmit descriptor and buffer number $s6.
    let place = format!(
        "sll $t0, $s6, 3; addu $t0, $t0, $s0; addiu $s2, $t0, {RECEIVE}; addiu $s4, $t0, {TRANSMIT}
         sll $t0, $s6, 10; sll $t1, $s6, 9; addu $t0, $t0, $t1; sll $t1, $s6, 6; addu $s3, $t0, $t1; addu $s3, $s3, $s0
         addiu $s3, $s3, {BUFFERS}; addu $s5, $t0, $s0; sll $t1, $s6, 7; addu $s5, $s5, $t1; addiu $s5, $s5, {DATA}\n"
    );
    text += &place;
    text += &format!(
        "poll: lhu $t0, 2($s2); nop; andi $t1, $t0, {OWN}; bne $t1, $zero, poll; nop
         lw $t2, 44($s3); nop
         {read}
         addiu $t2, $t2, 1
         {write} sw $t2, 44($s5); sh $t6, 2($s4); sw $t7, 0($s1); sh $t8, 2($s2)
         addiu $s6, $s6, 1; andi $s6, $s6, 3; {place} b poll; nop\n"
    );
    text
}

/// Nanoseconds from a frame of the first station's to its next, on average.
fn round_trip(whole: bool) -> u64 {
    let mut segment = Segment::new();
    for number in [1, 2] {
        segment.join(machine(DEC5000, number, &echo(number, whole))).expect("a controller");
    }
    assert_eq!(segment.run(MILLISECOND), None);
    let passed = listen(&mut segment);
    let mut first = frame(address(1), address(2), 60);
    first[44..48].fill(0);
    segment.send(&first);
    assert_eq!(segment.run(100 * MILLISECOND), None);
    let passed = take(&passed);
    let numbers = passed.iter().map(|passed| u32::from_le_bytes(std::array::from_fn(|at| passed.frame[44 + at])));
    assert!(numbers.eq(0..passed.len() as u32), "each is one more");
    let rounds = (passed.len() as u64 - 21) / 2;
    (passed[20 + 2 * rounds as usize].time - passed[20].time) / rounds
}

#[test]
fn round_trips_of_bare_machines() {
    // Cable and controllers take 166.2 us of each.
    assert_eq!([false, true].map(round_trip), [171_920, 213_680]);
}

// The chip alone.

#[test]
fn without_a_controller_there_is_a_bus_error() {
    let text = ".org 0x80000080; mfc0 $s7, $13; li $t9, 0xbfc08138; jr $t9; nop; .org 0x80030000
        start: la $s0, 0xbf800000; lw $t0, 0($s0)\n";
    let (mut machine, _) = load(Config { ethernet: None, ..config(DEC5000_200, 1) }, text);
    assert_eq!(machine.run(Limits::instructions(100)), Stop::Halted);
    assert_eq!(machine.register(23) >> 2 & 31, 7);
    assert!(Segment::new().join(machine).is_err());
}

#[test]
fn buffer_memory_and_rom_are_there() {
    let machine = alone(
        "la $s0, 0xbf800000; li $t0, 0x12345678; sw $t0, 0($s0); sb $t0, 5($s0); sh $t0, 10($s0); la $s2, 0xbf81fffc
         sw $t0, 0($s2); lw $s3, 0($s0); lw $s4, 4($s0); lw $s5, 8($s0); la $s1, 0xbf9c0000; lbu $s6, 2($s1); lbu $s7, 22($s1)",
    );
    assert_eq!([19, 20, 21, 22, 23].map(|r| machine.register(r)), [0x1234_5678, 0x7800, 0x5678_0000, 8, 1]);
    assert_eq!(chip(&machine).bytes(0x1_fffc, 4), [0x78, 0x56, 0x34, 0x12]);
    assert_eq!(chip(&machine).station(), address(1));
}

#[test]
fn what_is_not_there_is_a_bus_error() {
    for text in [
        "la $s0, 0xbf820000; lw $t0, 0($s0)",
        "la $s0, 0xbf900008; lw $t0, 0($s0)",
        "la $s0, 0xbf9c0080; lw $t0, 0($s0)",
    ] {
        let text = format!(
            ".org 0x80000080; mfc0 $s7, $13; li $t9, 0xbfc08138; jr $t9; nop; .org 0x80030000; start: {text}; nop; {HALT}"
        );
        let (mut machine, _) = load(config(DEC5000_200, 1), &text);
        assert_eq!(machine.run(Limits::instructions(100)), Stop::Halted);
        assert_eq!(machine.register(23) >> 2 & 31, 7, "{text}");
    }
}

#[test]
fn registers_work_as_the_manual_says() {
    let at = "la $s1, 0xbf900000\n";
    // Stopped after reset. Interrupts can't be enabled, the other registers are open.
    let machine = alone(&format!(
        "{at} lw $s2, 0($s1); li $t0, {INEA}; sw $t0, 0($s1); lw $s3, 0($s1); li $t0, 7; sw $t0, 4($s1); lw $s4, 4($s1)
         li $t0, 0xffff; sw $t0, 0($s1); lw $s5, 0($s1); li $t0, 1; sw $t0, 4($s1); li $t0, 0x1235; sw $t0, 0($s1); lw $s6, 0($s1)
         li $t0, 2; sw $t0, 4($s1); li $t0, 0x1234; sw $t0, 0($s1); lw $s7, 0($s1); nop"
    ));
    assert_eq!([18, 19, 20, 21, 22, 23].map(|r| machine.register(r)), [4, 4, 3, 7, 0x1234, 0x34]);
    // Running: closed. IDON clears by a one, and only by that.
    let machine = alone(&format!(
        "{}lw $s2, 0($s1); li $t0, 1; sw $t0, 4($s1); li $t0, 0x5678; sw $t0, 0($s1); lw $s3, 0($s1); sw $zero, 4($s1)
         sw $zero, 0($s1); lw $s4, 0($s1); li $t0, {STOP}; sw $t0, 0($s1); lw $s5, 0($s1); nop",
        begin(&Setup::new(1))
    ));
    let on = INEA | RXON | TXON | STRT | INIT;
    assert_eq!([18, 19, 20, 21].map(|r| machine.register(r) as u16), [on, 0, on & !INEA, STOP]);
}

#[test]
fn initialisation_takes_its_time() {
    let text = format!(
        "start: la $s1, 0xbf900000; li $t0, 1; mark 1; sw $t0, 0($s1); wait: lw $t0, 0($s1); nop; andi $t1, $t0, {IDON}
         beq $t1, $zero, wait; nop; mark 2"
    );
    let mut machine = alone(&text);
    let marks = machine.take_marks();
    // 10 us are 250 cycles.
    let cycles = marks[0].cycles_to(&marks[1]);
    assert!((250..250 + POLL).contains(&cycles), "{cycles}");
    assert_eq!(machine.register(8) as u16, IDON | INTR | INIT);
}

#[test]
fn a_cable_without_a_segment_carries_nothing() {
    let machine = alone(&format!("{}{}", begin(&Setup::new(1)), send("sent", 0, &frame(address(2), address(1), 60))));
    let lance = chip(&machine);
    assert_eq!(lance.csr0() & (ERR | CERR | INTR), ERR | CERR);
    assert_eq!(read(lance, TRANSMIT, 0)[1], MD_ERR | STP | ENP);
    assert_eq!(read(lance, TRANSMIT, 0)[3], TMD_LCAR);
}

#[test]
fn internal_loop_back_returns_short_frames() {
    let data = frame(address(1), address(1), 32);
    let setup = Setup { mode: MODE_LOOP | MODE_INTL, ..Setup::new(1) };
    let machine = alone(&format!("{}{}{}", begin(&setup), send("sent", 0, &data), wait("back", RINT)));
    let lance = chip(&machine);
    assert_eq!(read(lance, RECEIVE, 0)[1], STP | ENP);
    assert_eq!(read(lance, RECEIVE, 0)[3], 36);
    assert_eq!(lance.bytes(BUFFERS, 36), with_fcs(&data));
    // Each attempt collides.
    let setup = Setup { mode: setup.mode | MODE_COLL, ..setup };
    let machine = alone(&format!("{}{}", begin(&setup), send("sent", 0, &data)));
    assert_eq!(read(chip(&machine), TRANSMIT, 0)[3], TMD_RTRY);
    assert_eq!(read(chip(&machine), RECEIVE, 0)[1], OWN);
    // A wrong check sequence of the guest's own is found.
    let setup = Setup { mode: MODE_LOOP | MODE_INTL | MODE_DTCR, ..setup };
    let machine = alone(&format!("{}{}{}", begin(&setup), send("sent", 0, &data), wait("back", RINT)));
    assert_eq!(read(chip(&machine), RECEIVE, 0)[1], MD_ERR | RMD_CRC | STP | ENP);
}

// Two on a segment.

#[test]
fn a_frame_arrives() {
    let data = frame(address(2), address(1), 60);
    let mut segment = Segment::new();
    let sender = machine(DEC5000_200, 1, &format!("{}{}", begin(&Setup::new(1)), send("sent", 0, &data)));
    segment.join(sender).expect("a controller");
    segment.join(machine(DEC5000, 2, &begin(&Setup::new(2)))).expect("a controller");
    let passed = listen(&mut segment);
    assert_eq!(segment.run(MILLISECOND), None);
    let sender = chip(segment.machine(0));
    assert_eq!(read(sender, TRANSMIT, 0)[1..], [STP | ENP, 60_u16.wrapping_neg(), 0]);
    assert_eq!(sender.csr0(), INEA | RXON | TXON | STRT | INIT);
    let receiver = chip(segment.machine(1));
    assert_eq!(read(receiver, RECEIVE, 0)[1], STP | ENP);
    assert_eq!(read(receiver, RECEIVE, 0)[3], 64);
    assert_eq!(receiver.bytes(BUFFERS, 64), with_fcs(&data));
    assert_eq!(receiver.csr0() & (INTR | RINT | ERR), INTR | RINT);
    // Nobody hears himself.
    assert_eq!(received(&segment, 0)[0], (OWN, 0));
    let passed = take(&passed);
    assert_eq!(passed.len(), 1);
    assert_eq!((passed[0].from, &passed[0].frame[..]), (Some(0), &with_fcs(&data)[..]));
    assert_eq!((segment.traffic().frames, segment.traffic().bytes), (1, 64));
}

#[test]
fn external_loop_back_hears_itself() {
    let setup = Setup { mode: MODE_LOOP, ..Setup::new(1) };
    let mut segment = Segment::new();
    let text = format!("{}{}", begin(&setup), send("sent", 0, &frame(address(1), address(1), 60)));
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    assert_eq!(segment.run(MILLISECOND), None);
    assert_eq!(received(&segment, 0)[0], (STP | ENP, 64));
}

#[test]
fn the_interrupt_comes_through_the_board() {
    // The handler counts, keeps Cause and the board's register, and clears the event.
    let handler = format!(
        ".org 0x80000080; addiu $s3, $s3, 1; mfc0 $s4, $13; lui $k0, 0xbff0; lw $s5, 0($k0); li $k0, {}; sw $k0, 0($s1)
         mfc0 $k0, $14; nop; jr $k0; rfe; .org 0x80030000\n",
        RINT | INEA
    );
    let enable =
        "li $s3, 0; lui $t0, 0xbff0; lui $t1, 0x40; sw $t1, 0($t0); li $t0, 0x10000401; mtc0 $t0, $12; nop; nop\n";
    let text = format!("{handler}{}{enable}", begin(&Setup::new(1)));
    let mut segment = Segment::new();
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    segment.run(MILLISECOND);
    for count in 1..=3 {
        segment.send(&frame(address(1), address(9), 60));
        assert_eq!(segment.run(MILLISECOND / 2), None);
        let machine = segment.machine(0);
        assert_eq!(machine.register(19), count);
        assert_eq!(machine.register(20) & 0xfc7c, 0x400, "Cause");
        assert_eq!(machine.register(21) & 0xff, 0x40, "the board's register");
        assert_eq!(chip(machine).csr0() & (INTR | RINT), 0);
    }
}

/// When the parts of one frame's way come, in nanoseconds.
#[test]
fn a_frame_takes_its_time() {
    for length in [60, 61, 500, 1514] {
        let data = frame(address(2), address(1), length);
        let text = format!(
            "{}{}li $t0, {}; mark 1; sw $t0, 0($s1); mark 2; {}mark 3\n",
            begin(&Setup::new(1)),
            give(0, &data),
            TDMD | INEA,
            wait("sent", TINT)
        );
        let mut segment = Segment::new();
        segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
        let text = format!("{}{}mark 4\n", begin(&Setup::new(2)), wait("came", RINT));
        segment.join(machine(DEC5000_200, 2, &text)).expect("a controller");
        let passed = listen(&mut segment);
        assert_eq!(segment.run(5 * MILLISECOND), None);
        let sender = segment.machine_mut(0).take_marks();
        let receiver = segment.machine_mut(1).take_marks();
        let ether = DEC5000_200.ether;
        // A cycle is 40 ns. The store begins behind its mark.
        let demand = sender[0].cycles * 40;
        let first = take(&passed)[0].time;
        let late = first - PREAMBLE as u64 * BYTE_NS - ether.transmit - demand;
        assert!(late <= 80, "the first bit comes {late} ns late");
        let last = first + (length + FCS) as u64 * BYTE_NS;
        let seen = sender[2].cycles * 40 - last - ether.status;
        assert!(seen < POLL * 40, "{length}: sent is seen after {seen} ns");
        let seen = receiver[0].cycles * 40 - last - ether.receive;
        assert!(seen < POLL * 40, "{length}: received is seen after {seen} ns");
    }
}

#[test]
fn reading_the_buffer_memory_costs() {
    for (profile, cycles) in [(DEC2100, 22), (DEC3100, 22), (DEC5000, 20), (DEC5000_200, 22)] {
        let (mut machine, _) = load(
            config(profile, 1),
            &format!(
                "la $s0, 0xbf800000; li $s1, 2; again: mark 1; lw $t0, 0($s0); mark 2; addiu $s1, $s1, -1; bne $s1, $zero, again; nop; {HALT}"
            ),
        );
        assert_eq!(machine.run(Limits::instructions(100)), Stop::Halted);
        let marks = machine.take_marks();
        assert_eq!(marks[2].cycles_to(&marks[3]), 1 + cycles, "{}", profile.name);
    }
}

#[test]
fn frames_in_a_row_keep_the_gap() {
    let text: String = (0..4).map(|i| give(i, &frame(address(2), address(1), 60 + i as usize))).collect();
    let text = format!("{}{text}{}", begin(&Setup::new(1)), csr0(TDMD | INEA));
    let mut segment = Segment::new();
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    let passed = listen(&mut segment);
    assert_eq!(segment.run(2 * MILLISECOND), None);
    let passed = take(&passed);
    assert_eq!(passed.len(), 4);
    for pair in passed.windows(2) {
        let gap = pair[1].time - pair[0].time - (pair[0].frame.len() + PREAMBLE) as u64 * BYTE_NS;
        // The chip's own time, which is longer than the cable's.
        let own = DEC5000_200.ether.status + DEC5000_200.ether.transmit;
        assert!((own..own + 120).contains(&gap) && gap >= GAP_NS, "{gap}");
    }
    // Two who want the cable at once: one waits for the other, and for the gap, and says so.
    let mut segment = Segment::new();
    for number in [1, 2] {
        let text =
            format!("{}{}", begin(&Setup::new(number)), send("sent", 0, &frame([0xff; 6], address(number), 1000)));
        segment.join(machine(DEC5000_200, number, &text)).expect("a controller");
    }
    let passed = listen(&mut segment);
    assert_eq!(segment.run(5 * MILLISECOND), None);
    let passed = take(&passed);
    assert_eq!((passed[0].from, passed[1].from), (Some(0), Some(1)));
    assert_eq!(passed[1].time - passed[0].time, (1004 + PREAMBLE) as u64 * BYTE_NS + GAP_NS);
    assert_eq!(read(chip(segment.machine(0)), TRANSMIT, 0)[1] & TMD_DEF, 0);
    assert_eq!(read(chip(segment.machine(1)), TRANSMIT, 0)[1] & TMD_DEF, TMD_DEF);
    assert_eq!((received(&segment, 0)[0].1, received(&segment, 1)[0].1), (1004, 1004));
}

#[test]
fn without_a_demand_the_chip_looks_by_itself() {
    let text = format!("{}{}", begin(&Setup::new(1)), give(0, &frame(address(2), address(1), 60)));
    let mut segment = Segment::new();
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    segment.run(MILLISECOND);
    assert_eq!(segment.traffic().frames, 0);
    segment.run(MILLISECOND);
    assert_eq!(segment.traffic().frames, 1);
}

#[test]
fn frames_are_filtered() {
    let group = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
    let other_group = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x02];
    let filter = 1 << filter_bit(group);
    let all = [address(1), address(2), [0xff; 6], group, other_group];
    let kinds = [
        (0, 0, [true, false, true, false, false]),
        (0, filter, [true, false, true, true, false]),
        (0, !0, [true, false, true, true, true]),
        (MODE_PROM, 0, [true; 5]),
        (MODE_DRX, !0, [false; 5]),
    ];
    for (mode, filter, wanted) in kinds {
        for (to, wanted) in all.into_iter().zip(wanted) {
            let mut segment = Segment::new();
            let setup = Setup { mode, filter, ..Setup::new(1) };
            segment.join(machine(DEC5000_200, 1, &begin(&setup))).expect("a controller");
            segment.run(MILLISECOND / 2);
            segment.send(&frame(to, address(9), 60));
            segment.run(MILLISECOND / 2);
            let taken = received(&segment, 0)[0] == (STP | ENP, 64);
            assert_eq!(taken, wanted, "{to:x?} with mode {mode:#x}, filter {filter:#x}");
            // Another's frame is not missed.
            assert_eq!(chip(segment.machine(0)).csr0() & MISS, 0);
        }
    }
}

#[test]
fn short_long_and_damaged_frames() {
    let mut segment = receiver(&Setup::new(1));
    let data = |length| frame(address(1), address(9), length);
    // Too short: no trace. The shortest: received.
    for length in [0, 10, 43, 59] {
        segment.send_raw(&with_fcs(&data(length)));
    }
    segment.send_raw(&with_fcs(&data(60)));
    // A wrong check sequence, and more than the longest frame: into one buffer, since they fit.
    segment.send_raw(&data(64));
    segment.send_raw(&with_fcs(&data(1596)));
    assert_eq!(segment.run(5 * MILLISECOND), None);
    let expected = [(STP | ENP, 64), (MD_ERR | RMD_CRC | STP | ENP, 64), (STP | ENP, 1600), (OWN, 0)];
    assert_eq!(received(&segment, 0), expected);
    assert_eq!(chip(segment.machine(0)).csr0() & ERR, 0);
}

#[test]
fn a_frame_goes_over_several_buffers_or_is_cut_off() {
    let setup = Setup { receive: vec![64, 100, 64, 64], ..Setup::new(1) };
    let mut segment = receiver(&setup);
    let data = frame(address(1), address(9), 200);
    segment.send(&data);
    segment.run(MILLISECOND);
    assert_eq!(received(&segment, 0), [(STP, 0), (0, 0), (ENP, 204), (OWN, 0)]);
    let lance = chip(segment.machine(0));
    let parts = [(0, 64), (1, 100), (2, 40)].map(|(i, length)| lance.bytes(BUFFERS + i * APART, length));
    assert_eq!(parts.concat(), with_fcs(&data));
    // The next has one buffer, and needs more.
    segment.send(&data);
    segment.run(MILLISECOND);
    assert_eq!(received(&segment, 0)[3], (MD_ERR | RMD_BUFF | STP, 0));
    assert_eq!(chip(segment.machine(0)).csr0() & (RINT | MISS), RINT);
    // And the one after it none.
    segment.send(&data);
    segment.run(MILLISECOND);
    assert_eq!(chip(segment.machine(0)).csr0() & (INTR | MISS | ERR), INTR | MISS | ERR);
}

#[test]
fn a_full_ring_loses_what_comes_and_nothing_else() {
    let mut segment = receiver(&Setup { receive: vec![1600, 1600], ..Setup::new(1) });
    for i in 0..1000_u32 {
        segment.send(&frame(address(1), i.to_le_bytes().repeat(2)[..6].try_into().expect("six"), 60));
    }
    segment.run(100 * MILLISECOND);
    let lance = chip(segment.machine(0));
    assert_eq!(segment.traffic().frames, 1000);
    assert_eq!((read(lance, RECEIVE, 0)[3], read(lance, RECEIVE, 1)[3]), (64, 64));
    // The first two, whole.
    assert_eq!(
        (lance.bytes(BUFFERS + 6, 4), lance.bytes(BUFFERS + APART + 6, 4)),
        (vec![0, 0, 0, 0], vec![1, 0, 0, 0])
    );
    assert_eq!(lance.bytes(BUFFERS + 2 * APART, 64), [0; 64]);
    assert_eq!(lance.csr0() & MISS, MISS);
}

#[test]
fn frames_to_send_are_gathered_skipped_and_refused() {
    let run = |text: &str| {
        let mut segment = Segment::new();
        segment.join(machine(DEC5000_200, 1, &format!("{}{text}", begin(&Setup::new(1))))).expect("a controller");
        let passed = listen(&mut segment);
        assert_eq!(segment.run(10 * MILLISECOND), None);
        let passed = take(&passed);
        (segment, passed)
    };
    let data = frame(address(2), address(1), 200);
    let part = |number: u32, status, range: std::ops::Range<usize>| {
        let length = range.len() as u16;
        let at = DATA + range.start as u32;
        fill(TRANSMIT + number * 8, &halves(&descriptor(at, OWN | status, length)))
    };
    let all = fill(DATA, &data);
    // One that begins nothing, then three that belong together.
    let text =
        [all.clone(), part(0, ENP, 0..10), part(3, ENP, 160..200), part(2, 0, 100..160), part(1, STP, 0..100)].concat();
    let (segment, passed) = run(&format!("{text}{}", csr0(TDMD | INEA)));
    assert_eq!(passed[0].frame[..], with_fcs(&data));
    let status = |segment: &Segment, i| read(chip(segment.machine(0)), TRANSMIT, i)[1];
    assert_eq!([0, 1, 2, 3].map(|i| status(&segment, i)), [ENP, STP, 0, ENP]);
    // The second part is not the chip's: what there is goes out with a wrong check sequence, and the transmitter turns off.
    let (segment, passed) = run(&format!("{all}{}{}", part(0, STP, 0..100), csr0(TDMD | INEA)));
    assert!(passed[0].frame.len() == 104 && !fcs_fits(&passed[0].frame));
    assert_eq!(read(chip(segment.machine(0)), TRANSMIT, 0)[3], TMD_BUFF | TMD_UFLO);
    assert_eq!(chip(segment.machine(0)).csr0() & (TXON | TINT), TINT);
    // A ring without an end.
    let text: String = (0..4).map(|i| part(i, STP, 0..60)).collect();
    let (segment, _) = run(&format!("{all}{text}{}", csr0(TDMD | INEA)));
    assert_eq!(read(chip(segment.machine(0)), TRANSMIT, 3)[3], TMD_BUFF | TMD_UFLO);
    // Too much for one frame: sent, and said. As much as there may be: not said.
    for (length, babble) in [(1514, 0), (1515, BABL)] {
        let text = fill(TRANSMIT, &halves(&descriptor(DATA, OWN | STP | ENP, length)));
        let (segment, passed) = run(&format!("{text}{}", csr0(TDMD | INEA)));
        assert_eq!(passed[0].frame.len(), usize::from(length) + FCS);
        assert_eq!(chip(segment.machine(0)).csr0() & BABL, babble);
    }
}

#[test]
fn a_stopped_chip_forgets() {
    // Stopped while its frame is on the cable: the frame arrives. Before that, in the chip's 300 cycles: it does not. Either way its
    // descriptor stays. A round takes three cycles.
    for (spin, arrives) in [(1, false), (60, false), (120, true), (800, true)] {
        for turn in [TURN_NS, 10_000, 1_000] {
            let text = format!(
                "{}{}{}li $t1, {spin}; spin: addiu $t1, $t1, -1; bne $t1, $zero, spin; nop; {}",
                begin(&Setup::new(1)),
                give(0, &frame([0xff; 6], address(1), 1000)),
                csr0(TDMD | INEA),
                csr0(STOP)
            );
            let mut segment = Segment::new();
            segment.set_turn(turn);
            segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
            segment.join(machine(DEC5000_200, 2, &begin(&Setup::new(2)))).expect("a controller");
            assert_eq!(segment.run(5 * MILLISECOND), None);
            assert_eq!(chip(segment.machine(0)).csr0(), STOP);
            assert_eq!(read(chip(segment.machine(0)), TRANSMIT, 0)[1], OWN | STP | ENP);
            let expected = if arrives { (STP | ENP, 1004) } else { (OWN, 0) };
            assert_eq!(received(&segment, 1)[0], expected, "after {spin} rounds, in turns of {turn} ns");
            assert_eq!(segment.traffic().frames, u64::from(arrives));
        }
    }
}

// Many on a segment.

/// A station that sends frames of all lengths without end, to the next, to all and to nobody, and counts what it receives in
/// $s3; its buffers go back at once.
fn busy(number: u8) -> String {
    let frames = [
        frame(address(number % 3 + 1), address(number), 60),
        frame([0xff; 6], address(number), 77 + usize::from(number) * 13),
        frame(address(99), address(number), 200),
    ];
    let mut text = begin(&Setup::new(number));
    for (i, data) in (0..).zip(&frames) {
        text += &fill(DATA + i * 0x680, data);
    }
    text += "li $s3, 0; li $s4, 0; round:\n";
    for (i, data) in (0..).zip(&frames) {
        let at = TRANSMIT + i * 8;
        let words = descriptor(DATA + i * 0x680, OWN | STP | ENP, data.len() as u16);
        // The ring has four places, the fourth begins nothing.
        text += &fill(at, &halves(&words));
    }
    text += &fill(TRANSMIT + 24, &halves(&descriptor(DATA, OWN, 60)));
    text += &csr0(TDMD | INEA);
    // Until the last is gone: give received buffers back.
    text += &format!(
        "serve: sll $t2, $s4, 3; addu $t2, $t2, $s0; lhu $t0, {}($t2); nop; andi $t1, $t0, {OWN}; bne $t1, $zero, none; nop
         li $t0, {OWN}; sh $t0, {}($t2); addiu $s3, $s3, 1; addiu $s4, $s4, 1; andi $s4, $s4, 3; b serve; nop
         none: lhu $t0, {}($s0); nop; andi $t1, $t0, {OWN}; bne $t1, $zero, serve; nop; b round; nop\n",
        RECEIVE + 2,
        RECEIVE + 2,
        TRANSMIT + 26
    );
    text
}

/// Everything that a run of three such machines leaves.
fn run_busy(turn: u64, pieces: u64, faults: Option<Faults>) -> impl PartialEq + std::fmt::Debug {
    let mut segment = Segment::new();
    segment.set_turn(turn);
    for (number, profile) in [(1, DEC5000_200), (2, DEC2100), (3, DEC3100)] {
        segment.join(machine(profile, number, &busy(number))).expect("a controller");
    }
    if let Some(faults) = faults {
        segment.set_faults(faults);
    }
    let passed = listen(&mut segment);
    for _ in 0..30 * MILLISECOND / pieces {
        assert_eq!(segment.run(pieces), None);
    }
    let states: Vec<_> = (0..3)
        .map(|i| segment.machine(i))
        .map(|m| {
            (m.pc(), m.register(19), m.instructions(), *m.counts(), chip(m).csr0(), chip(m).bytes(0, lance::MEMORY))
        })
        .map(|(pc, count, instructions, counts, csr0, memory)| {
            assert!(count > 20, "{count}");
            (pc, count, instructions, counts.stalls.total(), csr0, crc32(&memory))
        })
        .collect();
    let frames: Vec<_> = take(&passed).iter().map(|p| (p.time, p.from, crc32(&p.frame))).collect();
    assert!(frames.len() > 100, "{}", frames.len());
    (states, frames, segment.traffic())
}

/// Two equal sums are equal memories, as far as a test goes.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    *with_fcs(bytes).last_chunk().expect("four bytes")
}

#[test]
fn three_machines_repeat_whatever_their_turns() {
    let once = run_busy(TURN_NS, 30 * MILLISECOND, None);
    assert!(once == run_busy(TURN_NS, 30 * MILLISECOND, None), "a second run");
    assert!(once == run_busy(7_777, 30 * MILLISECOND, None), "shorter turns");
    assert!(once == run_busy(1_000, MILLISECOND, None), "short turns and many calls");
}

#[test]
fn faults_repeat_with_their_seed() {
    let faults = Faults {
        seed: 1,
        loss: 50_000,
        duplication: 50_000,
        reordering: 50_000,
        corruption: 50_000,
        hidden_corruption: 50_000,
    };
    let run = |seed, turn| run_busy(turn, 30 * MILLISECOND, Some(Faults { seed, ..faults }));
    let once = run(1, TURN_NS);
    assert!(once == run(1, 9_999) && once != run(2, TURN_NS));
}

#[test]
fn each_fault_does_what_it_says() {
    let first = frame(address(1), address(9), 60);
    let second = frame(address(1), address(8), 61);
    let with = |fault| {
        let mut segment = receiver(&Setup::new(1));
        segment.plan(fault);
        let passed = listen(&mut segment);
        segment.send(&first);
        segment.send(&second);
        assert_eq!(segment.run(MILLISECOND), None);
        let frames: Vec<_> = take(&passed).into_iter().map(|passed| passed.frame).collect();
        let status: Vec<_> =
            received(&segment, 0).into_iter().map(|(status, _)| status).filter(|s| s & OWN == 0).collect();
        (frames, status)
    };
    let (good, bad) = (STP | ENP, MD_ERR | RMD_CRC | STP | ENP);
    let [one, two] = [&first, &second].map(|data| with_fcs(data).into());
    assert_eq!(with(Fault::Loss), (vec![Arc::clone(&two)], vec![good]));
    assert_eq!(with(Fault::Duplication), (vec![Arc::clone(&one), Arc::clone(&two), Arc::clone(&one)], vec![good; 3]));
    assert_eq!(with(Fault::Reordering), (vec![Arc::clone(&two), Arc::clone(&one)], vec![good; 2]));
    let differs = |frame: &Frame| frame.iter().zip(one.iter()).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    let (frames, status) = with(Fault::Corruption);
    assert_eq!((frames.len(), differs(&frames[0])), (2, 1));
    assert!(status == [bad, good] || status == [good], "{status:x?}");
    let (frames, status) = with(Fault::HiddenCorruption);
    assert!(status == [good; 2] && fcs_fits(&frames[0]) && frames[0][..12] == one[..12] && frames[0] != one);
    // One that is to be late, and whom nobody overtakes.
    let mut segment = receiver(&Setup::new(1));
    segment.plan(Fault::Reordering);
    segment.send(&first);
    segment.run(9 * MILLISECOND);
    assert_eq!(segment.traffic().frames, 0);
    segment.run(2 * MILLISECOND);
    assert_eq!(segment.traffic().frames, 1);
}

#[test]
fn a_machine_that_halts_leaves_the_others_running() {
    let mut segment = Segment::new();
    segment.join(load(config(DEC5000_200, 1), &format!("nop; {HALT}")).0).expect("a controller");
    segment.join(machine(DEC5000_200, 2, &begin(&Setup::new(2)))).expect("a controller");
    assert_eq!(segment.run(MILLISECOND), Some((0, Stop::Halted)));
    assert_eq!((segment.stop(0), segment.stop(1)), (Some(&Stop::Halted), None));
    assert!(segment.now() <= TURN_NS);
    assert_eq!(segment.run(MILLISECOND), None);
    assert!(segment.machine(1).microseconds() >= 1000.0);
}

#[test]
fn a_fork_has_a_controller_of_its_own() {
    let mut segment = receiver(&Setup::new(1));
    let fork = segment.machine(0).fork();
    segment.send(&frame(address(1), address(9), 60));
    segment.run(MILLISECOND);
    assert_eq!(received(&segment, 0)[0], (STP | ENP, 64));
    assert_eq!(read(chip(&fork), RECEIVE, 0)[1], OWN);
    // It can go on, on another segment.
    let mut other = Segment::new();
    other.join(fork).expect("a controller");
    other.send(&frame(address(1), address(9), 99));
    other.run(MILLISECOND);
    assert_eq!(received(&other, 0)[0], (STP | ENP, 103));
}

// To the outside.

#[test]
fn a_capture_has_the_frames() {
    let mut segment = receiver(&Setup::new(1));
    let mut capture = Capture::new(Vec::new()).expect("memory");
    let passed = listen(&mut segment);
    segment.send(&frame(address(1), address(9), 60));
    segment.run(MILLISECOND);
    let passed = take(&passed);
    capture.write(&passed[0]).expect("memory");
    let file = capture.finish().expect("memory");
    assert_eq!(file.len(), 24 + 16 + 64);
    assert_eq!(file[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
    assert_eq!(file[20..24], [1, 0, 0, 0x44]);
    assert_eq!(file[28..32], (passed[0].time as u32).to_le_bytes());
    assert_eq!(file[32..40], [64, 0, 0, 0, 64, 0, 0, 0]);
    assert_eq!(file[40..], passed[0].frame[..]);
}

#[test]
fn a_tunnel_carries_raw_frames() {
    let local = "127.0.0.1:0".parse().expect("an address");
    // Another emulator, as far as the tunnel knows.
    let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    other.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a time-out");
    let mut tunnel = Tunnel::new(local, vec![other.local_addr().expect("bound")]).expect("a tunnel");
    let data = frame(address(9), address(1), 60);
    let mut segment = Segment::new();
    let text = format!("{}{}", begin(&Setup::new(1)), send("sent", 0, &data));
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    // Short ones are padded here, since not every emulator does that; lying ones are refused.
    let short = frame(address(1), address(9), 42);
    for datagram in [&short[..], &[0; 13], &[0; 1515], &[]] {
        other.send_to(datagram, tunnel.local().expect("bound")).expect("room");
    }
    assert_eq!(segment.run_bridged(10 * MILLISECOND, &mut tunnel), None);
    let mut buffer = [0; 2000];
    let length = other.recv(&mut buffer).expect("a datagram");
    assert_eq!(buffer[..length], data);
    // The guest may have started after the datagram came in.
    other.send_to(&short, tunnel.local().expect("bound")).expect("room");
    assert_eq!(segment.run_bridged(10 * MILLISECOND, &mut tunnel), None);
    let lance = chip(segment.machine(0));
    assert_eq!(received(&segment, 0)[0], (STP | ENP, 64));
    assert_eq!(lance.bytes(BUFFERS, 60), [short, vec![0; 18]].concat());
    assert_eq!(tunnel.refused(), 3);
    let outside = "192.0.2.1:1".parse().expect("an address");
    assert!(Tunnel::new(outside, vec![]).is_err() && Tunnel::new(local, vec![outside]).is_err());
}

/// The same program on both sides of a tunnel: it answers on GXemul what it is sent from the model.
#[test]
fn the_tunnel_reaches_gxemul() {
    let free = || std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a socket");
    let (here, there) = (free(), free());
    let (ask, answer) = (frame(address(2), address(1), 60), frame(address(1), address(2), 99));
    let text = format!("{}{}{}{IDLE}", begin(&Setup::new(2)), wait("came", RINT), send("sent", 0, &answer));
    let image = write("gxemul-ethernet.elf", &elf(&assemble(&text)));
    let network = format!(
        "net( local_port({}) add_remote(\"{here}\") )
         machine( type(\"decstation\") subtype(\"3max\") memory(16) load(\"{}\") )\n",
        there.port(),
        image.display()
    );
    let network = write("gxemul-ethernet.cfg", network.as_bytes());
    let gxemul = std::process::Command::new("gxemul")
        .args(["-q", "-A"])
        .arg(format!("@{}", network.display()))
        // An open, silent pipe: at the end of input GXemul would hang.
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(mut gxemul) = gxemul else {
        eprintln!("SKIPPED: no gxemul here");
        return;
    };
    // Asks every few milliseconds, since nobody says when the other side is ready: from each place of the ring in turn.
    let own: String = (0..4).map(|i| give(i, &ask)).collect();
    let text = format!(
        "{}again: {own}{}li $t1, 40000; spin: addiu $t1, $t1, -1; bne $t1, $zero, spin; nop; b again; nop\n",
        begin(&Setup::new(1)),
        csr0(TDMD | INEA),
    );
    let mut segment = Segment::new();
    segment.join(machine(DEC5000_200, 1, &text)).expect("a controller");
    let mut tunnel = Tunnel::new(here, vec![there]).expect("a tunnel");
    let began = std::time::Instant::now();
    while received(&segment, 0)[0].1 == 0 && began.elapsed().as_secs() < 30 {
        assert_eq!(segment.run_bridged(20 * MILLISECOND, &mut tunnel), None);
    }
    let _ = gxemul.kill();
    let _ = gxemul.wait();
    for path in [image, network] {
        let _ = std::fs::remove_file(path);
    }
    assert_eq!(received(&segment, 0)[0], (STP | ENP, 103));
    assert_eq!(chip(segment.machine(0)).bytes(BUFFERS, 99), answer);
}

/// Through QEMU, which joins two of its `dgram` ends: what it takes for a frame is what the tunnel takes for one.
#[test]
fn the_tunnel_reaches_qemu() {
    let free = || std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a socket");
    let (here, near, far) = (free(), free(), free());
    let other = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    other.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("a time-out");
    let end = |name: &str, local: std::net::SocketAddr, remote: std::net::SocketAddr| {
        format!(
            "dgram,id={name},local.type=inet,local.host=127.0.0.1,local.port={},remote.type=inet,remote.host=127.0.0.1,remote.port={}",
            local.port(),
            remote.port()
        )
    };
    let qemu = std::process::Command::new("qemu-system-mipsel")
        .args(["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-netdev", &end("a", near, here)])
        .args(["-netdev", &end("b", far, other.local_addr().expect("bound"))])
        .args(["-netdev", "hubport,id=c,hubid=0,netdev=a", "-netdev", "hubport,id=d,hubid=0,netdev=b"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(mut qemu) = qemu else {
        eprintln!("SKIPPED: no qemu-system-mipsel here");
        return;
    };
    let mut tunnel = Tunnel::new(here, vec![near]).expect("a tunnel");
    let data = frame(address(2), address(1), 60);
    let mut buffer = [0; 2000];
    let mut came = None;
    // Nobody says when it is ready.
    for _ in 0..300 {
        tunnel.send(&with_fcs(&data));
        if let Ok(length) = other.recv(&mut buffer) {
            came = Some(buffer[..length].to_vec());
            break;
        }
    }
    other.send_to(&frame(address(1), address(2), 77), far).expect("room");
    let mut back = None;
    for _ in 0..300 {
        back = back.or_else(|| tunnel.receive());
        if back.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
    assert_eq!(came, Some(data));
    assert_eq!(back, Some(frame(address(1), address(2), 77)));
}
