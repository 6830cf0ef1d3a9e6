"""What only a browser can do: addresses, tabs, and what a page asks for outside its pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from environments.base import ActionError, Browser, Environment, Observation
from tools.base import At, Surface, Tool, ToolResult, listed

TabNumber = Annotated[int, Field(ge=0, description="tabs are counted from 0", examples=[0])]


def _given(value: Any) -> Any:
    return None if value in ("None", "null", "") else value


class BrowserTool(Tool):
    """An action that needs a browser."""

    surfaces: ClassVar[frozenset[Surface]] = frozenset(("browser",))

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        """Raises ActionError when the environment is no browser."""
        if not isinstance(env, Browser):
            raise ActionError(f"There is no browser here, so {self.name} cannot be done. Use the mouse and the keyboard.")
        self.act(env, seen)
        return ToolResult()

    @abstractmethod
    def act(self, browser: Browser, seen: Observation) -> None:
        """Do it in the browser. Raises ActionError as the browser does."""


class Goto(BrowserTool):
    """Open an address in the current tab."""

    name: ClassVar[str] = "goto"
    url: str = Field(min_length=1, examples=["https://…"])

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.goto(self.url)


class Back(BrowserTool):
    """Go back to the previous page of this tab."""

    name: ClassVar[str] = "back"

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.back()


class Forward(BrowserTool):
    """Go forward again, after going back."""

    name: ClassVar[str] = "forward"

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.forward()


class Reload(BrowserTool):
    """Load the current page again."""

    name: ClassVar[str] = "reload"

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.reload()


class NewTab(BrowserTool):
    """Open a new tab, at an address if one is given."""

    name: ClassVar[str] = "new_tab"
    url: str = ""

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.new_tab(self.url)


class SwitchTab(BrowserTool):
    """Show another tab."""

    name: ClassVar[str] = "switch_tab"
    index: TabNumber

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.switch_tab(self.index)


class CloseTab(BrowserTool):
    """Close a tab: the current one, if no number is given."""

    name: ClassVar[str] = "close_tab"
    index: Annotated[TabNumber | None, BeforeValidator(_given)] = None

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.close_tab(self.index)


class SelectOption(BrowserTool):
    """Choose an option of the drop-down list at a point, by the text it shows."""

    name: ClassVar[str] = "select_option"
    point: At
    option: str

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.select_option(self.point.on(seen), self.option)


class Upload(BrowserTool):
    """Give files to the file chooser that a page has opened."""

    name: ClassVar[str] = "upload"
    paths: Annotated[tuple[str, ...], Field(min_length=1, examples=['["/folder/file"]']), BeforeValidator(listed)]

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.upload(self.paths)


class AnswerDialog(BrowserTool):
    """Answer the dialog a page has opened: accept it or dismiss it, with text if it asks for some."""

    name: ClassVar[str] = "answer_dialog"
    accept: bool = Field(examples=[True])
    text: str = ""

    def act(self, browser: Browser, seen: Observation) -> None:
        browser.answer_dialog(self.accept, self.text)
