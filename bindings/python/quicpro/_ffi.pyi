from typing import Any

lib: Any

class FFI:
    NULL: Any
    CData: Any
    def __getattr__(self, name: str) -> Any: ...

ffi: Any
