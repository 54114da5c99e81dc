// Three conveniences. Without this file everything still works: the server takes a form that is sent
// twice as one comment, a preview is only a look ahead, and times are written out in UTC.
(() => {
  "use strict";

  // A form that a site has made itself may carry no words.
  const english = {
    preview: "Preview",
    sending: "Sending…",
    unreachable: "The preview cannot be reached. What you wrote is still here.",
  };
  const wordsOf = (form) => ({ ...english, ...JSON.parse(form.dataset.moderateWords || "{}") });

  for (const form of document.querySelectorAll("form.moderate-form")) {
    holdSecondSend(form);
    addPreview(form);
  }
  tellLocalTimes();

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

  // The reader's own time zone, in the language of the page.
  function tellLocalTimes() {
    const clock = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { dateStyle: "long", timeStyle: "short" });
    for (const time of document.querySelectorAll(".moderate time[datetime]")) {
      time.title = time.textContent;
      time.textContent = clock.format(new Date(time.dateTime));
    }
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
