// Before anything is drawn: light or dark, as chosen here before, or as the system says.
(() => {
  "use strict";
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // A browser may refuse storage to a file from disk; the choice then lasts for this visit.
  }
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const known = chosen === "light" || chosen === "dark";
  document.documentElement.dataset.theme = known ? chosen : isDark ? "dark" : "light";
})();
