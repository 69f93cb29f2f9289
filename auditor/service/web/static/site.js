// Shows the buttons that copy a text, and lets them copy it. Without a script they stay away.
"use strict";
const ready = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies).textContent;
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    });
  }
};
document.addEventListener("DOMContentLoaded", ready);
