"""HTTP/3 for httpx and httpx2, by one line:

    client = httpx.AsyncClient(transport=quicpro.httpx.AsyncHTTP3Transport())
    client = httpx2.Client(transport=quicpro.httpx.HTTP3Transport())

Which of the two it is the requests say; the other one need not be installed.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Literal

from ._alt_svc import AltSvc
from ._httpx import (
    ANSWERED,
    FAILED,
    SENT,
    Library,
    NetworkStream,
    answer_of,
    body_of,
    fields,
    library_of,
    limits,
    no_async_trace,
    no_trace,
    translated,
)
from ._messages import Origin
from .aio import AsyncClient
from .config import Config
from .errors import ConfigError
from .sync import Client

__all__ = ["AltSvc", "AsyncHTTP3Transport", "HTTP3Transport"]

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class _Transport:
    """What both have in common: which way a request goes."""

    _client_class: Any

    def __init__(
        self,
        *,
        mode: Literal["auto", "h3only"] = "auto",
        verify: bool | str | os.PathLike[str] = True,
        config: Config | None = None,
        head_start: float = 0.3,
        alt_svc: AltSvc | str | os.PathLike[str] | None = None,
        fallback: Any = None,
    ) -> None:
        if mode not in ("auto", "h3only"):
            raise ConfigError(f"mode is auto or h3only, not {mode!r}")
        if not isinstance(verify, (bool, str, os.PathLike)):
            raise TypeError(
                "verify is a bool or a file of authorities; what a TLS context would say, the "
                "config says for HTTP/3 and the fallback for TCP"
            )
        #: Which origins have HTTP/3, and where it did not work.
        self.alt_svc = alt_svc if isinstance(alt_svc, AltSvc) else AltSvc(alt_svc)
        self._mode = mode
        self._verify = verify
        self._head_start = head_start
        self._fallback = fallback
        self._client: Any = self._client_class(
            config=config,
            verify=False if verify is False else None,
            cafile=None if isinstance(verify, bool) else verify,
            timeout=None,
        )

    def _tcp(self, library: Library, name: str) -> Any:
        """The stock transport, made when it is first needed."""
        if self._fallback is None:
            verify: Any = self._verify
            if not isinstance(verify, bool):
                import ssl

                verify = ssl.create_default_context(cafile=verify)
            self._fallback = getattr(library.module, name)(verify=verify)
        return self._fallback

    def _place(self, library: Library, request: Any, origin: Origin) -> Origin | None:
        """Where to try HTTP/3; None: not at all.

        Raises:
            UnsupportedProtocol: of the library: nothing else is allowed.
        """
        if self._mode == "h3only":
            if request.url.scheme != "https":
                raise library.module.UnsupportedProtocol(
                    f"'{request.url}': HTTP/3 is always encrypted, use https://", request=request
                )
            return origin
        return self.alt_svc.find(origin) if request.url.scheme == "https" else None

    @staticmethod
    def _origin(request: Any) -> Origin:
        return Origin(request.url.raw_host.decode("ascii").strip("[]"), request.url.port or 443)

    @staticmethod
    def _may_repeat(request: Any, body: Any) -> bool:
        """Whether a request whose connection was lost can go another way."""
        return request.method in _IDEMPOTENT and (body is None or isinstance(body, bytes))

    @staticmethod
    def _response(library: Library, stream: Any, body: Any) -> Any:
        return library.module.Response(
            stream.status,
            headers=stream.headers.raw,
            stream=body,
            extensions={"http_version": b"HTTP/3", "network_stream": NetworkStream(stream)},
        )


class HTTP3Transport(_Transport):
    """A transport for `httpx.Client` and `httpx2.Client`; any number of threads may share it.

    Args:
        mode: "auto": HTTP/3 where a server said that it has it (Alt-Svc), and TCP elsewhere and
            wherever HTTP/3 does not work; "h3only": nothing else, and no need for Alt-Svc.
        verify: check certificates and names; or a PEM file of the authorities to trust.
        config: further options of HTTP/3.
        head_start: seconds that HTTP/3 has to connect before a request goes by TCP. Then it is not
            tried for five minutes, and twice as long each time it fails again.
        alt_svc: what is known of servers: an `AltSvc` to share, or the file that keeps it.
        fallback: the transport for TCP; None: the library's own, with the same `verify`.

    Requests raise the library's exceptions. `response.extensions` has "http_version", b"HTTP/3",
    and "network_stream", whose `get_extra_info("connection")` is a `quicpro.ConnectionInfo`.
    """

    _client_class = Client

    def handle_request(self, request: Any) -> Any:
        """Send a request; called by the library's client."""
        library = library_of(request)
        origin = self._origin(request)
        at = self._place(library, request, origin)
        if at is not None and (self._mode == "h3only" or self._works(at)):
            body = body_of(library, request)
            try:
                return self._by_h3(library, request, at, body)
            except library.module.ConnectError:
                if self._mode == "h3only" or not self._may_repeat(request, body):
                    raise
                self.alt_svc.failed(at)
        response = self._tcp(library, "HTTPTransport").handle_request(request)
        if request.url.scheme == "https":
            self.alt_svc.learn(origin, response.headers.get_list("alt-svc"))
        return response

    def _works(self, at: Origin) -> bool:
        seconds = 0.0 if self.alt_svc.is_broken(at) else self._head_start
        if self._client._reach(at, seconds):
            self.alt_svc.worked(at)
            return True
        if seconds:
            self.alt_svc.failed(at)
        return False

    def _by_h3(self, library: Library, request: Any, at: Origin, body: Any) -> Any:
        trace = request.extensions.get("trace", no_trace)
        trace(SENT, {"request": request})
        try:
            with translated(library, request):
                stream = self._client._stream(
                    request.method, str(request.url), fields(request), body, limits(request), at
                )
        except BaseException as e:
            trace(FAILED, {"exception": e})
            raise
        trace(ANSWERED, answer_of(stream))
        if self._mode == "auto":
            self.alt_svc.learn(self._origin(request), stream.headers.get_list("alt-svc"))
        return self._response(library, stream, library.SyncBody(stream, request, library))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
        if self._fallback is not None:
            self._fallback.close()

    def __enter__(self) -> HTTP3Transport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncHTTP3Transport(_Transport):
    __doc__ = (HTTP3Transport.__doc__ or "").replace(
        "`httpx.Client` and `httpx2.Client`; any number of threads may share it",
        "`httpx.AsyncClient` and `httpx2.AsyncClient` on asyncio",
    )

    _client_class = AsyncClient

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; called by the library's client."""
        library = library_of(request)
        origin = self._origin(request)
        at = self._place(library, request, origin)
        if at is not None and (self._mode == "h3only" or await self._works(at)):
            body = body_of(library, request)
            try:
                return await self._by_h3(library, request, at, body)
            except library.module.ConnectError:
                if self._mode == "h3only" or not self._may_repeat(request, body):
                    raise
                self.alt_svc.failed(at)
        response = await self._tcp(library, "AsyncHTTPTransport").handle_async_request(request)
        if request.url.scheme == "https":
            self.alt_svc.learn(origin, response.headers.get_list("alt-svc"))
        return response

    async def _works(self, at: Origin) -> bool:
        seconds = 0.0 if self.alt_svc.is_broken(at) else self._head_start
        if await self._client._reach(at, seconds):
            self.alt_svc.worked(at)
            return True
        if seconds:
            self.alt_svc.failed(at)
        return False

    async def _by_h3(self, library: Library, request: Any, at: Origin, body: Any) -> Any:
        context = self._client._context(
            request.method, str(request.url), fields(request), body, limits(request), at
        )
        trace = request.extensions.get("trace", no_async_trace)
        await trace(SENT, {"request": request})
        try:
            with translated(library, request):
                stream = await context.__aenter__()
        except BaseException as e:
            await trace(FAILED, {"exception": e})
            raise
        await trace(ANSWERED, answer_of(stream))
        if self._mode == "auto":
            self.alt_svc.learn(self._origin(request), stream.headers.get_list("alt-svc"))
        source = library.AsyncBody(stream, context.__aexit__, request, library)
        return self._response(library, stream, source)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()
        if self._fallback is not None:
            await self._fallback.aclose()

    async def __aenter__(self) -> AsyncHTTP3Transport:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.aclose()
