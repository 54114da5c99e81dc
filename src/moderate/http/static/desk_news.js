// What came in since the page was opened: told every half minute, and never pushed in between.

// Asks *address*. *isBusy* tells whether an answer would be out of date, *words* tells of a number, *show* writes one.
export function watch(address, isBusy, words, show) {
  setInterval(() => look(address, isBusy, words, show), 30_000);
}

async function look(address, isBusy, words, show) {
  if (document.visibilityState !== "visible" || isBusy()) return;
  let answer;
  try {
    answer = await fetch(address, { headers: { Accept: "application/json" } });
  } catch {
    return;
  }
  if (!answer.ok || isBusy()) return;
  const found = await answer.json();
  for (const [tab, number] of Object.entries(found.totals)) {
    const place = document.querySelector(`.tabs [data-status=${tab}] .count`);
    if (place) show(place, number);
  }
  const news = document.getElementById("news");
  const text = words(found.new);
  news.hidden = found.new === 0;
  if (found.new && news.querySelector("span").textContent !== text) news.querySelector("span").textContent = text;
}
