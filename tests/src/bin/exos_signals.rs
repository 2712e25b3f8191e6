//! Signals: an action for each fault, on the program's stack or another, masks, the order of delivery, faults within
//! actions, and escapes from them.
//@ expect: exos_signals: done
//@ except-hazard: fpu its absence is one of the causes
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::exception::Context;
use exos::signal::{self, Signal, action, catch, escape, raise, set_blocked};
use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::println;
use exos_rt::shared::Shared;

/// Signals in the order in which their actions began, four bits each.
static ORDER: Shared<u32> = Shared::new(0);
static SP: Shared<u32> = Shared::new(0);
static ADDRESS: Shared<u32> = Shared::new(0);

const PAGE: u32 = 0x4000_0000;
/// A stack of one page, and nothing below it.
const SMALL: u32 = 0x4010_0000;
/// The alternate stack.
const ALTERNATE: u32 = 0x4020_0000;

fn note(signal: Signal) {
    ORDER.set(ORDER.get() << 4 | (signal as u32 + 1));
    SP.set(&raw const signal as u32);
}

fn skip(signal: Signal, context: &mut Context) {
    note(signal);
    context.skip();
}

fn plain(signal: Signal, _: &mut Context) {
    note(signal);
}

/// Raises two others, which are delivered in their order when this one's mask allows it.
fn raises(signal: Signal, _: &mut Context) {
    note(signal);
    raise(Signal::Child);
    raise(Signal::User1);
    raise(Signal::User2);
    ORDER.set(ORDER.get() << 4 | 0xf);
}

fn out(signal: Signal, context: &mut Context) {
    note(signal);
    ADDRESS.set(context.address);
    escape(signal as u32 + 40);
}

/// A fault within the action of another.
fn faults(signal: Signal, context: &mut Context) {
    note(signal);
    overflow();
    context.skip();
}

fn overflow() {
    // SAFETY: it changes one register, which it says, and fails.
    unsafe {
        core::arch::asm!(".set noreorder", "lui $8, 0x7fff", "add $8, $8, $8", out("$8") _, options(nostack));
    }
}

fn breakpoint() {
    // SAFETY: it does nothing but to fail.
    unsafe { core::arch::asm!("break", options(nostack)) }
}

extern "C" fn dereference(address: u32) {
    // SAFETY: there is none; it is not allowed, and that is the test.
    unsafe { (address as *mut u32).write_volatile(1) };
}

extern "C" fn nothing(_: u32) {}

/// Uses up a stack of a page.
extern "C" fn deep(_: u32) {
    #[inline(never)]
    #[expect(unconditional_recursion, reason = "that is the test")]
    fn level(n: u32) -> u32 {
        let words = core::hint::black_box([n; 64]);
        level(n + 1) + words[n as usize % 64]
    }
    // SAFETY: the stack is nobody else's.
    unsafe { on_small(begin) };
    extern "C" fn begin() {
        core::hint::black_box(level(0));
    }
}

/// Calls a function on the small stack. It does not come back but by an escape.
#[unsafe(naked)]
unsafe extern "C" fn on_small(function: extern "C" fn()) {
    core::arch::naked_asm!(
        ".set noreorder",
        "lui   $sp, {end}",
        "addiu $sp, $sp, -32",
        "jalr  $a0",
        " nop",
        "break",
        end = const (SMALL + 0x1_0000) >> 16,
    )
}

fn order() -> u32 {
    let order = ORDER.get();
    ORDER.set(0);
    order
}

fn main() {
    Vm::install().unwrap();
    // SAFETY: nothing else is there.
    unsafe {
        Vm::zeros(PAGE, 1, READ | WRITE).unwrap();
        Vm::zeros(SMALL + 0xf000, 1, READ | WRITE).unwrap();
        Vm::zeros(ALTERNATE, 2, READ | WRITE).unwrap();
    }
    action(Signal::Trap, Some(skip), 0).unwrap();
    action(Signal::Fpe, Some(skip), 0).unwrap();
    action(Signal::Ill, Some(skip), 0).unwrap();
    action(Signal::Bus, Some(skip), 0).unwrap();
    breakpoint();
    overflow();
    // SAFETY: it is for a coprocessor that the program may not use.
    unsafe { core::arch::asm!(".word 0x44800000", options(nostack)) };
    // SAFETY: it is misaligned.
    unsafe { core::arch::asm!("lw $8, 1($0)", "nop", out("$8") _, options(nostack)) };
    assert_eq!(order(), 0x2314);

    // Order, and masks.
    action(Signal::User1, Some(plain), 0).unwrap();
    action(Signal::Child, Some(plain), 0).unwrap();
    action(Signal::User2, Some(raises), Signal::User1.bit() | Signal::Child.bit()).unwrap();
    raise(Signal::User1);
    assert_eq!(order(), 6);
    set_blocked(Signal::User1.bit() | Signal::Child.bit());
    raise(Signal::Child);
    raise(Signal::User1);
    raise(Signal::User1);
    assert_eq!((order(), signal::pending()), (0, Signal::User1.bit() | Signal::Child.bit()));
    set_blocked(0);
    assert_eq!((order(), signal::pending()), (0x68, 0));
    // It blocks all three; when it is done they come in their order, the last one raising them once more.
    action(Signal::User2, Some(raises_once), Signal::User1.bit() | Signal::Child.bit()).unwrap();
    raise(Signal::User2);
    assert_eq!(order(), 0x7f68);

    // A fault in an action.
    action(Signal::Trap, Some(faults), 0).unwrap();
    breakpoint();
    assert_eq!(order(), 0x23);

    // Escapes: from an action for a fault, and again, so the mask is as before.
    action(Signal::Segv, Some(out), 0).unwrap();
    for address in [0x100, 0x5000_0000, 0x100] {
        // SAFETY: nothing is abandoned that needs an end.
        assert_eq!(unsafe { catch(dereference, address) }, Some(44));
        assert_eq!((order(), ADDRESS.get(), signal::blocked()), (5, address, 0));
    }
    // SAFETY: as above.
    assert_eq!(unsafe { catch(nothing, 0) }, None);

    // A stack that overflows: the action needs another.
    // SAFETY: the stack is nobody else's.
    unsafe { signal::set_alternate_stack(ALTERNATE + 2 * PAGE_BYTES) };
    for _ in 0..3 {
        // SAFETY: as above.
        assert_eq!(unsafe { catch(deep, 0) }, Some(44));
        assert!((ALTERNATE..ALTERNATE + 2 * PAGE_BYTES).contains(&SP.get()), "{:#x}", SP.get());
        assert_eq!(ADDRESS.get() / PAGE_BYTES, (SMALL + 0xe000) / PAGE_BYTES);
    }
    println!("exos_signals: done");
}

fn raises_once(signal: Signal, context: &mut Context) {
    raises(signal, context);
    action(Signal::User2, Some(quiet), 0).unwrap();
}

fn quiet(_: Signal, _: &mut Context) {}
