//! The stack: sockets with their filters, and waiting for them.

use crate::binding::{Binding, UNFINISHED, is_large};
use crate::filter::Purpose;
use crate::lease::Lease;
use crate::memory::Area;
use crate::{Fail, Host, now, passed};
use asm_lines::naked_asm;
use exos_policy::calls::Call;
use exos_policy::parts::{HEADERS, PART, Room};
use exos_policy::sums::{Connection, Summed};
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::{call, memory};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::{Socket, icmp, tcp, udp};
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint, Ipv4Address, UDP_HEADER_LEN};

/// The most messages that are taken before what is due is sent.
const AT_ONCE: u32 = 16;
/// The most rounds in which each socket sends a message before what has come is looked at.
const ROUNDS: u32 = 4;
/// Datagrams that a socket holds.
const DATAGRAMS: usize = 8;
/// The most streams of a stack.
const STREAMS: usize = 16;
/// How many ports are tried before there seems to be none.
const PORTS_TRIED: u32 = 32;
/// The first port that is given to who does not want a certain one.
const PORTS_START: u16 = 0xc000;
/// The longest that the stack waits without another look, in microseconds.
const LONGEST: u64 = 60_000_000;
/// Ticks for which room for a datagram is waited for.
const ROOM_PATIENCE: u32 = 64 * 5;
/// The most bytes of a datagram of UDP.
const UDP_MAX: usize = 65_507;
/// Calls by TCP that wait until a socket is free, at most.
const WAITING: usize = 8;
/// A peer that says nothing for so many seconds while it should is gone.
const SILENCE: u64 = 60;

/// How much a stack has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sockets, beside that for DHCP.
    pub sockets: usize,
    /// Filters: one for each socket, one more for each connection that came to a listener, two to answer for the machine,
    /// some for questions.
    pub filters: usize,
    /// Buffers of each, 2 KB each.
    pub buffers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sockets: 4, filters: 8, buffers: 8 }
    }
}

/// A socket of UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Udp {
    handle: SocketHandle,
    /// Its port.
    pub port: u16,
}

/// A socket of TCP: one connection after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp(SocketHandle);

/// A TCP socket's filters.
#[derive(Debug)]
struct Stream {
    handle: SocketHandle,
    /// That of the port on which it waits to be called.
    listens: Option<Purpose>,
    /// That of its connection.
    connection: Option<Purpose>,
    /// How many bytes the connection was given to send.
    queued: u32,
}

/// A stack.
pub struct Stack {
    /// Filters and buffers.
    pub binding: Binding,
    pub(crate) interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    streams: heapless::Vec<Stream, STREAMS>,
    area: Area,
    /// How many sockets there can be.
    capacity: usize,
    host: Option<Host>,
    /// What DHCP has lent.
    pub(crate) lease: Lease,
    /// The socket for questions, once there was one.
    asking: Option<SocketHandle>,
    /// Gives up the processor until a message comes, or a tick.
    block: fn(Option<u32>),
    random: u32,
}

impl Stack {
    /// A stack without an address, with sockets in `area`. `block` gives up the processor until this environment is woken, or
    /// until a tick; it may come back early: [`call::wait`], or what the library above has for that.
    ///
    /// # Errors
    /// [`Fail::NoNetwork`], [`Fail::NoRoom`], [`Fail::Kernel`].
    // What it is made of is not to be on its caller's stack, where it would be for longer.
    #[inline(never)]
    pub fn new(mut area: Area, limits: Limits, block: fn(Option<u32>)) -> Result<Self, Fail> {
        // Refers to the room, so that the linker keeps it.
        core::hint::black_box(exos_mends as *const ());
        let mut sockets = |count| area.take(count, || SocketStorage::EMPTY).ok_or(Fail::NoRoom);
        // That for DHCP is among them while it asks.
        let (storage, rest) = (sockets(limits.sockets + 1)?, sockets(1)?);
        let [high, low] = seed()?;
        let calls = area.take(WAITING + 1, || Call::NONE).ok_or(Fail::NoRoom)?;
        let mut binding = Binding::new(limits.filters, limits.buffers, calls)?;
        let mut config = Config::new(EthernetAddress(binding.station()).into());
        config.random_seed = u64::from(high) << 32 | u64::from(low);
        let interface = Interface::new(config, &mut binding, now());
        let (sockets, streams) = (SocketSet::new(storage), heapless::Vec::new());
        Ok(Self {
            binding,
            interface,
            sockets,
            streams,
            area,
            capacity: limits.sockets,
            host: None,
            lease: Lease::new(rest),
            asking: None,
            block,
            random: low | 1,
        })
    }

    /// Gives it an address, for good. What DHCP has lent is forgotten.
    pub fn set_host(&mut self, host: Host) {
        self.forget_lease();
        self.adopt(host);
    }

    /// From now on this is what it knows of itself.
    pub(crate) fn adopt(&mut self, host: Host) {
        self.host = Some(host);
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // There is room for two.
            let _ = addresses.push(IpCidr::Ipv4(host.address));
        });
        let routes = self.interface.routes_mut();
        routes.remove_default_ipv4_route();
        if let Some(gateway) = host.gateway {
            // There is room for one.
            let _ = routes.add_default_ipv4_route(gateway);
        }
        self.binding.set_address(host.address.address());
    }

    /// Takes its address away: connections are broken off without a word, and nobody answers for the machine.
    pub(crate) fn remove_host(&mut self) {
        self.host = None;
        self.interface.update_ip_addrs(|addresses| addresses.clear());
        self.interface.routes_mut().remove_default_ipv4_route();
        for purpose in [Purpose::Found, Purpose::Echo] {
            self.binding.close(purpose);
        }
        for number in 0..self.streams.len() {
            let tcp = Tcp(self.streams[number].handle);
            self.socket(tcp).abort();
            self.drop_filters(tcp);
        }
    }

    /// What it knows of itself; nothing before it has an address, and when that was lent and is not any more.
    #[must_use]
    pub fn host(&self) -> Option<Host> {
        self.host
    }

    /// A number that others can't guess well.
    pub fn random(&mut self) -> u32 {
        // Marsaglia's xorshift, from a beginning that only the kernel knew.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    /// Takes what has come and sends what is due; whether there was anything.
    pub fn poll(&mut self) -> bool {
        let mut any = false;
        let Self { binding, interface, sockets, .. } = self;
        binding.attend();
        for _ in 0..AT_ONCE {
            if interface.poll_ingress_single(now(), binding, sockets) == PollIngressSingleResult::None {
                break;
            }
            any = true;
        }
        any |= self.attend_lease();
        self.follow();
        let Self { binding, interface, sockets, .. } = self;
        for _ in 0..ROUNDS {
            if interface.poll_egress(now(), binding, sockets) == PollResult::None {
                break;
            }
            any = true;
        }
        binding.attend();
        any
    }

    /// As [`Stack::poll`]; if there was nothing, waits until there is, at the latest until the tick `deadline`. May come back
    /// early.
    pub fn step(&mut self, deadline: Option<u32>) {
        if self.poll() || self.binding.has_message() {
            return;
        }
        let tick = call::clock();
        let due = self.interface.poll_delay(now(), &self.sockets);
        let due = [due.map(ticks), self.lease_in()].into_iter().flatten().min();
        if due == Some(0) {
            return;
        }
        let later = |at: &u32| at.wrapping_sub(tick) & 0x7fff_ffff;
        let due = due.map(|ticks| tick.wrapping_add(ticks) & 0x7fff_ffff);
        let until = [due, deadline, self.binding.attend_at()].into_iter().flatten().min_by_key(later);
        (self.block)(until);
    }

    /// Steps until `ready` has a result.
    ///
    /// # Errors
    /// [`Fail::TimedOut`] if the tick `deadline` has passed before; [`Fail::NoAddress`] if the machine has lost its address.
    pub fn until<R>(
        &mut self,
        deadline: Option<u32>,
        mut ready: impl FnMut(&mut Self) -> Option<R>,
    ) -> Result<R, Fail> {
        loop {
            if let Some(result) = ready(self) {
                return Ok(result);
            }
            self.has_address()?;
            if deadline.is_some_and(passed) {
                return Err(Fail::TimedOut);
            }
            self.step(deadline);
        }
    }

    /// Does something while there is a filter.
    ///
    /// # Errors
    /// Those of [`Binding::open`], and of what is done.
    pub fn with_filter<R>(
        &mut self,
        purpose: Purpose,
        with: impl FnOnce(&mut Self) -> Result<R, Fail>,
    ) -> Result<R, Fail> {
        self.binding.open(purpose)?;
        let result = with(self);
        self.binding.close(purpose);
        result
    }

    /// Removes all filters and frees all memory but that of the sockets. Connections are not ended.
    pub fn end(self) {
        self.binding.end();
    }

    /// Memory for the two directions of a socket.
    fn buffers(&mut self, bytes: usize) -> Result<[&'static mut [u8]; 2], Fail> {
        Ok([self.bytes(bytes)?, self.bytes(bytes)?])
    }

    /// So many bytes, for good.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<&'static mut [u8], Fail> {
        self.area.take(bytes, || 0).ok_or(Fail::NoRoom)
    }

    /// Whether one more socket can be added.
    pub(crate) fn has_room(&self) -> Result<(), Fail> {
        let for_dhcp = |socket: &Socket| matches!(socket, Socket::Dhcpv4(_));
        // The set grows nowhere: it is full when each place has one.
        if self.sockets.iter().filter(|(_, socket)| !for_dhcp(socket)).count() < self.capacity {
            Ok(())
        } else {
            Err(Fail::NoRoom)
        }
    }

    /// Opens what a filter is for, at a port that no other program has: `port`, or if that is 0 any.
    fn open_port(&mut self, port: u16, purpose: impl Fn(u16) -> Purpose) -> Result<u16, Fail> {
        self.has_address()?;
        if port != 0 {
            return self.binding.open(purpose(port)).map(|()| port);
        }
        for _ in 0..PORTS_TRIED {
            let port = PORTS_START | self.random() as u16;
            match self.binding.open_new(purpose(port)) {
                Err(Fail::Taken) => {}
                result => return result.map(|()| port),
            }
        }
        Err(Fail::Taken)
    }

    // --- UDP. ---

    /// A socket for datagrams to a port, any that is free if it is 0, with so many bytes for each direction.
    ///
    /// # Errors
    /// [`Fail::Taken`] if another program has that port; [`Fail::NoRoom`]; [`Fail::Kernel`].
    pub fn udp(&mut self, port: u16, bytes: usize) -> Result<Udp, Fail> {
        self.has_room()?;
        let port = self.open_port(port, Purpose::Udp)?;
        let made = self.udp_socket(bytes, port);
        if made.is_err() {
            self.binding.close(Purpose::Udp(port));
        }
        made.map(|socket| Udp { handle: self.sockets.add(socket), port })
    }

    fn udp_socket(&mut self, bytes: usize, port: u16) -> Result<udp::Socket<'static>, Fail> {
        let [receive, send] = self.buffers(bytes)?;
        let mut describe = || self.area.take(DATAGRAMS, || udp::PacketMetadata::EMPTY).ok_or(Fail::NoRoom);
        let (received, sent) = (describe()?, describe()?);
        let receive = udp::PacketBuffer::new(received, receive);
        let mut socket = udp::Socket::new(receive, udp::PacketBuffer::new(sent, send));
        socket.bind(port).map_err(|_| Fail::BadMessage)?;
        Ok(socket)
    }

    /// From now on a datagram to or from `peer`, or, if that is none, any machine, may have so many bytes, which takes several
    /// messages. The later ones say of no port: of a machine's programs one at a time has those of a peer. Memory for three
    /// datagrams is taken the first time, whose size is that of all; a filter for each later part.
    ///
    /// # Errors
    /// [`Fail::Taken`] if another program has them; [`Fail::BadMessage`] if it is no size of a datagram, or larger than the
    /// first; [`Fail::NoRoom`]; [`Fail::Kernel`].
    pub fn allow_parts(&mut self, peer: Option<Ipv4Address>, bytes: usize) -> Result<(), Fail> {
        if bytes > UDP_MAX || self.binding.largest() != 0 && bytes > self.binding.largest() {
            return Err(Fail::BadMessage);
        }
        if self.binding.largest() == 0 {
            let memory = self.area.take(bytes, || 0).ok_or(Fail::NoRoom)?;
            let mut rooms = heapless::Vec::<_, UNFINISHED>::new();
            for _ in 0..UNFINISHED {
                let data = bytes + UDP_HEADER_LEN;
                let bytes = self.area.take(HEADERS + data, || 0).ok_or(Fail::NoRoom)?;
                let there = self.area.take(Room::blocks(data), || false).ok_or(Fail::NoRoom)?;
                let _ = rooms.push(Room { bytes, there });
            }
            let rooms = rooms.into_array().expect("it was filled");
            self.binding.set_parts(rooms, memory);
        }
        let later = later_parts(bytes);
        for part in 1..=later {
            if let Err(fail) = self.binding.open(Purpose::Part(peer, part)) {
                (1..part).for_each(|part| self.binding.close(Purpose::Part(peer, part)));
                return Err(fail);
            }
        }
        Ok(())
    }

    /// Undoes [`Stack::allow_parts`], which has the same arguments.
    pub fn forbid_parts(&mut self, peer: Option<Ipv4Address>, bytes: usize) {
        (1..=later_parts(bytes)).for_each(|part| self.binding.close(Purpose::Part(peer, part)));
    }

    /// Closes a socket. Its memory is not used again.
    pub fn close_udp(&mut self, Udp { handle, port }: Udp) {
        self.binding.forget(port);
        self.sockets.remove(handle);
        self.binding.close(Purpose::Udp(port));
    }

    /// The socket for questions, at a port that is free, with so many bytes for each direction. All questions have the same,
    /// one after the other.
    pub(crate) fn open_question(&mut self, bytes: usize) -> Result<Udp, Fail> {
        let Some(handle) = self.asking else {
            let udp = self.udp(0, bytes)?;
            self.asking = Some(udp.handle);
            return Ok(udp);
        };
        let port = self.open_port(0, Purpose::Udp)?;
        let bound = self.sockets.get_mut::<udp::Socket>(handle).bind(port);
        assert!(bound.is_ok(), "it was closed");
        Ok(Udp { handle, port })
    }

    /// The question was answered, or given up.
    pub(crate) fn close_question(&mut self, Udp { handle, port }: Udp) {
        self.sockets.get_mut::<udp::Socket>(handle).close();
        self.binding.close(Purpose::Udp(port));
    }

    /// Whether something is still to be sent: nobody has said yet where its destination is.
    pub(crate) fn is_sending(&self, udp: Udp) -> bool {
        self.sockets.get::<udp::Socket>(udp.handle).send_queue() != 0
    }

    /// Sends a datagram, as soon as its destination's interface is known; waits while there is no room for it. One that is
    /// longer than [`DATAGRAM_MAX`] is sent in parts, one at a time.
    ///
    /// # Errors
    /// [`Fail::BadMessage`] if it is longer than the socket's memory or what [`Stack::allow_parts`] allows, or can't be sent
    /// there; [`Fail::TimedOut`] if there was no room for five seconds: nobody says where others' destination is.
    pub fn send_to(&mut self, udp: Udp, bytes: &[u8], to: Ipv4Address, port: u16) -> Result<(), Fail> {
        self.has_address()?;
        let first = &bytes[..bytes.len().min(DATAGRAM_MAX)];
        let large = first.len() < bytes.len();
        let socket = self.sockets.get_mut::<udp::Socket>(udp.handle);
        if first.len() > socket.payload_send_capacity() || large && bytes.len() > self.binding.largest() {
            return Err(Fail::BadMessage);
        }
        let deadline = Some(call::clock().wrapping_add(ROOM_PATIENCE) & 0x7fff_ffff);
        let mut about = udp::UdpMetadata::from(IpEndpoint::new(IpAddress::Ipv4(to), port));
        if large {
            about.meta = is_large();
            self.until(deadline, |stack| stack.binding.prepare(bytes, udp.port).then_some(()))?;
        }
        let sent = self.until(deadline, |stack| {
            match stack.sockets.get_mut::<udp::Socket>(udp.handle).send_slice(first, about) {
                Ok(()) => Some(Ok(())),
                Err(udp::SendError::Unaddressable) => Some(Err(Fail::BadMessage)),
                Err(udp::SendError::BufferFull) => None,
            }
        });
        let result = sent.and_then(|sent| sent);
        if large && result.is_err() {
            self.binding.forget(udp.port);
        }
        self.poll();
        result
    }

    /// Waits for a datagram until the tick `deadline`: its bytes, and from whom it is. What does not fit is lost.
    ///
    /// # Errors
    /// [`Fail::TimedOut`].
    pub fn receive_from(
        &mut self,
        udp: Udp,
        buffer: &mut [u8],
        deadline: Option<u32>,
    ) -> Result<(usize, Ipv4Address, u16), Fail> {
        self.until(deadline, |stack| stack.take_from(udp, buffer))
    }

    /// As [`Stack::receive_from`], without waiting: none if there is no datagram.
    pub(crate) fn take_from(&mut self, udp: Udp, buffer: &mut [u8]) -> Option<(usize, Ipv4Address, u16)> {
        let (bytes, about) = self.sockets.get_mut::<udp::Socket>(udp.handle).recv().ok()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        let IpAddress::Ipv4(from) = about.endpoint.addr;
        Some((count, from, about.endpoint.port))
    }

    // --- TCP. ---

    /// A socket for connections, with so many bytes for each direction.
    ///
    /// # Errors
    /// [`Fail::NoRoom`].
    pub fn tcp(&mut self, bytes: usize) -> Result<Tcp, Fail> {
        self.tcp_with(bytes, bytes)
    }

    /// The same, with other numbers of bytes for what comes and what is sent.
    ///
    /// # Errors
    /// [`Fail::NoRoom`].
    pub fn tcp_with(&mut self, receive: usize, send: usize) -> Result<Tcp, Fail> {
        self.has_room()?;
        if self.streams.is_full() {
            return Err(Fail::NoRoom);
        }
        let (receive, send) = (self.bytes(receive)?, self.bytes(send)?);
        let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
        socket.set_timeout(Some(Duration::from_secs(SILENCE)));
        // smoltcp goes back to what it sends again, and acknowledges with that sequence number, which the peer, if it has that
        // already, passes over with the acknowledgement. If both ends do so, and a window of one segment has them send no
        // more than that, they never get on. Without control of congestion all of it is sent again, and what is new.
        socket.set_congestion_control(tcp::CongestionControl::None);
        let handle = self.sockets.add(socket);
        // There is room, as was just asked.
        let _ = self.streams.push(Stream { handle, listens: None, connection: None, queued: 0 });
        Ok(Tcp(handle))
    }

    /// The socket itself, for what this has no function for.
    pub fn socket(&mut self, Tcp(handle): Tcp) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn stream(&mut self, Tcp(handle): Tcp) -> &mut Stream {
        self.streams.iter_mut().find(|stream| stream.handle == handle).expect("each TCP socket has one")
    }

    /// Calls a port of another machine, from one that is free, until the tick `deadline`.
    ///
    /// # Errors
    /// [`Fail::Closed`] if it is refused; [`Fail::TimedOut`]; those of [`Stack::call`].
    pub fn connect(&mut self, tcp: Tcp, to: Ipv4Address, port: u16, deadline: Option<u32>) -> Result<(), Fail> {
        self.call(tcp, to, port)?;
        let result = self.until(deadline, |stack| match stack.socket(tcp).state() {
            tcp::State::SynSent | tcp::State::SynReceived => None,
            tcp::State::Closed => Some(Err(Fail::Closed)),
            _ => Some(Ok(())),
        });
        let result = result.and_then(|connected| connected);
        if result.is_err() {
            self.abort(tcp);
        }
        result
    }

    /// Begins to call a port of another machine, from one that is free.
    ///
    /// # Errors
    /// [`Fail::BadMessage`] if it can't be called, or the socket is in use; [`Fail::NoRoom`]; [`Fail::Kernel`].
    pub fn call(&mut self, tcp: Tcp, to: Ipv4Address, port: u16) -> Result<(), Fail> {
        self.drop_filters(tcp);
        let mine = self.open_port(0, |mine| Purpose::Connection(mine, to, port))?;
        let purpose = Purpose::Connection(mine, to, port);
        let remote = IpEndpoint::new(IpAddress::Ipv4(to), port);
        let socket = self.sockets.get_mut::<tcp::Socket>(tcp.0);
        if socket.connect(self.interface.context(), remote, mine).is_err() {
            self.binding.close(purpose);
            return Err(Fail::BadMessage);
        }
        let stream = self.stream(tcp);
        (stream.connection, stream.queued) = (Some(purpose), 0);
        self.poll();
        Ok(())
    }

    /// Waits to be called on a port; several sockets may. [`Stack::accepted`] tells. Some calls that came while all of them were
    /// in use wait for a few seconds.
    ///
    /// # Errors
    /// [`Fail::Taken`] if another program has that port; [`Fail::BadMessage`] if the socket is in use or the port is 0;
    /// [`Fail::NoRoom`]; [`Fail::Kernel`].
    pub fn listen(&mut self, tcp: Tcp, port: u16) -> Result<(), Fail> {
        self.has_address()?;
        let purpose = Purpose::Listen(port);
        if self.stream(tcp).listens != Some(purpose) || self.stream(tcp).connection.is_some() {
            self.drop_filters(tcp);
            self.binding.open(purpose)?;
            self.stream(tcp).listens = Some(purpose);
        }
        self.stream(tcp).queued = 0;
        self.socket(tcp).listen(IpListenEndpoint::from(port)).map_err(|_| Fail::BadMessage)
    }

    /// Whether it has been called, and is a connection now.
    pub fn accepted(&mut self, tcp: Tcp) -> bool {
        let state = self.socket(tcp).state();
        !matches!(state, tcp::State::Listen | tcp::State::SynReceived | tcp::State::SynSent | tcp::State::Closed)
    }

    /// Reads what is there, at most as much as there is room for; waits while there is nothing, until the tick `deadline`. 0
    /// at the end.
    ///
    /// # Errors
    /// [`Fail::Closed`] if the connection broke; [`Fail::TimedOut`].
    pub fn read(&mut self, tcp: Tcp, buffer: &mut [u8], deadline: Option<u32>) -> Result<usize, Fail> {
        let count = self.until(deadline, |stack| match stack.socket(tcp).recv_slice(buffer) {
            Ok(0) if !buffer.is_empty() => None,
            Ok(count) => Some(Ok(count)),
            Err(tcp::RecvError::Finished) => Some(Ok(0)),
            Err(tcp::RecvError::InvalidState) => Some(Err(Fail::Closed)),
        });
        count?
    }

    /// Writes all of it; waits while there is no room, until the tick `deadline`. What is written is on its way, not there
    /// yet.
    ///
    /// # Errors
    /// [`Fail::Closed`] if the connection is at its end; [`Fail::TimedOut`].
    pub fn write(&mut self, tcp: Tcp, bytes: &[u8], deadline: Option<u32>) -> Result<(), Fail> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.until(deadline, |stack| match stack.queue(tcp, rest) {
                Ok(0) => None,
                result => Some(result),
            })??;
            rest = &rest[count..];
        }
        self.poll();
        Ok(())
    }

    /// Gives a connection bytes to send, as many as there is room for: how many that is. They go with the next poll, so what is
    /// given before goes in as few messages as can be, and if the socket is closed before, too, the last of them tells that.
    ///
    /// # Errors
    /// [`Fail::Closed`] if the connection is at its end.
    pub fn queue(&mut self, tcp: Tcp, bytes: &[u8]) -> Result<usize, Fail> {
        let count = self.socket(tcp).send_slice(bytes).map_err(|_| Fail::Closed)?;
        let stream = self.stream(tcp);
        stream.queued = stream.queued.wrapping_add(count as u32);
        Ok(count)
    }

    /// Prepares for [`Stack::queues_file`]: takes memory, once, before there are connections.
    ///
    /// # Errors
    /// [`Fail::NoRoom`].
    pub fn allow_files(&mut self) -> Result<(), Fail> {
        let memory = self.area.take(self.streams.len(), || Connection::NONE).ok_or(Fail::NoRoom)?;
        self.binding.set_connections(memory);
        Ok(())
    }

    /// What is given to a connection from now on is this file, all of it; so segments of it need not be summed up when they are
    /// sent. All that such a connection sends must go through [`Stack::queue`] or [`Stack::write`]: others' bytes are not
    /// counted, and what is not the file's at the place where it should be has a wrong checksum, and never arrives.
    pub fn queues_file(&mut self, tcp: Tcp, file: Summed<'static>) {
        let left = self.socket(tcp).send_queue() as u32;
        let stream = self.stream(tcp);
        if let Stream { connection: Some(purpose), queued, .. } = *stream {
            self.binding.is_file(purpose, file, queued, queued.wrapping_sub(left));
        }
    }

    /// Whether there is a call for which no socket is free.
    #[must_use]
    pub fn calls_wait(&self) -> bool {
        self.binding.calls_wait()
    }

    /// Ends a connection when all that was written is there, and the peer has ended it, too, until the tick `deadline`; then
    /// it is broken off.
    ///
    /// # Errors
    /// [`Fail::TimedOut`].
    pub fn finish(&mut self, tcp: Tcp, deadline: Option<u32>) -> Result<(), Fail> {
        self.socket(tcp).close();
        let result = self.until(deadline, |stack| {
            let state = stack.socket(tcp).state();
            matches!(state, tcp::State::Closed | tcp::State::TimeWait).then_some(())
        });
        if result.is_err() {
            self.abort(tcp);
        }
        result
    }

    /// Breaks a connection off.
    pub fn abort(&mut self, tcp: Tcp) {
        self.socket(tcp).abort();
        self.poll();
        self.drop_filters(tcp);
    }

    /// Closes all filters of a socket.
    fn drop_filters(&mut self, tcp: Tcp) {
        let stream = self.stream(tcp);
        let purposes = [stream.listens.take(), stream.connection.take()];
        for purpose in purposes.into_iter().flatten() {
            self.binding.close(purpose);
        }
    }

    /// Gives connections that have come to a listener their own filters, and takes those of connections that have ended. A
    /// listener can take a call that waits.
    fn follow(&mut self) {
        let Self { binding, sockets, streams, .. } = self;
        for stream in streams {
            let socket = sockets.get::<tcp::Socket>(stream.handle);
            if let (true, Some(Purpose::Listen(port))) = (socket.is_listening(), stream.listens) {
                binding.can_take_call(port);
            }
            let ended = matches!(socket.state(), tcp::State::Closed | tcp::State::Listen);
            match stream.connection {
                Some(purpose) if ended => {
                    binding.close(purpose);
                    stream.connection = None;
                }
                None if !ended => {
                    if let (Some(local), Some(remote)) = (socket.local_endpoint(), socket.remote_endpoint()) {
                        let IpAddress::Ipv4(peer) = remote.addr;
                        let purpose = Purpose::Connection(local.port, peer, remote.port);
                        // If there is no room for it, its segments go on coming to the listener.
                        stream.connection = binding.open(purpose).is_ok().then_some(purpose);
                    }
                }
                _ => {}
            }
        }
    }

    // --- ICMP. ---

    /// Sends an echo request and waits for its answer until the tick `deadline`.
    ///
    /// # Errors
    /// [`Fail::TimedOut`]; those of [`Binding::open`]; [`Fail::NoRoom`], [`Fail::BadMessage`].
    pub fn ping(&mut self, ping: Ping, to: Ipv4Address, sequence: u16, data: &[u8], deadline: u32) -> Result<(), Fail> {
        let mut message = [0; PING_MAX + 8];
        let bytes = data.len() + 8;
        let message = message.get_mut(..bytes).ok_or(Fail::BadMessage)?;
        message[0] = 8;
        message[4..6].copy_from_slice(&ping.identifier.to_be_bytes());
        message[6..8].copy_from_slice(&sequence.to_be_bytes());
        message[8..].copy_from_slice(data);
        let socket = self.sockets.get_mut::<icmp::Socket>(ping.handle);
        socket.send_slice(message, IpAddress::Ipv4(to)).map_err(|_| Fail::BadMessage)?;
        self.until(Some(deadline), |stack| {
            let (answer, from) = stack.sockets.get_mut::<icmp::Socket>(ping.handle).recv().ok()?;
            let good =
                from == IpAddress::Ipv4(to) && answer.len() == bytes && answer[0] == 0 && answer[4..] == message[4..];
            good.then_some(())
        })
    }

    /// A socket for echo requests, with an identifier of its own.
    ///
    /// # Errors
    /// [`Fail::Taken`] if other programs have all that were tried; [`Fail::NoRoom`]; [`Fail::Kernel`].
    pub fn ping_socket(&mut self) -> Result<Ping, Fail> {
        self.has_room()?;
        let [receive, send] = self.buffers(2 * (PING_MAX + 8))?;
        let mut describe = || self.area.take(2, || icmp::PacketMetadata::EMPTY).ok_or(Fail::NoRoom);
        let (received, sent) = (describe()?, describe()?);
        let receive = icmp::PacketBuffer::new(received, receive);
        let mut socket = icmp::Socket::new(receive, icmp::PacketBuffer::new(sent, send));
        let identifier = self.open_port(0, Purpose::Ping)?;
        socket.bind(icmp::Endpoint::Ident(identifier)).map_err(|_| Fail::BadMessage)?;
        Ok(Ping { handle: self.sockets.add(socket), identifier })
    }
}

/// A socket for echo requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ping {
    handle: SocketHandle,
    identifier: u16,
}

/// The most bytes that an echo request brings along.
pub const PING_MAX: usize = 1472;
/// The most bytes of a datagram that is one message.
pub const DATAGRAM_MAX: usize = 1472;

/// Ticks that a time takes, but for the longest that are waited for.
pub(crate) fn ticks(time: Duration) -> u32 {
    (time.total_micros().min(LONGEST) as u32).div_ceil(MICROSECONDS)
}

/// How many parts a datagram of so many bytes has behind its first.
fn later_parts(bytes: usize) -> u16 {
    ((bytes + UDP_HEADER_LEN).div_ceil(PART) - 1) as u16
}

/// A number that nobody else knows: the proof of a right over a frame, which the kernel makes with its secret.
fn seed() -> Result<[u32; 2], Fail> {
    let frame = memory::allocate()?;
    let made = call::capability(frame, exos_rt::abi::frame::WRITE);
    // SAFETY: nothing maps it.
    let freed = unsafe { call::frame_free(frame) };
    let seed = made?;
    freed?;
    Ok(seed.0)
}

/// Room for what the compiler leaves to be mended in products of 64-bit numbers (`tools/hazard/src/mend.rs`), of which
/// `smoltcp`'s random numbers are made. It is never called.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn exos_mends() {
    naked_asm!(".set noreorder", ".space 256")
}
