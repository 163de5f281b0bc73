"""Serve the page: to this machine only unless asked otherwise, and without a word to anyone else."""

from __future__ import annotations

import importlib.util
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nst_core.base.errors import StyleError

HOST, PORT = "127.0.0.1", 7860
PORT_RANGE = (1, 65535)
UPLOAD_MEGABYTES = 40
# The browser loads nothing from elsewhere and sends nothing there. Gradio's own page needs the two unsafe ones.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'self'"
)


def require_gradio() -> None:
    """Raise StyleError, saying what to install, if Gradio is missing."""
    if importlib.util.find_spec("gradio") is None:
        raise StyleError("The page needs Gradio, which is not installed; install it with `pip install 'gradio>=6,<7'`.")


@contextmanager
def serving(host: str = HOST, port: int = PORT) -> Iterator[str]:
    """Serve the page while the block runs, and yield its address. What visitors upload is deleted in the end.

    Raises StyleError if Gradio is missing or the address cannot be used.
    """
    require_gradio()
    _check_address(host, port)
    with tempfile.TemporaryDirectory(prefix="neural-style-web-") as folder:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_TEMP_DIR": folder}
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            import gradio

            from plugin.web.page import PAGE_CSS, build_page

            page = build_page()
            fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}  # none from elsewhere
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                footer_links=[],
                run_history=False,
                max_file_size=f"{UPLOAD_MEGABYTES}mb",
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                theme=gradio.themes.Soft(**fonts),
                css=PAGE_CSS,
                app_kwargs={"middleware": [_middleware()]},
            )
            try:
                yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
            finally:
                page.close(verbose=False)
        finally:
            tempfile.tempdir = before


def _check_address(host: str, port: int) -> None:
    """Raise StyleError if the port is in use, or the address is not this machine's."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise StyleError(
            f"The page cannot use {host}, port {port} ({error.strerror}); choose another with --port."
        ) from error


def _middleware() -> Any:
    from starlette.middleware import Middleware

    return Middleware(_PolicyHeader)


class _PolicyHeader:
    """Adds the policy to every answer, so the browser itself forbids what the page must not do."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        await self._app(scope, receive, with_policy)
