#!/usr/bin/env bash
# Captures nfs.pcap: NFS version 3 between a real server, NFS-Ganesha, and a real client, libnfs over TCP; then the same server asked over
# UDP, where libnfs does not go. As in capture.sh, two network namespaces and the stacks of a Linux. Needs root, iproute2, python3,
# tcpdump, rpcbind, nfs-ganesha, nfs-ganesha-vfs and libnfs-utils.
set -euo pipefail
cd "$(dirname "$0")"
if [ "${1:-}" != inside ]; then
    # With processes of its own, which end when this does.
    exec unshare --net --pid --fork --mount-proc --kill-child "$0" inside
fi

export=$(mktemp --directory)
chmod 755 "$export"
trap 'rm -r "$export"' EXIT
mkdir "$export/shared" "$export/shared/directory"
printf 'in a file\n' > "$export/shared/directory/file"
head --bytes 9000 /dev/zero > "$export/shared/zeros"
cat > "$export/server.conf" <<CONF
NFS_CORE_PARAM {
    NFS_Port = 2049; MNT_Port = 2050; Bind_addr = 10.0.0.2;
    Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = true; mount_path_pseudo = true;
}
NFSV4 { Graceless = true; }
EXPORT {
    Export_Id = 1; Path = $export/shared; Pseudo = /shared; Protocols = 3; Transports = UDP, TCP;
    Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; }
}
CONF

ip link set lo up
unshare --net sleep 60 &
other=$!
sleep 0.5
there() { nsenter --net=/proc/"$other"/ns/net "$@"; }
ip link add name east type veth peer name west netns "$other"
ip link set east address 02:00:00:00:00:01
ip addr add 10.0.0.1/24 dev east
there ip link set west address 02:00:00:00:00:02
there ip addr add 10.0.0.2/24 dev west
there ip link set west up
there ip link set lo up
ip link set east up
# The server does not start where it can't register itself.
there rpcbind -f &
sleep 1
there ganesha.nfsd -F -f "$export/server.conf" -L "$export/log" -p "$export/pid" &
sleep 5
tcpdump -i east -s 160 -w nfs.pcap -c 90 'arp or port 2049' 2>/dev/null &
capture=$!
sleep 1
at="nfs://10.0.0.2/shared"
ports="version=3&nfsport=2049&mountport=2050"
nfs-ls -R "$at?$ports" > "$export/list"
nfs-cp "$at/zeros?$ports" "$export/zeros" > "$export/copied"
cmp "$export/zeros" "$export/shared/zeros"
python3 - <<'PY'
import os, socket, struct
credentials = struct.pack(">II4sIII", 0, 4, b"host", 0, 0, 0)
def ask(port, program, procedure, argument):
    call = struct.pack(">IIIIII", procedure + 1, 0, 2, program, 3, procedure)
    call += struct.pack(">II", 1, len(credentials)) + credentials + bytes(8) + argument
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.sendto(call, ("10.0.0.2", port))
    reply = s.recv(4096)
    assert reply[24:28] == bytes(4), "the server answers with an error"
    return reply[28:]
def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)
MOUNT, NFS = 100005, 100003
reply = ask(2050, MOUNT, 1, opaque(b"/shared"))
root = reply[4:][: struct.unpack(">I", reply[:4])[0]]
ask(2049, NFS, 1, opaque(root))
reply = ask(2049, NFS, 3, opaque(root) + opaque(b"zeros"))
zeros = reply[4:][: struct.unpack(">I", reply[:4])[0]]
for n in range(5):
    ask(2049, NFS, 6, opaque(zeros) + struct.pack(">QI", 1024 * n, 1024))
PY
sleep 1
kill "$capture" 2>/dev/null || true
wait "$capture" 2>/dev/null || true
