"""The smallest ASGI application: quicpro serve hello:app --app-dir examples/python"""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"100")],
        }
    )
    body = b"Hello over HTTP/3. ".ljust(99, b".") + b"\n"
    await send({"type": "http.response.body", "body": body})
