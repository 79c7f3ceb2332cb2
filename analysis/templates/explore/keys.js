"use strict";
// k keep, d drop, u undo; n and p go to the next and the previous document of the search.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const found = [...document.querySelectorAll("main [data-key]")];
  const wanted = found.find((element) => element.dataset.key === event.key);
  if (wanted) wanted.click();
});
