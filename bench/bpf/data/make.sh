#!/usr/bin/env bash
# Makes *.ddd: filters for classic BPF as libpcap compiles them, in the form of `tcpdump -ddd` (the number of instructions, then code, jt, jf
# and k of each). Needs tcpdump; `version` says with which they were made.
set -euo pipefail
cd "$(dirname "$0")"
# Compiled for Ethernet. -O is not given: libpcap optimises.
compile() { tcpdump -ddd -y EN10MB "$1"; }
for port in $(seq 1000 1009); do
    compile "ip src host 192.12.69.1 and tcp src port $port and tcp dst port 80"
done > tcp-ten.ddd
{
    compile "ip and tcp dst port 2049"
    compile "ip and udp dst port 53"
    compile "ip and udp dst port 2049"
    compile "arp"
    compile "ip and tcp src port 2049"
    compile "ip proto 1"
} > session.ddd
tcpdump --version 2>&1 | head -2 > version
