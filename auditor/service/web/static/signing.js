// A person's own signing key, made and kept in this browser: the service never has it.
// It can be used here and copied nowhere, and each key of the service has one of its own.
"use strict";
const STORE = "keys";
const NAMED = {name: "ECDSA", namedCurve: "P-256"};
const SIGNED = {name: "ECDSA", hash: "SHA-256"};

const asked = request => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => failed(request.error);
});

const store = async mode => {
  const opening = indexedDB.open("auditor-signing", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const opened = await asked(opening);
  return opened.transaction(STORE, mode).objectStore(STORE);
};

const held = async who => asked((await store("readonly")).get(who));

const made = async who => {
  const pair = await crypto.subtle.generateKey(NAMED, false, ["sign", "verify"]);
  // Another tab may be quicker: the first key stays, and nothing takes its place.
  try { await asked((await store("readwrite")).add(pair, who)); } catch { /* there is one */ }
  return held(who);
};

const base64 = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const bytes = text => Uint8Array.from(atob(text), sign => sign.charCodeAt(0));

const pem = async pair => {
  const lines = base64(await crypto.subtle.exportKey("spki", pair.publicKey)).match(/.{1,64}/g);
  return ["-----BEGIN PUBLIC KEY-----", ...lines, "-----END PUBLIC KEY-----", ""].join("\n");
};

// Shows the part of a panel that is true now: "unable", "none", "key" or "other".
const show = (panel, state) => {
  for (const part of panel.querySelectorAll("[data-when]"))
    part.hidden = part.dataset.when !== state;
};

const showKey = async (panel, pair) => {
  const text = await pem(pair);
  for (const place of panel.querySelectorAll("[data-key-text]")) place.textContent = text;
  for (const field of panel.querySelectorAll("input[name=key]")) field.value = text;
  const other = panel.dataset.wants !== undefined && panel.dataset.wants !== text;
  show(panel, other ? "other" : "key");
};

const failed = panel => error => {
  for (const place of panel.querySelectorAll("[data-failed]")) {
    place.hidden = false;
    place.textContent = `This browser could not: ${error.message || error.name}`;
  }
};

// Signs the very bytes that the form holds, puts the signature into it, and sends it.
const sign = async (form, who) => {
  const pair = await held(who);
  const signature = await crypto.subtle.sign(SIGNED, pair.privateKey, bytes(form.elements.to_sign.value));
  form.elements.signature.value = base64(signature);
  form.elements.to_sign.disabled = true;
  form.submit();
};

const begin = async panel => {
  const who = panel.dataset.signs;
  for (const button of panel.querySelectorAll("button[data-makes-key]"))
    button.addEventListener("click", () => made(who).then(pair => showKey(panel, pair)).catch(failed(panel)));
  for (const button of panel.querySelectorAll("button[data-fills]"))
    button.addEventListener("click", async () => {
      document.getElementById(button.dataset.fills).value = await pem(await held(who));
    });
  for (const form of panel.querySelectorAll("form[data-to-sign]"))
    form.addEventListener("submit", event => {
      event.preventDefault();
      sign(form, who).catch(failed(panel));
    });
  const pair = await held(who);
  if (pair) await showKey(panel, pair);
  else show(panel, panel.dataset.wants === undefined ? "none" : "other");
};

document.addEventListener("DOMContentLoaded", () => {
  // Without a secure context (https, or localhost) a browser signs nothing.
  if (!window.isSecureContext || !crypto.subtle) return;
  for (const panel of document.querySelectorAll("[data-signs]")) begin(panel).catch(failed(panel));
});
