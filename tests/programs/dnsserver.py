"""A name server over UDP that fails as it is asked to: names that begin with `servfail` and `refused` get that code, others
no answer."""

import socket
import sys

CODES = {b"servfail": 2, b"refused": 5}

listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind((sys.argv[1], 53))
print("listening", flush=True)
while True:
    query, peer = listener.recvfrom(4096)
    code = CODES.get(query[13 : 13 + query[12]].lower())
    if code is not None:
        flags = bytes([query[2] | 0x80, 0x80 | code])
        listener.sendto(query[:2] + flags + query[4:], peer)
