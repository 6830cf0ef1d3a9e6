"""Scripts for MiniWoB++'s pages that are longer than what is seen: lists, texts, mail, posts, a menu, a book of contacts."""

from __future__ import annotations

import re

from evals.oracles.page import SUBMIT, Actions, Page, Script, chosen, middle
from tools.computer import Scroll

_FAR = 30
"""So many notches of the wheel are more than any of these pages is long."""


def choose_from_list(page: Page) -> Actions:
    """From the top down."""
    wanted = page.said("Select (.*) from the scroll list").split(", ")
    for i, name in enumerate(name for name in page.texts("#options option") if name in wanted):
        yield from page.click("#options option", name, hold="ctrl" if i else "")
    yield from page.click("#area button")


def _scroll_to_end(page: Page, selector: str, up: bool = False) -> Actions:
    place = page.at(*middle(page.box(selector)))
    rest = "(e => given[1] ? e.scrollTop : e.scrollHeight - e.clientHeight - e.scrollTop)(document.querySelector(given[0]))"
    while int(page.js(rest, selector, up)):
        yield Scroll(point=place, dy=-_FAR if up else _FAR)


def scroll_text(page: Page) -> Actions:
    yield from _scroll_to_end(page, "#text-area")
    words = page.js("document.querySelector('#text-area').value.trim()").split()
    yield from page.fill("#answer-input", re.sub("[^a-zA-Z0-9]", "", words[-1]))
    yield from page.click(SUBMIT)


def scroll_either_way(page: Page) -> Actions:
    yield from _scroll_to_end(page, "#text-area", up="to the top" in page.instruction)
    yield from page.click(SUBMIT)


def sign_agreement(page: Page) -> Actions:
    if "Click the cancel button" in page.instruction:
        yield from page.click("#cancel")
        return
    name, button = page.told('the name "(.*)" then press "(.*)"')
    yield from _scroll_to_end(page, "#text-area")
    yield from page.fill("#name", name)
    yield from page.click(f"#{button.lower()}")


def order_food(page: Page) -> Actions:
    if found := re.search(r"Order (\d) items that are (\S+)", page.instruction):
        item = page.js("all('.food-item').findIndex(e => e.querySelector(`img[alt=\"${given[0]}\"]`))", found[2])
        for _ in range(int(found[1])):
            yield from page.click(".food-item .add", nth=item, named=found[2])
    else:
        wanted = [name.strip() for name in page.said("Order one of each item: (.*)").split(",")]
        for item, name in enumerate(page.texts(".item-name")):  # from the top down
            if name in wanted:
                yield from page.click(".food-item .add", nth=item, named=name)
    yield from page.click("#submit-order button")


def same(it_is: bool, then: str = "") -> str:
    """What is thought of a name beside the one that is asked for. then: what is done when it is that."""
    return f"yes {chosen(then)}" if it_is else f"no {chosen('next')}"


def phone_book(page: Page) -> Actions:
    name, what = page.told("Find (.*) in the contact book and click on their (phone|email|address)")
    while page.texts("#contact .name")[0] != name:
        page.think(page.seen("#contact .name"), same(False))
        yield from page.click("#pagination a", ">", named="next")
    page.think(page.seen("#contact .name"), same(True, what))
    yield from page.click(f"#contact a.{what}", named=what)


# posts

IN_MENU = {"Share via DM": "share", "Copy link to Tweet": "copy", "Embed Tweet": "embed", "Mute": "menu-user", "Block": "block-user",
            "Report": "report"}  # fmt: skip


def one_post(page: Page) -> Actions:
    """An icon is drawn anew under the pointer, at first of no size: it has to be hovered over before it can be clicked."""
    user, action = page.told('For the user (.*), click on the "(.*)" button')
    post = page.texts(".username").index(user)
    icon = ".more" if action in IN_MENU else f".{action.lower()}"
    yield from page.hover(icon, nth=post, named=user)
    yield from page.click(icon, nth=post, named=user)
    if action in IN_MENU:
        yield from page.click(f".controls ul .{IN_MENU[action]}")


def many_posts(page: Page) -> Actions:
    action, count, user = page.told(r'Click the "(.*)" button on (all|\d+) posts? by (.*) and then')
    posts = [i for i, name in enumerate(page.texts(".username")) if name == user]
    for post in posts if count == "all" else posts[: int(count)]:
        yield from page.click(f".{action.lower()}", nth=post, named=user)
    yield from page.click("#submitRow button")


# mail


def _asked(page: Page) -> dict[str, str]:
    """What is to be done, as the page itself tells it, or by its instruction."""
    if fields := page.js("core.currentFields || null"):
        return {"task": "forward", **fields}
    sender, rest = page.told(r"Find the email by (.*?) and (.*)")
    task = next(task for word, task in (("reply", "reply"), ("forward", "forward"), ("trash", "delete"), ("star", "star")) if word in rest)
    asked = {"task": task, "by": sender}
    if task == "reply":
        asked["message"] = page.said('with the text "(.*)"')
    if task == "forward":
        asked["to"] = page.said(r"forward that email to (.*)\.")
    return asked


def mail(page: Page, by: str = "") -> Actions:
    """by: another sender than the page's own."""
    asked = _asked(page) | ({"by": by} if by else {})
    thread = page.texts("#main .email-sender").index(asked["by"])
    if asked["task"] in ("delete", "star"):
        yield from page.click("#main .trash" if asked["task"] == "delete" else "#main .star", nth=thread, named=asked["by"])
        return
    yield from page.click("#main .email-left", nth=thread, named=asked["by"])  # beside it are the star and the bin
    yield from page.click(f".email-{asked['task']}")
    if asked["task"] == "reply":
        yield from page.fill("#reply-text", asked["message"])
    else:
        yield from page.fill(".forward-sender", asked["to"])
    yield from page.click(f"#send-{asked['task']}")


SCRIPTS: dict[str, Script] = {
    "click-scroll-list": choose_from_list,
    "email-inbox": mail,
    "email-inbox-delete": mail,
    "email-inbox-forward-nl": mail,
    "email-inbox-forward-nl-turk": mail,
    "email-inbox-important": mail,
    "email-inbox-nl-turk": mail,
    "email-inbox-reply": mail,
    "email-inbox-star-reply": mail,
    "order-food": order_food,
    "phone-book": phone_book,
    "scroll-text": scroll_text,
    "scroll-text-2": scroll_either_way,
    "sign-agreement": sign_agreement,
    "social-media": one_post,
    "social-media-all": many_posts,
    "social-media-some": many_posts,
}
