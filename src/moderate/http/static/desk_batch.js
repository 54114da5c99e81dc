// A decision on many items that a worker makes: the bar of its notice goes on until it is done.

// Asks every other second. *fill* puts numbers into a sentence, *say* reads out how it ended.
export function follow(notice, fill, say) {
  const line = notice.querySelector("p");
  // It changes with every step now, and would drown all else where it is read out.
  line.removeAttribute("role");
  const timer = setInterval(async () => {
    const found = document.visibilityState === "visible" && (await ask(notice.dataset.batch));
    if (!found) return;
    if (found.state !== "running") {
      clearInterval(timer);
      end(notice, say);
    }
    const [n, total] = [found.decided, found.total].map((number) => new Intl.NumberFormat("en").format(number));
    notice.querySelector("progress").value = found.decided + found.conflicts;
    line.textContent = fill(notice.dataset.words, { n, total });
  }, 2_000);
}

async function ask(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    return answer.ok && answer.json();
  } catch {
    return null;
  }
}

// The page as it is now has the words for how it ended, and still its button for an undo.
async function end(notice, say) {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("notice");
  if (!fresh) return;
  const line = fresh.querySelector("p");
  line.removeAttribute("role");
  line.removeAttribute("autofocus");
  const hadFocus = notice.contains(document.activeElement) && document.activeElement.closest("a, button")?.localName;
  notice.className = fresh.className;
  notice.replaceChildren(...fresh.childNodes);
  if (hadFocus) notice.querySelector(hadFocus)?.focus();
  say(line.textContent);
}
