"""Waiting until a page has come to rest: by its own events, within a bound, never by a fixed sleep."""

from __future__ import annotations

import asyncio
import time

from playwright.async_api import Error

from environments.browser.tab import Tab

CALM = 0.5
"""Seconds. A request that is still open after this long without any other is taken for a long poll; a page that has been moving
for this long is taken for one that always moves."""

REST = """
(async (loading, moving) => {
  const within = (promise, limit) => Promise.race([promise, new Promise(done => setTimeout(done, Math.max(0, limit)))]);
  if (document.readyState !== 'complete')
    await within(new Promise(done => addEventListener('load', done, {once: true})), loading);
  const frame = () => within(new Promise(requestAnimationFrame), 100);
  const end = performance.now() + moving;
  let moved = false;
  const note = () => { moved = true; };
  const watch = new MutationObserver(note);
  watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  document.addEventListener('scroll', note, {capture: true, passive: true});
  const passing = () => document.getAnimations().filter(
    each => each.playState === 'running' && each.effect && isFinite(each.effect.getComputedTiming().endTime));
  for (let calm = 0; calm < 2 && performance.now() < end; calm += 1) {
    moved = false;
    await frame();
    const motions = passing();
    if (motions.length)
      await within(Promise.allSettled(motions.map(each => each.finished)), end - performance.now());
    if (moved || motions.length) calm = -1;
  }
  watch.disconnect();
  document.removeEventListener('scroll', note, {capture: true});
})(%d, %d)
"""


async def settle(tab: Tab, since: float, navigation: float, bound: float) -> bool:
    """Wait for the page to answer what began at `since` (time.monotonic) and to rest; whether it did within `bound` seconds.

    A navigation in flight is waited for first, for up to `navigation` seconds.
    """
    await _arrive(tab, navigation)
    end = time.monotonic() + bound
    while (left := end - time.monotonic()) > 0:
        if tab.dialog or tab.crashed or tab.page.is_closed():
            return True
        if not await _rest(tab, left):
            continue
        if not tab.loading(since):
            return True
        tab.traffic.clear()
        try:
            await asyncio.wait_for(tab.traffic.wait(), min(CALM, left))
        except TimeoutError:
            return True
    return False


async def _arrive(tab: Tab, bound: float) -> None:
    end = time.monotonic() + bound
    while tab.navigating and not tab.dialog and (left := end - time.monotonic()) > 0:
        tab.traffic.clear()
        try:
            await asyncio.wait_for(tab.traffic.wait(), min(CALM, left))
        except TimeoutError:
            continue


async def _rest(tab: Tab, bound: float) -> bool:
    """Whether the script ran to its end; a navigation takes its document away."""
    try:
        await asyncio.wait_for(tab.evaluate_apart(REST % (bound * 1000, CALM * 1000)), bound + 0.2)
    except Error:
        await asyncio.sleep(0.01)
        return False
    return True
