"""Waiting until a page has come to rest: by its own events, within a bound, never by a fixed sleep."""

from __future__ import annotations

import asyncio
import time

from playwright.async_api import Error

from environments.browser.tab import Tab

CALM = 0.5
"""Seconds. A request that is still open after this long without any other is taken for a long poll; a page that has been moving
for this long is taken for one that always moves."""
GRACE = 0.3
"""Seconds beyond its own bound that the resting script is given before the page counts as hung."""

REST = """
(async (loading, moving) => {
  const within = (promise, limit) => Promise.race([promise, new Promise(done => setTimeout(done, Math.max(0, limit)))]);
  if (document.readyState !== 'complete')
    await within(new Promise(done => addEventListener('load', done, {once: true})), loading);
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
    await within(new Promise(requestAnimationFrame), 100);
    const motions = passing();
    if (motions.length)
      await within(Promise.allSettled(motions.map(each => each.finished)), end - performance.now());
    if (moved || motions.length) calm = -1;
  }
  watch.disconnect();
  document.removeEventListener('scroll', note, {capture: true});
  return {title: document.title, loaded: document.readyState === 'complete'};
})(%d, %d)
"""
"""Ends after two frames in which nothing was changed, scrolled or in passing motion (endless motion is not waited for)."""


async def settle(tab: Tab, since: float, navigation: float, bound: float) -> bool:
    """Wait for the page to answer what began at `since` (time.monotonic) and to rest; whether it has.

    A navigation in flight is waited for first, for up to `navigation` seconds; then all else, for up to `bound` seconds.
    Raises TimeoutError when the page's scripts do not let it answer.
    """
    await _arrive(tab, navigation)
    end = time.monotonic() + bound
    while (left := end - time.monotonic()) > 0:
        if not await _rest(tab, left):
            continue
        if tab.navigating:
            await _arrive(tab, min(navigation, left))
            continue
        if not (tab.loading(since) or tab.opening):
            return True
        if not await _changes(tab, min(CALM, left)):
            return True
    return not tab.navigating


async def _arrive(tab: Tab, bound: float) -> None:
    end = time.monotonic() + bound
    while tab.navigating and (left := end - time.monotonic()) > 0:
        await _changes(tab, min(CALM, left))


async def _changes(tab: Tab, bound: float) -> bool:
    """Whether a request begins or ends, or a page arrives, within the bound."""
    tab.changed.clear()
    try:
        await asyncio.wait_for(tab.changed.wait(), bound)
    except TimeoutError:
        return False
    return True


async def _rest(tab: Tab, bound: float) -> bool:
    """Whether the script ran to its end; it does not when a navigation takes its document away."""
    script = REST % (0 if tab.never_loads else bound * 1000, min(bound, CALM) * 1000)
    try:
        state = await asyncio.wait_for(tab.evaluate_apart(script), bound + CALM + GRACE)
    except Error:
        await asyncio.sleep(0.02)  # the event that says why (a navigation, a crash) is on its way
        return False
    if state is not None:
        tab.title, tab.never_loads = state["title"], not state["loaded"]
    return True
