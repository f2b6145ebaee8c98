"""The OpenAI SDK, unmodified, over HTTP/3: one answer whole, one streamed (SSE).

openai_over_h3.py                              a stand-in for the API, served by this process
openai_over_h3.py --base-url URL [--cacert FILE] [--model MODEL]
                                               another server; the key is in OPENAI_API_KEY
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import openai
import quicpro
import quicpro.httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from quicpro.devcert import write_devcert

app = FastAPI()  # knows as much of the API as this program asks for


def words_for(question: str) -> list[str]:
    return ["You ", "said: ", *(f"{word} " for word in question.split())]


def chunk(model: str, content: str, reason: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason}
    event = {
        "id": "1", "object": "chat.completion.chunk", "created": 0, "model": model,
        "choices": [choice],
    }  # fmt: skip
    return f"data: {json.dumps(event)}\n\n"


@app.post("/v1/chat/completions", response_model=None)
async def completions(request: Request) -> dict[str, object] | StreamingResponse:
    asked = await request.json()
    words = words_for(asked["messages"][-1]["content"])

    async def stream() -> AsyncIterator[str]:
        for word in words:
            yield chunk(asked["model"], word)
        yield chunk(asked["model"], "", "stop")
        yield "data: [DONE]\n\n"

    if asked.get("stream"):
        return StreamingResponse(stream(), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(words)}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip


async def ask(base_url: str, cafile: str | None, model: str) -> None:
    # The one line: everything else is as the SDK's manual says.
    transport = quicpro.httpx.AsyncHTTP3Transport(mode="h3only", verify=cafile or True)
    async with openai.AsyncOpenAI(
        base_url=base_url,
        api_key=os.environ.get("OPENAI_API_KEY", "none"),
        http_client=httpx2.AsyncClient(transport=transport),
    ) as client:
        messages = [{"role": "user", "content": "hello over HTTP/3"}]
        whole = await client.chat.completions.create(model=model, messages=messages)
        print("whole:   ", whole.choices[0].message.content)
        print("streamed:", end=" ")
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
        async for event in stream:
            print(event.choices[0].delta.content, end="", flush=True)
        print()


async def main() -> None:
    parser = argparse.ArgumentParser(description="The OpenAI SDK over HTTP/3.")
    parser.add_argument("--base-url", help="such as https://localhost:4433/v1")
    parser.add_argument("--cacert", help="PEM file of the authorities to trust")
    parser.add_argument("--model", default="stand-in")
    args = parser.parse_args()
    async with AsyncExitStack() as stack:
        base_url, cafile = args.base_url, args.cacert
        if base_url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_devcert(folder)
            cafile = str(folder / "ca.pem")
            server = quicpro.Server(
                app, "127.0.0.1:0", certfile=folder / "cert.pem", keyfile=folder / "key.pem"
            )
            await server.start()
            stack.push_async_callback(server.close, 0.0)
            base_url = f"https://localhost:{server.port}/v1"
        await ask(base_url, cafile, args.model)


asyncio.run(main())
