"""A server of one connection, and others whose connections belong to more than one process, or to one that dies.

sockets.py hold ADDRESS PORT     accepts three connections, serves the first, and keeps all until it is killed
sockets.py serve ADDRESS PORT    serves a connection
sockets.py inherit ADDRESS PORT  a forked child serves, then its parent goes on and closes
sockets.py pass ADDRESS PORT     the connection is passed to another process, which serves and closes
"""

import os
import signal
import socket
import sys


def answer(connection):
    assert len(connection.recv(10, socket.MSG_WAITALL)) == 10
    connection.sendall(b"\x00" * 20)


def serve(listener):
    with listener.accept()[0] as connection:
        answer(connection)


def hold(listener):
    connections = [listener.accept()[0] for _ in range(3)]
    answer(connections[0])
    print("held", flush=True)
    signal.pause()


def inherit(listener):
    connection, _ = listener.accept()
    child = os.fork()
    if child == 0:
        answer(connection)
        os._exit(0)
    os.waitpid(child, 0)
    connection.sendall(b"\x00" * 5)
    connection.close()


def hand_over(listener):
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    child = os.fork()
    if child == 0:
        _, (descriptor,), _, _ = socket.recv_fds(theirs, 1, 1)
        with socket.socket(fileno=descriptor) as connection:
            answer(connection)
        os._exit(0)
    connection, _ = listener.accept()
    socket.send_fds(ours, [b"\x00"], [connection.fileno()])
    connection.close()
    os.waitpid(child, 0)


what, address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.create_server((address, int(port)), family=family) as listener:
    print("listens", flush=True)
    {"serve": serve, "hold": hold, "inherit": inherit, "pass": hand_over}[what](listener)
