//! The Ethernet controller of a Malta: an AMD PCnet, which works as a LANCE does, behind the PCI bridge.
//!
//! QEMU's firmware leaves the bus as it finds it: the controller's registers get a place here, and its interrupt is led to
//! the processor, through the south bridge's routing and its pair of i8259. The first of these latches what the second
//! tells it, until it is polled.

use super::register;
use crate::machine::lance::{Bus, Lance};

/// The bridge's configuration address and data.
const CONFIG_ADDRESS: u32 = 0xbbe0_0cf8;
const CONFIG_DATA: u32 = 0xbbe0_0cfc;
/// Where ports of the bus are seen.
const PORTS: u32 = 0xb800_0000;

/// The controller's slot, and what it says it is.
const CONTROLLER: u32 = 11;
const PCNET: u32 = 0x2000_1022;
/// The south bridge's.
const SOUTH_BRIDGE: u32 = 10;

/// Configuration registers: who it is; command; the ports it answers to; where the south bridge leads its four lines.
const IDENTITY: u32 = 0x00;
const COMMAND: u32 = 0x04;
const BASE: u32 = 0x10;
const ROUTING: u32 = 0x60;
/// COMMAND: it answers to ports and reaches memory.
const PORTS_AND_MASTER: u32 = 1 | 4;

/// The ports that it gets.
const CONTROLLER_PORTS: u32 = 0x1000;
/// Of these: the station address; register data, register address, reset.
const RDP: u32 = 0x10;
const RAP: u32 = 0x12;
const RESET: u32 = 0x14;
/// A register that a LANCE has not: features. That it does not look for frames to send but when it is told to.
const FEATURES: u16 = 4;
const NO_POLLING: u16 = 1 << 12;

/// The line of the interrupt controllers that it gets, on the second of them. The south bridge calls what the slot's line
/// is wired to the second of its own.
const LINE: u8 = 10;
const ROUTED: u32 = LINE as u32 * 0x100;
const ROUTED_MASK: u32 = 0xff00;

/// Its place on the board.
pub struct Slot {
    /// Physical address of the memory that it is given, below 16 MB.
    memory: u32,
}

/// Finds it and starts it, with `memory` to work in.
pub fn find(memory: u32) -> Option<Lance<Slot>> {
    // Of the other lines nobody may ask for the processor's attention, whether or not the controller is there.
    route();
    if read_config(CONTROLLER, IDENTITY) != PCNET {
        return None;
    }
    write_config(CONTROLLER, BASE, CONTROLLER_PORTS);
    write_config(CONTROLLER, COMMAND, PORTS_AND_MASTER);
    // Reading resets it, into its mode of registers of 16 bits.
    let _: u16 = input(CONTROLLER_PORTS + RESET);
    let address = core::array::from_fn(|at| input(CONTROLLER_PORTS + at as u32));
    let slot = Slot { memory };
    // It is told of each frame. QEMU's would look while it receives one, too: what it sends then reaches QEMU's own network in
    // the midst of its work there, which may end connections that this goes on with, and crash (libslirp 4.7).
    slot.select(FEATURES);
    slot.write(slot.read() | NO_POLLING);
    Some(Lance::new(slot, address))
}

/// Leads its interrupt to the processor's second line, and no other.
fn route() {
    let routing = read_config(SOUTH_BRIDGE, ROUTING);
    write_config(SOUTH_BRIDGE, ROUTING, routing & !ROUTED_MASK | ROUTED);
    // Each of the two: four words of initialisation, then a mask. The second is at line 2 of the first.
    for (port, wiring, open) in [(0x20, 1 << 2, !(1 << 2)), (0xa0, 2, !(1 << (LINE - 8)))] {
        output(port, 0x11_u8);
        output(port + 1, 0_u8);
        output(port + 1, wiring as u8);
        output(port + 1, 3_u8);
        output(port + 1, open as u8);
    }
    // Level-triggered.
    output(0x4d1, 1_u8 << (LINE - 8));
}

impl Bus for Slot {
    const LATCHES: bool = true;
    const PASSES_OVER: bool = true;

    fn acknowledge(&self) {
        // Poll; the answer ends the interrupt.
        output(0x20, 0x0c_u8);
        let _: u8 = input(0x20);
    }

    fn memory(&self) -> u32 {
        0xa000_0000 + self.memory
    }

    fn seen_from_chip(&self) -> u32 {
        self.memory
    }

    fn select(&self, number: u16) {
        output(CONTROLLER_PORTS + RAP, number);
    }

    fn read(&self) -> u16 {
        input(CONTROLLER_PORTS + RDP)
    }

    fn write(&self, value: u16) {
        output(CONTROLLER_PORTS + RDP, value);
    }
}

fn input<T>(port: u32) -> T {
    // SAFETY: a port of a device that is there, whose reading does what is said where it is named.
    unsafe { register::<T>(PORTS + port).read_volatile() }
}

fn output<T>(port: u32, value: T) {
    // SAFETY: as above; the controller is given no other memory than its own.
    unsafe { register::<T>(PORTS + port).write_volatile(value) }
}

fn config(slot: u32, at: u32) -> u32 {
    1 << 31 | slot << 11 | at
}

fn read_config(slot: u32, at: u32) -> u32 {
    // SAFETY: the bridge of a Malta lies there; reading a configuration register does nothing.
    unsafe {
        register::<u32>(CONFIG_ADDRESS).write_volatile(config(slot, at));
        register::<u32>(CONFIG_DATA).read_volatile()
    }
}

fn write_config(slot: u32, at: u32, value: u32) {
    // SAFETY: as above; what is written only places a device and routes its interrupt.
    unsafe {
        register::<u32>(CONFIG_ADDRESS).write_volatile(config(slot, at));
        register::<u32>(CONFIG_DATA).write_volatile(value);
    }
}
