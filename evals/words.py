"""Words on pages: which can be seen and where, and which are kept from training.

A word is what stands between white space. Knows no benchmark.
"""

from __future__ import annotations

import re
import zlib

WORDS = r"""
(root, [x, y, right, bottom], most = 90) => {
  const words = [], range = document.createRange();
  const add = (node, owner, view) => {
    const style = getComputedStyle(owner);
    if (style.visibility === 'hidden' || +style.opacity < 0.3) return;
    for (const match of node.data.matchAll(/\S+/g)) {
      if (words.length >= most) return;
      range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
      const b = range.getClientRects()[0];
      if (!b || b.width < 2 || b.left < view[0] || b.top < view[1] || b.right > view[2] || b.bottom > view[3]) continue;
      const top = document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2);
      if (!top || !(top === owner || owner.contains(top))) continue;
      const columns = [...match[0]].map((letter, i) => {
        range.setStart(node, match.index + i); range.setEnd(node, match.index + i + 1);
        const r = range.getBoundingClientRect();
        return (r.left + r.right) / 2 - x;
      });
      words.push([match[0], [b.left - x, b.top - y, b.right - x, b.bottom - y], columns]);
    }
  };
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const parent = node.parentElement;
    if (parent && !/SCRIPT|STYLE|TEXTAREA/.test(parent.tagName)) add(node, parent, [x, y, right, bottom]);
  }
  for (const field of root.querySelectorAll('textarea, select, option, input')) {
    // what they show is no text of the page: lay a copy of it out over them
    const list = field.tagName === 'SELECT', option = field.tagName === 'OPTION', long = field.tagName === 'TEXTAREA';
    if (!option && !/^(text|search|email|url|tel|number|button|submit|reset|textarea|select-one)$/.test(field.type)) continue;
    const shown = list ? field.size > 1 ? '' : field.selectedOptions[0]?.label : option ? field.label : field.value || field.placeholder;
    if (!shown?.trim() || !field.getClientRects().length) continue;
    const style = getComputedStyle(field), copy = document.createElement('div'), b = field.getBoundingClientRect();
    for (const name of ['font', 'letter-spacing', 'word-spacing', 'text-align', 'text-indent', 'text-transform', 'padding', 'border-width'])
      copy.style.setProperty(name, style.getPropertyValue(name));
    const inside = field.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const scrollbar = field.offsetWidth - field.clientWidth - 2 * field.clientLeft;
    Object.assign(copy.style, {
      position: 'fixed', left: `${b.left - field.scrollLeft}px`, top: `${b.top - field.scrollTop}px`, boxSizing: 'border-box', margin: 0,
      borderStyle: 'solid', pointerEvents: 'none', visibility: 'hidden', overflowWrap: 'break-word', whiteSpace: long ? 'pre-wrap' : 'pre',
      lineHeight: long ? style.lineHeight : `${inside}px`, width: `${b.width - (long ? scrollbar : 0)}px`,
    });
    if (list) copy.style.paddingLeft = `${parseFloat(style.paddingLeft) + 4}px`;
    copy.textContent = shown;
    document.body.append(copy);
    const left = b.left + field.clientLeft, upper = b.top + field.clientTop;
    const [r, l] = [left + field.clientWidth, upper + field.clientHeight];
    add(copy.firstChild, field, [Math.max(x, left), Math.max(y, upper), Math.min(right, r), Math.min(bottom, l)]);
    copy.remove();
  }
  return words;
}
"""
"""A function of an element and a rectangle (CSS pixels of the viewport): the words of the element that can be seen whole within it, at most
90 unless told, as [text, [left, top, right, bottom], [column of each letter's centre]], from the rectangle's corner on; those that stand in
fields come last."""


def bare(word: str) -> str:
    """Without the signs around it."""
    return re.sub(r"^\W+|\W+$", "", word)


def held_out(word: str) -> bool:
    """Whether a word is one of the twentieth that no training ever asks for or writes on a page of its own."""
    return zlib.crc32(bare(word).lower().encode()) % 20 == 0
