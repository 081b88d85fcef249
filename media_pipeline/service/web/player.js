// The player of a call. Everything is on the page without it; it adds the waveform's slider, keys and following.
"use strict";

(() => {
  const SMALL_STEP = 5;
  const STEP = 10;
  const LEAD_SECONDS = 0.15; // silence begins a little early: timers are late
  const LOOK_MS = 100;
  const FOLLOW_PAUSE_MS = 4000;

  const byId = (id) => document.getElementById(id);
  const player = byId("player");
  const audio = byId("audio");
  if (!player || !audio) return;

  const seek = byId("seek");
  const play = byId("play");
  const fault = byId("fault");
  const follow = byId("follow");
  const lines = [...document.querySelectorAll(".line")].map((element) => ({
    element,
    start: Number(element.dataset.start) / 1000,
    end: Number(element.dataset.end) / 1000,
  }));
  const silent = (player.dataset.silent.match(/\d+-\d+/g) || []).map((span) =>
    span.split("-").map((place) => Number(place) / 1000),
  );
  const done = [...document.querySelectorAll("rect.done")];
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");

  let known = Number(player.dataset.seconds) || 0;
  let waiting = null; // where to begin, while nothing is loaded
  let current = null;
  let scrolled = 0;
  let timer = 0;

  const seconds = () => (Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : known);
  const place = () => (waiting === null ? audio.currentTime : waiting);
  const clock = (value) => {
    const whole = Math.max(0, Math.floor(value + 1e-6));
    const two = (part) => String(part).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };

  function goTo(value) {
    const end = seconds();
    const target = Math.max(0, end ? Math.min(value, end) : value);
    if (audio.readyState >= HTMLMediaElement.HAVE_METADATA) {
      audio.currentTime = target;
      waiting = null;
    } else {
      waiting = target;
      audio.currentTime = target; // where it will begin; loads nothing
    }
    show(true);
  }

  function toggle() {
    if (!audio.paused) {
      audio.pause();
      return;
    }
    const end = seconds();
    if (end && place() >= end - 0.05) goTo(0);
    hush();
    audio.play().catch(() => {}); // what is wrong is told by the element's own event
  }

  function hush() {
    const now = place();
    const is = silent.some(([start, end]) => now >= start - LEAD_SECONDS * audio.playbackRate && now < end);
    if (audio.muted !== is) audio.muted = is;
    byId("mutes").hidden = !is;
  }

  function lineAt(now) {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle].start <= now + 0.01) low = middle + 1;
      else high = middle;
    }
    return low ? lines[low - 1] : null;
  }

  function show(jumped) {
    const now = place();
    const end = seconds();
    hush();
    byId("now").textContent = clock(now);
    seek.value = String(now);
    seek.setAttribute("aria-valuetext", `${clock(now)} of ${clock(end)}`);
    const width = end ? String((now / end) * 1200) : "0";
    for (const rect of done) rect.setAttribute("width", width);
    const line = lineAt(now);
    if (line === current) return;
    if (current) current.element.removeAttribute("aria-current");
    current = line;
    if (!line) return;
    line.element.setAttribute("aria-current", "true");
    if (follow && follow.checked && (jumped || performance.now() - scrolled > FOLLOW_PAUSE_MS)) reveal(line.element);
  }

  function reveal(element) {
    const top = player.getBoundingClientRect().bottom + 8;
    const box = element.getBoundingClientRect();
    if (box.top >= top && box.bottom <= innerHeight - 24) return;
    const middle = top + (innerHeight - top) / 3;
    scrollBy({ top: box.top - middle, behavior: reduced.matches ? "instant" : "smooth" });
  }

  function measure() {
    const end = seconds();
    seek.max = String(end);
    byId("whole").textContent = end ? clock(Math.round(end)) : "–";
  }

  function ticking(on) {
    clearInterval(timer);
    timer = on ? setInterval(show, LOOK_MS, false) : 0;
  }

  function fromAddress() {
    const found = /^#t=(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (!found) return false;
    const parts = [found[1], found[2], found[3]].filter((part) => part !== undefined).map(Number);
    goTo(parts.reduce((sum, part) => sum * 60 + part, 0));
    return true;
  }

  audio.addEventListener("loadedmetadata", () => {
    measure();
    if (waiting !== null) goTo(waiting);
  });
  audio.addEventListener("durationchange", measure);
  audio.addEventListener("seeking", () => show(true));
  audio.addEventListener("timeupdate", () => show(false));
  for (const name of ["play", "pause", "ended"]) {
    audio.addEventListener(name, () => {
      const on = !audio.paused && !audio.ended;
      play.classList.toggle("playing", on);
      play.setAttribute("aria-label", on ? "Pause" : "Play");
      ticking(on);
      show(false);
    });
  }
  audio.addEventListener("playing", () => (fault.hidden = true));
  audio.addEventListener("error", () => {
    fault.textContent =
      "This recording cannot be played now. If the page has been open for long, its link may have expired: load it again.";
    fault.hidden = false;
  });

  play.addEventListener("click", toggle);
  byId("back").addEventListener("click", () => goTo(place() - STEP));
  byId("forward").addEventListener("click", () => goTo(place() + STEP));
  byId("speed").addEventListener("change", (event) => {
    audio.playbackRate = Number(event.target.value);
  });
  seek.addEventListener("input", () => goTo(Number(seek.value)));
  for (const line of lines) {
    line.element.addEventListener("click", (event) => {
      if (String(getSelection())) return; // somebody copies a sentence
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // or wants it in a tab
      event.preventDefault();
      goTo(line.start);
      history.replaceState(null, "", `#t=${Number(line.start.toFixed(3))}`);
    });
  }
  for (const name of ["wheel", "touchmove"]) {
    addEventListener(name, () => (scrolled = performance.now()), { passive: true });
  }
  addEventListener("hashchange", fromAddress);
  document.addEventListener("pointerdown", (event) => {
    if (event.target === document.documentElement) scrolled = performance.now(); // the scroll bar
  });

  const KEYS = {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => goTo(place() - SMALL_STEP),
    ArrowRight: () => goTo(place() + SMALL_STEP),
    j: () => goTo(place() - STEP),
    l: () => goTo(place() + STEP),
    Home: () => goTo(0),
  };
  const SCROLLING = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "End", "Tab"];
  const letters = byId("letters");
  const kept = "letters-are-keys";
  try {
    letters.checked = localStorage.getItem(kept) !== "no";
    letters.addEventListener("change", () => localStorage.setItem(kept, letters.checked ? "yes" : "no"));
  } catch {
    // storage is off: the choice lasts as long as the page
  }
  addEventListener("keydown", (event) => {
    if (SCROLLING.includes(event.key)) scrolled = performance.now();
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
    if (/^[a-z]$/i.test(event.key) && !letters.checked) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target !== seek && target.closest("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === " " && target.closest("button, a, summary, input[type=checkbox]")) return;
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  byId("needs")?.remove();
  audio.controls = false;
  audio.hidden = true;
  seek.hidden = false;
  byId("controls").hidden = false;
  if (follow) byId("followbox").hidden = false;
  document.documentElement.classList.add("scripted");
  measure();
  if (!fromAddress()) show(false);
})();
