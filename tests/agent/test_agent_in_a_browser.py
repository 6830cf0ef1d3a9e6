"""The whole loop on a real page in a real Chromium; only what the model says is written down beforehand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.agent import Agent
from agent.trajectory import Trajectory
from environments.browser import BrowserEnvironment
from model.base import Message
from model.scripted import ScriptedModel

PAGE = b"""<!doctype html><title>Door</title>
<style>body { margin: 0 } input, button { position: absolute; left: 100px; width: 200px; height: 40px }</style>
<input style="top: 100px"><button style="top: 200px" onclick="answer = confirm('Open for ' + document.querySelector('input').value + '?')">
Open</button><script>answer = null</script>"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def text_of(messages: tuple[Message, ...]) -> str:
    return "\n".join(part for message in messages for part in message.content if isinstance(part, str))


def test_an_agent_types_clicks_and_answers_a_dialog_on_a_real_page(address: str, tmp_path: Path) -> None:
    model = ScriptedModel(
        [
            "The field is empty. <|begin_of_box|>left_click(start_box='[250,300]')<|end_of_box|>",
            "<|begin_of_box|>type(content='Zoë (\\'s)')<|end_of_box|>",
            "<|begin_of_box|>left_click(start_box='[250,550]')<|end_of_box|>\nMemory:\n[{\"asked\": true}]",
            "<|begin_of_box|>answer_dialog(accept='true')<|end_of_box|>",
            "<|begin_of_box|>DONE()<|end_of_box|>",
        ]
    )
    with BrowserEnvironment(address, viewport=(800, 400)) as browser:
        run = Agent(model, browser, prompt="desktop").run("Open the door.", out=tmp_path / "run")
        assert (run.status, run.reason) == ("done", "The model says so.")
        assert browser.evaluate("answer") is True
    assert [step.result.error for step in run.steps] == [""] * 5
    assert f'address: "{address}"' in text_of(model.seen[0])
    assert "Open for Zoë ('s)?" in text_of(model.seen[3])
    assert '[{"asked": true}]' in text_of(model.seen[4])
    back = Trajectory.load(tmp_path / "run")
    assert [step.action for step in back.steps] == [step.action for step in run.steps]
    assert back.steps[0].seen.screenshot.size == (800, 400)
    assert back.steps[0].seen.screenshot.tobytes() == run.steps[0].seen.screenshot.tobytes()


def test_a_missing_page_is_an_error_and_no_failure() -> None:
    with BrowserEnvironment("http://127.0.0.1:9/") as browser:
        run = Agent(ScriptedModel([]), browser).run("Open the door.")
    assert (run.status, run.steps) == ("error", [])
    assert "127.0.0.1:9" in run.reason
