"use strict";
// What the pages share: chance that a seed repeats, a look, small helpers. The seed is in the address: search.html?seed=3.

const SEED = Number(new URLSearchParams(location.search).get("seed")) || 0;
const TEST_SEEDS = 10000; // seeds below are for testing, see evals/demonstrations.py
const PAGE = location.pathname.split("/").pop();

// Numbers from a text: its FNV-1a hash starts mulberry32 (a 32-bit generator by Tommy Ettinger, public domain).
const chance = text => {
  let state = 0x811c9dc5;
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 0x01000193);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = n => Math.floor(next() * n);
  const sample = (list, count) => {
    const left = [...list];
    return Array.from({length: Math.min(count, left.length)}, () => left.splice(below(left.length), 1)[0]);
  };
  return {below, sample, pick: list => list[below(list.length)], happens: share => next() < share};
};

// One word in ten is held out: pages of seeds that are trained on show and ask for none. The rule is CRC-32 of the word, modulo 10.
const heldOut = word => {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(word.toLowerCase().replace(/^\W+|\W+$/g, ""))) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0) % 10 === 0;
};
const allowed = texts => SEED < TEST_SEEDS ? texts : texts.filter(text => !text.split(" ").some(heldOut));

const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = parts => `${capital(parts)}.`;

const node = (tag, properties = {}, ...children) => {
  const {data = {}, ...rest} = properties, made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
};

const icon = path => {
  const holder = node("span", {className: "icon"});
  holder.innerHTML = `<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="2"><path d="${path}"/></svg>`;
  return holder;
};
const GLASS = "M7 2a5 5 0 1 0 0 10a5 5 0 0 0 0-10M10.6 10.6L15 15";
const BIN = "M2 4h12M6 4V2h4v2M4 4l1 10h6l1-10";

const THEMES = [
  // paper, card, ink, quiet, line
  ["#ffffff", "#ffffff", "#1c1c1e", "#666666", "#c4c4c8"],
  ["#ffffff", "#f6f7f9", "#202124", "#5f6368", "#bdc1c6"],
  ["#f3f4f6", "#ffffff", "#111827", "#6b7280", "#cbd0d8"],
  ["#eef2fb", "#ffffff", "#1e293b", "#64748b", "#b8c4d8"],
  ["#fdf8ee", "#fffdf8", "#3b2f1e", "#7a6a52", "#d6c7a8"],
  ["#eef7f0", "#ffffff", "#16301f", "#557062", "#b5cdbc"],
  ["#1f2228", "#2a2e36", "#eceef2", "#a3aab8", "#555c6a"],
  ["#111827", "#1f2937", "#f3f4f6", "#9ca3af", "#4b5563"],
];
const ACCENTS = ["#1a73e8", "#0f766e", "#7c3aed", "#c2410c", "#be185d", "#15803d", "#4338ca", "#b91c1c", "#374151", "#0369a1"];
const FONTS = ["Arial, sans-serif", "Arial, sans-serif", "'DejaVu Sans', Verdana, sans-serif", "'Liberation Sans', sans-serif",
  "'Liberation Serif', Georgia, serif", "'DejaVu Serif', Georgia, serif", "'Liberation Sans Narrow', Arial, sans-serif"];

const dress = rng => {
  const [paper, card, ink, quiet, line] = rng.pick(THEMES), font = rng.pick(FONTS), wide = font.includes("DejaVu");
  const dark = ink > "#a", accent = rng.pick(ACCENTS);
  const look = {
    paper, card, ink, quiet, line, accent, font, size: `${rng.pick(wide ? [10, 11, 11] : [11, 12, 12, 13, 13])}px`,
    radius: `${rng.pick([0, 2, 4, 6, 9])}px`, margin: `${rng.pick([5, 7, 9])}px`, link: dark ? "#9ec5ff" : accent,
    bar: rng.happens(0.4) ? accent : "transparent", weight: rng.pick([400, 600, 700]),
  };
  look["on-bar"] = look.bar === accent ? "#fff" : ink;
  for (const [name, value] of Object.entries(look)) document.documentElement.style.setProperty(`--${name}`, value);
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  document.documentElement.classList.add(rng.pick(["filled", "filled", "outlined"]));
};
