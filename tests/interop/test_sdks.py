"""Unmodified software of others over our HTTP/3, by quicpro.httpx: the SDKs of OpenAI and of the
Model Context Protocol against applications of theirs on our server; httpx against aioquic."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import quicpro
from quicpro.httpx import AsyncHTTP3Transport, HTTP3Transport

from .content import pattern
from .servers import ROOT, Running, judge

if TYPE_CHECKING:
    from .certs import Certs

EXAMPLE = ROOT / "examples/python/openai_over_h3.py"
WAIT = 60
MESSAGES: list[Any] = [{"role": "user", "content": "one two"}]


def serving(app: Any, certs: Certs, main: Callable[[str], Awaitable[None]]) -> None:
    """Run `await main(url)` beside a server of an application."""

    async def limited() -> None:
        server = quicpro.Server(app, "127.0.0.1:0", certfile=certs.cert, keyfile=certs.key)
        await server.start()
        try:
            await asyncio.wait_for(main(f"https://localhost:{server.port}"), WAIT)
        finally:
            await server.close(0.0)

    asyncio.run(limited())


def stand_in() -> Any:
    """The application of the example, without its main program."""
    text = EXAMPLE.read_text().replace("asyncio.run(main())", "")
    names: dict[str, Any] = {"__name__": "openai_over_h3"}
    exec(compile(text, str(EXAMPLE), "exec"), names)
    return names["app"]


def test_the_openai_example() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=WAIT, check=False
    )
    answer = "You said: hello over HTTP/3 \n"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"whole:    {answer}streamed: {answer}"


def test_the_openai_example_without_a_server() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--base-url", "https://127.0.0.1:1/v1"],
        capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "APIConnectionError" in done.stderr and "refused" in done.stderr


def test_the_blocking_openai_client(certs: Certs) -> None:
    async def main(url: str) -> None:
        def ask() -> list[str]:
            transport = HTTP3Transport(mode="h3only", verify=certs.ca)
            with openai.OpenAI(
                base_url=f"{url}/v1", api_key="k", http_client=httpx2.Client(transport=transport)
            ) as client:
                stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
                return [event.choices[0].delta.content or "" for event in stream]

        assert await asyncio.to_thread(ask) == ["You ", "said: ", "one ", "two ", ""]

    serving(stand_in(), certs, main)


def test_openai_errors(certs: Certs) -> None:
    """What the server refuses, and what never comes, is as the SDK says it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/v1/models":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b'{"error": {"message": "who?"}}'})
        else:
            await asyncio.Event().wait()

    async def main(url: str) -> None:
        transport = AsyncHTTP3Transport(mode="h3only", verify=certs.ca)
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="k", max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport),
        ) as client:  # fmt: skip
            with pytest.raises(openai.AuthenticationError, match="who"):
                await client.models.list()
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(model="m", messages=MESSAGES, timeout=0.1)

    serving(app, certs, main)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the mcp SDK is not installed")
def test_the_model_context_protocol(certs: Certs) -> None:
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server import MCPServer

    logging.getLogger("mcp").setLevel(logging.WARNING)
    adder = MCPServer("adder", log_level="WARNING")

    @adder.tool()
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    async def main(url: str) -> None:
        transport = AsyncHTTP3Transport(mode="h3only", verify=certs.ca)
        async with httpx2.AsyncClient(transport=transport) as http:
            over = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(over) as client:
                listed = await client.list_tools()
                assert [tool.name for tool in listed.tools] == ["add"]
                for n in range(20):
                    result = await client.call_tool("add", {"a": n, "b": 1})
                    assert result.structured_content == {"result": n + 1}

    serving(adder.streamable_http_app(), certs, main)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_httpx_and_a_server_of_others(library: str, start: Callable[..., Running]) -> None:
    h = judge(library, library)
    running = start("aioquic")
    url = f"https://localhost:{running.port}"
    body = pattern(1 << 20)

    async def main() -> None:
        transport = AsyncHTTP3Transport(mode="h3only", verify=running.certs.ca)
        async with h.AsyncClient(transport=transport, timeout=WAIT) as client:
            wanted = [client.get(f"{url}/bytes/{n}") for n in range(1000, 1050)]
            for n, answer in enumerate(await asyncio.gather(*wanted), 1000):
                assert answer.content == pattern(n)
            assert (await client.post(f"{url}/echo", content=body)).content == body

    asyncio.run(asyncio.wait_for(main(), WAIT))
    transport = HTTP3Transport(mode="h3only", verify=running.certs.ca)
    with h.Client(transport=transport, timeout=WAIT) as client:
        assert client.post(f"{url}/echo", content=body).content == body
        with client.stream("GET", f"{url}/bytes/100000") as response:
            assert b"".join(response.iter_raw()) == pattern(100_000)
