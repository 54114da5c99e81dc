// The keys of the queue: which of them act, the list of what they do, and the switch that turns them off.

const dialog = document.getElementById("keys");
const on = document.getElementById("keys-on");

function isTyping(element) {
  return element.isContentEditable || element.closest("textarea, select, input:not([type=checkbox])") !== null;
}

// Calls what *acts* has under the key that is pressed; "?" shows what the keys do.
export function listen(acts) {
  const keys = { ...acts, "?": () => dialog.showModal() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
    if (isTyping(event.target) || !Object.hasOwn(keys, event.key)) return;
    if (!on.checked && event.key !== "?") return;
    event.preventDefault();
    // A key that is held down moves on, and never decides twice.
    if (event.repeat && event.key !== "j" && event.key !== "k") return;
    keys[event.key]();
  });
}

// Whoever works by voice, or hits keys by chance, can turn them off; the browser remembers it.
try {
  on.checked = localStorage.getItem("moderate-keys") !== "off";
} catch {
  // Without storage they are on.
}
on.addEventListener("change", () => {
  try {
    localStorage.setItem("moderate-keys", on.checked ? "on" : "off");
  } catch {
    // Then it holds for this page.
  }
});
document.getElementById("keys-close").addEventListener("click", () => dialog.close());
const opener = document.getElementById("show-keys");
opener.hidden = false;
opener.addEventListener("click", () => dialog.showModal());
