"""Makes the requests of all test clients, by http.client on one connection and urllib on one each, and prints a line
for each: method, path, status, bytes sent, bytes received."""

import http.client
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

# Bodies: none, short, or long ones too.
base, bodies = sys.argv[1:]
connection = http.client.HTTPConnection(urlsplit(base).netloc)


def kept(method, path, body=None):
    connection.request(method, path, body)
    answer = connection.getresponse()
    print(method, path, answer.status, len(body or b""), len(answer.read()))


def alone(method, path, body=None):
    request = urllib.request.Request(base + path, data=body, method=method)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        print(method, path, answer.status, len(body or b""), len(answer.read()))


for _ in range(20):
    kept("GET", "/small")
for make in (kept, alone):
    make("GET", "/empty")
    make("GET", "/large")
    make("GET", "/missing")
    make("HEAD", "/small")
    if bodies != "none":
        make("POST", "/small", b"some form data")
        make("DELETE", "/small")
    if bodies == "long":
        make("PUT", "/small", b"p" * 100000)
