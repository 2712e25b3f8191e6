//! RPC: stubs on both sides, permission by caller and procedure, a buffer that is shared by a capability, and every
//! error: no such procedure, not permitted, no buffer, a forged capability, a server that is busy, and dead.
//@ expect: exos_rpc: 50 calls, a buffer of 4096 bytes, and each error

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../in_use.rs"]
mod in_use;
use exos::rpc::{Buffer, Buffers, Connection, Error};
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT, entry_lo};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::Stack;
use exos_rt::{call, memory, println};

exos::rpc! {
    /// A service to try.
    trait Service, client Client {
        /// Adds.
        fn add(a: u32, b: i32) -> u32;
        /// The sum of the caller's buffer's first bytes.
        fn sum(bytes: u32) -> i32;
        /// The caller, as the server sees it.
        fn who() -> EnvId;
        /// Calls back, which is refused, for the caller awaits this very answer.
        fn back() -> bool;
        /// Ends the server.
        fn die() -> ();
        /// Nobody may.
        fn forbidden(a: u32) -> ();
    }
}

struct Server;

/// Where the server sees a buffer, and this program its own.
const SERVERS: u32 = NORMAL_START + 0x10_0000;
const OURS: u32 = NORMAL_START - 0x20_0000;

static BUFFERS: Buffers = Buffers::new(SERVERS);
static STACK: Stack<4096> = Stack::new();
static READY: Shared<u32> = Shared::new(0);
static SERVER: Server = Server;

impl Service for Server {
    fn permits(&self, _: EnvId, procedure: &str) -> bool {
        procedure != "forbidden"
    }

    fn buffers(&self) -> Option<&Buffers> {
        Some(&BUFFERS)
    }

    fn add(&self, _: EnvId, a: u32, b: i32) -> u32 {
        a.wrapping_add_signed(b)
    }

    fn sum(&self, caller: EnvId, bytes: u32) -> i32 {
        let mut copy = [0; 64];
        let Ok(buffer) = BUFFERS.of(caller) else { return -1 };
        let Some(copy) = copy.get_mut(..bytes as usize) else { return -2 };
        buffer.read(copy).map_or(-3, |()| copy.iter().map(|&byte| i32::from(byte)).sum())
    }

    fn who(&self, caller: EnvId) -> EnvId {
        caller
    }

    fn back(&self, caller: EnvId) -> bool {
        Client::new(caller).add(1, 1) == Err(Error::Busy)
    }

    fn die(&self, _: EnvId) {
        call::exit(0)
    }

    fn forbidden(&self, _: EnvId, _: u32) {
        panic!("nobody may call this")
    }
}

extern "C" fn serve(_: u32) -> ! {
    // SAFETY: the service has no state.
    unsafe { Client::serve(&SERVER, &STACK) };
    READY.set(1);
    loop {
        call::wait(None);
    }
}

fn main() {
    let before = in_use::take();
    let (id, _) = spawn(serve, 0, Some(20)).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    let client = Client::new(id);
    for n in 0..50 {
        assert_eq!(client.add(n, -1), Ok(n.wrapping_sub(1)));
    }
    let me = call::self_id();
    assert_eq!(client.who(), Ok(me));
    assert_eq!(client.back(), Ok(true));
    assert_eq!(client.forbidden(1), Err(Error::NotPermitted));
    assert_eq!(Connection(id).call(77, [1, 2, 3]), Err(Error::NoSuchProcedure));
    assert_eq!(client.sum(3), Ok(-1), "it has no buffer");

    let frame = memory::allocate().unwrap();
    // SAFETY: nothing else is at the address, and the frame is new.
    let buffer = unsafe {
        call::env_map(me, call::NO_CAPABILITY, OURS, frame << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap();
        Buffer::at(OURS)
    };
    assert_eq!(Connection(id).call(u32::MAX, [frame, 1, 2]), Err(Error::BadBuffer), "forged");
    assert_eq!(Connection(id).call(u32::MAX, [u32::MAX, 1, 2]), Err(Error::BadBuffer), "no such frame");
    client.0.share(frame).unwrap();
    buffer.write(&[7; Buffer::BYTES]).unwrap();
    assert_eq!(client.sum(64), Ok(448));
    buffer.write(&[1, 2, 3]).unwrap();
    assert_eq!(client.sum(3), Ok(6));
    assert_eq!(client.sum(65), Ok(-2), "longer than it takes");
    assert_eq!(buffer.write(&[0; Buffer::BYTES + 1]), Err(Error::BadBuffer));
    // It is taken back.
    // SAFETY: the buffer is not used any more.
    unsafe {
        call::env_unmap(me, call::NO_CAPABILITY, OURS).unwrap();
        call::frame_renew(frame).unwrap();
    }
    assert_eq!(client.sum(3), Ok(-1), "it has been taken back");

    assert_eq!(client.die(), Err(Error::Dead));
    assert_eq!(client.who(), Err(Error::Dead));
    // SAFETY: it is mapped nowhere any more.
    unsafe { call::frame_free(frame).unwrap() };
    in_use::same(before);
    println!("exos_rpc: 50 calls, a buffer of 4096 bytes, and each error");
}
