"""What a browser is asked about a page: what axe finds, and what does not fit or lies over more."""

import subprocess
import tarfile
from pathlib import Path

AXE = "axe-core@4.14.1"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = {"phone": 390, "wide": 1280}
LOOK = """
const [rules, done] = arguments;
axe.run(document, {resultTypes: ["violations"], runOnly: rules}).then(found => done(
  found.violations.map(item => item.id + ": " + item.nodes[0].html)));
"""
MEASURE = """
const done = arguments[arguments.length - 1], root = document.documentElement;
done([root.scrollWidth, root.clientWidth]);
"""
OPEN_ALL = """
document.querySelectorAll("details").forEach(item => item.open = true);
arguments[arguments.length - 1](document.querySelectorAll("details[open]").length);
"""
TEXTS_OVER_TEXTS = """
const found = [], boxes = [];
const unseen = item => item !== null
  && (getComputedStyle(item).clipPath === "inset(50%)" || unseen(item.parentElement));
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (!node.data.trim() || node.parentElement.closest(".skip, .hidden")) continue;
  if (unseen(node.parentElement)) continue;  // the heads of stacked tables are there to be heard
  const range = document.createRange(), scroll = node.parentElement.closest(".scroll");
  range.selectNodeContents(node);
  const edge = scroll ? scroll.getBoundingClientRect() : {left: -1e9, right: 1e9};
  for (const box of range.getClientRects()) {
    const left = Math.max(box.left, edge.left), right = Math.min(box.right, edge.right);
    if (right - left > 1 && box.height > 1)
      boxes.push({left, right, text: node.data.trim(), node,
                  top: box.top + box.height * .25, bottom: box.bottom - box.height * .25});
  }
}
boxes.sort((a, b) => a.top - b.top);
boxes.forEach((a, i) => {
  for (let j = i + 1; j < boxes.length && boxes[j].top < a.bottom; j++) {
    const b = boxes[j];
    if (a.node !== b.node && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2)
      found.push(a.text.slice(0, 40) + " | " + b.text.slice(0, 40));
  }
});
arguments[arguments.length - 1](found);
"""
BROKEN_WORDS = r"""
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (node.parentElement.closest("code, pre, svg, .skip, .hidden")) continue;
  for (const word of node.data.matchAll(/[\p{L}\d]+/gu)) {
    if (word[0].length > 24) continue;
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    const boxes = [...range.getClientRects()];
    if (boxes.length > 1 && boxes.at(-1).top > boxes[0].bottom - 1)
      found.push(word[0] + " in " + node.data.trim().slice(0, 60));
  }
}
arguments[arguments.length - 1](found);
"""
"""Names and words that end on another line than they begin on; digests and code may."""
BROKEN_FIGURES = r"""
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (node.parentElement.closest("code, pre, svg, .skip, .hidden")) continue;
  for (const figure of node.data.matchAll(/\d\s(?:%|[mµn]?s|[KMGT]iB|B|nat)(?![\p{L}\d])/gu)) {
    const range = document.createRange();
    range.setStart(node, figure.index);
    range.setEnd(node, figure.index + figure[0].length);
    const boxes = [...range.getClientRects()];
    if (boxes.length > 1 && boxes.at(-1).top > boxes[0].bottom - 1)
      found.push(figure[0] + " in " + node.data.trim().slice(0, 60));
  }
}
arguments[arguments.length - 1](found);
"""
"""Numbers that stand on another line than their units."""
OUTSIDE = """
const wide = document.documentElement.clientWidth + 1, found = [];
for (const item of document.querySelectorAll("body *")) {
  if (item.closest(".scroll, .skip, .hidden")) continue;
  const box = item.getBoundingClientRect();
  if (box.width && (box.right > wide || box.left < -1))
    found.push(item.tagName + ": " + item.textContent.slice(0, 60));
}
arguments[arguments.length - 1](found);
"""


def fetched_axe(folder: Path) -> str:
    """Fetch axe into a folder, and return its script."""
    subprocess.run(["npm", "pack", AXE], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        found = packed.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode()
