// The keys of the queue: which of them act, the list of what they do, and the switch that turns them off.

const dialog = document.getElementById("keys");
const on = document.getElementById("keys-on");

function isTyping(element) {
  // Programs send keys to the document as well.
  if (!(element instanceof Element)) return false;
  return element.isContentEditable || element.closest("textarea, select, input:not([type=checkbox])") !== null;
}

// Returns the key as a keyboard with Latin letters has it: small in spite of Caps Lock, and by its place on the
// keyboard where the layout has letters of another script. While an input method is at work there is none.
function latin(event) {
  if (event.isComposing || event.key === "Process" || event.key === "Dead") return "";
  // What the third level of a keyboard has (AltGr) is no key of ours.
  if (event.getModifierState("AltGraph") && /\p{L}/u.test(event.key)) return "";
  const [, letter] = event.code.match(/^Key([A-Z])$/) ?? [];
  if (letter && /^\p{L}\p{M}*$/u.test(event.key) && !/^\p{Script=Latin}/u.test(event.key)) {
    return event.shiftKey ? "" : letter.toLowerCase();
  }
  // With Caps Lock on, Shift gives small letters, which do no more than capitals do without it.
  if (event.getModifierState("CapsLock") && /^\p{Script=Latin}$/u.test(event.key)) {
    return event.shiftKey ? "" : event.key.toLowerCase();
  }
  return event.key;
}

// Calls what *acts* has under the key that is pressed; "?" shows what the keys do.
export function listen(acts) {
  const keys = { ...acts, "?": () => dialog.showModal() };
  document.addEventListener("keydown", (event) => {
    // Browsers that fill in forms send keys without a name; what somebody else has taken is theirs.
    if (!(event instanceof KeyboardEvent) || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    const key = latin(event);
    if (isTyping(event.target) || !Object.hasOwn(keys, key)) return;
    if (!on.checked && key !== "?") return;
    event.preventDefault();
    // A key that is held down moves on, and never decides twice.
    if (event.repeat && key !== "j" && key !== "k") return;
    keys[key]();
  });
}

// People who work by voice, or hit keys by chance, can turn them off; the browser remembers it.
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
