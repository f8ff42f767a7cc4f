// Keeps an open page up to date: asks for its changing parts, and changes only what differs.
"use strict";
(() => {
  const EVERY = 1500;
  const LATER = 4000;
  const words = document.body.dataset;
  let tag = "";
  let timer = 0;
  let asking = false;

  const address = () => {
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.set("part", "live");
    return url;
  };

  const beat = (state) => {
    const shown = document.querySelector("[data-beat]");
    if (!shown || shown.dataset.beat === state) return;
    shown.dataset.beat = state;
    shown.textContent = words[state];
    document.documentElement.classList.toggle("lost", state === "lost");
  };

  const moved = (node) => {
    const number = node.parentElement && node.parentElement.closest("[data-n]");
    if (!number) return;
    number.classList.remove("moved");
    void number.offsetWidth; // restarts the animation
    number.classList.add("moved");
  };

  const same = (a, b) =>
    a.nodeType === b.nodeType &&
    a.nodeName === b.nodeName &&
    (a.nodeType !== Node.ELEMENT_NODE || (a.dataset.key || "") === (b.dataset.key || ""));

  // Makes `from` like `to` and leaves alone what is already the same: focus, scroll and selection stay.
  const morph = (from, to) => {
    if (from.nodeType === Node.TEXT_NODE) {
      if (from.data !== to.data) {
        from.data = to.data;
        moved(from);
      }
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE || "beat" in from.dataset) return;
    for (const { name } of [...from.attributes]) {
      const opened = name === "open" && from.nodeName === "DETAILS"; // by whoever reads
      if (!to.hasAttribute(name) && !opened) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      const kept = name === "class" && from.classList.contains("moved") ? value + " moved" : value;
      if (from.getAttribute(name) !== kept) from.setAttribute(name, kept);
    }
    const keyed = new Map();
    for (const child of from.children) {
      if (child.dataset.key) keyed.set(child.dataset.key, child);
    }
    let place = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = wanted.nodeType === Node.ELEMENT_NODE ? wanted.dataset.key : "";
      let found = key ? keyed.get(key) : place;
      if (found && same(found, wanted)) {
        if (found === place) place = place.nextSibling;
        else from.insertBefore(found, place);
        morph(found, wanted);
      } else {
        from.insertBefore(wanted, place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const shown = document.getElementById(part.id);
      if (shown) morph(shown, part);
    }
  };

  const ask = async () => {
    if (asking || document.hidden) return;
    asking = true;
    clearTimeout(timer);
    const began = performance.now();
    let wait = EVERY;
    try {
      const answer = await fetch(address(), {
        headers: tag ? { "If-None-Match": tag } : {},
        cache: "no-store",
        signal: AbortSignal.timeout(30000),
      });
      if (answer.ok) {
        const text = await answer.text();
        show(text);
        tag = answer.headers.get("ETag") || "";
        beat("live");
      } else if (answer.status === 304) {
        beat("live");
      } else {
        // A page that has figures keeps them, greyed; one that never had any says what is the matter.
        if (document.querySelector("[data-problem]")) show(await answer.text());
        tag = "";
        beat("lost");
        wait = LATER;
      }
    } catch {
      beat("lost");
      wait = LATER;
    }
    asking = false;
    // A slow answer is asked for less often, so that looking never becomes the load.
    timer = setTimeout(ask, Math.max(wait, performance.now() - began));
  };

  // An address that cannot be understood will not be understood later either.
  if (document.querySelector("[data-lasting]")) return;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) beat("paused");
    else ask();
  });
  document.addEventListener("animationend", (event) => event.target.classList.remove("moved"));
  ask();
})();
