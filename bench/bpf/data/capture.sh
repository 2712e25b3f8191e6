#!/usr/bin/env bash
# Captures session.pcap: two network namespaces joined by a pair of virtual Ethernet devices, the real stacks of a Linux at both
# ends, and tcpdump between. ARP; a TCP session; UDP both ways, fragments and IP options among it; ONC RPC calls
# to the port of NFS, answered by a server that only repeats them (nfs.pcap has real ones); echo requests of ICMP and their answers. Needs root,
# iproute2, python3 and tcpdump.
set -euo pipefail
cd "$(dirname "$0")"
if [ "${1:-}" != inside ]; then
    exec unshare --net "$0" inside
fi

ip link set lo up
unshare --net sleep 60 &
other=$!
sleep 0.5
ip link add name east type veth peer name west netns "$other"
ip link set east address 02:00:00:00:00:01
ip addr add 10.0.0.1/24 dev east
nsenter --net=/proc/"$other"/ns/net sh -c 'ip link set west address 02:00:00:00:00:02; ip addr add 10.0.0.2/24 dev west; ip link set west up; ip link set lo up'
ip link set east up
sleep 1
# Segments as they would be on a wire.
ethtool -K east tso off gso off gro off tx off 2>/dev/null || true
tcpdump -i east -s 160 -w session.pcap -c 90 'arp or ip' 2>/dev/null &
capture=$!
sleep 1
nsenter --net=/proc/"$other"/ns/net timeout 15 python3 - server <<'PY' &
import socket, threading
def tcp(port):
    s = socket.create_server(("10.0.0.2", port))
    while True:
        c, _ = s.accept()
        def serve(c=c):
            while (d := c.recv(4096)):
                c.sendall(d)
            c.close()
        threading.Thread(target=serve, daemon=True).start()
def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.0.0.2", port))
    while True:
        d, a = s.recvfrom(4096)
        s.sendto(d, a)
for f, p in ((tcp, 80), (tcp, 2049), (udp, 53), (udp, 2049)):
    threading.Thread(target=f, args=(p,), daemon=True).start()
threading.Event().wait()
PY
sleep 1
python3 - <<'PY'
import os, socket, struct
def rpc(xid, proc):
    # An ONC RPC call: NFS version 3, AUTH_SYS, a file handle.
    cred = struct.pack(">II4sIII", 0, 4, b"host", 0, 0, 0)
    body = struct.pack(">IIIIII", xid, 0, 2, 100003, 3, proc) + struct.pack(">II", 1, len(cred)) + cred
    return body + struct.pack(">IIII", 0, 0, 32, 0) + b"\xab" * 28
def tcp(port, parts):
    c = socket.create_connection(("10.0.0.2", port))
    for p in parts:
        c.sendall(p)
        c.recv(4096)
    c.close()
def udp(port, parts):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)
    for p in parts:
        s.sendto(p, ("10.0.0.2", port))
        s.recv(4096)
tcp(80, [b"GET / HTTP/1.0\r\n\r\n", b"x" * 1000])
udp(53, [bytes(40), b"q" * 200])
# One that is fragmented, and one whose IP header has options.
udp(53, [b"f" * 3000])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([7, 7, 4, 0, 0, 0, 0, 0]))
s.sendto(b"options", ("10.0.0.2", 2049))
udp(2049, [rpc(n, n) for n in range(1, 6)])
# Echo requests, which the other's stack answers.
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for n in range(1, 4):
    echo = struct.pack(">BBHHH", 8, 0, 0, 1, n) + b"e" * 56
    total = sum(struct.unpack(">%dH" % (len(echo) // 2), echo))
    total = (total & 0xffff) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xffff
    s.sendto(echo[:2] + struct.pack(">H", total) + echo[4:], ("10.0.0.2", 0))
tcp(2049, [struct.pack(">I", 0x80000000 | len(r)) + r for r in (rpc(n, n) for n in range(1, 6))])
PY
sleep 1
kill "$capture" 2>/dev/null || true
wait "$capture" 2>/dev/null || true
kill "$other" 2>/dev/null || true
