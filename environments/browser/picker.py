"""Drop-down lists. Chromium shows one in a window of its own, which mouse events sent to the page never reach; here it opens in the page.

The script turns the <select> that is being opened, and only while it is open, into the customizable kind of the HTML standard
(appearance: base-select), whose list belongs to the page: it is seen, clicked, scrolled and keyed like everything else, and the
page gets the browser's own trusted events. Size and colours stay as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from playwright.async_api import ElementHandle, Frame, Page

from environments.base import ActionError
from environments.browser.view import Spot

OPEN_IN_PAGE = """
(() => {
  const sheet = new CSSStyleSheet();
  const kept = ['box-sizing', 'width', 'height', 'font', 'line-height', 'color', 'background-color', 'border', 'border-radius',
                'margin', 'text-align', 'vertical-align'];
  const adopt = (event, open) => {
    const select = event.composedPath()[0];
    if (!(select instanceof HTMLSelectElement) || select.multiple || select.size > 1) return;
    const style = getComputedStyle(select);
    if (style.appearance === 'base-select') return;
    const now = kept.map(name => `${name}: ${style.getPropertyValue(name)} !important;`).join(' ');
    const arrow = style.appearance === 'none' ? 'none' : 'block';
    sheet.replaceSync(`
      select:is(${open}) { appearance: base-select !important; ${now} min-width: 0 !important; min-height: 0 !important;
        padding: 0 4px !important; align-items: center !important; overflow: hidden !important; white-space: nowrap !important; }
      select:is(${open})::picker-icon { display: ${arrow}; font-size: 70%; }
      select:is(${open})::picker(select) { appearance: base-select !important; font: ${style.font}; color: #000;
        background: #fff; border: 1px solid #777; border-radius: 0; padding: 0; min-width: anchor-size(width); }
      select:is(${open}) option { min-height: 24px; padding: 0 4px; }
      select:is(${open}) option::checkmark { display: none; }
      select:is(${open}) option:checked { background: #1967d2; color: #fff; }
    `);
    const root = select.getRootNode();
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  };
  addEventListener('mousedown', event => adopt(event, ':active, :open'), true);
  addEventListener('keydown', event => {
    if (event.key === ' ' || event.key === 'F4' || event.altKey && event.key.startsWith('Arrow')) adopt(event, ':focus, :open');
  }, true);
  addEventListener('keyup', event => adopt(event, ':open'), true);
})()
"""

_ELEMENT_AT = """
([x, y]) => {
  let found = document.elementFromPoint(x, y);
  while (found && found.shadowRoot) {
    const inner = found.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === found) break;
    found = inner;
  }
  return found;
}
"""
_SELECT_OF = "found => found.closest('select') || (found.closest('label') || {}).control || found"
_CORNER = "frame => { const box = frame.getBoundingClientRect(); return [box.left + frame.clientLeft, box.top + frame.clientTop]; }"
_OPTIONS = """
select => select instanceof HTMLSelectElement ? {open: select.matches(':open'), options: [...select.options].map(each => ({
  label: each.label.replace(/\\s+/g, ' ').trim(), value: each.value,
  disabled: each.disabled || select.disabled || !!each.closest('optgroup[disabled]')}))} : null
"""


class Option(TypedDict):
    """One entry of a list."""

    label: str
    value: str
    disabled: bool


async def select_option(page: Page, spot: Spot, wanted: str) -> None:
    """Choose by visible text or value in the <select> at a spot, in whatever frame or open shadow root; the page gets its events.

    Raises ActionError when there is no list, no such option (the options are named), or it is disabled.
    """
    found = await _element_at(page.main_frame, spot)
    select = found and (await found.evaluate_handle(_SELECT_OF)).as_element()
    state: dict[str, Any] | None = await select.evaluate(_OPTIONS) if select else None
    if select is None or state is None:
        raise ActionError("There is no drop-down list at that point.")
    index = _position(state["options"], wanted)
    if state["open"]:
        await page.keyboard.press("Escape")
    await select.select_option(index=index, timeout=3000)


async def _element_at(frame: Frame, spot: Spot) -> ElementHandle | None:
    found = (await frame.evaluate_handle(_ELEMENT_AT, list(spot))).as_element()
    inner = await found.content_frame() if found else None
    if found is None or inner is None:
        return found
    left, top = await found.evaluate(_CORNER)
    return await _element_at(inner, (spot[0] - left, spot[1] - top))


def _position(options: Sequence[Option], wanted: str) -> int:
    """By exact text, else by value, else by text in any case."""
    plain = " ".join(wanted.split())
    labels, values = [each["label"] for each in options], [each["value"] for each in options]
    for written, there in ((plain, labels), (wanted, values), (plain.casefold(), [label.casefold() for label in labels])):
        if written in there:
            index = there.index(written)
            if options[index]["disabled"]:
                raise ActionError(f"The option {labels[index]!r} is disabled.")
            return index
    listed = ", ".join(map(repr, labels[:30]))
    raise ActionError(f"There is no option {wanted!r}; there are: {listed}{' and more' if len(labels) > 30 else ''}.")
