// What the pages cannot do without a script: drafts, live parts, keys. Everything else works with this file missing.
"use strict";
(() => {
  const user = document.body.dataset.user || "";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- drafts: at once in the browser, a moment later on the node ----
  const store = (() => { try { return window.localStorage; } catch { return null; } })();
  const place = (of) => `hotline draft ${user} ${of}`;
  const forget = (of) => { try { store && store.removeItem(place(of)); } catch { /* nothing is kept then */ } };
  const DAY = 24 * 60 * 60 * 1000;

  if ($("[data-forget]") && store) {
    Object.keys(store).filter((key) => key.startsWith("hotline draft ")).forEach((key) => store.removeItem(key));
  }
  // A machine is shared: what somebody left on it is not there for ever.
  if (store) {
    for (const key of Object.keys(store).filter((one) => one.startsWith("hotline draft "))) {
      let at = 0;
      try { at = JSON.parse(store.getItem(key)).at; } catch { /* it is none of ours any more */ }
      if (!(Date.now() - at < DAY)) store.removeItem(key);
    }
  }
  const dropped = $("[data-drop-draft]");
  const pages = (() => { try { return window.sessionStorage; } catch { return null; } })();
  const sentOf = () => (pages && pages.getItem("hotline sent")) || "call"; // a call of the telephone system has a draft of its own
  if (dropped || new URLSearchParams(location.search).get("said") === "dropped") forget(sentOf());

  const draft = $("form[data-draft]");
  if (draft) {
    const of = draft.dataset.draft;
    const state = $("[data-draft-state]", draft);
    const token = draft.elements.form.value;
    const fields = () => $$("input, select, textarea", draft)
      .filter((field) => field.name && field.type !== "hidden" && (!/^(checkbox|radio)$/.test(field.type) || field.checked));
    const typed = () => Object.fromEntries(fields().map((field) => [field.name, field.value]));
    let timer = 0;
    let sent = false;
    let saving = Promise.resolve();
    const save = (text) => {
      const body = new URLSearchParams({ form: token, of, text });
      saving = saving.then(() => fetch("/draft", { method: "POST", body, keepalive: text.length < 20000 }))
        .then((answer) => { if (answer.ok && state) state.textContent = draft.dataset.saved; })
        .catch(() => { /* the browser has it; the next letter tries again */ });
    };
    draft.addEventListener("input", () => {
      if (sent) return;
      const text = JSON.stringify({ at: Date.now(), fields: typed() });
      try { store && store.setItem(place(of), text); } catch { /* the node keeps it */ }
      if (state) state.textContent = "";
      clearTimeout(timer);
      timer = setTimeout(() => save(text), 700);
    });
    draft.addEventListener("submit", (event) => {
      const then = event.submitter && event.submitter.value;
      if ((then === "lookup" || then === "suggest") && window.fetch) {
        event.preventDefault();
        (then === "lookup" ? lookup : suggest)();
        return;
      }
      if (then && /^(used|unhelpful) /.test(then) && window.fetch) {
        event.preventDefault();
        say(then, event.submitter);
        return;
      }
      if (sent) { event.preventDefault(); return; } // a second Enter makes no second ticket
      sent = true;
      try { pages && pages.setItem("hotline sent", of); } catch { /* it is forgotten after a day */ }
      clearTimeout(timer);
      setTimeout(() => $$("button", draft).forEach((button) => { button.disabled = true; }), 0);
    });
    addEventListener("pageshow", () => { sent = false; $$("button", draft).forEach((button) => { button.disabled = false; }); });
    try {
      const kept = JSON.parse((store && store.getItem(place(of))) || "null");
      const known = Number(draft.dataset.draftAt || 0);
      if (kept && kept.at > known && !$(".problem[data-focus]")) {
        for (const [name, value] of Object.entries(kept.fields)) {
          const field = draft.elements[name];
          if (!field || name === "form") continue;
          if (field.type === "checkbox") field.checked = true;
          else field.value = value;
        }
      }
    } catch { forget(of); }

    // ---- fields of the centre's own that this matter is not asked: out of the way, and not sent ----
    const decide = ["kind", "domain"].map((name) => draft.elements[name]);
    const own = $$("[data-own]", draft);
    const fit = () => {
      own.forEach((part) => {
        part.hidden = decide.some((field) => part.dataset[field.name] && part.dataset[field.name] !== field.value);
        $$("input, select", part).forEach((field) => { field.disabled = part.hidden; });
      });
      if (own.length) $("#own", draft).hidden = own.every((part) => part.hidden);
    };
    decide.forEach((field) => field.addEventListener("change", fit));
    fit();

    // ---- what shows beside the form while it is typed: the caller's earlier tickets, possible duplicates, articles ----
    const beside = async (fields) => {
      const answer = await fetch("/new", { method: "POST", body: new URLSearchParams({ form: token, ...fields }) });
      return new DOMParser().parseFromString(await answer.text(), "text/html");
    };
    const replace = (page, ...parts) => parts.forEach((id) => {
      const fresh = page.getElementById(id);
      if (fresh) $("#" + id).replaceChildren(...fresh.childNodes);
    });
    const phone = $("[data-lookup]", draft);
    let asked = "";
    async function lookup() {
      const number = phone.value.replace(/\D/g, "");
      if (number === asked || number.length < 7) return;
      asked = number;
      try {
        const page = await beside({ then: "lookup", caller_phone: phone.value });
        if (asked === number) replace(page, "earlier");
      } catch { asked = ""; }
    }
    const words = $("[data-suggest]", draft);
    const around = [words, ...["subject", "plate", "place"].map((name) => draft.elements[name])];
    let about = "";
    async function suggest() {
      const fields = Object.fromEntries(around.map((field) => [field.name, field.value.trim()]));
      const now = JSON.stringify(fields);
      if (now === about || Object.values(fields).every((text) => text.length < 2)) return;
      about = now;
      try {
        const page = await beside({ then: "suggest", ...fields });
        if (about === now) replace(page, "similar", "suggested");
      } catch { about = ""; }
    }
    // What is said of an article is counted once: its buttons are gone when the answer is there.
    async function say(then, button) {
      button.parentElement.querySelectorAll("button").forEach((one) => { one.disabled = true; });
      try {
        replace(await beside({ then, ...Object.fromEntries(around.map((field) => [field.name, field.value.trim()])) }), "suggested");
      } catch { button.parentElement.querySelectorAll("button").forEach((one) => { one.disabled = false; }); }
    }
    let later = 0;
    around.forEach((field) => field.addEventListener("input", () => { clearTimeout(later); later = setTimeout(suggest, 600); }));
    suggest(); // a draft that was restored
    let soon = 0;
    phone.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(lookup, 400); });
  }
  // One click, one action, on every other form as well.
  let under = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post" || event.target === draft) return;
    if (under.has(event.target)) event.preventDefault();
    under.add(event.target);
  });
  addEventListener("pageshow", () => { under = new WeakSet(); });

  // ---- calls that ring: a bar on every page; a call that was answered opens its form, unless somebody is typing ----
  const bar = $("[data-calls]");
  const typing = () => (draft && draft.dataset.draftAt) || $("dialog[open]")
    || $$("input, textarea", document).some((field) => !/^(hidden|checkbox|radio)$/.test(field.type) && field.value !== field.defaultValue);
  const rings = async (answered) => {
    if (!bar) return;
    let page;
    try {
      const answer = await fetch("/calls", { headers: { "X-Live": "1" } });
      if (!answer.ok) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch { return; }
    const rows = page.getElementById("calls-rows");
    const here = (link) => link.getAttribute("href") === location.pathname + location.search;
    const all = rows ? [...rows.children].filter((row) => !(row.querySelector("[data-mine]") && here(row.querySelector("[data-mine]")))) : [];
    const first = rows && rows.querySelector("[data-mine]");
    if (location.pathname !== "/calls") { bar.replaceChildren(...all); bar.hidden = !all.length; }
    if (answered && first && !here(first) && !typing()) location.assign(first.getAttribute("href"));
  };

  // ---- live parts: an event says that something changed, and the page looks anew ----
  const live = document.body.dataset.live;
  const touched = (part) => $$("input, textarea, select", part)
    .some((field) => field.type !== "hidden" && (field === document.activeElement || field.value !== (field.tagName === "SELECT"
      ? ($("option[selected]", field) || field.options[0] || {}).value : field.defaultValue)));
  if (live && window.EventSource) {
    let source = null;
    let due = new Set();
    let timer = 0;
    let last = 0;
    let wait = 0; // longer each time that nobody answers, up to half a minute: whoever is busy is not asked more often for it
    const later = () => { wait = Math.min(30_000, Math.max(2000, wait * 2)); return wait * (1 + Math.random() / 2); };
    const refresh = async () => {
      timer = 0;
      last = Date.now();
      const kinds = due;
      due = new Set();
      const parts = $$("[data-part]").filter((part) => part.dataset.on.split(" ").some((kind) => kinds.has(kind)));
      if (!parts.length) return;
      let page;
      try {
        const answer = await fetch(location.pathname + location.search, { headers: { "X-Live": "1" } });
        if (answer.status >= 500) throw answer.status;
        if (!answer.ok) return;
        page = new DOMParser().parseFromString(await answer.text(), "text/html");
        wait = 0;
      } catch { // the node is away or busy: no event will tell of this again
        last = Date.now() + later();
        kinds.forEach(soon);
        return;
      }
      for (const part of parts) {
        const fresh = page.getElementById(part.id);
        if (!fresh || fresh.innerHTML === part.innerHTML) continue;
        if (touched(part)) { // what somebody is typing is not taken from under their hands
          const changed = $("[data-changed]");
          if (changed) changed.hidden = false;
          continue;
        }
        const open = $$("details[open]", part).map((one) => one.id);
        const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        part.replaceChildren(...fresh.childNodes);
        open.forEach((id) => { const one = id && document.getElementById(id); if (one) one.open = true; });
        if (focused) { const one = $$("a", part).find((a) => a.getAttribute("href") === focused); if (one) one.focus(); }
        part.classList.add("fresh");
        setTimeout(() => part.classList.remove("fresh"), 1300);
      }
    };
    const soon = (kind) => {
      due.add(kind);
      // Pages do not all ask in the same moment, and none asks more than every other second: a first sync is a flood.
      if (!timer) timer = setTimeout(refresh, Math.max(100, 2000 - (Date.now() - last)) + Math.random() * 400);
    };
    const KINDS = ["ticket", "queue", "links", "presence", "calls"];
    // The node is told what this page has seen, and tells first what it has missed: since it was made, or while one was away.
    const from = `${live}${live.includes("?") ? "&" : "?"}${document.body.dataset.seen}`;
    const listen = () => {
      if (source || document.hidden) return;
      source = new EventSource(from);
      KINDS.forEach((kind) => source.addEventListener(kind, () => soon(kind)));
      source.addEventListener("calls", () => rings(false));
      source.addEventListener("answered", () => rings(true));
      source.addEventListener("open", () => { // the node is there: what was put off is due, and of calls nobody keeps what was told
        wait = last = 0;
        clearTimeout(timer);
        timer = 0;
        rings(false);
        soon("calls");
      });
      source.addEventListener("ended", () => { source.close(); source = null; });
      // A browser comes back to a node that is away, but not to one that answers no: a node that starts, or a full one.
      source.addEventListener("error", () => {
        if (!source || source.readyState !== EventSource.CLOSED) return;
        source = null;
        setTimeout(listen, 1000 + later());
      });
    };
    // A page that nobody sees holds no connection: browsers open only six to one place.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { if (source) source.close(); source = null; } else listen();
    });
    listen();
  }

  // ---- a table from a file, read here into the field that is sent ----
  $$("[data-file-into]").forEach((one) => {
    one.hidden = false;
    $("input[type=file]", one).addEventListener("change", async (event) => {
      const file = event.target.files[0];
      if (!file) return;
      try {
        if (file.size > 1 << 20) throw new RangeError();
        document.getElementById(one.dataset.fileInto).value = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
        event.target.setCustomValidity("");
      } catch {
        event.target.value = "";
        event.target.setCustomValidity(one.dataset.notText);
      }
      event.target.reportValidity();
    });
  });

  // ---- keys: never while an input method composes, never in a field ----
  const inField = (target) => target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName || "");
  const help = $("#keys");
  const label = (one) => one.dataset.keyLabel || one.textContent.trim();
  const showKeys = () => {
    const list = $("dl", help);
    const rows = $$("[data-key]").filter((one) => one.dataset.key !== "?" && !one.hidden).map((one) => [one.dataset.key, label(one)]);
    if ($("[data-row]")) rows.push(["j", list.dataset.nextLabel], ["k", list.dataset.previousLabel], ["Enter", list.dataset.openLabel]);
    rows.push(["Esc", list.dataset.leaveLabel], ["?", list.dataset.helpLabel]);
    list.replaceChildren(...rows.flatMap(([key, text]) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = key;
      dd.textContent = text;
      return [dt, dd];
    }));
    help.showModal();
  };
  $$("[data-help]").forEach((one) => { one.hidden = false; one.addEventListener("click", showKeys); });
  $$("[data-print]").forEach((one) => { one.hidden = false; one.addEventListener("click", () => print()); });
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && inField(event.target)) { event.target.blur(); return; }
    if (inField(event.target) || help.open || event.repeat) return;
    if (event.key === "?" && user) { event.preventDefault(); showKeys(); return; }
    if (event.key === "j" || event.key === "k") {
      const rows = $$("[data-row]");
      if (!rows.length) return;
      const at = rows.indexOf(document.activeElement);
      const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
      rows[next].focus();
      event.preventDefault();
      return;
    }
    const one = $$("[data-key]").find((found) => found.dataset.key === event.key && !found.hidden);
    if (!one) return;
    event.preventDefault();
    if (inField(one)) { one.focus(); return; }
    one.click();
    const opened = one.tagName === "SUMMARY" && one.parentElement.open && $("textarea, select, input:not([type=hidden]), button", one.nextElementSibling);
    if (opened) opened.focus();
  });
  const problem = $("[data-focus]");
  if (problem) problem.focus();
})();
