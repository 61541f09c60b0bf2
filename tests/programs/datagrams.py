"""Both ends of conversations in datagrams.

datagrams.py answer ADDRESS PORT            sends back twice what it gets
datagrams.py listen ADDRESS PORT            gets, and never sends
datagrams.py HOW ADDRESS PORT COUNT SIZE    sends COUNT datagrams of SIZE bytes and, but for `one-way`, reads each answer:
    unconnected, connected, many (a socket for each), segmented (all by one call, UDP_SEGMENT), one-way
"""

import socket
import sys

SOL_UDP, UDP_SEGMENT = 17, 103
LARGEST = 65535

how, address, port, *numbers = sys.argv[1:]
there = (address, int(port))
family = socket.AF_INET6 if ":" in address else socket.AF_INET


def datagrams():
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(15)
    return made


def serve(answers):
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(there)
        print("listens", flush=True)
        while True:
            got, peer = server.recvfrom(LARGEST)
            if answers:
                server.sendto(got * 2, peer)


def ask(count, size):
    one = b"\x00" * size
    with datagrams() as client:
        if how == "connected":
            client.connect(there)
        if how == "segmented":
            client.setsockopt(SOL_UDP, UDP_SEGMENT, size)
            client.sendto(one * count, there)
        for _ in range(count):
            if how == "connected":
                client.send(one)
            elif how != "segmented":
                client.sendto(one, there)
            if how != "one-way":
                assert len(client.recv(LARGEST)) == 2 * size


if how in ("answer", "listen"):
    serve(how == "answer")
elif how == "many":
    for _ in range(int(numbers[0])):
        ask(1, int(numbers[1]))
else:
    ask(*map(int, numbers))
