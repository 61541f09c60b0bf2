"""Serves the paths that all test servers serve, as an ASGI application."""

BODIES = {"/small": b"s" * 612, "/large": b"l" * (1 << 20), "/empty": b""}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    path = scope["path"]
    if path == "/chunked":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, True, False):
            await send({"type": "http.response.body", "body": b"a chunk\n", "more_body": more})
        return
    body = BODIES.get(path)
    status = 404 if body is None else 200
    body = b"none" if body is None else body
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})
