"""Words on pages: which can be seen and where, and which are kept from training.

A word is what stands between white space. Knows no benchmark.
"""

from __future__ import annotations

import re
import zlib

WORDS = r"""
(root, [x, y, right, bottom], most = 90) => {
  const words = [], range = document.createRange();
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()) && words.length < most; ) {
    const parent = node.parentElement;
    if (!parent || /SCRIPT|STYLE|OPTION/.test(parent.tagName)) continue;
    for (const match of node.data.matchAll(/\S+/g)) {
      range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
      const b = range.getClientRects()[0];
      if (!b || b.width < 2 || b.left < x || b.top < y || b.right > right || b.bottom > bottom) continue;
      const top = document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2);
      if (!top || !(top === parent || parent.contains(top))) continue;
      const style = getComputedStyle(parent);
      if (style.visibility === 'hidden' || +style.opacity < 0.3) continue;
      const columns = [...match[0]].map((letter, i) => {
        range.setStart(node, match.index + i); range.setEnd(node, match.index + i + 1);
        const r = range.getBoundingClientRect();
        return (r.left + r.right) / 2 - x;
      });
      words.push([match[0], [b.left - x, b.top - y, b.right - x, b.bottom - y], columns]);
    }
  }
  return words;
}
"""
"""A function of an element and a rectangle (CSS pixels of the viewport): the words of the element that can be seen whole within it, at most
90 unless told, as [text, [left, top, right, bottom], [column of each letter's centre]], from the rectangle's corner on."""


def bare(word: str) -> str:
    """Without the signs around it."""
    return re.sub(r"^\W+|\W+$", "", word)


def held_out(word: str) -> bool:
    """Whether a word is one of the twentieth that no training ever asks for or writes on a page of its own."""
    return zlib.crc32(bare(word).lower().encode()) % 20 == 0
