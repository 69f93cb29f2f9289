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
