// Conveniences. Without this file everything still works: the server takes a form that is sent twice as one
// comment, a preview is only a look ahead, browsers restore a form on the way back, times are written out in UTC.
(() => {
  "use strict";

  // A page with several threads has this script several times. The first takes them all.
  const all = [...document.scripts].filter((script) => script.src === document.currentScript.src);
  if (document.currentScript !== all[0]) return;

  // A form that a site has made itself may carry no words.
  const english = {
    preview: "Preview",
    sending: "Sending…",
    tooLong: "Use at most {limit} characters; this has {length}.",
    unreachable: "The preview cannot be reached. What you wrote is still here.",
    waiting: "Your comment has arrived. A moderator will look at it before others can read it.",
  };
  const wordsOf = (form) => ({ ...english, ...JSON.parse(form.dataset.moderateWords || "{}") });

  for (const form of document.querySelectorAll("form.moderate-form")) {
    keepDraft(form);
    holdSecondSend(form);
    addPreview(form);
    tellWaiting(form);
    countCharacters(form);
  }
  tellLocalTimes();

  // Keep what is typed in this tab until the comment is in: "Reply", a reload and a refused form load a new page.
  function keepDraft(form) {
    const key = `moderate-draft ${form.getAttribute("action")}`;
    const fields = ["author", "email", "url", "text"].map((name) => form.elements[name]).filter(Boolean);
    const save = (sentFrom) => {
      const values = Object.fromEntries(fields.map((field) => [field.name, field.value]));
      writeDraft(key, Object.values(values).some(Boolean) ? { values, sentFrom } : null);
    };
    const draft = readDraft(key);
    // The server leads from a form to the item's own address, and nowhere else right after it was sent.
    const isIn = draft.sentFrom && draft.sentFrom !== location.href && new URLSearchParams(location.search).has("moderate_at");
    if (isIn) writeDraft(key, null);
    else {
      for (const field of fields) field.value ||= draft.values?.[field.name] || "";
      if (draft.values) save();
    }
    form.addEventListener("input", () => save());
    form.addEventListener("submit", () => save(location.href));
    window.addEventListener("pageshow", (event) => event.persisted && save());
  }

  function readDraft(key) {
    try {
      return JSON.parse(sessionStorage.getItem(key)) || {};
    } catch {
      return {};
    }
  }

  // Browsers may forbid storage; then nothing is kept.
  function writeDraft(key, draft) {
    try {
      if (draft) sessionStorage.setItem(key, JSON.stringify(draft));
      else sessionStorage.removeItem(key);
    } catch {}
  }

  // A page out of a cache says nothing of what this reader has just sent.
  async function tellWaiting(form) {
    const query = new URLSearchParams(location.search);
    const number = query.get("moderate_at");
    const title = document.getElementById("moderate-comments-title");
    if (!title || !query.has("moderate_sent") || document.getElementById(`comment-${number}`)) return;
    const address = form.dataset.moderatePreview.replace(/preview$/, `items/${encodeURIComponent(number)}`);
    const item = await fetch(address).then((answer) => answer.json(), () => ({}));
    if (item.status !== "pending") return;
    const notice = document.createElement("p");
    notice.className = "moderate-notice";
    notice.setAttribute("role", "status");
    notice.textContent = wordsOf(form).waiting;
    title.after(notice);
  }

  // While a form is on its way, the button says so and a second click does nothing.
  function holdSecondSend(form) {
    const button = form.querySelector(".moderate-send");
    const words = button.textContent;
    let sending = false;
    form.addEventListener("submit", (event) => {
      if (sending) {
        event.preventDefault();
        return;
      }
      sending = true;
      button.setAttribute("aria-disabled", "true");
      button.textContent = wordsOf(form).sending;
    });
    // A page that comes back by the Back button must be usable again.
    window.addEventListener("pageshow", () => {
      sending = false;
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    });
  }

  function addPreview(form) {
    const text = form.elements.text;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = wordsOf(form).preview;
    const shown = document.createElement("div");
    shown.className = "moderate-preview moderate-text";
    shown.dir = "auto";
    shown.setAttribute("role", "status");
    shown.hidden = true;
    button.addEventListener("click", () => preview(form, text, shown));
    form.querySelector(".moderate-buttons").append(button);
    form.append(shown);
  }

  // Browsers count an emoji as two, and cut what is pasted beyond maxlength without a word. The server
  // counts characters: a text that is too long stays as it is, and the form says so.
  function countCharacters(form) {
    const text = form.elements.text;
    const limit = text.maxLength;
    if (limit < 0) return;
    text.removeAttribute("maxlength");
    const check = () => {
      const length = [...text.value].length;
      const words = wordsOf(form).tooLong.replace("{limit}", limit).replace("{length}", length);
      text.setCustomValidity(length > limit ? words : "");
    };
    text.addEventListener("input", check);
    window.addEventListener("pageshow", check);
    check();
  }

  // The reader's own time zone, in the language of the thread, which need not be that of the host's page.
  function tellLocalTimes() {
    const clocks = new Map();
    for (const time of document.querySelectorAll(".moderate time[datetime]")) {
      const { lang } = time.closest("[lang]");
      if (!clocks.has(lang)) clocks.set(lang, new Intl.DateTimeFormat(regional(lang), { dateStyle: "long", timeStyle: "short" }));
      time.title = time.textContent;
      time.textContent = clocks.get(lang).format(new Date(time.dateTime));
    }
  }

  // The form of a language in the region that the page or the reader names: en-GB for en.
  function regional(language) {
    const named = [document.documentElement.lang, ...navigator.languages];
    return named.find((tag) => tag.split("-")[0].toLowerCase() === language) || language;
  }

  async function preview(form, text, shown) {
    if (!text.reportValidity()) return;
    shown.hidden = false;
    try {
      const answer = await fetch(form.dataset.moderatePreview, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ text: text.value }),
      });
      const body = await answer.json();
      if (answer.ok) {
        // The server's own cleaned HTML, the same that the thread would show.
        shown.innerHTML = body.html;
      } else {
        shown.textContent = [body.detail, ...(body.errors || []).map((error) => error.message)].join(" ");
      }
    } catch {
      shown.textContent = wordsOf(form).unreachable;
    }
  }
})();
